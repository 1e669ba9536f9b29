"""Two accounts with two releases on one bus and one exchange: what happens to one touches nothing of the other."""

import itertools
import json
import os
import shutil
import signal
import time

import pytest
import typer
from typer.testing import CliRunner
from valkey import Valkey
from valkey.exceptions import NoPermissionError

from sapphire.domain.errors import Refused, ValueRefused
from sapphire.execution.bus_users import SERVICE, BusUsers, user_of
from sapphire.execution.journal import journal_rows
from sapphire.stack.background import take_down
from sapphire.stack.commands import logs, status, trading, up_and_down
from sapphire.stack.folders import RunFolder
from sapphire.telemetry import SignalKey
from sapphire.telemetry.signal_keys import TAG_FIELD
from sapphire.telemetry.streams import COORDINATOR, AccountStreams, EntryId

FIRST, SECOND = AccountStreams("embedded", "paper"), AccountStreams("embedded", "second")
VERBS = {
    "up": up_and_down.up, "down": up_and_down.down, "status": status.status, "logs": logs.logs,
    "halt": trading.halt, "resume": trading.resume, "positions": trading.positions,
}  # fmt: skip
UP = ("--speed", "300", "--start", "2025-03-07", "--no-mlflow")


@pytest.fixture(scope="module")
def sapphire():
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    for name, verb in VERBS.items():
        app.command(name)(verb)

    def run(*words, refused=False):
        done = CliRunner(env={"COLUMNS": "250"}).invoke(app, list(words), catch_exceptions=not refused)
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    return run


@pytest.fixture(scope="module")
def two_releases(champion, other_release, promoted):
    """A state folder with two releases on paper, and their digests."""
    home, digest = champion
    promoted(home, other_release)
    return home, digest, other_release


@pytest.fixture(scope="module")
def pair(sapphire, two_releases):
    """Both accounts under `up`; the run folders."""
    home, digest, other = two_releases
    before = os.environ.get("SAPPHIRE_HOME")
    os.environ["SAPPHIRE_HOME"] = str(home)
    first = RunFolder(home / "stack")
    shutil.rmtree(first.path, ignore_errors=True)  # another file's tests may have run a stack on this state folder
    try:
        sapphire("up", digest, *UP, "--json")
        sapphire("up", other, "--account", "second", "--fund", "USDT=20000", "--json")
        yield first, first.of_account("second")
    finally:
        take_down(first.of_account("second").path)
        take_down(first.path)
        shutil.rmtree(first.path)
        os.environ.pop("SAPPHIRE_HOME") if before is None else os.environ.update(SAPPHIRE_HOME=before)


def until(is_so, within_s=60.0):
    """What `is_so` says, once that is true."""
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, "what the test waits for does not come"
        time.sleep(0.05)
    return found


def decided(folder):
    return (
        [json.loads(line) for line in folder.decisions.read_bytes().splitlines()] if folder.decisions.exists() else []
    )


def goes_on(folder, bars=2):
    """Waits until so many more bars are decided, with nothing in the way."""
    before = len(decided(folder))
    until(lambda: len(decided(folder)) >= before + bars)
    return decided(folder)[before:]


def untouched(folder, before):
    """The first account's parts never stopped, and it decided every bar."""
    now = folder.read()["parts"]
    assert {name: (part["pid"], part["restarts"]) for name, part in now.items()} == before
    closes = [int(line["bar_close_ns"]) for line in decided(folder)]
    assert [b - a for a, b in itertools.pairwise(closes)] == [closes[1] - closes[0]] * (len(closes) - 1)
    assert {line["account"]["account"] for line in decided(folder) if line["account"]} == {"paper"}


@pytest.fixture
def standing(pair):
    """The processes of the first account as they stand before a test."""
    return {name: (part["pid"], part["restarts"]) for name, part in pair[0].read()["parts"].items()}


