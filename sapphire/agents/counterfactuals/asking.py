"""Asking an agent about windows as they are, and about the same windows with one thing changed.

All questions go out in one pass, so that an agent that answers many windows at once asks its model once, and all calls
are recorded: asked again, nothing is asked of a model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.agent import documents_of
from sapphire.agents.answers import batch_by
from sapphire.agents.counterfactuals.measured import (
    COUNTERFACTUALS,
    AgentCounterfactuals,
    Counterfactual,
    Kind,
    Unit,
    binary_divergence,
)
from sapphire.agents.counterfactuals.windows import (
    anonymised,
    exchanged,
    flippable,
    flipped_news,
    require_alike,
    shifted_dates,
    swapped_names,
)
from sapphire.agents.forecasts import forecast_of
from sapphire.agents.panels import window_at
from sapphire.domain.errors import AgentError, SapphireError, ValueRefused
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents.agent import Agent
    from sapphire.domain.bars import Bars
    from sapphire.domain.documents import Document
    from sapphire.domain.views import View

    Numbers = NDArray[np.float64]
    Views = Sequence[Sequence[View]]

__all__ = ["TOLERANCE", "WINDOWS", "counterfactuals_of", "drawn_windows"]

WINDOWS = 32
"""Windows that an agent is asked about unless told otherwise."""
TOLERANCE = 0.01
"""What a view may move and have stayed: one point in a hundred of probability, or of the deviation of a score."""
_ROUNDING = 1e-9


def counterfactuals_of(
    agent: Agent, windows: Sequence[Window], *, tolerance: float = TOLERANCE
) -> AgentCounterfactuals:
    """What an agent says of windows when names, dates, news or everything else is changed.

    It works on any agent. What an agent does not read is not changed for it, and what it is not able to answer is
    silent: it has not kept its sign.

    Parameters
    ----------
    windows : all of the same symbols, interval and length (`drawn_windows`).
    tolerance : how far a view may move and have stayed, in probability or in deviations of the score.

    Raises
    ------
    ValueRefused : windows that differ, or a tolerance below zero.
    AgentError : the agent fails on the windows as they are, or nobody answers for its model.
    NotFitted : it learns and has not.
    """
    require_alike(windows)
    if not (math.isfinite(tolerance) and tolerance >= 0.0):
        raise ValueRefused("tolerance of counterfactuals", expected="zero or more", got=f"{tolerance}")
    agent.require_fitted()
    changed, notes = _changed(agent, windows)
    factual, answers = _asked(agent, windows, changed, notes)
    unit, scale = _unit(agent, factual)
    before = _Stated.of(factual, windows, unit, scale)
    everything = np.ones(before.signal.shape, dtype=np.bool_)
    rows = []
    for kind in COUNTERFACTUALS:
        about = {"note": notes.get(kind, ""), **(_counted(agent, windows) if kind == "flipped_news" else {})}
        if kind not in answers:
            rows.append(Counterfactual(kind=kind, **about))
            continue
        after = _Stated.of(answers[kind], changed[kind], unit, scale)
        looked_at = _turned(agent, windows) if kind == "flipped_news" else everything
        numbers = _compared(before, after, looked_at, tolerance, probable=unit == "probability")
        rows.append(Counterfactual(kind=kind, **numbers, **about))
    constant = _same_everywhere(before.signal) and not any(row.moved or row.silent for row in rows)
    return AgentCounterfactuals(
        agent=agent.name, windows=len(windows), unit=unit, tolerance=tolerance, constant=constant, rows=tuple(rows)
    )


def drawn_windows(agent: Agent, bars: Bars, *, first: int = 0, count: int = WINDOWS, seed: int) -> list[Window]:
    """Windows of an agent at closes from row `first` on, each drawn out of one of as many equal parts of the bars.

    Raises
    ------
    ValueRefused : fewer than one window asked for, or bars that hold none.
    """
    rows = np.arange(max(first, agent.warmup - 1), len(bars))
    if count < 1 or not rows.size:
        raise ValueRefused(
            f"windows of {agent.name}",
            expected=f"at least 1, of bars that hold its warm-up of {agent.warmup:,}",
            got=f"{count:,} asked for, {rows.size:,} bars to draw them from",
        )
    dice = np.random.default_rng(seed)
    drawn = [int(dice.choice(part)) for part in np.array_split(rows, min(count, rows.size))]
    return [window_at(agent, bars, row) for row in drawn]


def _changed(agent: Agent, windows: Sequence[Window]) -> tuple[dict[Kind, Sequence[Window]], dict[Kind, str]]:
    """The changed windows by kind, and why there are none of the others."""
    changed: dict[Kind, Sequence[Window]] = {
        "anonymised_symbols": [anonymised(window) for window in windows],
        "shifted_dates": [shifted_dates(window) for window in windows],
    }
    notes: dict[Kind, str] = {}
    swapped = [made for made in map(swapped_names, windows) if made is not None]
    if swapped:
        changed["swapped_names"] = swapped
    else:
        notes["swapped_names"] = "one coin"
    if not documents_of(agent):
        notes["flipped_news"] = "not read"
    elif not _turned(agent, windows).any():
        notes["flipped_news"] = "no document with a word that turns"
    else:
        changed["flipped_news"] = [flipped_news(window) for window in windows]
    if len(windows) > 1:
        changed["exchanged_inputs"] = exchanged(windows)
    else:
        notes["exchanged_inputs"] = "one window"
    return changed, notes


def _asked(
    agent: Agent, windows: Sequence[Window], changed: Mapping[Kind, Sequence[Window]], notes: dict[Kind, str]
) -> tuple[Views, Mapping[Kind, Views]]:
    """The views of the windows and of the changed ones, in one pass; kind by kind where the agent fails at one."""
    every = [*windows, *(window for kind in changed for window in changed[kind])]
    try:
        views = iter(batch_by(agent, every))
        factual = [next(views) for _ in windows]
        return factual, {kind: [next(views) for _ in changed[kind]] for kind in changed}
    except AgentError as error:
        if not _of_its_own(error):
            raise
    factual, answers = batch_by(agent, windows), {}
    for kind, made in changed.items():
        try:
            answers[kind] = batch_by(agent, made)
        except AgentError as error:
            if not _of_its_own(error):
                raise
            answers[kind] = [[] for _ in made]
            notes[kind] = f"fails: {error.got}"
    return factual, answers


def _of_its_own(error: AgentError) -> bool:
    """Whether an agent's own code failed or answered wrongly: not a model that nobody answers for, nor missing data."""
    return not isinstance(error.__cause__, SapphireError)


