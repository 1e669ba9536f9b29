"""Selection: what the trials of a window say together, since somebody will choose the best of them.

The trials are of one kind, replays or screens, whichever are more: the two measure different accounts. They cover the
whole tested window of the study, at its own bars; the rest is left out and counted. Nothing here is a gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sapphire.domain.errors import StatisticsError
from sapphire.research.ledger.recording import market_returns
from sapphire.research.results.performance import active_returns
from sapphire.research.results.showing import Shown
from sapphire.statistics import (
    Overfitting,
    SuperiorAbility,
    minimum_track_record_length,
    probability_of_backtest_overfitting,
    return_moments,
    sharpe_ratio,
    step_m,
    superior_predictive_ability,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.research.ledger.book import Evaluation, Trials
    from sapphire.research.ledger.trial_returns import ReturnSeries
    from sapphire.research.studies import Study

    FloatArray = NDArray[np.floating[Any]]

__all__ = ["Selection", "selection_of"]

Value = TypeVar("Value")

KINDS = {"replays": ("replay",), "screens": ("screen", "sweep")}
"""What is compared with each other, and the methods of the ledger that it is evaluated by."""
_SEED = 8
"""Of the bootstrap's draws: a fixed one, so that the same trials say the same."""
_MOST = 1_000
"""Returns that the bootstrap is given; longer series are summed, because its work grows with their square."""
_SHOWN = 4


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Shown):
    """The trials of one kind over one window, and what choosing among them is worth.

    `len` counts the trials that are compared, and a loop goes through them.

    Parameters
    ----------
    kind : "replays" or "screens".
    rows : the trials that are compared.
    returns : float64 [T, N], time by trial.
    market : float64 [T], of the market held without costs.
    left_out : trials of the window that are not compared: of the other kind, over part of it, or without
        returns that vary.
    """

    kind: str
    rows: tuple[Evaluation, ...]
    returns: FloatArray
    market: FloatArray
    left_out: int

    @cached_property
    def overfitting(self) -> Overfitting:
        """PBO by CSCV: how often the best of one half of the time is no better than the median of the other.

        Raises
        ------
        StatisticsError : fewer than two trials that differ, or too few returns; says which.
        """
        self._check(2)
        return probability_of_backtest_overfitting(self.returns)

    @cached_property
    def superior(self) -> SuperiorAbility:
        """SPA: whether any trial earns what the market does not explain, after paying for having tried them all.

        Each trial's returns less its beta times the market's are compared with nothing.

        Raises
        ------
        StatisticsError : no trial, or too few returns; says which.
        """
        beside = self._beside
        return superior_predictive_ability(beside, np.zeros(len(beside)), seed=_SEED)

    @cached_property
    def survivors(self) -> tuple[Evaluation, ...]:
        """StepM: the trials that do, such that any of them is there by luck in one of twenty studies.

        Raises
        ------
        StatisticsError : as `superior`.
        """
        beside = self._beside
        return tuple(self.rows[column] for column in step_m(beside, np.zeros(len(beside)), seed=_SEED))

    @property
    def best(self) -> Evaluation:
        """The trial with the highest Sharpe ratio.

        Raises
        ------
        StatisticsError : no trial.
        """
        return self.rows[self._best]

    @cached_property
    def minimum_length(self) -> float:
        """MinTRL of the best trial: returns until its Sharpe ratio is above 0 with 95 % confidence; may be infinite.

        It takes no account of the best having been chosen; the deflated Sharpe ratio does.

        Raises
        ------
        StatisticsError : no trial, or returns that do not vary.
        """
        moments = return_moments(self.returns[:, self._best])
        return minimum_track_record_length(moments.sharpe, skew=moments.skew, kurtosis=moments.kurtosis)

    @property
    def caption(self) -> str:
        """One line."""
        others = f"; {self.left_out} other trials are not compared" if self.left_out else ""
        kind = self.kind[:-1] if len(self.rows) == 1 else self.kind
        return f"{len(self.rows)} {kind} over the whole tested window, taken together{others}"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """One line per measure; a sentence where it cannot be had."""
        lines = [
            ("PBO by CSCV", self._text_of(self._overfitting_text)),
            ("SPA p-value, beside the market", self._text_of(self._superior_text)),
            ("survivors of StepM at 5 %, beside the market", self._text_of(self._survivors_text)),
            ("MinTRL of the best at 95 %", self._text_of(self._length_text)),
        ]
        return ("what the trials say together", "value"), lines

    def _parts(self) -> Sequence[Evaluation]:
        return self.rows

    def as_dict(self) -> dict[str, Any]:
        """Plain values; null for a measure that cannot be had."""
        length = self._had(lambda: self.minimum_length)
        survivors = self._had(lambda: self.survivors)
        return {
            "method": "selection",
            "kind": self.kind,
            "compared": len(self.rows),
            "left_out": self.left_out,
            "pbo": self._had(lambda: self.overfitting.probability),
            "spa_p_value": self._had(lambda: self.superior.consistent),
            "survivors": None if survivors is None else [self._name(row) for row in survivors],
            "minimum_length": None if length is None or math.isinf(length) else length,
        }

    @cached_property
    def _beside(self) -> FloatArray:
        """Returns less beta times the market's [T, N], summed to at most a thousand rows."""
        self._check(1)
        columns = [active_returns(column, self.market) for column in self.returns.T]
        nothing = [
            np.abs(of).max() <= 1e-9 * np.abs(own).max() for of, own in zip(columns, self.returns.T, strict=True)
        ]
        beside = np.where(nothing, 0.0, np.column_stack(columns))
        every = math.ceil(len(beside) / _MOST)
        summed: FloatArray = beside[len(beside) % every :].reshape(-1, every, beside.shape[1]).sum(axis=1)
        return summed

    @cached_property
    def _best(self) -> int:
        self._check(1)
        ratios = [sharpe_ratio(column) if np.ptp(column) > 0.0 else -math.inf for column in self.returns.T]
        return int(np.argmax(ratios))

    def _check(self, least: int) -> None:
        if len(self.rows) < least:
            raise StatisticsError(
                "too few trials to compare",
                expected=f"at least {least} replays or screens over the whole tested window",
                got=str(len(self.rows)),
                next="study.sweep(agent, ...) makes many, study.replay(agent) one",
            )

    def _text_of(self, text: Callable[[], str]) -> str:
        try:
            return text()
        except StatisticsError as error:
            return f"none: {error.what} (expected {error.expected}, got {error.got})"

    @staticmethod
    def _had(measure: Callable[[], Value]) -> Value | None:
        try:
            return measure()
        except StatisticsError:
            return None

    def _overfitting_text(self) -> str:
        found = self.overfitting
        return f"{found.probability:.2f} over {len(found.logits)} splits of {found.trials} distinct {self.kind}"

    def _superior_text(self) -> str:
        found = self.superior
        return f"{found.consistent:.3f} for the best of {found.trials}, blocks of {found.block_length} of {found.n}"

    def _survivors_text(self) -> str:
        names = [self._name(row) for row in self.survivors]
        more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ", ".join(names[:_SHOWN]) + more if names else f"none of {len(self.rows)}"

    def _length_text(self) -> str:
        name, length = self._name(self.best), self.minimum_length
        if math.isinf(length):
            return f"no record is long enough: {name} has no Sharpe ratio above 0"
        return f"{math.ceil(length):,} returns for {name}, of which there are {len(self.returns):,}"

    def _name(self, row: Evaluation) -> str:
        """The agent with the parameters in which the trials differ."""
        others = [each.parameters for each in self.rows if each.agent == row.agent]
        differing = {name: of for name, of in row.parameters.items() if any(each.get(name) != of for each in others)}
        return f"{row.agent}({', '.join(f'{name}={of}' for name, of in differing.items())})" if differing else row.agent


def selection_of(study: Study, trials: Trials, kept: Mapping[str, ReturnSeries]) -> Selection:
    """The trials of a study's tested window, of the kind of which there are more; replays where they are as many.

    Parameters
    ----------
    kept : their returns, by identity.
    """
    closes = study.tested.close_time_ns[1:]
    whole: dict[str, list[tuple[Evaluation, FloatArray]]] = {kind: [] for kind in KINDS}
    for row in trials.rows:
        series = kept.get(row.trial)
        kinds = [kind for kind, methods in KINDS.items() if row.method in methods]
        if not kinds or series is None or row.span.bar_ns != trials.span.bar_ns:
            continue
        inside = np.isin(series.close_time_ns, closes)
        if int(inside.sum()) == len(closes):
            whole[kinds[0]].append((row, series.values[inside]))
    kind = max(whole, key=lambda each: len(whole[each]))
    columns = [values for _, values in whole[kind]]
    return Selection(
        kind=kind,
        rows=tuple(row for row, _ in whole[kind]),
        returns=np.column_stack(columns) if columns else np.empty((len(closes), 0)),
        market=market_returns(study),
        left_out=trials.count - len(columns),
    )
