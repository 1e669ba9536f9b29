"""The trial ledger in a place: two machines count together, and neither loses what the other wrote."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sapphire.domain.errors import LedgerDamaged, PlaceDamaged, PlaceUnreachable
from sapphire.domain.workspace import CONFIG_VARIABLE, HOME_VARIABLE
from sapphire.research.ledger.book import Evaluation, Ledger
from sapphire.research.ledger.spans import Span
from sapphire.research.ledger.trial_returns import ReturnSeries

if TYPE_CHECKING:
    from place_servers import GcsServer, PostgresServer

SPAN = Span(market="real", assets={"BTC/USDT": "0" * 64}, start_ns=0, end_ns=10**15, bar_ns=3_600 * 10**9)


def evaluation(seed: int) -> Evaluation:
    values = np.random.default_rng(seed).normal(size=40)
    series = ReturnSeries(np.arange(40, dtype=np.int64) * SPAN.bar_ns, values)
    return Evaluation(
        agent="cross",
        code="c" * 64,
        parameters={"fast": seed},
        sizing={},
        protocol="p" * 64,
        seed=seed,
        span=SPAN,
        method="replay",
        study="trend",
        returns_digest=series.digest,
        sharpe=0.1,
        series=series,
    )


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_shared_ledger import evaluation
from sapphire.research.ledger.book import Ledger
ledger = Ledger(Path(sys.argv[2]))
for number in range(int(sys.argv[3]), int(sys.argv[3]) + 12):
    ledger.record([evaluation(number)], at_ns=number)
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Ledger]:
    """The ledger of a machine's state folder; this process is that machine from then on."""

    def of(name: str) -> Ledger:
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / name))
        monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / f"config-{name}"))
        return Ledger(tmp_path / name / "ledger")

    return of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(place))
    return place


def test_two_processes_that_write_at_once_lose_nothing(
    tmp_path: Path,
    postgres: PostgresServer,
    gcs: GcsServer,
    machine: Callable[[str], Ledger],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, value in {**postgres.place_settings("ledger"), **gcs.place_settings("ledger")}.items():
        monkeypatch.setenv(key, value)
    writers = []
    for number, name in enumerate("ab"):
        words = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(machine(name).folder), str(100 * number)]
        writers.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True))
    for each in writers:
        _, output = each.communicate(timeout=120)
        assert each.returncode == 0, output
    heads = set()
    for name in "abc":  # c begins with nothing
        ledger = machine(name)
        assert {each.seed for each in ledger.evaluations()} == {*range(12), *range(100, 112)}
        trials = ledger.trials(replace(SPAN))
        assert trials.count == 24
        assert len(ledger.series(trials)) == 24
        heads.add(ledger.head)
    assert len(heads) == 1


def test_an_append_asks_for_what_is_new_and_not_for_the_whole(
    folder: Path, machine: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sapphire.data.places.folder import FolderBlobs

    for number in range(8):
        machine("a").record([evaluation(number)], at_ns=number)
    machine("b").check()
    machine("a").record([evaluation(50)], at_ns=50)
    read: list[str] = []
    get = FolderBlobs.get
    monkeypatch.setattr(FolderBlobs, "get", lambda self, key: (read.append(key), get(self, key))[1])
    assert machine("b").record([evaluation(60)], at_ns=60).lines == 10
    assert len(read) == 2  # one batch, and the returns that it names


def test_a_ledger_that_was_kept_here_alone_goes_into_an_empty_place_whole(
    tmp_path: Path, machine: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        machine("a").record([evaluation(number)], at_ns=number)
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    machine("a").record([evaluation(3)], at_ns=3)
    there = machine("b")
    trials = there.trials(SPAN)
    assert trials.count == 4
    assert len(there.series(trials)) == 4


def test_a_ledger_that_began_on_its_own_is_not_mixed_with_another(
    tmp_path: Path, machine: Callable[[str], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine("b").record([evaluation(1)], at_ns=1)
    (tmp_path / "place").mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(tmp_path / "place"))
    machine("a").record([evaluation(2)], at_ns=2)
    before = machine("b").path.read_bytes()
    for act in (machine("b").check, lambda: machine("b").record([evaluation(3)], at_ns=3)):
        with pytest.raises(PlaceDamaged, match="not the beginning"):
            act()
    assert machine("b").path.read_bytes() == before
    assert len(machine("a").evaluations()) == 1


def test_a_place_that_was_put_back_is_found(folder: Path, machine: Callable[[str], Ledger]) -> None:
    ledger = machine("a")
    ledger.record([evaluation(1)], at_ns=1)
    moves = folder / "heads" / "ledger" / "trials.moves"
    earlier = moves.read_bytes()
    ledger.record([evaluation(2)], at_ns=2)
    moves.write_bytes(earlier)
    with pytest.raises(PlaceDamaged):
        ledger.record([evaluation(3)], at_ns=3)
    ledger.path.write_bytes(ledger.path.read_bytes().splitlines(keepends=True)[0])  # and the state folder with it
    with pytest.raises(LedgerDamaged, match="not the one that was last written here"):
        ledger.record([evaluation(3)], at_ns=3)


def test_nothing_is_written_where_the_place_is_away_and_the_same_goes_through_later(
    folder: Path, machine: Callable[[str], Ledger]
) -> None:
    ledger = machine("a")
    ledger.record([evaluation(1)], at_ns=1)
    before = ledger.path.read_bytes()
    folder.rename(folder.with_name("unmounted"))
    with pytest.raises(PlaceUnreachable):
        ledger.record([evaluation(2)], at_ns=2)
    assert ledger.path.read_bytes() == before
    folder.with_name("unmounted").rename(folder)
    assert ledger.record([evaluation(2)], at_ns=2).lines == 2
    assert len(machine("b").evaluations()) == 2
