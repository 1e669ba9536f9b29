"""Screens and sweeps by vectorbt: a first look at many ideas in a second. They explore and prove nothing.

A screen is long or flat: an equal share of the account in each symbol whose view is above zero, bought and sold at the
next bar's open with fees and slippage. What changes while a symbol has no bar waits for its next one; what is held of
a symbol that ends is sold at its last close. It knows nothing of calibration, of the study's sizing or of a book; no
gate reads its numbers. This module and `accounts` are the only ones that import vectorbt (Apache-2.0 with the Commons
Clause).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.research.ledger import recording
from sapphire.research.results.performance import Performance
from sapphire.research.runs.accounts import ScreenMarket
from sapphire.research.runs.delisting import ends_of
from sapphire.research.runs.kept_accounts import kept_account
from sapphire.research.runs.walking import one_number

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from sapphire.agents import Agent, ViewPanel
    from sapphire.domain.bars import Bars
    from sapphire.research.runs.costs import Costs
    from sapphire.research.runs.walking import BeliefPanel
    from sapphire.research.studies import Study

__all__ = [
    "SCREENS",
    "ScreenedAccount",
    "equity_of_fills",
    "position",
    "screen_sizing",
    "screened",
    "screened_ladder",
]

SCREENS = ("the screen", "no fee, no assumed slippage", "what the score is worth")
"""The screen that `study.screen` shows, and what each further one changes: it pays nothing; it
is long where the calibrated forecast is above zero, and no longer where the raw score is."""


@dataclass(frozen=True, slots=True, eq=False)
class ScreenedAccount:
    """One account that vectorbt kept.

    Parameters
    ----------
    equity : value at each close, quote asset.
    performance : what it amounts to.
    """

    equity: pd.Series[float]
    performance: Performance


def screen_sizing(study: Study) -> dict[str, Any]:
    """How a screen makes positions of views, for the ledger."""
    return {"screen": "long or flat, equal weights, next open", "costs": study.costs.parameters()}


def screened(study: Study, agents: Sequence[Agent], views: Sequence[ViewPanel]) -> list[ScreenedAccount]:
    """One account per agent, long or flat on its own views, each in the ledger before it is run.

    Parameters
    ----------
    views : of the study's tested bars, one panel per agent.

    Raises
    ------
    HoldoutSealed : the study's bars meet a sealed hold-out.
    LedgerDamaged : the ledger does not verify, or lines are missing.
    """
    sizing = screen_sizing(study)
    begun = recording.begin(study, [recording.about(study, agent, "screen", sizing=sizing) for agent in agents])
    accounts = _accounts(study, [position(each) for each in views], study.costs)
    recording.record(
        study,
        [
            recording.evaluation(study, run, account.equity.to_numpy(dtype=np.float64))
            for run, account in zip(begun, accounts, strict=True)
        ],
    )
    return accounts


def screened_ladder(study: Study, agent: Agent, views: ViewPanel, beliefs: BeliefPanel) -> tuple[ScreenedAccount, ...]:
    """The screen that a reader saw, and what it comes to as its own assumptions go, in the order of `SCREENS`.

    The first is the trial that `screened` writes; the others are recorded as the platform's own.

    Parameters
    ----------
    views : of the study's tested bars, uncalibrated.
    beliefs : of the same bars, calibrated.

    Raises
    ------
    HoldoutSealed : the study's bars meet a sealed hold-out.
    """
    seen = screened(study, [agent], [views])
    free = replace(study.costs, maker_bps=0.0, taker_bps=0.0, slippage_bps=0.0)
    worth = study.tested.frame("close") * 0.0 + beliefs.mean_bps > 0
    others = _accounts(study, [position(views), worth], free)
    recording.record(
        study,
        [
            recording.evaluation(
                study,
                recording.about(study, agent, "counterfactual", sizing={"screen": name, "costs": free.parameters()}),
                account.equity.to_numpy(dtype=np.float64),
                counted=False,
            )
            for name, account in zip(SCREENS[1:], others, strict=True)
        ],
    )
    return (*seen, *others)


def position(views: ViewPanel) -> pd.DataFrame:
    """Where to be long: True where the view's one number is above zero, close time by symbol."""
    return one_number(views) > 0


def _accounts(study: Study, positions: Sequence[pd.DataFrame], costs: Costs) -> list[ScreenedAccount]:
    """One account per position, frames close time by symbol."""
    import pandas as pd

    market = ScreenMarket.of(study.tested, costs, ends=ends_of(study.data.bars))
    accounts = [kept_account(market, each.to_numpy(dtype=np.bool_)) for each in positions]
    times = study.tested.times
    return [
        ScreenedAccount(pd.Series(each.equity, index=times, name="equity"), each.performance(market.interval))
        for each in accounts
    ]


def equity_of_fills(
    bars: Bars, quantities: NDArray[np.float64], *, fee_rate: float, starting_cash: float
) -> NDArray[np.float64]:
    """Equity at each close [T] that vectorbt comes to for given fills at the opens: one side of the parity check.

    Parameters
    ----------
    quantities : [T, S], signed base quantity traded at the open of each bar; 0 for none.
    fee_rate : fraction of the traded value, taken in the quote asset.
    """
    vectorbt = _vectorbt()
    portfolio = vectorbt.Portfolio.from_orders(
        _valued(bars),
        size=np.where(quantities == 0, np.nan, quantities),
        size_type="amount",
        price=bars.frame("open").ffill().bfill(),
        fees=fee_rate,
        init_cash=starting_cash,
        cash_sharing=True,
        group_by=True,
        call_seq="auto",
        freq=bars.interval.timedelta,
    )
    return np.asarray(portfolio.value().to_numpy(), dtype=np.float64)


def _valued(bars: Bars) -> pd.DataFrame:
    """Closes to value an account at: the last known one; before the first, where nothing is held, the first."""
    return bars.frame("close").ffill().bfill()


def _vectorbt() -> Any:
    import vectorbt

    vectorbt.settings["engine"] = "auto"
    return vectorbt