def test_each_has_its_own_parts_and_they_share_bus_exchange_and_collector(pair, two_releases):
    first, second = (folder.read() for folder in pair)
    assert set(second["parts"]) == {"bento", "coordinator", "service"}
    assert set(first["parts"]) == {"bento", "bus", "collector", "coordinator", "exchange", "service"}
    for shared in ("bus_url", "exchange_url", "exchange_ws_url", "exchange_control_url"):
        assert first["addresses"][shared] == second["addresses"][shared]
    assert first["addresses"]["service_url"] != second["addresses"]["service_url"]
    assert (first["account_tag"], second["account_tag"]) == (1, 2)
    assert (first["release"]["digest"], second["release"]["digest"]) == two_releases[1:]
    ours, theirs = goes_on(pair[0]), goes_on(pair[1])
    assert {line["account"]["account"] for line in theirs} == {"second"}
    assert {line["account"]["account"] for line in ours} == {"paper"}
    assert all(line["reason"] is None for line in (*ours, *theirs))
    assert {view["agent"] for line in theirs for view in line["views"]} == {"moving-average-cross"}


def test_status_shows_them_as_a_table(sapphire, pair, two_releases):
    shown = sapphire("status", "--json")
    rows = {row["account"]: row for row in shown["accounts"]}
    assert list(rows) == ["paper", "second"]
    assert [row["digest"] for row in rows.values()] == list(two_releases[1:])
    assert 19_000 < int(rows["second"]["equity_quote_atoms"]) / 1e8 < 21_000
    assert {(row["stage"], row["state"], row["trading"], row["halted"]) for row in rows.values()} == {
        ("paper", "ready", "ACTIVE", False)
    }
    text = sapphire("status")
    assert "2 accounts" in text
    (line,) = [line for line in text.splitlines() if line.startswith("second")]
    assert line.split()[-1] == "ACTIVE"
    alone = sapphire("status", "--account", "second", "--json")
    assert (alone["account_name"], alone["release"]["digest"]) == ("second", two_releases[2])
    assert sapphire("positions", "--account", "second", "--json")["quote"] == "USDT"


@pytest.mark.parametrize(
    ("words", "expected", "got"),
    [
        (("--seed", "8"), "seed 7", "seed 8"),
        (("--speed", "60"), "300 market seconds per second", "60 market seconds per second"),
        (("--start", "2025-03-08"), "a market that began at 2025-03-07", "one that begins at 2025-03-08"),
    ],
    ids=["seed", "speed", "start"],
)
def test_a_join_on_another_market_is_refused_and_changes_nothing(sapphire, pair, two_releases, words, expected, got):
    with pytest.raises(Refused, match="the running stack's market is another one") as refused:
        sapphire("up", two_releases[2], "--account", "third", *words, refused=True)
    assert expected in refused.value.expected
    assert got in refused.value.got
    assert [folder.path.name for folder in pair[0].joined] == ["second"]


def test_what_cannot_be_meant_is_refused(sapphire, pair, two_releases, tmp_path):
    with pytest.raises(ValueRefused, match="name of an account"):
        sapphire("up", two_releases[2], "--account", "a:b", refused=True)
    with pytest.raises(Refused, match="--fresh with --account"):
        sapphire("up", two_releases[2], "--account", "third", "--fresh", refused=True)
    with pytest.raises(Refused, match="no stack runs in"):
        sapphire("up", two_releases[2], "--account", "third", "--run", str(tmp_path), refused=True)
    with pytest.raises(Refused, match="a stack already runs") as refused:
        sapphire("up", two_releases[2], refused=True)
    assert "--account NAME" in refused.value.next


@pytest.mark.parametrize("part", ["service", "coordinator"])
def test_a_kill_of_the_second_s_part_touches_nothing_of_the_first(pair, standing, part):
    first, second = pair
    victim = second.read()["parts"][part]
    os.kill(victim["pid"], signal.SIGKILL)
    until(lambda: (now := second.read()["parts"][part])["restarts"] > victim["restarts"] and now["state"] == "ready")
    goes_on(first)
    assert all(line["reason"] is None for line in goes_on(second)[1:])
    untouched(first, standing)


