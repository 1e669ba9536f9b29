"""Where a replay's return came from: fold by fold, symbol by symbol, and by what the market was like.

The parts are the account's own: returns of a fold compound to the account's over that fold, and what the symbols earned
adds up to the account's change of equity. A regime is known at the close before the return that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.clocks import to_ns
from sapphire.domain.money import ATOMS_PER_UNIT
from sapphire.research.results.performance import HEADER, Performance, performances_frame, simple_returns
from sapphire.research.results.regimes import market_regimes
from sapphire.research.results.showing import Shown, described

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sapphire.research.results.replays import Replayed

    Floats = NDArray[np.floating[Any]]

__all__ = ["Breakdown", "by_fold", "by_regime", "by_symbol"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Breakdown(Shown):
    """One row of numbers for each part of a replay. A loop goes through `(part, performance)`.

    Parameters
    ----------
    replayed : of what.
    kind : what the parts are: "fold", "symbol" or "regime".
    parts : name of each part, in order.
    performances : how the account did in it.
    exposures : mean gross exposure in it, as a fraction of equity.
    note : how the parts were told apart.
    """

    replayed: Replayed
    kind: str
    parts: tuple[str, ...]
    performances: tuple[Performance, ...]
    exposures: tuple[float, ...]
    note: str

    @property
    def caption(self) -> str:
        """One line."""
        of = self.replayed
        return f"{described(of.agent)} by {self.kind}: {self.note}; {of.study.label}; N = {of.trials} trials"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per part."""
        return (self.kind, "bars", *HEADER, "exposure"), [
            (part, f"{row.bars:,}", *row.row(), f"{100 * exposure:.1f} %")
            for part, row, exposure in zip(self.parts, self.performances, self.exposures, strict=True)
        ]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per part: the numbers of `Performance.as_dict`, and the mean gross exposure as a fraction."""
        return performances_frame(self._parts(), self.kind).assign(exposure=self.exposures)

    def _parts(self) -> Sequence[tuple[str, Performance]]:
        return list(zip(self.parts, self.performances, strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        rows = [
            {self.kind: part, "exposure": exposure, **row.as_dict()}
            for part, row, exposure in zip(self.parts, self.performances, self.exposures, strict=True)
        ]
        return {"method": f"by_{self.kind}", "agent": self.replayed.agent.name, "rows": rows}


def by_fold(replayed: Replayed) -> Breakdown:
    """One row per test window; a return belongs to the window that its bar closes in."""
    closes = replayed.study.tested.close_time_ns[1:]
    folds = replayed.study.folds
    rows = [np.flatnonzero((closes >= to_ns(fold.test_start)) & (closes < to_ns(fold.test_end))) for fold in folds]
    names = [
        f"{number}  {fold.test_start:%Y-%m-%d} to {fold.test_end:%Y-%m-%d}" for number, fold in enumerate(folds, 1)
    ]
    return _of_the_account(replayed, "fold", names, rows, "one row per test window")


def by_regime(replayed: Replayed) -> Breakdown:
    """One row per regime of the market; see `sapphire.research.results.regimes.market_regimes`."""
    study = replayed.study
    found = market_regimes(study.evaluation, study.folds, study.tested)
    rows = [np.flatnonzero(found.codes[:-1] == code) for code in range(len(found.names))]
    kept = [place for place, each in enumerate(rows) if each.size]
    note = f"volatility and trend of the last {found.bars:,} bars, bounds from each fold's training window"
    return _of_the_account(replayed, "regime", [found.names[place] for place in kept], [rows[p] for p in kept], note)


def by_symbol(replayed: Replayed) -> Breakdown:
    """One row per symbol: what its fills and its holding earned, over the whole account's equity at each close."""
    earned, traded, fees, counts, values = _per_symbol(replayed)
    equity = replayed.worth
    performances = []
    for column in range(len(replayed.study.tested.symbols)):
        returns = np.diff(earned[:, column]) / equity[:-1]
        performances.append(
            _performance(replayed, returns, traded[1:, column], fees[1:, column], int(counts[1:, column].sum()))
        )
    exposure = np.abs(values) / equity[:, None]
    return Breakdown(
        replayed,
        "symbol",
        replayed.study.tested.symbols,
        tuple(performances),
        tuple(float(each) for each in exposure.mean(axis=0)),
        "a symbol's profit and loss over the whole account's equity",
    )


