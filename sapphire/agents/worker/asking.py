"""Asking for evidence: what a release believes at each bar of a stretch, from windows of its warm-up.

Two workers are asked. One sees windows in the order of time and nothing else, so no answer of it can know a bar to
come; its answers count. The other runs with another seed of Python's hashes and is asked a sample of the same windows
in another order: an agent that draws numbers, reads a clock or remembers says something else there. It is asked for the
twin as well, whose panel stands for the views where it equals them on a sample.

The sample is drawn by a seed, and has the bars before the largest moves in it: that is where knowing the future pays.
A difference that shows on one bar in a hundred is met by 460 bars with a probability of 99 % (1 - 0.99^460).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.differences import far_apart, numbers_of_views
from sapphire.domain.clocks import from_ns
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents.differences import Numbers
    from sapphire.agents.worker.worker import Worker
    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View

    Rows = NDArray[np.int64]

__all__ = ["EVERY_BAR", "SAMPLED_BARS", "Asked", "TwinSample", "ask_panel"]

SAMPLED_BARS = 460
"""Bars at which views, twin and another process are compared, beside those before the largest moves."""
EVERY_BAR = 2_000
"""Up to so many bars each is asked for its views; a twin is used for longer stretches only."""
_MOVES = 40


@dataclass(frozen=True, slots=True)
class TwinSample:
    """How a stretch was asked.

    Parameters
    ----------
    bars : of the stretch.
    asked : at how many of them the agent was asked for its views.
    compared : at how many of these another process was asked as well.
    seed : of the sample.
    worst : largest relative difference between views and twin there; None where the twin was not needed.
    used : whether the other bars come from the twin.
    again_worst : largest relative difference to what another process said.
    again_allowed : the largest that passes: zero, unless the agent computes in float32.
    note : where the worst was.
    """

    bars: int
    asked: int
    compared: int
    seed: int
    worst: float | None
    used: bool
    again_worst: float
    again_allowed: float
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Beliefs of a stretch of bars.

    Parameters
    ----------
    mean_bps, std_bps : float64 [T, S]; NaN where nothing is believed.
    sample : how it was asked.
    """

    mean_bps: NDArray[np.float64] = field(repr=False)
    std_bps: NDArray[np.float64] = field(repr=False)
    sample: TwinSample


def ask_panel(
    asked: Worker,
    again: Worker,
    bars: Bars,
    start: int,
    stop: int,
    *,
    seed: int,
    renew: Callable[[], Worker],
    sample: int = SAMPLED_BARS,
    every: int = EVERY_BAR,
) -> Asked:
    """What a fitted agent believes at the rows `start` to `stop` (not included) of `bars`.

    Parameters
    ----------
    asked : has seen no bar from `start` on.
    again : another process with the same arrays.
    seed : of the sample.
    renew : a worker like `asked` that has seen nothing, for when the twin turns out to be another agent.
    sample : bars to compare at.
    every : up to so many bars all are asked for their views.

    Raises
    ------
    AgentError : what the agent raised, with the bar.
    """
    rows = np.arange(max(start, asked.warmup - 1), stop)
    drawn = _drawn(bars, rows, seed, sample)
    by_twin = asked.has_twin and rows.size > every
    numbers = _said(asked, bars, drawn if by_twin else rows)
    at_drawn = numbers if by_twin else _only(numbers, np.searchsorted(rows, drawn))
    order = np.random.default_rng(seed).permutation(drawn.size)
    others = _only(_said(again, bars, drawn[order]), np.argsort(order))
    repeated = far_apart(at_drawn, others, bars, drawn)
    stated = {name: at_drawn[name] for name in _STATED if name in at_drawn}
    worst, used, note = None, False, repeated.note if repeated.worst else ""
    if by_twin:
        first = max(0, start - asked.warmup + 1)
        panel = again.panel(bars.rows(first, stop), int(rows[0]) - first)
        twin = far_apart(stated, _only(panel, drawn - rows[0]), bars, drawn)
        worst, used = twin.worst, bool(panel) and twin.worst <= asked.twin_tolerance
        note = twin.note if twin.worst > asked.twin_tolerance else note
        numbers = panel if used else _said(renew(), bars, rows)
    mean, std = (_placed(numbers, name, rows - start, (stop - start, len(bars.symbols))) for name in _STATED)
    counted = int(drawn.size if used else rows.size)
    about = TwinSample(stop - start, counted, int(drawn.size), seed, worst, used, repeated.worst, asked.tolerance, note)
    return Asked(mean, std, about)


_STATED = ("mean_bps", "std_bps")


def _said(worker: Worker, bars: Bars, rows: Rows) -> Numbers:
    """Forecasts, and what the agent itself stated: a score that is worth nothing would hide that it differs."""
    answers = [_answer(worker, bars, int(row)) for row in rows]
    raw = numbers_of_views((each for _, each in answers), bars.symbols)
    return {
        **{f"own {name}": values for name, values in raw.items()},
        **numbers_of_views((each for each, _ in answers), bars.symbols),
    }


def _answer(worker: Worker, bars: Bars, row: int) -> tuple[list[View], list[View]]:
    window = bars.rows(row + 1 - worker.warmup, row + 1)
    return worker.answer(Window(window, from_ns(int(bars.close_time_ns[row]))))


def _drawn(bars: Bars, rows: Rows, seed: int, count: int) -> Rows:
    """The rows to compare at, rising: some by lot, and those before the largest moves of any symbol."""
    if rows.size <= count + _MOVES:
        return rows
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.abs(np.diff(np.log(bars.close), axis=0))
    ahead = np.nan_to_num(moves[rows[:-1]], nan=0.0).max(axis=1)
    largest = rows[np.argsort(ahead)[-_MOVES:]]
    return np.union1d(largest, np.random.default_rng([seed, rows.size]).choice(rows, count, replace=False))


def _only(numbers: Any, places: NDArray[np.intp]) -> Numbers:
    return {name: values[places] for name, values in numbers.items()}


def _placed(numbers: Numbers, name: str, rows: Rows, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The numbers of a name in the rows of a stretch; NaN elsewhere."""
    whole = np.full(shape, np.nan)
    if name in numbers:
        whole[rows] = numbers[name]
    return whole
