"""`sapphire demo` itself, from the market to its summary: the command as a newcomer gives it, on fewer bars."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sapphire.lab.demo.summary import Summary
from sapphire.monitoring.telling.running import results_of

ROOT = Path(__file__).parents[2]
BARS = 40
SHOWN = {
    "10_data.ipynb": [],
    "20_agents.ipynb": [],
    "30_backtest.ipynb": ["study", "information", "replay", "replay", "compare", "trials"],
    "40_promotion.ipynb": ["study", "submit"],
}
"""The results that each of its notebooks shows, in order."""


@pytest.fixture
def checkout(tmp_path):
    """What the demo needs of the repository, in a folder of its own, so that the agent of a cell is written there."""
    place = tmp_path / "checkout"
    for folder in ("notebooks", "mlflow"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns(".*"))
    for name in ("sapphire.toml", "requirements.lock"):
        shutil.copy(ROOT / name, place / name)
    return place


def belonging_to(home):
    """Processes that work in a state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SAPPHIRE_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.timeout(900)
def test_the_demo_runs_the_whole_loop_and_every_check_of_it_holds(checkout, tmp_path):
    home = tmp_path / "home"
    environment = {name: value for name, value in os.environ.items() if name not in ("SAPPHIRE_RECORDINGS",)}
    done = subprocess.run(
        [Path(sys.executable).with_name("sapphire"), "demo", "--bars", str(BARS), "--json"],
        cwd=checkout,
        env={**environment, "SAPPHIRE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    facts = json.loads(done.stdout)
    assert facts["market"] == "generated market v2, seed 7 (uncalibrated)"
    assert (facts["symbols"], facts["interval"]) == (["BTC/USDT", "ETH/USDT"], "5m")
    assert facts["study"] == {"start": "2025-03-07T00:00Z", "end": "2025-04-06T00:00Z", "bars": 8640}
    assert (facts["ccxt"]["balances_agree"], facts["ccxt"]["fills"] > 0) == (True, True)
    assert (facts["replays_identical"], facts["replays"] > 1) == (True, True)
    traded, books = facts["traded"], facts["traded"]["books"]
    assert traded["bars"] == BARS
    assert traded["orders"] > 0
    assert (books["lost"], books["doubled"], books["changed"], books["balances_equal"]) == ([], [], [], True)
    assert traded["parity"]["unexplained_lots"] == 0
    assert (traded["replay"]["identical"], traded["replay"]["steps"] > BARS) == (True, True)
    assert traded["sound"]
    summary = Summary(facts)
    assert summary.is_sound
    assert f"demo, {BARS} bars of BTC/USDT and ETH/USDT, generated market v2, seed 7 (uncalibrated)" in str(summary)
    assert "0 lost, 0 doubled; balances equal the exchange's to the last digit" in str(summary)
    assert "byte-identical" in str(summary)
    assert Path(facts["report"]).is_file()
    assert Path(facts["report"]).is_relative_to(home)
    assert belonging_to(home) == []
    folder = Path(facts["notebooks"])
    shown = {name: [result["method"] for result in results_of(folder / name)] for name in SHOWN}
    assert shown == SHOWN
    for path in (checkout / "notebooks").rglob("*.ipynb"):
        assert path.read_bytes() == (ROOT / path.relative_to(checkout)).read_bytes()