def _of_the_account(
    replayed: Replayed, kind: str, names: Sequence[str], rows: Sequence[NDArray[np.intp]], note: str
) -> Breakdown:
    """Parts of time: `rows` are places among the returns [T - 1]."""
    _, traded, fees, counts, values = _per_symbol(replayed)
    gross = np.abs(values).sum(axis=1) / replayed.worth
    returns = simple_returns(replayed.worth)
    performances = [
        _performance(
            replayed,
            returns[each],
            traded[1:].sum(axis=1)[each],
            fees[1:].sum(axis=1)[each],
            int(counts[1:].sum(axis=1)[each].sum()),
        )
        for each in rows
    ]
    exposures = [float(gross[:-1][each].mean()) if each.size else 0.0 for each in rows]
    return Breakdown(replayed, kind, tuple(names), tuple(performances), tuple(exposures), note)


def _performance(replayed: Replayed, returns: Floats, traded: Floats, fees: Floats, fills: int) -> Performance:
    """The numbers of returns [n] that need not lie side by side; the account starts with its starting equity."""
    growth = replayed.worth[0] * np.cumprod(np.concatenate([[1.0], 1.0 + returns]))
    return Performance.measure(
        growth,
        replayed.study.data.interval,
        traded_quote=float(traded.sum()),
        fees_quote=float(fees.sum()),
        fills=fills,
    )


def _per_symbol(replayed: Replayed) -> tuple[Floats, Floats, Floats, NDArray[np.int64], Floats]:
    """Earned so far, traded, fees, fills and value held of each symbol at each tested close, each [T, S]; quote.

    A fee in the base asset is less of it held, and counts at its fill's price; one in another asset is its own. What
    was paid out of a symbol that ended is no fill and has no fee.
    """
    bars = replayed.study.tested
    fills = replayed.fills
    shape = (len(bars), len(bars.symbols))
    cash, units, traded, fees = (np.zeros(shape) for _ in range(4))
    counts = np.zeros(shape, dtype=np.int64)
    rows = np.minimum(np.searchsorted(bars.close_time_ns, replayed.record["fills"]["time_ns"]), len(bars) - 1)
    placed_fills = zip(rows, fills.to_dict("records"), strict=True)
    for row, fill in placed_fills:
        instrument = replayed.study.data.instruments[fill["symbol"]]
        place = (row, bars.symbols.index(fill["symbol"]))
        sign = 1.0 if fill["side"] == "BUY" else -1.0
        value = fill["price"] * fill["quantity"]
        in_base, in_quote = fill["fee_asset"] == instrument.base, fill["fee_asset"] == instrument.quote
        units[place] += sign * fill["quantity"] - (fill["fee"] if in_base else 0.0)
        cash[place] -= sign * value + (fill["fee"] if in_quote else 0.0)
        traded[place] += value
        fees[place] += fill["fee"] * (fill["price"] if in_base else 1.0) if in_base or in_quote else 0.0
        counts[place] += 1
    for paid in replayed.record["settlements"]:
        place = (int(np.searchsorted(bars.close_time_ns, paid.close_ns)), bars.symbols.index(paid.symbol))
        units[place] -= paid.atoms / ATOMS_PER_UNIT
        cash[place] += paid.quote_atoms / ATOMS_PER_UNIT
    closes = bars.frame("close").ffill().fillna(0.0).to_numpy()
    values = np.cumsum(units, axis=0) * closes
    return np.cumsum(cash, axis=0) + values, traded, fees, counts, values
