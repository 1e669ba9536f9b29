"""Reports that are kept: by run and day, with an index, printed, and told where a cell failed."""

import json
import shutil
from datetime import date

import nbformat
import pytest
import typer

from sapphire.domain.errors import ConfigError, StudyError
from sapphire.lab.workspaces import make_workspace
from sapphire.monitoring import read_run, render_report
from sapphire.monitoring.commands import report as report_verbs
from sapphire.monitoring.telling.index import index_of, write_index
from sapphire.monitoring.telling.pdf import chromium
from sapphire.monitoring.telling.reports import _name_of

FAILS = "raise RuntimeError('the venue sent <b>nothing</b>')"
SHOWS = "print('a day as any other')"


@pytest.fixture
def small_report(tmp_path, home, monkeypatch):
    """A state folder, and a workspace whose only report of its own has the cell that a test gives it."""
    state = tmp_path / "state"
    shutil.copytree(home, state, ignore=shutil.ignore_patterns("reports"))
    monkeypatch.setenv("SAPPHIRE_HOME", str(state))
    workspace = make_workspace(tmp_path / "desk").folder
    monkeypatch.chdir(workspace)

    def write(code):
        cells = [nbformat.v4.new_markdown_cell("# A small report")]
        cells.append(nbformat.v4.new_code_cell("run = ''\nhome = ''\nday = ''", metadata={"tags": ["parameters"]}))
        cells.append(nbformat.v4.new_code_cell(code))
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path = workspace / "notebooks" / "reports" / "small.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)

    return state, workspace, write


def test_a_failed_cell_has_a_page_and_what_was_rendered_before_stays(small_report, recorded, write_run, capsys):
    state, _, write = small_report
    run = write_run(recorded)
    verbs = typer.main.get_command(report_verbs)
    words = ["run", "small", "--run", str(run.folder), "--day", "2025-04-06", "--json"]
    write(SHOWS)
    verbs([*words, "--pdf"], standalone_mode=False)
    made = json.loads(capsys.readouterr().out)
    folder = state / "reports" / _name_of(run.folder, state)
    assert made["html"] == str(folder / "small-2025-04-06.html")
    assert (folder / "small-2025-04-06.pdf").read_bytes().startswith(b"%PDF")
    assert made["pdf"] == str(folder / "small-2025-04-06.pdf")
    index = index_of(state).read_text()
    assert index.count("<tr>") == 2
    assert f'href="{folder.name}/small-2025-04-06.pdf"' in index
    assert "prefers-color-scheme: dark" in index
    assert "<script" not in index
    before = (folder / "small-2025-04-06.html").read_text()

    write(FAILS)
    with pytest.raises(StudyError) as failed:
        verbs(words, standalone_mode=False)
    page = (folder / "small-2025-04-06.failed.html").read_text()
    assert str(folder / "small-2025-04-06.failed.html") in str(failed.value)
    assert "RuntimeError: the venue sent &lt;b&gt;nothing&lt;/b&gt;" in page
    assert "small.ipynb failed in cell" in page
    assert "sapphire report run small --day 2025-04-06" in page
    kept = nbformat.read(folder / "small-2025-04-06.failed.ipynb", as_version=4)
    assert any(output.output_type == "error" for cell in kept.cells for output in cell.get("outputs", ()))
    assert (folder / "small-2025-04-06.html").read_text() == before
    assert "<strong>failed</strong>" in index_of(state).read_text()
    assert {path.suffix for path in folder.iterdir()} == {".html", ".ipynb", ".json", ".pdf"}
    assert not list(folder.glob(".*"))


def test_two_runs_of_one_day_have_pages_of_their_own(tmp_path, write_run, recorded, home):
    run = write_run(recorded)
    shutil.copytree(run.folder, home / "stack")
    try:
        shutil.copytree(run.folder, tmp_path / "elsewhere" / "run")
        names = {_name_of(folder, home) for folder in (run.folder, tmp_path / "elsewhere" / "run", home / "stack")}
        assert len(names) == 3
        assert "stack-paper" in names
        facts = json.loads((home / "stack" / "stack.json").read_text())
        (home / "stack" / "stack.json").write_text(json.dumps({**facts, "account": "second"}))
        assert _name_of(home / "stack", home) == "stack-second"
    finally:
        shutil.rmtree(home / "stack")


def test_without_a_browser_only_a_pdf_is_refused_and_nothing_has_run(small_report, recorded, write_run, monkeypatch):
    state, workspace, write = small_report
    write(SHOWS)
    monkeypatch.setenv("CHROMIUM", "/no/such/browser")
    run = write_run(recorded)
    with pytest.raises(ConfigError, match="no Chromium to print a PDF with"):
        render_report("small", run.folder, home=state, workspace=workspace, day=date(2025, 4, 6), with_pdf=True)
    assert not (state / "reports").exists()
    with pytest.raises(ConfigError, match="none of them"):
        chromium({"PATH": "/nowhere"})


def test_an_index_of_nothing_says_how_to_begin(tmp_path):
    assert "sapphire report run daily" in write_index(tmp_path).read_text()


def test_a_day_is_read_without_the_rest(recorded, write_run):
    """The rows of a day are asked for alone: what the binary is told is the day's midnights."""
    from sapphire.monitoring.reading import day_of_run

    asked = []
    run = write_run(recorded)
    day = day_of_run.DayOfRun.of_run(run, date(2025, 4, 7))
    rows = day_of_run.journal_rows
    try:
        day_of_run.journal_rows = lambda account, window: asked.append(window) or rows(account, window)
        assert day.day.fills
    finally:
        day_of_run.journal_rows = rows
    assert asked == [(day.begin_ns, day.end_ns)]
    assert "journal" not in read_run(run.folder, run.home).__dict__
    assert "journal" not in run.__dict__
