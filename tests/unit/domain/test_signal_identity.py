"""A signal is the same one when release, symbol and bar are the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import Signal, ValueRefused

releases = st.sampled_from(["trend@1", "trend@2", "pool@1"])
symbols = st.sampled_from(["BTC/USDT", "ETH/USDT"])
closes = st.integers(0, 3).map(lambda hour: hour * 3_600_000_000_000)
signals = st.builds(
    Signal,
    release=releases,
    symbol=symbols,
    target_lots=st.integers(-5, 5),
    bar_close_ns=closes,
    time_to_live_ns=st.integers(1, 10),
    reference_ticks=st.integers(1, 10),
)


@given(signals, signals)
def test_identity_is_release_symbol_and_bar_and_nothing_else(one: Signal, other: Signal) -> None:
    same = (one.release, one.symbol, one.bar_close_ns) == (other.release, other.symbol, other.bar_close_ns)
    assert (one.identity == other.identity) == same


@given(signals, st.integers(-100, 100), st.integers(1, 100), st.integers(1, 100))
def test_a_restated_signal_keeps_its_identity(signal: Signal, lots: int, life: int, ticks: int) -> None:
    again = replace(signal, target_lots=lots, time_to_live_ns=life, reference_ticks=ticks)
    assert again.identity == signal.identity
    assert again.expires_ns - again.bar_close_ns == life


@pytest.mark.parametrize(
    "change",
    [
        {"release": ""},
        {"symbol": ""},
        {"time_to_live_ns": 0},
        {"reference_ticks": 0},
        {"reference_ticks": -1},
        {"bar_close_ns": -1},
    ],
)
def test_a_signal_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueRefused, match="signal"):
        replace(Signal("trend@1", "BTC/USDT", 1, 0, 1, 1), **change)
