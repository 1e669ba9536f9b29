"""What a replay wrote down, as DataFrames: times in UTC, prices in the quote asset, quantities in the base asset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.money import ATOMS_PER_UNIT, units_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sapphire.domain.instruments import Universe
    from sapphire.research.studies import Study

    Record = dict[str, Any]

__all__ = ["denials_frame", "fills_frame", "orders_frame", "positions_frame", "refusals_frame", "settlements_frame"]


def positions_frame(study: Study, record: Record) -> pd.DataFrame:
    """Base quantity held at each tested close, close time by symbol."""
    import pandas as pd

    units = units_of(record["equity"]["position_atoms"])
    return pd.DataFrame(units, index=study.tested.times, columns=pd.Index(study.tested.symbols, name="symbol"))


def fills_frame(study: Study, record: Record) -> pd.DataFrame:
    """Every fill: time, order, symbol, side, price and quantity, fee and the asset it was taken in."""
    import pandas as pd

    fills, rules = record["fills"], study.data.instruments
    return pd.DataFrame(
        {
            "time": _times(fills["time_ns"]),
            "order": fills["order"],
            "symbol": fills["symbol"],
            "side": fills["side"],
            "price": fills["price_ticks"] * _steps(rules, fills["symbol"], "tick"),
            "quantity": fills["lots"] * _steps(rules, fills["symbol"], "lot"),
            "fee": units_of(fills["fee_atoms"]),
            "fee_asset": fills["fee_asset"],
        }
    )


def orders_frame(study: Study, record: Record) -> pd.DataFrame:
    """Every order: of which bar, its limit and quantity, its times, its state, and what was filled at which mean price.

    A time that never came is NaT, the mean price of an order without fills NaN.
    """
    import pandas as pd

    orders, rules = record["orders"], study.data.instruments
    lots, ticks = (_steps(rules, orders["symbol"], step) for step in ("lot", "tick"))
    filled = orders["filled_lots"] * lots
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_price = np.where(filled > 0.0, units_of(orders["filled_quote_atoms"]) / filled, np.nan)
    return pd.DataFrame(
        {
            "order": orders["order"],
            "symbol": orders["symbol"],
            "side": orders["side"],
            "limit": orders["limit_ticks"] * ticks,
            "quantity": orders["lots"] * lots,
            "bar_close": _times(orders["bar_close_ns"]),
            "sent": _times(orders["sent_ns"]),
            "arrives": _times(orders["arrives_ns"]),
            "ended": _times(orders["ended_ns"]),
            "state": orders["state"],
            "filled": filled,
            "mean_price": mean_price,
        }
    )


def denials_frame(record: Record) -> pd.DataFrame:
    """Orders that the risk gate refused: when, why, and the limit with the value that met it, in the code's unit.

    What each code compares is in `sapphire/execution/engine/DENIALS.md`.
    """
    import pandas as pd

    denials = record["denials"]
    named = {name: denials[name] for name in ("order", "code", "level", "value", "limit")}
    return pd.DataFrame({"time": _times(denials["time_ns"]), **named})


def refusals_frame(record: Record) -> pd.DataFrame:
    """Signals that were not taken: when, of which symbol and bar, and why."""
    import pandas as pd

    refusals = record["refusals"]
    return pd.DataFrame(
        {
            "time": _times(refusals["time_ns"]),
            "symbol": refusals["symbol"],
            "bar_close": _times(refusals["bar_close_ns"]),
            "reason": refusals["reason"],
        }
    )


def settlements_frame(study: Study, record: Record) -> pd.DataFrame:
    """What was held of symbols when they were delisted, paid out at their last price."""
    import pandas as pd

    rules = study.data.instruments
    rows = [
        (
            pd.Timestamp(paid.close_ns, tz="UTC"),
            paid.symbol,
            paid.price_ticks * float(rules[paid.symbol].tick),
            paid.atoms / ATOMS_PER_UNIT,
            paid.quote_atoms / ATOMS_PER_UNIT,
        )
        for paid in record["settlements"]
    ]
    return pd.DataFrame(rows, columns=["time", "symbol", "price", "quantity", "quote"])


def _times(times_ns: NDArray[np.int64]) -> pd.DatetimeIndex:
    """UTC; one below zero never came."""
    import pandas as pd

    known = np.asarray(times_ns, dtype=np.int64)
    return pd.DatetimeIndex(np.where(known < 0, np.iinfo(np.int64).min, known).view("datetime64[ns]"), tz="UTC")


def _steps(rules: Universe, symbols: list[str], step: str) -> NDArray[np.float64]:
    """Tick or lot of the symbol of each row."""
    sizes = {instrument.symbol: float(getattr(instrument, step)) for instrument in rules}
    return np.array([sizes[symbol] for symbol in symbols], dtype=np.float64)
