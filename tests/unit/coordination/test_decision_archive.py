"""Days of decisions that are over: archived, read as before, and lost by no kill."""

import gzip
import itertools
import json

import pytest
from small_disks import fill, small_disk, until_full

from sapphire.coordination import decision_archive
from sapphire.coordination.decision_archive import archived_days, decision_lines, move_old_days
from sapphire.coordination.decision_log import DecisionLog, last_decision, latest_decisions
from sapphire.coordination.decisions import Decision, Scope
from sapphire.domain.clocks import to_ns
from sapphire.domain.decisions import DecisionLine
from sapphire.domain.errors import DataError, ValueRefused
from sapphire.telemetry.streams import AccountStreams

SCOPE = Scope(AccountStreams("embedded", "paper"), "f" * 64, "trend", "bars")

HOUR_NS = 3_600_000_000_000
BEGIN_NS = to_ns("2025-03-07T00:00Z")
HOURS = 5 * 24


def decision(hour):
    return Decision.on(SCOPE, BEGIN_NS + hour * HOUR_NS)


@pytest.fixture
def path(tmp_path):
    """Five days of decisions, all in the plain file."""
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"".join(decision(hour).line for hour in range(1, HOURS + 1)))
    return path


def test_all_but_two_days_are_archived_and_read_as_before(path):
    before = path.read_bytes()
    assert move_old_days(path) == 3
    assert [day.isoformat() for day in archived_days(path)] == ["2025-03-07", "2025-03-08", "2025-03-09"]
    assert path.read_bytes() == before[-len(path.read_bytes()) :]
    assert b"".join(decision_lines(path)) == before
    assert move_old_days(path) == 0
    (second,) = list(archived_days(path))[1:2]
    lines = list(decision_lines(path, first=second, last=second))
    assert [json.loads(line)["bar_close_ns"] for line in lines] == [
        str(BEGIN_NS + hour * HOUR_NS) for hour in range(25, 49)
    ]


@pytest.mark.parametrize("written", range(4))
def test_a_move_that_is_cut_off_loses_nothing(path, monkeypatch, written):
    """Killed behind any of the files that it puts in place."""
    before, real, done = path.read_bytes(), decision_archive._replace, []

    def replace(file, data):
        if len(done) == written:
            raise KeyboardInterrupt
        real(file, data)
        done.append(file)

    monkeypatch.setattr(decision_archive, "_replace", replace)
    with pytest.raises(KeyboardInterrupt):
        move_old_days(path)
    assert b"".join(decision_lines(path)) == before
    monkeypatch.undo()
    move_old_days(path)
    assert b"".join(decision_lines(path)) == before
    assert len(archived_days(path)) == 3


def test_an_archive_that_does_not_read_back_leaves_the_lines(path, monkeypatch):
    before = path.read_bytes()
    gzip_of = gzip.compress
    monkeypatch.setattr(decision_archive.gzip, "compress", lambda data, mtime: gzip_of(data[:-10], mtime=mtime))
    with pytest.raises(DataError, match="does not read back"):
        move_old_days(path)
    assert path.read_bytes() == before


def test_a_damaged_archive_is_named(path):
    move_old_days(path)
    first = next(iter(archived_days(path).values()))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(bytes(data))
    with pytest.raises(DataError, match="2025-03-07"):
        list(decision_lines(path))


def test_the_log_moves_days_as_they_end_and_finds_old_bars(tmp_path):
    path = tmp_path / "decisions.jsonl"
    log = DecisionLog(path)
    for hour in range(1, HOURS + 1):
        log.append(decision(hour))
        log.archive()
    assert len(archived_days(path)) == 3
    assert len(path.read_bytes().splitlines()) == 48
    assert log.find(BEGIN_NS + 3 * HOUR_NS) == decision(3)
    assert log.find(BEGIN_NS + 3 * HOUR_NS + 1) is None
    assert last_decision(path) == decision(HOURS)
    assert latest_decisions(path, 100) == [decision(hour) for hour in range(HOURS - 99, HOURS + 1)]
    log.close()
    assert DecisionLog(path).last == decision(HOURS)


