"""The study verbs as scripts use them: one object on stdout with --json, and exit codes that can be relied on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sapphire.cli import main
from sapphire.research.commands import app

STUDY = '''
"""An agent of its own, on nine days of the generated market."""

from dataclasses import dataclass
from datetime import timedelta

import sapphire as sp

print("a study file may say what it likes")


@dataclass(frozen=True)
class Contrary(sp.Agent):
    """Expects the last bar to be undone."""

    horizon: timedelta = timedelta(hours=1)

    @property
    def warmup(self):
        return 2

    def views(self, window):
        print("and so may its agent")
        close = window.panel("close")
        mean = 1e4 * (1 - close.iloc[-1] / close.iloc[-2])
        return window.views(mean_bps=mean, std_bps=mean * 0 + 60, horizon=self.horizon)


study = sp.study(
    "contrary",
    data=sp.data.snapshot(["BTC/USDT"], interval="1h", start="2024-01-01", end="2024-01-10", source="embedded"),
    holdout="48h",
    split=sp.walk_forward(train="72h", test="48h", embargo="1h"),
    costs=sp.costs.binance_spot(),
    sizing=sp.portfolio.FixedFraction(fraction=0.4),
)
agent = Contrary()
'''


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a study file and a state folder, shared by the verbs that follow each other."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "contrary.py").write_text(STUDY)
    return folder


def sapphire(folder, *words):
    """The command as a script runs it."""
    return subprocess.run(
        [Path(sys.executable).with_name("sapphire"), *words],
        cwd=folder,
        env={**os.environ, "SAPPHIRE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_trials_and_compare_say_one_object_each(workplace):
    done = {verb: sapphire(workplace, "study", verb, "contrary.py", "--json") for verb in ("run", "trials", "compare")}
    assert [verb.returncode for verb in done.values()] == [0, 0, 0], [verb.stderr for verb in done.values()]
    assert all(verb.stdout.count("\n") == 1 for verb in done.values())
    run, trials, compare = (json.loads(verb.stdout) for verb in done.values())
    assert (run["method"], run["agent"], run["model"], run["trials"]) == ("replay", "contrary", "book", 1)
    assert run["fills"] > 20
    assert (trials["method"], trials["trials"], trials["evaluations"]) == ("trials", 1, 1)
    assert (compare["method"], compare["trials"]) == ("compare", 2)
    assert compare["largest_relative_difference"] <= 1e-8
    assert compare["evidence_return"] == run["total_return"]
    assert [name for name, _ in compare["steps_bps"]][-5:] == [
        "risk limits",
        "fees",
        "fees in what is received",
        "spread of the book",
        "latency",
    ]
    assert "a study file may say what it likes" in done["run"].stderr
    assert "and so may its agent" in done["run"].stderr
    assert "next: sapphire study compare contrary.py" in done["run"].stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "nowhere.py"], 1, "StudyError: no study file nowhere.py"),
        (["run", "empty.py"], 1, "expected: two names: study = sapphire.study(...), agent = an agent"),
        (["trials", "short.py"], 1, "StudyError: too little data before the hold-out"),
        (["run"], 2, "Missing argument"),
        (["run", "contrary.py", "--quick"], 2, "No such option"),
        (["screen", "contrary.py"], 2, "No such command"),
    ],
)
def test_a_refusal_is_one_and_wrong_usage_two(workplace, monkeypatch, capsys, words, code, message):
    monkeypatch.setenv("SAPPHIRE_HOME", str(workplace / "home"))
    monkeypatch.chdir(workplace)
    Path("empty.py").write_text("study = agent = None\n")
    Path("short.py").write_text(STUDY.replace('train="72h"', 'train="720h"'))
    with pytest.raises(SystemExit) as left:
        main(["study", *words, "--json"])
    assert left.value.code == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err


def test_without_json_the_table_is_on_stdout(workplace, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_HOME", str(workplace / "another"))
    done = CliRunner().invoke(app, ["run", str(workplace / "contrary.py")], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout.startswith("evidence of contrary(")
    assert "buy and hold, no costs" in done.stdout
    assert "a study file" not in done.stdout


@pytest.mark.parametrize("verb", ["run", "compare", "trials"])
def test_every_verb_has_an_example_in_its_help(verb):
    done = CliRunner().invoke(app, [verb, "--help"])
    assert done.exit_code == 0
    assert f"Example: sapphire study {verb}" in done.stdout
