"""The exchange's own books at the end of a run: what it holds of our account, every order and every fill.

It is the control plane's full state, saved by whoever ends the run, so that balances and identities can be compared
with what the service believes. The two were written by different processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sapphire.domain.errors import DataError

__all__ = ["ExchangeBooks", "ExchangeFill", "ExchangeOrder"]


@dataclass(frozen=True, slots=True)
class ExchangeFill:
    """A trade of ours, as the exchange booked it. The fee's asset is its index there."""

    symbol: str
    side: str
    trade: int
    ticks: int
    lots: int
    quote_atoms: int
    fee_index: int
    fee_atoms: int
    market_ns: int


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An order of ours, as the exchange has it."""

    client_order_id: str
    order_id: int
    symbol: str
    side: str
    status: str
    ticks: int
    lots: int
    executed_lots: int
    market_ns: int
    working_ns: int | None
    fills: tuple[ExchangeFill, ...]


@dataclass(frozen=True, slots=True)
class ExchangeBooks:
    """One account at the exchange.

    Parameters
    ----------
    now_ns : market time at which they were read.
    balances : atoms by asset, free and locked together.
    orders : in the order in which they were accepted.
    """

    now_ns: int
    balances: Mapping[str, int] = field(hash=False)
    orders: tuple[ExchangeOrder, ...]

    @classmethod
    def of(cls, state: Mapping[str, Any], *, account: int = 1, window: tuple[int, int] | None = None) -> ExchangeBooks:
        """From the control plane's full state.

        Parameters
        ----------
        account : its number at the exchange; 1 is the development account.
        window : only orders that came from then on and before, market time.

        Raises
        ------
        DataError : no such account, or a state without its history.
        """
        try:
            of = next(row for row in state["accounts"] if int(row["account"]) == account)
            return cls(
                now_ns=int(state["now_ns"]),
                balances={
                    asset: int(balance["free"]) + int(balance["locked"]) for asset, balance in of["balances"].items()
                },
                orders=tuple(_order(row) for row in of["history"] if _is_in(int(row["time_ns"]), window)),
            )
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            raise DataError(
                "the exchange's saved state cannot be read",
                expected=f"the full state of the control plane with account {account}",
                got=f"{type(error).__name__}: {error}",
                next="save it with control.state(full=True)",
            ) from error

    @property
    def fills(self) -> tuple[ExchangeFill, ...]:
        """Every fill of every order."""
        return tuple(fill for order in self.orders for fill in order.fills)


def _is_in(market_ns: int, window: tuple[int, int] | None) -> bool:
    return window is None or window[0] <= market_ns < window[1]


def _order(row: Mapping[str, Any]) -> ExchangeOrder:
    side = "BUY" if int(row["side"]) > 0 else "SELL"
    symbol = str(row["symbol"])
    working = row["working_ns"]
    return ExchangeOrder(
        client_order_id=str(row["client_order_id"]),
        order_id=int(row["order_id"]),
        symbol=symbol,
        side=side,
        status=str(row["status"]),
        ticks=int(row["price_ticks"]),
        lots=int(row["quantity_lots"]),
        executed_lots=int(row["executed_lots"]),
        market_ns=int(row["time_ns"]),
        working_ns=None if working is None else int(working),
        fills=tuple(_fill(fill, symbol, side) for fill in row["fills"]),
    )


def _fill(row: Mapping[str, Any], symbol: str, side: str) -> ExchangeFill:
    return ExchangeFill(
        symbol=symbol,
        side=side,
        trade=int(row["trade_id"]),
        ticks=int(row["ticks"]),
        lots=int(row["lots"]),
        quote_atoms=int(row["quote_atoms"]),
        fee_index=int(row["commission_asset"]),
        fee_atoms=int(row["commission_atoms"]),
        market_ns=int(row["time_ns"]),
    )
