"""A target: how many lots of a symbol to hold, and why that many."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a target is what it is; one line a person can read in a table or a message."""

    SIZED = "sized"
    LIMITED_BY_WEIGHT = "sized, limited by the weight of one symbol"
    LIMITED_BY_VOLATILITY = "sized, limited by portfolio volatility"
    LIMITED_BY_GROSS = "sized, limited by gross weight"
    LIMITED_BY_LEAVING = "sized, limited by positions whose views stopped"
    KEPT_WITHIN_BAND = "kept: change within the rebalance band"
    KEPT_SMALL_CHANGE = "kept: change below the smallest order"
    KEPT_WITHIN_COSTS = "kept: a change would not earn its cost"
    KEPT_BOUGHT = "kept: bought and held"
    VIEWS_STOPPED_HELD = "views stopped: held"
    VIEWS_STOPPED_REDUCED = "views stopped: reduced"
    VIEWS_STOPPED_ZERO = "views stopped: zero"
    ZERO_NO_BELIEF = "zero: no belief"
    ZERO_EXPIRED = "zero: belief past its horizon"
    ZERO_NOT_POSITIVE = "zero: mean not above zero"
    ZERO_NO_PRICE = "zero: no price"
    ZERO_NO_VOLATILITY = "zero: no volatility estimate"
    ZERO_NO_EQUITY = "zero: no equity"
    ZERO_TOO_SMALL = "zero: below the smallest order"


@dataclass(frozen=True, slots=True)
class Target:
    """What to hold of one symbol.

    Attributes
    ----------
    symbol : "BTC/USDT".
    lots : whole lots, negative for a short.
    weight : what these lots are worth as a share of equity, signed.
    reason : one of `Reason`.
    """

    symbol: str
    lots: int
    weight: float
    reason: str
