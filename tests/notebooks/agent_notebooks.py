"""The notebooks of agents, whole: each with its own parameters, offline, and saying what it found.

`make test-notebooks` runs them; two of them run in `test_notebooks.py` with less to do as well.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest

from sapphire.monitoring.telling.running import results_of, run_notebook

ROOT = Path(__file__).parents[2]
STUDIED = ["model_cost", "information", "replay"]
SHOWN = {
    "21_qwen.ipynb": [*STUDIED, "probabilities"],
    "22_deepseek.ipynb": [*STUDIED, "probabilities"],
    "23_fingpt.ipynb": [*STUDIED, "calibration"],
    "24_lag_llama.ipynb": ["replay"],
    "25_recording_and_replay.ipynb": ["model_cost"],
    "26_train_fingpt_adapter.ipynb": [],
}
SAYS = {
    "21_qwen.ipynb": r"verdict: SKILL-LESS",
    "22_deepseek.ipynb": r"verdict: SKILL-LESS",
    "23_fingpt.ipynb": r"verdict: SKILL-LESS by construction",
    "24_lag_llama.ipynb": r"direction: SKILL-LESS, as its card says; [1-9]",
    "25_recording_and_replay.ipynb": r"11 scores, equal to the last bit",
    "26_train_fingpt_adapter.ipynb": r"after, ± \d+% of 30 headlines: it learned to read such headlines",
}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A workspace and a state folder of its own."""
    (tmp_path / "sapphire.toml").write_text('name = "test"\n')
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("name", SHOWN)
def test_it_runs_offline_and_says_what_it_found(name, desk):
    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    target = desk / "run" / name
    run_notebook(ROOT / "notebooks" / name, target, {}, cwd=desk)
    assert [result["method"] for result in results_of(target)] == SHOWN[name]
    outputs = json.dumps([cell.get("outputs") for cell in json.loads(target.read_text())["cells"]], ensure_ascii=False)
    assert re.search(SAYS[name], outputs)
    after = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert after.stdout == before.stdout
