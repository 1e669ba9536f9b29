"""Snapshots of the generated market, through the compiled engine."""

import numpy as np
import pytest

from sapphire.data import snapshot
from sapphire.domain import MissingData, UnknownInstrument, ValueRefused

WEEK = {"interval": "1h", "start": "2023-01-01", "end": "2023-01-08", "source": "embedded"}


def test_it_has_a_history_for_any_range(home):
    taken = snapshot(["BTC/USDT", "ETH/USDT"], **WEEK)
    assert len(taken) == 7 * 24
    assert taken.bars.listed.all()
    assert taken.provenance.label == "generated market, seed 7 (uncalibrated)"


def test_same_seed_same_hash_other_seed_other_hash(home, monkeypatch, tmp_path):
    first = snapshot(["BTC/USDT"], **WEEK).hash
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path / "another"))
    assert snapshot(["BTC/USDT"], **WEEK).hash == first
    assert snapshot(["BTC/USDT"], **WEEK, seed=8).hash != first


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
