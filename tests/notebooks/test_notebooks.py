"""Every notebook runs offline from its first cell to its last, and changes no file but its own output.

Those that the demo runs are looked at in its own test (tests/replay/test_demo.py), those of agents, whole, by
`make test-notebooks`: two of them run here with less to do.
"""

import subprocess
from pathlib import Path

import pytest
from agent_notebooks import SHOWN as OF_AGENTS

from sapphire.domain.errors import ConfigError, StudyError
from sapphire.lab.demo.research import NOTEBOOKS as OF_THE_DEMO
from sapphire.monitoring.telling.running import results_of, run_notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
FAST = {
    "00_start_here.ipynb": {
        "start": "2024-01-01",
        "end": "2024-05-01",
        "train": "60d",
        "test": "15d",
        "holdout": "15d",
        "fast": [6, 12],
        "slow": [48, 96],
    },
    "24_lag_llama.ipynb": {
        "start": "2025-03-12",
        "end": "2025-03-20",
        "memory": 48,
        "steps": 50,
        "train": "4d",
        "test": "2d",
    },
    "25_recording_and_replay.ipynb": {"number": 4},
    "50_proof.ipynb": {"strategies": 1, "planted": 1, "variants": 3},
}
SHOWN = {
    "00_start_here.ipynb": [
        "study",
        "screen",
        "sweep",
        "replay",
        "calibration",
        "by_fold",
        "compare",
        "trials",
        "submit",
        "paired",
    ],
    "24_lag_llama.ipynb": OF_AGENTS["24_lag_llama.ipynb"],
    "25_recording_and_replay.ipynb": OF_AGENTS["25_recording_and_replay.ipynb"],
    "50_proof.ipynb": ["proof"],
}


@pytest.fixture
def desk(tmp_path, monkeypatch, with_mlflow):
    """A workspace of its own, so that a captured agent lands there, and a state folder with an empty MLflow."""
    (tmp_path / "sapphire.toml").write_text('name = "test"\n')
    monkeypatch.setenv("SAPPHIRE_HOME", str(with_mlflow(tmp_path / "home")))
    return tmp_path


def test_every_notebook_has_fast_parameters():
    assert set(FAST) == set(SHOWN)
    assert set(FAST) | set(OF_AGENTS) == set(NOTEBOOKS) - set(OF_THE_DEMO)


@pytest.mark.parametrize("name", FAST)
def test_a_notebook_runs_offline_and_shows_its_results(name, desk):
    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    target = desk / "run" / name
    run_notebook(ROOT / "notebooks" / name, target, FAST[name], cwd=desk)
    assert [result["method"] for result in results_of(target)] == SHOWN[name]
    after = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert after.stdout == before.stdout


def test_a_parameter_that_a_notebook_does_not_have_is_refused(desk):
    with pytest.raises(ConfigError, match="no parameter sede"):
        run_notebook(ROOT / "notebooks" / "10_data.ipynb", desk / "out.ipynb", {"sede": 7}, cwd=desk)
    assert not (desk / "out.ipynb").exists()


def test_a_cell_that_fails_says_so_and_leaves_the_notebook_that_shows_it(desk):
    with pytest.raises(StudyError, match="failed in cell") as failed:
        run_notebook(ROOT / "notebooks" / "10_data.ipynb", desk / "out.ipynb", {"interval": "7m"}, cwd=desk)
    assert "UnknownInterval" in failed.value.got
    assert (desk / "out.ipynb").exists()
