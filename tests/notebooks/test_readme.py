"""The README's own code, as it stands there, in a notebook of a workspace that has nothing else."""

import re
from pathlib import Path

import nbformat

from sapphire.monitoring.telling.running import results_of, run_notebook

README = Path(__file__).parents[2] / "README.md"
SHOWN = ["replay", "compare", "trials"]
FAST = {"2023-01-01": "2024-08-01", "365d": "60d", "180d": "30d", "30d": "15d"}
"""Less history, as the notebooks' own tests use; everything else is as it stands."""


def test_the_readme_runs_as_it_stands(tmp_path, monkeypatch, with_mlflow):
    (tmp_path / "sapphire.toml").write_text('name = "test"\n')
    monkeypatch.setenv("SAPPHIRE_HOME", str(with_mlflow(tmp_path / "home")))
    agent, study, pool, twin, check = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    study = re.sub("|".join(FAST), lambda match: FAST[match[0]], study)
    whole = f"{agent}\n{twin}"  # it goes below the agent's views
    cells = [
        "%load_ext sapphire",
        f"%%agent momentum\n{agent}",
        *shown_each(study),
        pool,
        f"%%agent momentum\n{whole}",
        check,
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(book, tmp_path / "readme.ipynb")
    run_notebook(tmp_path / "readme.ipynb", tmp_path / "run.ipynb", {}, cwd=tmp_path)
    assert [result["method"] for result in results_of(tmp_path / "run.ipynb")] == SHOWN
    *_, gates, _, _, checked = nbformat.read(tmp_path / "run.ipynb", as_version=4).cells
    assert "captured_source" in str(gates.outputs)
    report = checked.outputs[0]["data"]["text/plain"]
    assert "momentum: no leak found" in report
    assert re.search(r"twin against views +376 .* pass", report)


def shown_each(code):
    """A cell for each line that shows something, since a cell shows its last one alone."""
    first, *others = re.split(r"(?m)^(?=study\.|release)", code)
    return [first, *others]
