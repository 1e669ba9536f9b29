"""Snapshots of the generated market, through the compiled engine."""

from decimal import Decimal

import numpy as np
import pytest

from sapphire.data import list_snapshots, load_snapshot, snapshot
from sapphire.data.catalog import snapshots_folder
from sapphire.data.generated import generated_instrument
from sapphire.data.snapshots import canonical, content_hash
from sapphire.domain import DataError, MissingData, UnknownInstrument, ValueRefused
from sapphire.domain.clocks import to_ns
from sapphire.domain.engine import load_engine

WEEK = {"interval": "1h", "start": "2023-01-01", "end": "2023-01-08", "source": "embedded"}


def test_it_has_a_history_for_any_range(home):
    taken = snapshot(["BTC/USDT", "ETH/USDT"], **WEEK)
    assert len(taken) == 7 * 24
    assert taken.bars.listed.all()
    assert taken.provenance.label == "generated market v2, seed 7 (uncalibrated)"


def test_same_seed_same_hash_other_seed_other_hash(home, monkeypatch, tmp_path):
    first = snapshot(["BTC/USDT"], **WEEK).hash
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "another"))
    assert snapshot(["BTC/USDT"], **WEEK).hash == first
    assert snapshot(["BTC/USDT"], **WEEK, seed=8).hash != first


def test_the_version_of_the_generator_is_in_provenance_and_hash(home):
    taken = snapshot(["BTC/USDT"], **WEEK)
    version = str(load_engine().GENERATOR_VERSION)
    assert taken.provenance.detail == {"generator": version, "seed": "7"}
    assert content_hash(taken.manifest) == taken.hash
    older = {**taken.manifest, "detail": {"generator": "1", "seed": "7"}}
    assert content_hash(older) != taken.hash


@pytest.mark.parametrize("detail", [{"seed": "7"}, {"generator": "1", "seed": "7"}])
def test_a_snapshot_of_another_version_is_refused(home, detail):
    taken = snapshot(["BTC/USDT"], **WEEK)
    old = {**taken.manifest, "detail": detail}
    folder = snapshots_folder() / content_hash(old)
    taken.folder.rename(folder)
    (folder / "manifest.json").write_text(canonical(old) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="another version of the generated market") as refused:
        load_snapshot(folder.name)
    assert "version 1" in str(refused.value)
    assert "take the snapshot again" in str(refused.value)
    assert [entry["label"] for entry in list_snapshots()] == ["generated market v1, seed 7 (uncalibrated)"]
    assert snapshot(["BTC/USDT"], **WEEK).hash == taken.hash


def test_rules_are_those_of_the_end_and_hold_for_the_whole_range(home):
    """Six years of a coin whose rules change within them: every price and volume is whole steps of the snapshot's."""
    at = lambda seed, when: generated_instrument("ADA/USDT", seed=seed, at_ns=to_ns(when))  # noqa: E731
    seed = next(seed for seed in range(100) if at(seed, "2019-01-01").tick != at(seed, "2024-12-31").tick)
    span = {"interval": "1d", "start": "2019-01-01", "end": "2025-01-01", "source": "embedded", "seed": seed}
    taken = snapshot(["ADA/USDT"], **span)
    instrument = taken.instruments["ADA/USDT"]
    assert instrument == at(seed, "2024-12-31T23:59")
    assert instrument.tick < at(seed, "2019-01-01").tick
    for field in (taken.bars.open, taken.bars.low, taken.bars.close):
        ticks = [instrument.to_ticks(repr(float(price))) for price in field[:, 0]]
        assert min(ticks) > 2_000, "a tick of 5 bp or more"
    for volume in taken.bars.volume[:, 0]:
        instrument.to_lots(f"{Decimal(repr(float(volume))):f}")


def test_a_range_is_part_of_a_longer_one(home):
    week = snapshot(["BTC/USDT"], **WEEK).bars
    day = snapshot(["BTC/USDT"], **{**WEEK, "start": "2023-01-03", "end": "2023-01-04"}).bars
    np.testing.assert_array_equal(day.close, week.slice("2023-01-03", "2023-01-04").close)


def test_prices_and_volumes_are_whole_ticks_and_lots(home):
    taken = snapshot(["BTC/USDT"], **WEEK)
    instrument = taken.instruments["BTC/USDT"]
    for price, volume in zip(taken.bars.high[:, 0], taken.bars.volume[:, 0], strict=True):
        instrument.to_ticks(repr(float(price)))
        instrument.to_lots(repr(float(volume)))


def test_before_the_listing_there_is_nothing(home):
    with pytest.raises(MissingData, match="when the generated market listed it"):
        snapshot(["BTC/USDT"], **{**WEEK, "start": "2010-01-01", "end": "2010-02-01"})


def test_what_it_does_not_list_is_unknown(home):
    with pytest.raises(UnknownInstrument, match="does not list"):
        snapshot(["NOPE/USDT"], **WEEK)


def test_a_seed_is_64_bits(home):
    with pytest.raises(ValueRefused, match="seed"):
        snapshot(["BTC/USDT"], **WEEK, seed=-1)
