"""What a proof asks: how many strategies of which kind, on how much history."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sapphire.domain.errors import ValueRefused

__all__ = ["END", "FOLD", "HOLDOUT", "INTERVAL", "PLANTED_SHARPES", "START", "SYMBOL", "Group", "Settings", "groups"]

Kind = Literal["coin", "planted"]

SYMBOL, INTERVAL = "BTC/USDT", "1d"
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
FOLD, HOLDOUT = "365d", "365d"
"""One year to learn from, four tested ones and a sealed one."""

PLANTED_SHARPES = (1.0, 2.0, 3.0)
"""True Sharpe ratios per year of the planted traders, long or flat, in turn. Between them lies the power to be seen."""


@dataclass(frozen=True, slots=True)
class Group:
    """Strategies that are judged together.

    Parameters
    ----------
    kind : "coin" on the generated market, "planted" on one with a known edge.
    costs : "none" or the "venue"'s.
    """

    kind: Kind
    costs: Literal["none", "venue"]

    @property
    def text(self) -> str:
        """As a table says it."""
        what = "noise" if self.kind == "coin" else "planted"
        return f"{what}, no costs" if self.costs == "none" else f"{what}, the venue's costs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much is asked.

    Parameters
    ----------
    strategies : traders without an edge, each on a market of its own.
    planted : traders with one.
    variants : how many each is the best of.
    seed : of every market.
    submitted : of how many groups the first strategy is submitted whole as well.

    Raises
    ------
    ValueRefused : a number that makes no proof.
    """

    strategies: int = 2_000
    planted: int = 300
    variants: int = 20
    seed: int = 1
    submitted: int = 3

    def __post_init__(self) -> None:
        if (
            self.strategies < 1
            or self.submitted < 1
            or self.planted < 0
            or self.variants < 2
            or not 0 <= self.seed < 2**31
        ):
            raise ValueRefused(
                "a proof",
                expected="at least 1 strategy and 1 submitted, 0 planted ones, 2 variants, a seed from 0 to 2**31 - 1",
                got=f"{self.strategies} strategies, {self.planted} planted, {self.variants} variants, seed {self.seed}",
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def groups(settings: Settings) -> tuple[Group, ...]:
    """What is judged together, in the order of the table."""
    noise = (Group("coin", "none"), Group("coin", "venue"))
    return (*noise, Group("planted", "none")) if settings.planted else noise
