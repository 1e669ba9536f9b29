"""The page on evidence: it names every measure that there is, and tests that there are."""

import re
from pathlib import Path

import sapphire
from sapphire.registry.policies import MEASURES

PAGE = (Path(sapphire.__file__).parent / "research" / "EVIDENCE.md").read_text("utf-8")
TESTS = Path(__file__).parents[2]


def test_every_measure_is_on_the_page_and_no_other():
    table = PAGE.partition("What holds it together")[0].splitlines()
    explained = {word for line in table if line.startswith("| ") for word in line.split("|")[1].strip().split(", ")}
    named = {name for measures in MEASURES.values() for name in measures}
    assert explained - {"measure"} == named


def test_every_test_on_the_page_is_there():
    found = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(found) > 15
    for file, name in found:
        (path,) = TESTS.rglob(file)
        assert f"def {name}(" in path.read_text("utf-8"), f"{file}::{name}"


def test_it_fits_one_screen():
    assert len(PAGE.splitlines()) <= 60
