"""What `down` says about going on is true: `up` goes on as it was, and another market is refused, not ignored."""

import json
import os

import pytest
import typer
from typer.testing import CliRunner

from sapphire.domain.errors import Refused
from sapphire.stack import commands
from sapphire.stack.background import take_down
from sapphire.stack.folders import RunFolder
from sapphire.stack.going_on import kept_plan

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
    for verb in ("up", "status", "down"):
        app.command(verb)(getattr(commands, verb))
    before = os.environ.get("SAPPHIRE_HOME")
    os.environ["SAPPHIRE_HOME"] = str(champion[0])

    def run(*words):
        return CliRunner().invoke(app, list(words), catch_exceptions=False)

    yield run
    take_down(champion[0] / "stack")
    os.environ.pop("SAPPHIRE_HOME") if before is None else os.environ.update(SAPPHIRE_HOME=before)


@pytest.fixture(scope="module")
def ended(sapphire, champion):
    """The facts of a run that was started with words of its own and ended, and what `down` said then."""
    done = sapphire("up", champion[1], *WORDS, "--port", "exchange=0", "--json")
    assert done.exit_code == 0, done.output
    said = sapphire("down")
    assert said.exit_code == 0
    return json.loads(done.stdout), said.stderr


def test_down_where_nothing_ran_does_not_speak_of_going_on(sapphire, tmp_path):
    said = sapphire("down", "--run", str(tmp_path)).stderr
    assert "goes on" not in said
    assert f"sapphire up --run {tmp_path} starts one" in said


def test_another_market_is_refused_and_nothing_is_changed(sapphire, ended):
    folder = RunFolder(sapphire_home() / "stack")
    before = folder.facts.read_bytes(), folder.settings("plan").read_bytes()
    for option, (value, has) in OTHERS.items():
        with pytest.raises(Refused, match=has) as refused:
            sapphire("up", option, value)
        assert f"leave {option} out to go on" in refused.value.next
        assert "--fresh" in refused.value.next
    assert (folder.facts.read_bytes(), folder.settings("plan").read_bytes()) == before


def test_a_word_that_says_the_same_is_no_other_market(ended):
    plan = kept_plan(RunFolder(sapphire_home() / "stack"))
    assert (plan.market.seed, plan.speed, plan.funds) == (11, 240.0, {"USDT": "50000"})


def test_what_down_says_is_done_and_goes_on(sapphire, ended):
    began, said = ended
    line = next(line for line in said.splitlines() if "goes on where it stood" in line)
    words = line.split("next: sapphire ")[1].split(" goes on")[0].split()
    assert words == ["up"]
    done = sapphire(*words, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    for key in ("release", "symbols", "clock", "funds", "mlflow", "spin"):
        assert facts[key] == began[key], key
    assert facts["market"] == began["market"]
    assert facts["addresses"]["exchange_url"].startswith("http://127.0.0.1:2")
    assert "going on where this run stood" in done.stderr
    assert "goes on where it stood" in sapphire("down").stderr


def sapphire_home():
    from sapphire.domain.workspace import home

    return home()
