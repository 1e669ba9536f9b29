"""A real kernel shows how far long work is under its cell, and nothing of it stays; a report's kernel shows none."""

import nbformat
import pytest
from nbclient import NotebookClient

CODE = """
import time
from sapphire.research.results.progress import progress

with progress("walk <trend> forward") as on_progress:
    for done in range(4):
        time.sleep(0.12)
        on_progress(done, 4, f"<trend>: fold {done + 1} of 4")
"""


class Watched(NotebookClient):
    """A client that keeps every display as it comes."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.pages.append(msg["content"]["data"].get("text/html", ""))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture
def run(tmp_path):
    def run(code=CODE):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
        client = Watched(book, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(tmp_path)}})
        client.pages = []
        client.execute()
        return client.pages, book.cells[0].outputs

    return run


def test_a_bar_shows_under_the_cell_and_goes_away(run):
    pages, outputs = run()
    assert "<progress></progress> walk &lt;trend&gt; forward" in pages[0]
    assert any('value="2" max="4"' in page and "fold 3 of 4 2/4" in page and "s left" in page for page in pages)
    assert pages[-1] == ""
    assert [output.data.get("text/html") for output in outputs] == [""]


def test_the_last_count_is_drawn_however_quick_the_work_was(run):
    pages, _ = run(CODE.replace("time.sleep(0.12)", "pass").replace("on_progress(done, 4", "on_progress(done + 1, 4"))
    assert "fold 4 of 4 4/4" in pages[-2]


def test_it_goes_away_when_the_work_fails(run):
    pages, _ = run(_caught(CODE))
    assert pages[0]
    assert pages[-1] == ""
    assert not any("fold" in page for page in pages), "it failed at once"


def _caught(code):
    work = code.replace("        on_progress(done", "        1 / 0; on_progress(done")
    assert work != code
    return "try:\n" + "".join(f"    {line}\n" for line in work.splitlines()) + "except ZeroDivisionError:\n    pass\n"


def test_a_notebook_that_runs_as_a_report_shows_none(run, monkeypatch):
    monkeypatch.setenv("SAPPHIRE_NOTEBOOK", "daily.ipynb")
    assert run() == ([], [])
