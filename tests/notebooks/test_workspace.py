"""The study of a new workspace, as it stands there, on less history: it ends with a release that paper takes."""

from sapphire.lab.workspaces import make_workspace
from sapphire.monitoring.telling.running import results_of, run_notebook

FAST = {"symbols": ["BTC/USDT"], "start": "2024-09-01", "end": "2024-12-01", "train": "30d", "test": "15d",
        "holdout": "15d"}  # fmt: skip
SHOWN = ["study", "screen", "replay", "compare", "trials", "submit"]


def test_the_study_of_a_new_workspace_runs_as_it_stands(tmp_path, monkeypatch, with_mlflow):
    made = make_workspace(tmp_path / "desk", "mean_reversion")
    monkeypatch.delenv("SAPPHIRE_HOME", raising=False)
    with_mlflow(made.folder / ".sapphire")
    ran = tmp_path / "run.ipynb"
    run_notebook(made.folder / "notebooks" / "study.ipynb", ran, FAST, cwd=made.folder / "notebooks")
    results = list(results_of(ran))
    assert [result["method"] for result in results] == SHOWN
    assert results[-1]["release"].startswith("mean_reversion@1")
    assert "permits paper" in ran.read_text()
