"""Spans: which prices, of which assets, when. What trials are counted by and hold-outs are sealed by.

Two spans share data where they are of one market, have a base asset in common and overlap in time, whatever the venue,
the quote asset, the kind of instrument or the length of the bars. The real market is one; each seed and version of the
generator is another. Where names say nothing, the prices themselves are compared (`sketches`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapphire.domain.canonical import canonical_json
from sapphire.research.ledger.sketches import Sketch, Sketches, sketches_of

if TYPE_CHECKING:
    from sapphire.domain.bars import Bars
    from sapphire.domain.provenance import Provenance

__all__ = ["REAL_MARKET", "Span", "market_of", "span_of"]

REAL_MARKET = "real"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the history of some assets.

    Parameters
    ----------
    market : "real", or which generated one.
    assets : symbol to the digest of the sketch of its closes.
    bar_ns : length of a bar.
    start_ns, end_ns : of closes, the first included and the last not.
    """

    market: str
    assets: Mapping[str, str] = field(hash=False)
    bar_ns: int
    start_ns: int
    end_ns: int

    @property
    def bases(self) -> frozenset[str]:
        """The base assets: "BTC" of BTC/USDT, BTC/EUR and BTC/USDT:USDT."""
        return frozenset(symbol.split("/")[0].upper() for symbol in self.assets)

    def shares_data_with(self, other: Span, sketches: Sketches) -> bool:
        """Whether something in one of them tells of the other.

        Raises
        ------
        LedgerDamaged : a sketch that is not there.
        """
        if self.market == other.market and self.bases & other.bases:
            return self.start_ns < other.end_ns and other.start_ns < self.end_ns
        mine, theirs = (set(span.assets.values()) for span in (self, other))
        return bool(mine & theirs) or any(
            sketches.get(one).resembles(sketches.get(another)) for one in mine for another in theirs
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"assets": dict(self.assets)}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Span:
        """The span that `as_dict` was made of; other keys are left aside.

        Raises
        ------
        KeyError : a key that is missing.
        """
        return cls(**{name: entry[name] for name in cls.__dataclass_fields__})


def market_of(provenance: Provenance) -> str:
    """Which market data are of, whatever venue showed it."""
    if provenance.source == "recorded":
        return REAL_MARKET
    return f"generated {canonical_json(dict(provenance.detail)).decode()}"


def span_of(bars: Bars, provenance: Provenance) -> tuple[Span, tuple[Sketch, ...]]:
    """The span of bars, and the sketches that it names."""
    made = sketches_of(bars)
    closes = bars.close_time_ns
    span = Span(
        market=market_of(provenance),
        assets={symbol: sketch.digest for symbol, sketch in made.items()},
        bar_ns=bars.interval.ns,
        start_ns=int(closes[0]),
        end_ns=int(closes[-1]) + 1,
    )
    return span, tuple(made.values())
