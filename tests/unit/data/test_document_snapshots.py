"""Documents in snapshots: hashed with the bars, and without their text once that may not be kept any longer."""

import json

import pytest
from typer.testing import CliRunner

from sapphire.data import list_snapshots, load_snapshot, snapshot
from sapphire.data.commands import app
from sapphire.data.documents import DocumentStore, expire, import_documents
from sapphire.domain import Window
from sapphire.domain.clocks import FixedClock, to_ns
from sapphire.domain.errors import BadDocuments, DataError, MissingData, TextExpired, ValueRefused

NOW = FixedClock(to_ns("2024-06-01T00:00Z"))
DAY = 86_400_000_000_000
REQUEST = {"interval": "1h", "start": "2024-03-01", "end": "2024-03-02", "source": "embedded", "clock": NOW}
BEFORE = "ef7250be0d069a4b798a236afa5be954b14ac2f0e900158b0f1cbc3d6f189c8a"
"""What the request had before there were documents."""
pytestmark = pytest.mark.usefixtures("home")


def told(name, received, **changed):
    return {"id": name, "title": name, "published": "2024-02-01T00:00:00Z", "received": received} | changed


def imported(*items, **changed):
    settings = {"kind": "news", "source": "desk", "licence": "CC0", "clock": NOW} | changed
    return import_documents("\n".join(map(json.dumps, items)).encode(), **settings)


def taken(**changed):
    return snapshot(["BTC/USDT"], **REQUEST | changed)


def names(data):
    return [each.id for each in data.bars.documents]


def test_a_snapshot_takes_what_was_received_in_its_span():
    imported(
        told("before the start", "2024-02-29T23:59:59.999999999Z"),
        told("at the start", "2024-03-01T00:00:00Z"),
        told("at the end", "2024-03-02T00:00:00Z"),
        told("behind it", "2024-03-02T00:00:00.000000001Z"),
    )
    imported(told("noted", "2024-03-01T12:00Z"), kind="note")
    data = taken(documents=("news",))
    assert names(data) == ["at the start", "at the end"]
    assert names(taken(documents=("note", "news"))) == ["at the start", "noted", "at the end"]
    assert "with 2 news" in data._repr_mimebundle_()["text/plain"]
    window = Window(data.bars.rows(0, 2), data.bars.times[1].to_pydatetime())
    assert [each.id for each in window.documents("news")] == ["at the start"]
    assert load_snapshot(data.hash) == data == taken(documents="news")


def test_a_snapshot_without_documents_is_what_it_was():
    plain = taken()
    imported(told("a", "2024-03-01T12:00Z"))
    assert taken().hash == plain.hash == BEFORE
    assert (plain.folder / "manifest.json").read_bytes() == (taken().folder / "manifest.json").read_bytes()
    assert "documents" not in plain.manifest
    assert "documents" not in plain.as_dict()
    assert sorted(path.name for path in plain.folder.iterdir()) == ["BTC_USDT.parquet", "manifest.json"]
    assert plain.bars.documents is None


def test_its_hash_hangs_on_its_documents_and_on_no_others():
    imported(told("a", "2024-03-01T12:00Z"))
    plain, first = taken(), taken(documents=("news",))
    imported(told("elsewhere", "2024-04-01T12:00Z"), delay="5m")
    assert taken(documents=("news",)).hash == first.hash != plain.hash
    imported(told("a", "2024-03-01T13:00Z", text="more"))
    second = taken(documents=("news",))
    assert second.hash != first.hash
    assert [(each.id, each.version) for each in second.bars.documents] == [("a", 1), ("a", 2)]
    assert first.manifest["documents"]["sources"] == [
        {"source": "desk", "licences": ["CC0"], "delays_ns": ["60000000000"]}
    ]
    assert load_snapshot(first.hash).bars.documents != second.bars.documents


def test_no_document_of_a_kind_is_said_and_not_an_empty_answer():
    with pytest.raises(MissingData, match="no news in the range") as refused:
        taken(documents=("news",))
    assert refused.value.got == "none imported"
    imported(told("a", "2024-04-01T12:00Z"))
    with pytest.raises(MissingData) as refused:
        taken(documents=("news",))
    assert refused.value.got == "received from 2024-04-01T12:00Z to 2024-04-01T12:00Z"
    with pytest.raises(ValueRefused, match="kind of a document"):
        taken(documents=("tweets",))


