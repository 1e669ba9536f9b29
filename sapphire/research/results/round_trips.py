"""Round trips: from the first fill out of flat to the fill that makes flat again, symbol by symbol."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from sapphire.domain.instruments import Universe

__all__ = ["COLUMNS", "profit_factor", "round_trips", "win_rate"]

COLUMNS = ("symbol", "opened", "closed", "bought", "sold", "entry", "exit", "fees", "profit", "return")
"""Of the table; quantities in base, prices, fees and profit in quote, the return as a fraction of what was bought."""


@dataclass(slots=True)
class _Trip:
    """One that goes on."""

    symbol: str
    opened: pd.Timestamp
    position: float = 0.0
    bought: float = 0.0
    paid: float = 0.0
    sold: float = 0.0
    got: float = 0.0
    fees: float = 0.0
    quote_fees: float = 0.0
    closed: pd.Timestamp | None = field(default=None)

    def add(self, side: str, price: float, quantity: float, fee_base: float, fee_quote: float) -> None:
        if side == "BUY":
            self.bought, self.paid = self.bought + quantity, self.paid + price * quantity
            self.position += quantity - fee_base
        else:
            self.sold, self.got = self.sold + quantity, self.got + price * quantity
            self.position -= quantity + fee_base
        self.quote_fees += fee_quote
        self.fees += fee_quote + fee_base * price

    def row(self, mark: float) -> tuple[Any, ...]:
        """Its line of the table; what is still held counts at `mark`."""
        import pandas as pd

        profit = self.got - self.paid - self.quote_fees + (0.0 if self.closed is not None else self.position * mark)
        return (
            self.symbol,
            self.opened,
            pd.NaT if self.closed is None else self.closed,
            self.bought,
            self.sold,
            self.paid / self.bought if self.bought else math.nan,
            self.got / self.sold if self.sold else math.nan,
            self.fees,
            profit,
            profit / self.paid if self.paid else math.nan,
        )


def round_trips(
    fills: pd.DataFrame, settlements: pd.DataFrame, instruments: Universe, marks: dict[str, float]
) -> pd.DataFrame:
    """Every round trip, by the time it was opened.

    Flat is less than a lot: a fee that is taken in the base asset leaves such a rest, which belongs to no trip. A trip
    that is still open has no time of closing, and its profit counts what is held at its mark.

    Parameters
    ----------
    fills, settlements : as `Replayed` has them.
    marks : symbol to the price at which what is open counts, quote.

    Returns
    -------
    The columns of `COLUMNS`.
    """
    import pandas as pd

    lots = {instrument.symbol: float(instrument.lot) for instrument in instruments}
    going: dict[str, _Trip] = {}
    done: list[_Trip] = []
    paid_out = settlements.assign(side="SELL", fee=0.0, fee_asset="")
    events = pd.concat([fills, paid_out]) if len(paid_out) else fills
    for each in events.sort_values("time", kind="stable").to_dict("records"):
        symbol, instrument = each["symbol"], instruments[each["symbol"]]
        trip = going.setdefault(symbol, _Trip(symbol, each["time"]))
        in_base, in_quote = each["fee_asset"] == instrument.base, each["fee_asset"] == instrument.quote
        fee_base, fee_quote = each["fee"] if in_base else 0.0, each["fee"] if in_quote else 0.0
        trip.add(each["side"], each["price"], each["quantity"], fee_base, fee_quote)
        if trip.position < lots[symbol] * (1.0 - 1e-9):
            trip.closed = each["time"]
            done.append(going.pop(symbol))
    rows = [trip.row(marks[trip.symbol]) for trip in (*done, *going.values())]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("opened", kind="stable", ignore_index=True)


def win_rate(trips: pd.DataFrame) -> float:
    """Share of the closed round trips that earned something; NaN where none is closed."""
    closed = trips[trips["closed"].notna()]
    return float((closed["profit"] > 0.0).mean()) if len(closed) else math.nan


def profit_factor(trips: pd.DataFrame) -> float:
    """What the winning closed round trips earned over what the others lost; NaN where nothing was lost."""
    profit = trips.loc[trips["closed"].notna(), "profit"]
    lost = -float(profit[profit < 0.0].sum())
    return float(profit[profit > 0.0].sum()) / lost if lost else math.nan