def _unit(agent: Agent, factual: Views) -> tuple[Unit, float]:
    """What changes are measured in, and how much of the stated number is one."""
    views = [view for of_window in factual for view in of_window]
    if agent.score_is == "log_odds" or any(view.score is None for view in views):
        return "probability", 1.0
    scores = np.array([view.score for view in views], dtype=np.float64)
    spread = float(scores.std()) if scores.size else 0.0
    largest = float(np.abs(scores).max()) if scores.size else 0.0
    return "deviations", spread if spread > _ROUNDING * largest else largest or 1.0


class _Stated:
    """What was stated, window by symbol, NaN where nothing was.

    Parameters
    ----------
    signal : what the sign is of: score, mean, or the mean of the normal distribution nearest to the quantiles.
    size : in the unit of changes.
    """

    def __init__(self, signal: Numbers, size: Numbers) -> None:
        self.signal, self.size = signal, size

    @classmethod
    def of(cls, views: Views, windows: Sequence[Window], unit: Unit, scale: float) -> _Stated:
        """The numbers of views, column by column of the windows' symbols."""
        signal = np.full((len(windows), len(windows[0].symbols)), np.nan)
        size = signal.copy()
        for row, (of_window, window) in enumerate(zip(views, windows, strict=True)):
            for view in of_window:
                column = window.symbols.index(view.symbol)
                if view.score is not None:
                    signal[row, column] = view.score
                    size[row, column] = _logistic(view.score) if unit == "probability" else view.score / scale
                else:
                    mean, std = forecast_of(view)
                    signal[row, column] = mean
                    size[row, column] = NormalDist().cdf(mean / std) if std > 0.0 else float(np.sign(mean) + 1) / 2
        return cls(signal, size)


def _compared(
    before: _Stated, after: _Stated, looked_at: NDArray[np.bool_], tolerance: float, *, probable: bool
) -> dict[str, Any]:
    """The numbers of one row."""
    stated = np.isfinite(before.signal) & looked_at
    both = stated & np.isfinite(after.signal)
    change = np.abs(after.size - before.size)
    kept = both & (np.sign(before.signal) == np.sign(after.signal))
    pairs = zip(before.size[both].tolist(), after.size[both].tolist(), strict=True)
    return {
        "views": int(stated.sum()),
        "silent": int(stated.sum() - both.sum()),
        "kept": int(kept.sum()),
        "moved": int((change[both] > tolerance).sum()),
        "median_change": float(np.median(change[both])) if both.any() else None,
        "worst_change": float(change[both].max()) if both.any() else None,
        "confidence_invariance": 1.0 - float(change[kept].mean()) if probable and kept.any() else None,
        "divergence": fmean(binary_divergence(p, q) for p, q in pairs) if probable and both.any() else None,
    }


def _turned(agent: Agent, windows: Sequence[Window]) -> NDArray[np.bool_]:
    """For which windows and symbols [N, S] there is a document with a word that turns."""
    found = np.zeros((len(windows), len(windows[0].symbols)), dtype=np.bool_)
    for row, window in enumerate(windows):
        for each in _read_in(agent, window):
            if flippable(each):
                found[row] |= [not each.symbols or symbol in each.symbols for symbol in window.symbols]
    return found


def _counted(agent: Agent, windows: Sequence[Window]) -> dict[str, Any]:
    """How many documents the windows show, and how many of them have a word that turns."""
    shown = {(*each.key, each.version): each for window in windows for each in _read_in(agent, window)}
    return {"documents": len(shown), "turned": sum(map(flippable, shown.values()))}


def _read_in(agent: Agent, window: Window) -> tuple[Document, ...]:
    """The documents of a window of the kinds that an agent reads."""
    documents = window.bars.documents
    kept = None if documents is None else documents.only(documents_of(agent))
    return () if kept is None else tuple(kept)


def _same_everywhere(signal: Numbers) -> bool:
    stated = signal[np.isfinite(signal)]
    return bool(stated.size) and float(np.ptp(stated)) <= _ROUNDING * float(np.abs(stated).max())


def _logistic(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds)) if log_odds > -700.0 else 0.0
