"""Snapshots and recordings in a place: what one machine recorded, another reads, and what both recorded is joined."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sapphire.data import Store, list_snapshots, load_snapshot, snapshot
from sapphire.data.rows import Measure, Rows
from sapphire.data.series import Series
from sapphire.domain.errors import BadBars, MissingData, PlaceUnreachable, SapphireError
from sapphire.domain.workspace import HOME_VARIABLE

HOUR = 3_600 * 10**9
START = 1_704_067_200 * 10**9  # 2024-01-01T00:00Z
SERIES = Series(venue="binance", symbol="BTC/USDT", measure=Measure.BARS, interval="1h")


def rows(first: int, last: int, *, price: float = 100.0) -> Rows:
    count = last - first
    values = np.tile(np.array([price, price + 1, price - 1, price, 5.0]), (count, 1))
    return Rows(Measure.BARS, START + HOUR * np.arange(first, last, dtype=np.int64), values)


def span(first: int, last: int) -> tuple[int, int]:
    return START + HOUR * first, START + HOUR * last


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(place))
    return place


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Store]:
    """The recordings of a machine; this process is that machine from then on."""

    def of(name: str) -> Store:
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / name))
        return Store()

    return of


def test_a_snapshot_of_one_machine_is_listed_and_loaded_on_another(
    folder: Path, machine: Callable[[str], Store], tmp_path: Path
) -> None:
    machine("a")
    made = snapshot(["BTC/USDT"], interval="1h", start="2024-01-01", end="2024-01-04", source="embedded")
    machine("b")
    (listed,) = list_snapshots()
    assert listed["hash"] == made.hash
    assert not (tmp_path / "b").exists()  # listing reads no bars
    again = load_snapshot(made.hash[:10])
    assert again == made
    assert again.folder.parts[-4] == "b"
    with pytest.raises(MissingData):
        load_snapshot("0" * 64)


def test_what_two_machines_recorded_is_joined(folder: Path, machine: Callable[[str], Store]) -> None:
    one = machine("a")
    assert one.append(SERIES, rows(0, 48), covered=span(0, 48)) == 48
    other = machine("b")
    assert [each.series for each in other.stored()] == [SERIES]
    assert other.missing(SERIES, *span(0, 60)) == [span(48, 60)]
    assert other.append(SERIES, rows(40, 900), covered=span(40, 900)) == 852
    machine("a")
    assert one.missing(SERIES, *span(0, 900)) == []
    assert len(one.read(SERIES)) == 900
    assert one.append(SERIES, rows(0, 900), covered=span(0, 900)) == 0
    assert len(machine("c").read(SERIES)) == 900
    with pytest.raises(BadBars, match="contradicts"):
        machine("c").append(SERIES, rows(10, 12, price=90.0), covered=span(10, 12))
    assert len(machine("d").read(SERIES)) == 900


def test_two_machines_that_record_at_once_lose_no_row(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = []
    for name in "ab":
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / name))
        stores.append(Store())
    failed: list[SapphireError] = []

    def record(store: Store, start: int) -> None:
        try:
            for first in range(start, start + 40, 10):
                store.append(SERIES, rows(first, first + 10), covered=span(first, first + 10))
        except SapphireError as error:
            failed.append(error)

    threads = [threading.Thread(target=record, args=(store, 40 * number)) for number, store in enumerate(stores)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failed == []
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "c"))
    assert len(Store().read(SERIES)) == 80


def test_what_was_recorded_before_there_was_a_place_or_while_it_was_away_is_joined_later(
    machine: Callable[[str], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = machine("a"), machine("b")
    one.append(SERIES, rows(0, 10), covered=span(0, 10))
    other.append(SERIES, rows(20, 30), covered=span(20, 30))
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("SAPPHIRE_PLACES_FOLDER", str(place))
    one.append(SERIES, rows(10, 20), covered=span(10, 20))
    other.append(SERIES, rows(30, 40), covered=span(30, 40))
    place.rename(tmp_path / "away")
    with pytest.raises(PlaceUnreachable):
        one.append(SERIES, rows(40, 50), covered=span(40, 50))
    (tmp_path / "away").rename(place)
    assert one.append(SERIES, rows(40, 50), covered=span(40, 50)) == 10
    assert [len(machine(name).read(SERIES)) for name in "abc"] == [50, 50, 50]


def test_a_store_in_a_folder_of_its_own_is_this_machine_s_alone(folder: Path, tmp_path: Path) -> None:
    Store(tmp_path / "mine").append(SERIES, rows(0, 5), covered=span(0, 5))
    assert list(folder.iterdir()) == []