def test_old_lines_are_read_and_unknown_versions_refused():
    facts = dict(decision(1).facts)
    assert DecisionLine.read(decision(1).line).format == "DECISION@2"
    old = Decision({key: value for key, value in facts.items() if key != "format"})
    assert (DecisionLine.read(old.line).format, Decision.read(old.line)) == ("DECISION@1", old)
    with pytest.raises(ValueRefused, match="of another version") as refused:
        DecisionLine.read(Decision({**facts, "format": "DECISION@5"}).line)
    assert "DECISION@5" in str(refused.value)


def test_what_members_answered_stands_in_lines_of_its_own_version():
    views = [{"symbol": "BTC/USDT", "mean_bps": 2.5, "std_bps": 40.0}]
    drifted = {"since_ns": "7", "index": 0.4, "threshold": 0.25}
    members = [
        {"name": "qwen", "release": "a" * 64, "silence": None, "shadow": None, "views": views},
        {"name": "fingpt", "release": "b" * 64, "silence": "no answer yet", "shadow": drifted, "views": []},
    ]
    line = decision(1).knowing(members=members, format="DECISION@4").line
    assert Decision.read(line).facts["members"] == members
    for bad in (line.replace(b"DECISION@4", b"DECISION@3"), decision(1).knowing(format="DECISION@4").line):
        with pytest.raises(ValueRefused, match=r"a line of the decisions|members"):
            DecisionLine.read(bad)


def test_a_note_stands_whole_beside_a_view_and_in_no_line_of_before():
    wire = {"symbol": "BTC/USDT", "as_of_ns": "0", "horizon_ns": "1000", "score": "1", "mean_bps": None,
            "std_bps": None, "quantiles": [], "entry": "1-1", "agent": "qwen"}  # fmt: skip
    note = {"thesis": "it rose", "read": ["n1"], "model_kind": "embedded-default", "elicitation": "one token"}
    line = Decision({**decision(1).facts, "views": [wire | note], "format": "DECISION@3"}).line
    assert Decision.read(line).facts["views"] == [wire | note]
    for bad, match in (
        (line.replace(b"DECISION@3", b"DECISION@2"), "DECISION@3 has a place for it"),
        (line.replace(b',"thesis":"it rose"', b""), "together, or none of them"),
        (line.replace(b'"it rose"', b'"it\\u001brose"'), "thesis of a view's note"),
    ):
        assert bad != line
        with pytest.raises(ValueRefused) as refused:
            Decision.read(bad)
        assert match in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"), [("bar_close_ns", 7), ("history_rows", "7"), ("release", None), ("more", 1), ("signals", [{}])]
)
def test_a_field_that_is_not_the_schemas_is_neither_read_nor_written(tmp_path, key, value):
    bad = Decision({**decision(1).facts, key: value})
    with pytest.raises(ValueRefused):
        Decision.read(bad.line)
    log = DecisionLog(tmp_path / "decisions.jsonl")
    with pytest.raises(ValueRefused):
        log.append(bad)
    assert (tmp_path / "decisions.jsonl").read_bytes() == b""


def test_on_a_full_disk_the_log_is_as_long_as_it_was(tmp_path):
    with small_disk(tmp_path / "disk", 256) as disk:
        log, hours = DecisionLog(disk / "decisions.jsonl"), itertools.count(2)
        log.append(decision(1))
        with fill(disk):
            more, _ = until_full(lambda: log.append(decision(next(hours))))  # in the middle of a line
        assert log.last == DecisionLog(disk / "decisions.jsonl").last == decision(1 + more) != decision(1)
        log.append(decision(2 + more))
        assert last_decision(disk / "decisions.jsonl") == decision(2 + more)
