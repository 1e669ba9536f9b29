"""With many releases some pass by luck: the table says how many, from the last gate report of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sapphire.registry import Registry

SHARPES = {"first": 0.0625, "second": 0.0575, "third": 0.03, "fourth": 0.01, "fifth": -0.02}


@pytest.fixture
def submit(registry: Registry, small: SimpleNamespace, tmp_path: Path) -> Callable[..., str]:
    """Registers a release of a name with a Sharpe ratio per bar; its digest."""

    def submitted(name: str, sharpe: float | None) -> str:
        folder = small.write_release(tmp_path / name, name=name)
        return str(registry.register(folder, small.bundle_of(folder, walk_forward={"sharpe": sharpe})).digest)

    return submitted


def test_the_table_says_how_many_of_those_that_pass_are_expected_to_be_false(
    registry: Registry, submit: Callable[..., str], wire: Callable[..., Registry]
) -> None:
    assert registry.releases().discovered == ()
    digests = {name: submit(name, sharpe) for name, sharpe in SHARPES.items()}
    submit("unmeasured", 0.09)
    registry.gates(submit("flat", None), to="paper")
    reports = {name: registry.gates(digest, to="paper") for name, digest in digests.items()}

    def luck(name: str) -> float:
        (row,) = (each for each in reports[name].rows if each.measure == "deflated_sharpe")
        assert isinstance(row.value, float)
        assert row.passed is (name in ("first", "second"))
        return 1.0 - row.value

    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5
    by_hand = max(5 * harmonic / rank * luck(name) for rank, name in enumerate(("first", "second"), start=1))
    (paper,) = registry.releases().discovered
    assert (paper.target, paper.measured, paper.passed) == ("paper", 5, 2)
    assert paper.rate == pytest.approx(by_hand)
    assert paper.expected_false == pytest.approx(2 * by_hand)
    line = str(paper)
    assert line.startswith("paper: 2 of 5 measured releases pass the deflated Sharpe; ")
    assert line.endswith(f"(FDR {by_hand:.2g}, Benjamini and Yekutieli 2001)")
    table: dict[str, Any] = registry.releases().as_dict()
    assert table["discovered"] == [paper.as_dict()]

    registry.gates(digests["third"], to="live")
    alone = wire(registry, count=lambda bundle: replace(bundle.walk_forward, trials=1, variance_of_trials=0.0))
    alone.gates(digests["third"], to="paper")
    paper, live = registry.releases().discovered
    assert (paper.measured, paper.passed) == (5, 3), "the last report of a release is the one that counts"
    assert (live.measured, live.passed, live.rate, live.expected_false) == (1, 0, None, 0.0)
    assert str(live) == "live: none of 1 measured release passes the deflated Sharpe"
    text, html = (registry.releases()._repr_mimebundle_()[kind] for kind in ("text/plain", "text/html"))
    assert text.splitlines()[1:3] == [str(paper), str(live)]
    assert f"versions<br>{paper}<br>{live}</div>" in html
