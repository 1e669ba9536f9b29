"""What sizing may look at: equity, prices, positions, and how the symbols move. Nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import MissingData, ValueRefused
from sapphire.domain.instruments import Universe
from sapphire.portfolio.volatility import (
    RISKMETRICS_HALF_LIFE,
    realised_correlation,
    realised_volatility,
    volatility_window,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sapphire.domain.bars import Bars


@dataclass(frozen=True, slots=True)
class PortfolioState:
    """The account and the market at one moment.

    Parameters
    ----------
    equity_quote : cash and positions at these prices, in the quote asset.
    prices : symbol to last price, quote per base.
    lots : symbol to lots held, negative for a short; a symbol not named is not held.
    volatility : symbol to annualised volatility (0.5 is 50 % a year); a symbol not named has no estimate.
    instruments : the universe.
    as_of : the moment all this was known.
    correlation : two symbols, in alphabetical order, to the correlation of their returns; a pair not named has none.

    Raises
    ------
    ValueRefused : a number that is not finite, a price or volatility that is not above zero, a correlation beyond 1 or
        of a pair out of order, a time without a zone.
    UnknownInstrument : a held symbol that is not in the universe.
    MissingData : a held symbol without a price.
    """

    equity_quote: float
    prices: Mapping[str, float]
    lots: Mapping[str, int]
    volatility: Mapping[str, float]
    instruments: Universe
    as_of: datetime
    correlation: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        to_ns(self.as_of)
        if not math.isfinite(self.equity_quote):
            raise ValueRefused("equity", expected="a finite number", got=str(self.equity_quote))
        for what, values in (("price", self.prices), ("volatility", self.volatility)):
            for symbol, value in values.items():
                if not (math.isfinite(value) and value > 0.0):
                    raise ValueRefused(
                        f"{what} of {symbol}",
                        expected="a finite number above zero",
                        got=str(value),
                        next="leave the symbol out where there is none",
                    )
        for (first, second), value in self.correlation.items():
            if not (first < second and -1.0 <= value <= 1.0):
                raise ValueRefused(
                    f"correlation of {first} and {second}",
                    expected="two symbols in alphabetical order, a number from -1 to 1",
                    got=str(value),
                    next="leave the pair out where there is none",
                )
        for symbol, lots in self.lots.items():
            self.instruments.index(symbol)
            if lots != 0 and symbol not in self.prices:
                raise MissingData(
                    f"no price of {symbol}, of which {lots} lots are held",
                    expected="a price for every position",
                    got=", ".join(sorted(self.prices)) or "no prices",
                    next="give its last known price",
                )

    @classmethod
    def from_bars(
        cls,
        bars: Bars,
        *,
        equity_quote: float,
        lots: Mapping[str, int],
        instruments: Universe,
        half_life: timedelta = RISKMETRICS_HALF_LIFE,
        older_prices: Mapping[str, float] | None = None,
    ) -> PortfolioState:
        """The state at the close of the last bar: prices, volatility and correlation are measured from `bars`.

        A missing bar is a missing return, not a return over two bars. The price is the last known one, however old; a
        symbol without any is left out, as is one with too few returns in the window (`volatility_window` closes).

        Parameters
        ----------
        older_prices : last known prices from before the bars, for symbols that have none in them.

        Raises
        ------
        MissingData : no bars.
        UnknownInstrument : a symbol of the bars that is not in the universe.
        """
        if not len(bars):
            raise MissingData(
                "no bars to measure a state from",
                expected="at least one closed bar",
                got=f"none of {', '.join(bars.symbols)}",
                next="start later, or collect more history",
            )
        for symbol in bars.symbols:
            instruments.index(symbol)
        closes = _on_the_grid(bars, volatility_window(bars.interval, half_life=half_life))
        volatility = realised_volatility(closes, bars.interval, half_life=half_life)
        correlation = realised_correlation(closes, bars.interval, half_life=half_life)
        return cls(
            equity_quote=equity_quote,
            prices=_last_known(bars, closes, older_prices or {}),
            lots=lots,
            volatility=_known(bars.symbols, volatility),
            instruments=instruments,
            as_of=from_ns(int(bars.open_time_ns[-1]) + bars.interval.ns),
            correlation=_pairs(bars.symbols, correlation),
        )


def _on_the_grid(bars: Bars, rows: int) -> npt.NDArray[np.float64]:
    """The closes of the last `rows` intervals [rows or fewer, S], NaN where there was no bar."""
    import numpy as np

    opens = bars.open_time_ns
    first = max(int(opens[0]), int(opens[-1]) - (rows - 1) * bars.interval.ns)
    start = int(np.searchsorted(opens, first))
    closes = np.full(((int(opens[-1]) - first) // bars.interval.ns + 1, len(bars.symbols)), np.nan)
    closes[(opens[start:] - first) // bars.interval.ns] = bars.close[start:]
    return closes


def _last_known(bars: Bars, closes: npt.NDArray[np.float64], older: Mapping[str, float]) -> dict[str, float]:
    """The last close of each symbol: in the window, else in all bars, else an older one."""
    import numpy as np

    prices = {}
    for column, symbol in enumerate(bars.symbols):
        for known in (closes[:, column], bars.close[:, column]):
            rows = np.flatnonzero(np.isfinite(known))
            if rows.size:
                prices[symbol] = float(known[rows[-1]])
                break
        else:
            if symbol in older:
                prices[symbol] = older[symbol]
    return prices


def _known(symbols: tuple[str, ...], values: npt.NDArray[np.float64]) -> dict[str, float]:
    return {symbol: float(value) for symbol, value in zip(symbols, values, strict=True) if math.isfinite(value)}


def _pairs(symbols: tuple[str, ...], matrix: npt.NDArray[np.float64]) -> dict[tuple[str, str], float]:
    ordered = sorted(range(len(symbols)), key=symbols.__getitem__)
    return {
        (symbols[first], symbols[second]): float(matrix[first, second])
        for position, first in enumerate(ordered)
        for second in ordered[position + 1 :]
        if math.isfinite(matrix[first, second])
    }