@pytest.mark.parametrize("part", ["exchange", "bus"])
def test_what_they_share_is_started_again_and_both_go_on(pair, part):
    first, second = pair
    victim = first.read()["parts"][part]
    os.kill(victim["pid"], signal.SIGKILL)
    until(lambda: (now := first.read()["parts"][part])["restarts"] > victim["restarts"] and now["state"] == "ready")
    for folder in pair:
        until(lambda folder=folder: goes_on(folder, 1)[-1]["reason"] is None)
    assert {part["restarts"] for name, part in second.read()["parts"].items() if name == "bento"} == {0}


def test_a_halt_is_of_one_account(sapphire, pair, standing):
    sapphire("halt", "a look at the second", "--account", "second")
    rows = {row["account"]: row for row in sapphire("status", "--json")["accounts"]}
    assert {name: (row["trading"], row["halted"]) for name, row in rows.items()} == {
        "paper": ("ACTIVE", False),
        "second": ("HALTED", True),
    }
    goes_on(pair[0])
    untouched(pair[0], standing)
    sapphire("resume", "looked", "--account", "second")


def test_neither_a_stranger_nor_the_other_account_can_signal(pair, two_releases):
    first, second = pair
    users = BusUsers.keep(first.bus, "embedded", "second")
    bus_url = first.read()["addresses"]["bus_url"]
    signals = FIRST.signals(two_releases[1])
    theirs = Valkey.from_url(users.url(user_of(COORDINATOR, "second"), bus_url))
    for stream in (signals, FIRST.states, FIRST.views(two_releases[1], "moving-average-cross")):
        with pytest.raises(NoPermissionError):
            theirs.xadd(stream, {b"m": b"{}"})
    # Somebody who got in with the first's own rights, and signs with the second's key.
    inside = Valkey.from_url(users.url(user_of(SERVICE, "paper"), bus_url))
    entry = EntryId(2**62, 1)
    tag = SignalKey.read(second.signal_key, SECOND.signals(two_releases[2])).tag(entry, b"{}")
    inside.xadd(signals, {b"m": b"{}", TAG_FIELD: tag.encode()}, id=str(entry))
    asking = Valkey.from_url(users.url("conductor", bus_url))
    (kept,) = until(lambda: asking.xrange(FIRST.dead_letters))
    assert b"coordinator signed" in kept[1][b"why"]
    assert asking.xrange(SECOND.dead_letters) == []
    assert all(line["reason"] is None for line in goes_on(first))


def test_logs_and_metrics_say_whose_they_are(sapphire, pair, two_releases):
    import httpx

    done = sapphire("logs", "coordinator", "--account", "second")
    assert "entry" in done
    lines = [json.loads(line) for line in pair[1].log("coordinator").read_text().splitlines()]
    owners = {(line["venue"], line["account"], line["release"]) for line in lines if "venue" in line}
    assert owners == {("embedded", "second", two_releases[2])}
    for folder, account, release in zip(pair, ("paper", "second"), two_releases[1:], strict=True):
        service = folder.read()["addresses"]["service_url"]
        text = httpx.get(f"{service}/metrics", trust_env=False).text
        labels = f'venue="embedded",account="{account}",release="{release}"'
        assert f"sapphire_signals_total{{{labels}}}" in text


def test_an_account_goes_on_with_another_release_and_its_journal_says_when(sapphire, pair, standing, two_releases):
    first, second = pair
    assert sapphire("down", "--account", "second", "--json")["was_running"]
    untouched(first, standing)
    sapphire("up", two_releases[1], "--account", "second", "--json")
    assert {line["release"] for line in goes_on(second)} == {two_releases[1]}
    traded = [row for row in journal_rows(second.account) if row["kind"] == "start"]
    assert traded[-1]["release"] == two_releases[1]
    assert {row["release"] for row in traded[:-1]} == {two_releases[2]}
    untouched(first, standing)


def test_down_ends_all_and_up_goes_on(sapphire, pair):
    ended = sapphire("down", "--json")
    assert (ended["was_running"], ended["accounts"]) == (True, ["second"])
    rows = {row["account"]: row["state"] for row in sapphire("status", "--json")["accounts"]}
    assert rows == {"paper": "stopped", "second": "stopped"}
