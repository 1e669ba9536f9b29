"""What a model was fitted on is what it is served: every feature, to the last bit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.data.features import (
    FORMULAS,
    FeatureSet,
    log_return,
    momentum_z,
    realised_volatility,
    volume_z,
)
from sapphire.domain import Bars, Interval, LeakFound, MissingData, ValueRefused, Window, from_ns, to_ns

NAMES = ["log_return_1", "log_return_24", "realised_volatility_24", "momentum_z_12", "volume_z_24"]


def bars_of(count, *, seed=3, symbols=3):
    """A panel in which a symbol is not listed at first and one has an outage."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, (count, symbols)), axis=0))
    opened = np.vstack([close[:1], close[:-1]])
    fields = {
        "open": opened,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
        "close": close,
        "volume": random.exponential(10, (count, symbols)),
    }
    listed = np.ones((count, symbols), np.bool_)
    listed[: count // 5, 1] = False
    listed[count // 2 : count // 2 + 3, 2] = False
    for field in fields.values():
        field[~listed] = np.nan
    times = to_ns("2024-01-01") + np.arange(count) * Interval("1h").ns
    names = tuple(f"S{i}/USDT" for i in range(symbols))
    return Bars(symbols=names, interval=Interval("1h"), open_time_ns=times, listed=listed, **fields).validate()


PANEL = bars_of(300)


@pytest.mark.parametrize("name", NAMES)
@given(row=st.integers(0, 299), short=st.booleans())
def test_training_and_serving_are_equal_to_the_last_bit(name, row, short):
    """Row t over the whole panel equals the last row of the window at t, with all its history or just enough of it."""
    wanted = FeatureSet([name])
    trained = wanted.panel(PANEL)[name].to_numpy()[row]
    first = max(0, row + 1 - wanted.warmup) if short else 0
    window = Window(PANEL.rows(first, row + 1), from_ns(int(PANEL.close_time_ns[row])), wanted)
    served = window.feature(name)
    assert served.index[-1] == PANEL.times[row]
    assert served.to_numpy()[-1].tobytes() == trained.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_future_changes_nothing(name):
    changed = bars_of(300, seed=4)
    spliced = {field: np.vstack([getattr(PANEL, field)[:200], getattr(changed, field)[200:]]) for field in FIELDS}
    listed = np.vstack([PANEL.listed[:200], changed.listed[200:]])
    other = Bars(
        symbols=PANEL.symbols, interval=PANEL.interval, open_time_ns=PANEL.open_time_ns, listed=listed, **spliced
    )
    before, after = (FeatureSet([name]).panel(bars)[name].to_numpy() for bars in (PANEL, other))
    np.testing.assert_array_equal(before[:200], after[:200])
    assert not np.array_equal(before[230:], after[230:], equal_nan=True)


FIELDS = ("open", "high", "low", "close", "volume")


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_a_number_as_soon_as_its_bars_are_there(name):
    wanted = FeatureSet([name])
    values = wanted.panel(PANEL)[name].to_numpy()
    depth = wanted.warmup
    assert np.isnan(values[: depth - 1, 0]).all()
    assert np.isfinite(values[depth - 1 :, 0]).all()
    assert np.isnan(values[: 60 + depth - 1, 1]).all()  # listed from row 60 on
    assert np.isnan(values[150:153, 2]).all()  # the outage


def test_against_pandas():
    close, volume = PANEL.frame("close")[["S0/USDT"]], PANEL.frame("volume")[["S0/USDT"]]
    logs = np.log(close)
    returns = logs.diff()
    vol = np.sqrt((returns**2).rolling(24).mean())
    pd.testing.assert_frame_equal(log_return(close, bars=24), logs.diff(24))
    pd.testing.assert_frame_equal(realised_volatility(close, bars=24), vol, rtol=1e-10)
    pd.testing.assert_frame_equal(momentum_z(close, bars=24), logs.diff(24) / vol / np.sqrt(24), rtol=1e-9)
    rolling = np.log1p(volume).rolling(24)
    pd.testing.assert_frame_equal(
        volume_z(volume, bars=24), (np.log1p(volume) - rolling.mean()) / rolling.std(), rtol=1e-9
    )


def test_a_market_that_stands_still_has_no_direction_and_no_unusual_volume():
    still = pd.DataFrame({"A": [0.1] * 30})
    assert momentum_z(still, bars=3).isna().all(axis=None)
    assert volume_z(still, bars=3).isna().all(axis=None)
    assert (realised_volatility(still, bars=3)["A"][3:] == 0).all()


def test_versions_and_warmup_are_the_set_s():
    wanted = FeatureSet(["volume_z_168", "log_return_24"])
    assert wanted.version == "log_return_24@1 volume_z_168@1"
    assert wanted.warmup == 168
    assert list(wanted) == ["volume_z_168", "log_return_24"]
    assert set(FORMULAS) == {"log_return", "realised_volatility", "momentum_z", "volume_z"}


@pytest.mark.parametrize("name", ["log_return", "log_return_0", "tomorrow_24", "log_return_-1", "log_return_1.5"])
def test_an_unknown_feature_is_refused(name):
    with pytest.raises(ValueRefused, match="unknown feature"):
        FeatureSet([name])


def test_a_window_without_the_feature_says_so():
    window = Window(PANEL, from_ns(int(PANEL.close_time_ns[-1])), FeatureSet(["log_return_24"]))
    with pytest.raises(MissingData, match="log_return_1"):
        window.feature("log_return_1")


def test_a_window_never_holds_its_future():
    with pytest.raises(LeakFound):
        Window(PANEL, from_ns(int(PANEL.close_time_ns[-2])), FeatureSet(NAMES))


@pytest.mark.parametrize("compute", [momentum_z, volume_z])
def test_one_bar_is_too_few_for_a_spread(compute):
    with pytest.raises(ValueRefused, match="too few bars"):
        compute(pd.DataFrame({"A": [1.0]}), bars=1)
