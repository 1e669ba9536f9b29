"""Bars of the generated market, from the compiled engine: the same candles that the embedded exchange shows.

Prices and volumes are the doubles nearest to the engine's ticks and lots. The market is uncalibrated, and says so. Its
trading rules have periods: those of a snapshot are the ones in force at its end, which hold for all that came before.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from sapphire.data.rows import Measure, Rows
from sapphire.data.series import kind_of
from sapphire.domain.display import stamp
from sapphire.domain.engine import load_engine
from sapphire.domain.errors import DataError, MissingData, UnknownInstrument, ValueRefused
from sapphire.domain.instruments import Instrument
from sapphire.domain.intervals import Interval

__all__ = [
    "engine_rules",
    "generated_instrument",
    "generated_rows",
    "generator_version",
    "listed_instrument",
    "refuse_other_version",
]

_MAX_SEED = 2**64 - 1


def generator_version() -> int:
    """Version of the generated market that the compiled engine makes; bars of another version are another market.

    Raises
    ------
    EngineMissing : the engine is not built.
    """
    return int(load_engine().GENERATOR_VERSION)


def refuse_other_version(detail: Mapping[str, str], *, what: str, next: str) -> None:
    """Refuse generated bars of another version: they would be studied on one market and traded on another.

    Parameters
    ----------
    detail : of their provenance; without a "generator" it is the first version, which did not write it.
    what : whose bars they are.
    next : what to do about it.

    Raises
    ------
    DataError : they are of another version.
    """
    found, made = detail.get("generator", "1"), str(generator_version())
    if found != made:
        raise DataError(
            f"{what} is of another version of the generated market",
            expected=f"version {made}, which this engine makes",
            got=f"version {found}",
            next=next,
        )


def generated_instrument(symbol: str, *, seed: int, at_ns: int) -> Instrument:
    """The instrument by the trading rules that the generated market has at a time.

    A tick and a lot only become finer as time goes on, so the rules of a range's end hold for all of it.

    Raises
    ------
    UnknownInstrument : it is not listed there.
    ValueRefused : a seed that does not fit in 64 bits.
    EngineMissing : the engine is not built.
    """
    return _instrument(symbol, _rules(symbol, seed, at_ns))


def listed_instrument(symbol: str) -> Instrument:
    """The instrument by the first rules of its listing, which the embedded exchange has for recorded candles.

    Raises
    ------
    UnknownInstrument : it is not listed there.
    EngineMissing : the engine is not built.
    """
    _listing(symbol)
    return _instrument(symbol, load_engine().generated_rules(symbol))


def engine_rules(symbol: str, *, seed: int, at_ns: int) -> dict[str, int]:
    """The rules of `generated_instrument` in the engine's integers, as a replay takes them."""
    return {name: value for name, value in _rules(symbol, seed, at_ns).items() if isinstance(value, int)}


def generated_rows(symbol: str, interval: Interval, start_ns: int, end_ns: int, *, seed: int) -> Rows:
    """Bars of the generated market that open in `[start_ns, end_ns)`, both on the interval's grid.

    Raises
    ------
    UnknownInstrument : the market does not list the symbol.
    MissingData : it listed the symbol only later.
    ValueRefused : a seed that does not fit in 64 bits.
    EngineMissing : the engine is not built.
    """
    _check_seed(seed)
    listed = _listing(symbol)
    times, prices, volumes = load_engine().generated_candles(seed, symbol, interval.ns, start_ns, end_ns)
    if not len(times):
        raise MissingData(
            f"no generated {interval} bars of {symbol} from {stamp(start_ns)} to {stamp(end_ns)}",
            expected=f"a range after {stamp(listed['listed_ns'])}, when the generated market listed it, and before it "
            "was delisted or 2048 ends its history",
            got="no bars",
        )
    return Rows(Measure.BARS, times, np.column_stack([prices, volumes]))


def _instrument(symbol: str, rules: Mapping[str, Any]) -> Instrument:
    listed = _listing(symbol)
    tick, lot, least = (Decimal(rules[name]) for name in ("tick", "lot", "min_notional"))
    return Instrument(symbol, listed["base"], listed["quote"], kind_of(symbol), tick, lot, least)


def _rules(symbol: str, seed: int, at_ns: int) -> Mapping[str, Any]:
    _check_seed(seed)
    _listing(symbol)
    rules: Mapping[str, Any] = load_engine().generated_rules(symbol, seed=seed, at_ns=at_ns)
    return rules


def _check_seed(seed: int) -> None:
    if not 0 <= seed <= _MAX_SEED:
        raise ValueRefused("seed of the generated market", expected="0 to 2**64 - 1", got=str(seed))


def _listing(symbol: str) -> dict[str, Any]:
    listings: dict[str, dict[str, Any]] = {entry["symbol"]: entry for entry in load_engine().listings()}
    if symbol not in listings:
        raise UnknownInstrument(
            "the generated market does not list this symbol",
            expected="one of " + ", ".join(listings),
            got=symbol,
        )
    return listings[symbol]