def test_what_may_not_be_kept_goes_and_its_hash_stays():
    short = told("short", "2024-03-01T02:00Z", text="words of a publisher", retention_days=100)
    imported(told("kept", "2024-03-01T01:00Z"), short)
    data, folder = taken(documents=("news",)), DocumentStore().folder("news")
    files = [*folder.glob("*.parquet"), data.folder / "documents.parquet"]
    assert [b"words of a publisher" in path.read_bytes() for path in files] == [True, True]
    over = to_ns("2024-03-01T02:00Z") + 100 * DAY
    assert expire(over - 1).as_dict() == {"documents": 0, "snapshots": 0}
    assert expire(over).as_dict() == {"documents": 1, "snapshots": 1}
    assert expire(over).as_dict() == {"documents": 0, "snapshots": 0}
    assert [b"words of a publisher" in path.read_bytes() for path in files] == [False, False]
    again = load_snapshot(data.hash)
    assert taken(documents=("news",)).hash == data.hash
    assert [(each.id, each.expired, each.title) for each in again.bars.documents] == [
        ("kept", False, "kept"),
        ("short", True, ""),
    ]
    assert [each.sha256 for each in again.bars.documents] == [each.sha256 for each in data.bars.documents]
    with pytest.raises(TextExpired, match="the text of news 'short' is gone"):
        Window(again.bars, again.bars.times[-1].to_pydatetime()).documents()
    assert imported(short).repeats == 1


def test_a_text_whose_retention_is_over_is_not_kept_when_it_comes():
    done = imported(told("late", "2024-03-01T02:00Z", text="words of a publisher"), retention_days=7)
    assert done.without_text == 1
    assert [(each.expired, each.text) for each in DocumentStore().read("news")] == [(True, "")]
    assert not [path for path in DocumentStore().root.rglob("*") if path.is_file() and b"words" in path.read_bytes()]


def test_a_snapshot_after_the_retention_has_no_text_whoever_forgot_to_drop_it():
    imported(told("short", "2024-03-01T02:00Z", text="words of a publisher", retention_days=100))
    data = taken(documents=("news",), clock=FixedClock(to_ns("2024-07-01")))
    assert [(each.expired, each.text) for each in data.bars.documents] == [(True, "")]
    assert b"words of a publisher" not in (data.folder / "documents.parquet").read_bytes()
    assert load_snapshot(data.hash) == data


def test_what_may_not_be_kept_for_ever_stays_on_this_machine(tmp_path, monkeypatch):
    """Nothing drops a text from a place that machines share."""
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    imported(told("kept", "2024-03-01T01:00Z"))
    imported(told("short", "2024-03-01T02:00Z", retention_days=100), kind="note")
    shared, own = taken(documents=("news",)), taken(documents=("news", "note"))
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "another"))
    assert [entry["hash"] for entry in list_snapshots()] == [shared.hash]
    assert load_snapshot(shared.hash) == shared
    with pytest.raises(MissingData, match="no snapshot"):
        load_snapshot(own.hash)


def test_documents_that_were_changed_in_a_snapshot_are_found():
    imported(told("a", "2024-03-01T12:00Z"), told("b", "2024-03-01T13:00Z"))
    data = taken(documents=("news",))
    imported(told("c", "2024-03-01T14:00Z"))
    other = taken(documents=("news",))
    (data.folder / "documents.parquet").write_bytes((other.folder / "documents.parquet").read_bytes())
    with pytest.raises(DataError, match=r"documents\.parquet is damaged"):
        load_snapshot(data.hash)
    (data.folder / "documents.parquet").unlink()
    with pytest.raises(DataError, match=r"documents\.parquet is missing"):
        load_snapshot(data.hash)


RUN = CliRunner()


def run(*words):
    return RUN.invoke(app, ["documents", *words])


def test_the_verbs_import_list_and_expire(tmp_path):
    path = tmp_path / "news.jsonl"
    path.write_text(json.dumps({"id": "a", "title": "Up", "published": "2024-03-01T05:00:00Z", "author": "Ann Lee"}))
    words = ("import", str(path), "--kind", "news", "--source", "desk", "--licence", "CC0", "--delay", "90s", "--json")
    done = run(*words)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "file": "news.jsonl",
        "kind": "news",
        "source": "desk",
        "licence": "CC0",
        "delay_s": 90.0,
        "items": 1,
        "added": 1,
        "edits": 0,
        "repeats": 0,
        "without_text": 0,
        "unread": ["author"],
    }
    listed = run("list", "--json")
    assert json.loads(listed.stdout) == {
        "documents": [
            {
                "kind": "news",
                "source": "desk",
                "documents": 1,
                "versions": 1,
                "without_text": 0,
                "received_from": "2024-03-01T05:01:30Z",
                "received_to": "2024-03-01T05:01:30Z",
                "licences": ["CC0"],
                "delays_s": [90.0],
            }
        ]
    }
    assert "2024-03-01T05:01:30Z" in run("list").stdout
    assert json.loads(run("expire", "--json").stdout) == {"documents": 0, "snapshots": 0}
    request = ["BTC/USDT", "--interval", "1h", "--start", "2024-03-01", "--end", "2024-03-02", "--source", "embedded"]
    taken_by_verb = RUN.invoke(app, ["snapshot", *request, "--documents", "news", "--json"])
    assert json.loads(taken_by_verb.stdout)["documents"]["documents"] == 1
    path.write_text("{}\n")
    assert isinstance(run(*words).exception, BadDocuments)
