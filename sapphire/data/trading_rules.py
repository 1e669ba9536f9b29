"""Trading rules over time: which tick and lot a symbol had when, and the file that says so.

A venue changes a symbol's ticks in the course of its life, so rules have periods. `rules.json` beside candle files
tells them to whoever trades on the candles (the embedded exchange reads the same file)::

    {"format": "sapphire-rules-1", "rules": [
      {"symbol": "LTC/USDT", "tick": "0.01", "lot": "0.00001", "min_notional": "10", "source": "read off the candles"},
      {"symbol": "LTC/USDT", "from": "2022-03-01T00:00:00Z", "tick": "0.1", "lot": "0.001", "min_notional": "5", ...}]}

A market goes by steps that hold from its start to its end: those of which every step in force in that time is a whole
number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from sapphire.data.durable import write_text
from sapphire.data.series import kind_of, pair_of
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.display import stamp
from sapphire.domain.errors import ConfigError, SapphireError, ValueRefused
from sapphire.domain.instruments import Instrument
from sapphire.domain.money import ATOMS_PER_UNIT

__all__ = ["ALWAYS_NS", "RULES_FILE", "RulesPeriod", "TradingRules", "parse_rules", "rules_beside", "write_rules"]

RULES_FILE = "rules.json"
"""Name of the file beside candle files."""
ALWAYS_NS = -(2**63)
"""Since when rules hold that are stated without a time."""

_FORMAT = "sapphire-rules-1"


@dataclass(frozen=True, slots=True)
class RulesPeriod:
    """Rules of one stretch of time; it ends where the next one begins.

    Parameters
    ----------
    from_ns : since when, UTC nanoseconds; `ALWAYS_NS` for the first where nobody knows.
    tick : price step (quote).
    lot : quantity step (base).
    min_notional : smallest order value (quote).
    source : where they are from, in words.

    Raises
    ------
    ValueRefused : a step that is no whole number of 1e-8 above zero.
    """

    from_ns: int
    tick: Decimal
    lot: Decimal
    min_notional: Decimal
    source: str

    def __post_init__(self) -> None:
        atom = Decimal(1) / ATOMS_PER_UNIT
        for name in ("tick", "lot", "min_notional"):
            value = getattr(self, name)
            if not value.is_finite() or value < 0 or (value == 0 and name != "min_notional") or value % atom:
                raise ValueRefused(
                    f"{name} of trading rules", expected="a whole number of 1e-8, above zero", got=f"{value}"
                )


@dataclass(frozen=True, slots=True)
class TradingRules:
    """The rules of one symbol over time.

    Parameters
    ----------
    symbol : ccxt's.
    periods : one or more, in the order of time.

    Raises
    ------
    ValueRefused : no period, periods out of order, a symbol that names no pair.

    Examples
    --------
    >>> old, new = Decimal("0.01"), Decimal("0.1")
    >>> lot, least = Decimal("0.001"), Decimal("5")
    >>> periods = RulesPeriod(ALWAYS_NS, old, lot, least, "venue"), RulesPeriod(9, new, lot, least, "venue")
    >>> rules = TradingRules("LTC/USDT", periods)
    >>> rules.at(8).tick, rules.at(9).tick, rules.instrument(0, 20).tick, rules.instrument(9, 20).tick
    (Decimal('0.01'), Decimal('0.1'), Decimal('0.01'), Decimal('0.1'))
    """

    symbol: str
    periods: tuple[RulesPeriod, ...]

    def __post_init__(self) -> None:
        pair_of(self.symbol)
        times = [period.from_ns for period in self.periods]
        if not times or sorted(set(times)) != times:
            raise ValueRefused(
                f"periods of the trading rules of {self.symbol}",
                expected="one or more, in the order of time, each since another time",
                got=", ".join(_since(time) for time in times) or "none",
            )

    def at(self, time_ns: int) -> RulesPeriod:
        """The rules in force at a time; before the first period, the first ones."""
        return self.between(time_ns, time_ns + 1)[0]

    def between(self, start_ns: int, end_ns: int | None = None) -> tuple[RulesPeriod, ...]:
        """The periods that a stretch of time lies in; without an end, all from its start on."""
        later = [period.from_ns for period in self.periods[1:]]
        first = sum(time <= start_ns for time in later)
        last = len(later) if end_ns is None else sum(time < end_ns for time in later)
        return self.periods[first : max(first, last) + 1]

    def instrument(self, start_ns: int, end_ns: int | None = None) -> Instrument:
        """The steps that hold for a stretch of time, and the largest of its smallest order values."""
        periods = self.between(start_ns, end_ns)
        return Instrument(
            self.symbol,
            *pair_of(self.symbol),
            kind=kind_of(self.symbol),
            tick=_common([period.tick for period in periods]),
            lot=_common([period.lot for period in periods]),
            min_notional=max(period.min_notional for period in periods),
        )

    def source(self, start_ns: int, end_ns: int | None = None) -> str:
        """Where the rules of a stretch of time are from, in words; with its ticks where they change in it."""
        periods = self.between(start_ns, end_ns)
        sources = ", then ".join(dict.fromkeys(period.source for period in periods))
        if len({period.tick for period in periods}) == 1:
            return sources
        later = [f"{_plain(period.tick)} from {stamp(period.from_ns)}" for period in periods[1:]]
        return f"{sources}: tick {', '.join([_plain(periods[0].tick), *later])}"

    def as_dicts(self) -> list[dict[str, str]]:
        """The entries of `rules.json`."""
        return [
            {"symbol": self.symbol}
            | ({} if period.from_ns == ALWAYS_NS else {"from": _since(period.from_ns)})
            | {name: _plain(getattr(period, name)) for name in ("tick", "lot", "min_notional")}
            | {"source": period.source}
            for period in self.periods
        ]


def rules_beside(folder: Path) -> dict[str, TradingRules]:
    """The rules in a folder of candles, by symbol; none where it has no `rules.json`.

    Raises
    ------
    ConfigError : a file that cannot be read.
    """
    path = folder / RULES_FILE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfit(path, f"{type(error).__name__}: {error}") from None
    return parse_rules(content, path)


def parse_rules(content: Any, path: Path) -> dict[str, TradingRules]:
    """Rules in the form of `rules.json`, by symbol.

    Raises
    ------
    ConfigError : another form, or rules that cannot be meant; names `path`.
    """
    try:
        if content["format"] != _FORMAT:
            raise ValueRefused("format of trading rules", expected=_FORMAT, got=repr(content["format"]))
        found: dict[str, list[RulesPeriod]] = {}
        for entry in content["rules"]:
            tick, lot, least = (Decimal(str(entry[name])) for name in ("tick", "lot", "min_notional"))
            since = to_ns(entry["from"]) if entry.get("from") else ALWAYS_NS
            period = RulesPeriod(since, tick, lot, least, str(entry.get("source") or path.name))
            found.setdefault(str(entry["symbol"]), []).append(period)
        return {symbol: TradingRules(symbol, tuple(periods)) for symbol, periods in found.items()}
    except SapphireError as error:
        raise _unfit(path, f"{error.what}: {error.got}", error.expected) from None
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise _unfit(path, f"{type(error).__name__}: {error}") from None


def write_rules(folder: Path, rules: Sequence[TradingRules]) -> Path:
    """Write `rules.json` into a folder, in one step; returns its path."""
    path = folder / RULES_FILE
    lines = ",\n".join(f"  {json.dumps(entry)}" for each in rules for entry in each.as_dicts())
    write_text(path, f'{{"format": {json.dumps(_FORMAT)}, "rules": [\n{lines}\n]}}\n')
    return path


def _unfit(path: Path, got: str, expected: str = "") -> ConfigError:
    return ConfigError(
        f"trading rules in {path} cannot be read",
        expected=expected or f'{{"format": "{_FORMAT}", "rules": [{{"symbol", "tick", "lot", "min_notional"}}, ...]}}',
        got=got,
        next="correct the file, or take it away: the rules are read off the candles then",
    )


def _common(steps: Sequence[Decimal]) -> Decimal:
    """The largest step of which all are whole numbers."""
    if len(set(steps)) == 1:
        return steps[0]
    atoms = math.gcd(*(int(step * ATOMS_PER_UNIT) for step in steps))
    return (Decimal(atoms) / ATOMS_PER_UNIT).normalize()


def _since(time_ns: int) -> str:
    return "always" if time_ns == ALWAYS_NS else f"{from_ns(time_ns):%Y-%m-%dT%H:%M:%S}Z"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
