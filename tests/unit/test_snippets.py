"""Every snippet of a docstring runs as it stands, and no page has code that nothing runs."""

import ast
import doctest
import importlib
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN_ELSEWHERE = {"README.md"}
"""Pages whose code tests/notebooks/test_readme.py runs."""


def docstrings(path):
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [text for node in nodes if isinstance(node, kinds) and (text := ast.get_docstring(node))]


def examples(text):
    return len(doctest.DocTestParser().get_examples(text))


PYTHON = [path for path in (ROOT / "sapphire").rglob("*.py") if "target" not in path.parts]
SNIPPETS = {path: sum(map(examples, docstrings(path))) for path in PYTHON}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): count for path, count in sorted(SNIPPETS.items()) if count
}


def test_the_snippets_are_found():
    assert len(MODULES) > 50


@pytest.mark.parametrize("name", MODULES)
def test_every_snippet_of_a_module_runs_and_shows_what_it_says(name):
    module = importlib.import_module(name.removesuffix(".__init__"))
    outcome = doctest.testmod(module)
    assert outcome.failed == 0
    assert outcome.attempted == MODULES[name], "one stands where nobody looks for it"


def test_no_snippet_is_left_out():
    """What is skipped, or stands in a block of its own without prompts, would not be run."""
    left_out = re.compile(r"doctest: *\+SKIP|\.\. code(-block)?::|```(python|py)\b")
    found = {path: [text for text in docstrings(path) if left_out.search(text) or has_code(text)] for path in PYTHON}
    assert {path.name: texts for path, texts in found.items() if texts} == {}


def has_code(text):
    """Whether an indented block behind "::" is Python, and not a tree, a table or a file's layout."""
    for block in re.findall(r"::\n\n((?: {4,}.*\n?|\n)+)", text):
        try:
            parsed = ast.parse(textwrap.dedent(block))
        except SyntaxError:
            continue
        if any(isinstance(node, ast.Call | ast.Import | ast.ImportFrom) for node in ast.walk(parsed)):
            return True
    return False


def test_no_page_has_python_that_nothing_runs():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    pages = listed.stdout.split()
    assert "README.md" in pages
    fenced = re.compile(r"^\s*(```|~~~) *(python|py|pycon|ipython)\b", re.MULTILINE)
    assert {page for page in pages if fenced.search((ROOT / page).read_text("utf-8"))} == RUN_ELSEWHERE
