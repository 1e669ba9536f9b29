"""What `down` says about going on is true: `up` goes on as it was, and another market is refused, not ignored."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import typer
from typer.testing import CliRunner

from sapphire.domain.errors import Refused
from sapphire.stack import addresses
from sapphire.stack.background import take_down
from sapphire.stack.commands import status, trading, up_and_down
from sapphire.stack.folders import RunFolder
from sapphire.stack.going_on import kept_plan

ENTERS_SCREEN, LEAVES_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
"""What a terminal is told when a program takes the whole screen, and gives it back."""


def run_of(champion):
    """A run folder of its own: the home is shared with other files."""
    return champion[0] / "going-on"


WORDS = ["--speed", "240", "--seed", "11", "--start", "2025-03-07", "--fund", "USDT=50000", "--no-mlflow"]
OTHERS = {
    "--seed": ("12", "has seed 11"),
    "--start": ("2025-03-08", "began at 2025-03-07T00:00:00Z"),
    "--fund": ("USDT=60000", "began with USDT=50000"),
}


@pytest.fixture(scope="module")
def sapphire(champion):
    """Runs a verb in the home of a champion; what it wrote."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    for verb in (up_and_down.up, up_and_down.down, status.status, trading.halt):
        app.command(verb.__name__)(verb)
    before = os.environ.get("SAPPHIRE_HOME")
    os.environ["SAPPHIRE_HOME"] = str(champion[0])

    def run(*words):
        return CliRunner().invoke(app, list(words), catch_exceptions=False)

    yield run
    take_down(run_of(champion))
    os.environ.pop("SAPPHIRE_HOME") if before is None else os.environ.update(SAPPHIRE_HOME=before)


@pytest.fixture(scope="module")
def ended(sapphire, champion):
    """The facts of a run that was started with words of its own and ended, and what `down` said then."""
    run = ("--run", str(run_of(champion)))
    done = sapphire("up", champion[1], *WORDS, *run, "--port", "exchange=0", "--json")
    assert done.exit_code == 0, done.output
    assert sapphire("halt", "over night", *run).exit_code == 0
    result = sapphire("down", *run)
    assert result.exit_code == 0
    return json.loads(done.stdout), result.stderr


def test_down_where_nothing_ran_does_not_speak_of_going_on(sapphire, tmp_path):
    text = sapphire("down", "--run", str(tmp_path)).stderr
    assert "goes on" not in text
    assert f"sapphire up --run {tmp_path} starts one" in text


def test_another_market_is_refused_and_nothing_is_changed(sapphire, ended, champion):
    folder = RunFolder(run_of(champion))
    before = folder.facts.read_bytes(), folder.settings("plan").read_bytes()
    for option, (value, has) in OTHERS.items():
        with pytest.raises(Refused, match=has) as refused:
            sapphire("up", "--run", str(folder.path), option, value)
        assert f"leave {option} out to go on" in refused.value.next
        assert "--fresh" in refused.value.next
    assert (folder.facts.read_bytes(), folder.settings("plan").read_bytes()) == before


def test_what_was_told_is_kept(ended, champion):
    plan = kept_plan(RunFolder(run_of(champion)))
    assert (plan.market.seed, plan.speed, plan.funds) == (11, 240.0, {"USDT": "50000"})


def test_a_stack_that_ended_still_says_what_its_account_was(sapphire, ended, champion):
    done = sapphire("status", "--run", str(run_of(champion)), "--json")
    status = json.loads(done.stdout)
    assert not status["running"]
    assert status["account"]["trading"]["set"]["why"] == "over night"
    assert int(status["account"]["positions"]["equity_quote_atoms"]) == 50_000 * 10**8
    text = sapphire("status", "--run", str(run_of(champion))).stdout
    assert "the account as it was when the stack ended:" in text
    assert "HALTED, halt since 2025-03-07T" in text
    # Nothing runs, so that there is nothing to watch: it looks once and ends.
    assert sapphire("status", "--run", str(run_of(champion)), "--watch").exit_code == 0


def test_what_down_says_is_done_and_goes_on(sapphire, ended, champion):
    began, text = ended
    line = next(line for line in text.splitlines() if "goes on where it stood" in line)
    words = line.split("next: sapphire ")[1].split(" goes on")[0].split()
    assert words == ["up", "--run", str(run_of(champion))]
    # A word that says the same asks for no other market.
    done = sapphire(*words, "--seed", "11", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    for key in ("release", "symbols", "clock", "funds", "mlflow", "spin"):
        assert facts[key] == began[key], key
    assert facts["market"] == began["market"]
    # Free ports for the stack, below those that the system gives to outgoing connections.
    assert addresses.LOWEST <= urlsplit(facts["addresses"]["exchange_url"]).port < addresses.end()
    assert "going on where this run stood" in done.stderr
    # What stopped trading before still does, and the exit of `up` says so.
    assert facts["account"]["trading"]["state"] == "HALTED"
    assert "trading HALTED, halt since 2025-03-07T" in done.stderr
    assert ": over night" in done.stderr
    # Who watches in a terminal is told the end, and has the screen back.
    screen, terminal = pty.openpty()
    watching = subprocess.Popen(
        [sys.executable, "-m", "sapphire.cli", "status", "--watch", *words[1:]],
        stdin=terminal, stdout=terminal, stderr=terminal, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    while b"Ctrl-C leaves" not in seen:
        seen += os.read(screen, 65_536)
    assert "goes on where it stood" in sapphire("down", *words[1:]).stderr
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
        while more := os.read(screen, 65_536):
            seen += more
    assert watching.wait(timeout=30) == 0
    frames, _, after = seen.partition(LEAVES_SCREEN)
    assert frames.startswith(ENTERS_SCREEN)
    assert b"stack stopped" in after
    assert b"Traceback" not in seen
