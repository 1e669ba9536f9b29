"""Files of trading rules that people have: a venue's own words, or ours.

=========================  ==========================================================================================
form                       where it is from
=========================  ==========================================================================================
exchangeInfo (Binance)     `curl https://api.binance.com/api/v3/exchangeInfo`, also the futures'
markets (ccxt)             `json.dump(ccxt.binance().load_markets(), file)`: by symbol, or a list
`rules.json` (Sapphire)    written beside candles; periods are stated here: see `sapphire.data.trading_rules`
=========================  ==========================================================================================

What a venue tells are the rules of now. A symbol whose steps no account counts (finer than 1e-8), or that is neither
spot nor a linear perpetual, is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from sapphire.data.rules import least_notional
from sapphire.data.trading_rules import ALWAYS_NS, RulesPeriod, TradingRules, parse_rules
from sapphire.domain.errors import ConfigError, ValueRefused

__all__ = ["read_rules"]

_MOST_DECIMALS = 18
"""Of a precision that is stated as decimals."""


def read_rules(path: Path) -> dict[str, TradingRules]:
    """The trading rules in a file, by ccxt's symbol.

    Raises
    ------
    ConfigError : no such file, none of the known forms, or nothing in it that can be traded by.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise _unknown(path, f"{type(error).__name__}: {error}") from None
    if isinstance(content, Mapping) and "format" in content:
        return parse_rules(content, path)
    try:
        if isinstance(content, Mapping) and isinstance(content.get("symbols"), list):
            found = dict(_of_binance(content["symbols"], f"exchangeInfo {path.name}"))
        else:
            markets = list(content.values()) if isinstance(content, Mapping) else content
            found = dict(_of_ccxt(markets, f"ccxt {path.name}"))
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise _unknown(path, f"{type(error).__name__}: {error}") from None
    if not found:
        raise _unknown(path, "no symbol with a tick and a lot")
    return found


def _of_binance(symbols: Iterable[Mapping[str, Any]], source: str) -> Iterable[tuple[str, TradingRules]]:
    """Of the symbols of an exchangeInfo; contracts with a delivery date are left out."""
    for entry in symbols:
        filters = {each["filterType"]: each for each in entry["filters"]}
        steps = (filters.get("PRICE_FILTER") or {}).get("tickSize"), (filters.get("LOT_SIZE") or {}).get("stepSize")
        if None in steps or entry.get("contractType") not in (None, "PERPETUAL"):
            continue
        pair = f"{entry['baseAsset']}/{entry['quoteAsset']}"
        settled = entry.get("marginAsset") if "contractType" in entry else None
        least = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        notional = least.get("minNotional") or least.get("notional")
        yield from _rules(pair if settled is None else f"{pair}:{settled}", *steps, notional, source)


def _of_ccxt(markets: Iterable[Mapping[str, Any]], source: str) -> Iterable[tuple[str, TradingRules]]:
    """Of ccxt's markets. Their precision is a step, in older dumps a number of decimals: whole numbers, one above 1."""
    known = [market for market in markets if market.get("precision")]
    steps = [(market["precision"].get("price"), market["precision"].get("amount")) for market in known]
    found = [Decimal(str(step)) for pair in steps for step in pair if step is not None]
    as_decimals = (
        bool(found) and max(found) > 1 and all(step == int(step) and 0 <= step <= _MOST_DECIMALS for step in found)
    )
    for market, pair in zip(known, steps, strict=True):
        if None in pair or market.get("inverse") or market.get("option") or market.get("future"):
            continue
        if market.get("contractSize") not in (None, 1, Decimal(1)):
            continue
        tick, lot = (Decimal(1).scaleb(-int(step)) if as_decimals else step for step in pair)
        least = ((market.get("limits") or {}).get("cost") or {}).get("min")
        yield from _rules(str(market["symbol"]), tick, lot, least, source)


def _rules(symbol: str, tick: Any, lot: Any, least: Any, source: str) -> Iterable[tuple[str, TradingRules]]:
    """The rules of one symbol; nothing where they cannot be held."""
    try:
        floor = least_notional(symbol) if least is None else Decimal(str(least))
        period = RulesPeriod(ALWAYS_NS, Decimal(str(tick)), Decimal(str(lot)), floor, source)
        yield symbol, TradingRules(symbol, (period,))
    except ValueRefused:
        return


def _unknown(path: Path, got: str) -> ConfigError:
    return ConfigError(
        f"no trading rules in {path}",
        expected="Binance's exchangeInfo, ccxt's markets or a rules.json of Sapphire, as JSON",
        got=got,
        next="curl https://api.binance.com/api/v3/exchangeInfo -o exchangeInfo.json",
    )
