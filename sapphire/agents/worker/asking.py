"""Asking for evidence: what a release believes at each bar of a stretch, from windows of its warm-up.

Two workers are asked. One sees windows in the order of time and nothing else, so no answer of it can know a bar to
come; its answers count. The other runs with another seed of Python's hashes and is asked a sample of the same windows
in another order: an agent that draws numbers, reads a clock or remembers says something else there. It is asked for the
twin as well, whose panel stands for the views where it equals them on a sample, and equals what the twin says in a
third worker, which sees the bars up to a cut and nothing after.

The sample and the cuts are drawn by a seed that no worker is told, and the twin speaks before its process is asked
about any bar of the sample: a twin that is honest where it is looked at would have to be honest everywhere. The sample
has the bars before the largest moves in it: that is where knowing the future pays. A difference that shows on one bar
in a hundred is met by 460 bars with a probability of 99 % (1 - 0.99^460).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.differences import Found, far_apart, numbers_of_views
from sapphire.agents.futures import FUTURES
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
_CUTS = 12
_TAIL = 32
"""Rows up to a cut that are compared."""


@dataclass(frozen=True, slots=True)
class TwinSample:
    """How a stretch was asked.

    Parameters
    ----------
    bars : of the stretch.
    asked : at how many of them the agent was asked for its views.
    compared : at how many of these another process was asked as well.
    seed : of the sample and of the cuts.
    cuts : at how many bars the twin was cut off; none where another comparison has turned it down.
    worst : largest relative difference of the twin, to the views in the sample and to itself where it was cut off; None
        where it was not needed.
    allowed : the largest that the twin may have.
    used : whether the other bars come from the twin.
    note : where the worst of the twin was, when it is more than allowed.
    again_worst : largest relative difference to what another process said.
    again_allowed : the largest that passes: zero, unless the agent computes in float32.
    again_note : where that was.
    """

    bars: int
    asked: int
    compared: int
    seed: int
    cuts: int
    worst: float | None
    allowed: float
    used: bool
    note: str
    again_worst: float
    again_allowed: float
    again_note: str


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
    seed : of the sample and of the cuts; whoever wrote the agent must not be able to know it.
    renew : a worker like `asked` that has seen nothing: for the cuts, and for when the twin turns out to be another.
    sample : bars to compare at.
    every : up to so many bars all are asked for their views.

    Raises
    ------
    AgentError : what the agent raised, with the bar.
    """
    rows = np.arange(max(start, asked.warmup - 1), stop)
    dice = np.random.default_rng(seed)
    drawn = _drawn(bars, rows, dice, sample)
    order = dice.permutation(drawn.size)
    panel = _twin(again, bars, rows) if asked.has_twin and rows.size > every else {}
    numbers = _numbers_of(asked, bars, drawn if panel else rows)
    at_drawn = numbers if panel else _only(numbers, np.searchsorted(rows, drawn))
    others = _only(_numbers_of(again, bars, drawn[order]), np.argsort(order))
    repeated = far_apart(at_drawn, others, bars, drawn)
    stated = {name: at_drawn[name] for name in _STATED if name in at_drawn}
    worst, used, note, cuts = None, False, "", 0
    if panel:
        twin = far_apart(stated, _only(panel, drawn - rows[0]), bars, drawn)
        if twin.worst <= asked.twin_tolerance:
            cuts = min(_CUTS, rows.size)
            cut_off = _cut_off(renew, bars, rows, panel, dice.choice(rows, cuts, replace=False), dice)
            twin = max(twin, cut_off, key=lambda found: found.worst)
        worst, used = twin.worst, twin.worst <= asked.twin_tolerance
        note = "" if used else twin.note
        numbers = panel if used else _views_of(renew, bars, rows)
    mean, std = (_placed(numbers, name, rows - start, (stop - start, len(bars.symbols))) for name in _STATED)
    about = TwinSample(
        bars=stop - start,
        asked=int(drawn.size if used else rows.size),
        compared=int(drawn.size),
        seed=seed,
        cuts=cuts,
        worst=worst,
        allowed=asked.twin_tolerance,
        used=used,
        note=note,
        again_worst=repeated.worst,
        again_allowed=asked.tolerance,
        again_note=repeated.note if repeated.worst else "",
    )
    return Asked(mean, std, about)


_STATED = ("mean_bps", "std_bps")


def _twin(worker: Worker, bars: Bars, rows: Rows) -> Numbers:
    """The twin's panel of the rows, from a worker that is sealed first; none where there is no twin for them."""
    worker.warm(_window(worker, bars, int(rows[0])))
    first = int(rows[0]) + 1 - worker.warmup
    return worker.panel(bars.rows(first, int(rows[-1]) + 1), int(rows[0]) - first)


def _cut_off(
    renew: Callable[[], Worker], bars: Bars, rows: Rows, panel: Numbers, cuts: Rows, dice: np.random.Generator
) -> Found:
    """How far a panel is from what the twin says of the bars around each cut, with another future after it or none.

    First come the bars without a future, in the order of time: nothing in that process knows what came after a cut.
    """
    found = Found(0, 0.0)
    with renew() as fresh:
        fresh.warm(_window(fresh, bars, int(rows[0])))
        for future in (FUTURES["removed"], FUTURES["replaced"]):
            for row in map(int, np.sort(cuts)):
                first = max(0, row + 2 - fresh.warmup - _TAIL)
                around = bars.rows(first, min(int(rows[-1]), row + fresh.warmup + _TAIL) + 1)
                at = np.arange(max(first + fresh.warmup - 1, int(rows[0])), row + 1)
                recomputed = fresh.panel(future(around, row - first, dice), int(at[0]) - first)
                this = far_apart(_only(panel, at - rows[0]), _only(recomputed, np.arange(at.size)), bars, at)
                found = max(found, this, key=lambda one: one.worst)
    return found


def _views_of(renew: Callable[[], Worker], bars: Bars, rows: Rows) -> Numbers:
    with renew() as fresh:
        return _numbers_of(fresh, bars, rows)


def _numbers_of(worker: Worker, bars: Bars, rows: Rows) -> Numbers:
    """Forecasts, and what the agent itself stated: a score that is worth nothing would hide that it differs."""
    answers = [_answer(worker, bars, int(row)) for row in rows]
    raw = numbers_of_views((each for _, each in answers), bars.symbols)
    return {
        **{f"own {name}": values for name, values in raw.items()},
        **numbers_of_views((each for each, _ in answers), bars.symbols),
    }


def _answer(worker: Worker, bars: Bars, row: int) -> tuple[list[View], list[View]]:
    return worker.answer(_window(worker, bars, row))


def _window(worker: Worker, bars: Bars, row: int) -> Window:
    return Window(bars.rows(row + 1 - worker.warmup, row + 1), from_ns(int(bars.close_time_ns[row])))


def _drawn(bars: Bars, rows: Rows, dice: np.random.Generator, count: int) -> Rows:
    """The rows to compare at, rising: some by lot, and those before the largest moves of any symbol."""
    if rows.size <= count + _MOVES:
        return rows
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.abs(np.diff(np.log(bars.close), axis=0))
    ahead = np.nan_to_num(moves[rows[:-1]], nan=0.0).max(axis=1)
    largest = rows[np.argsort(ahead)[-_MOVES:]]
    return np.union1d(largest, dice.choice(rows, count, replace=False))


def _only(numbers: Any, places: NDArray[np.intp]) -> Numbers:
    return {name: values[places] for name, values in numbers.items()}


def _placed(numbers: Numbers, name: str, rows: Rows, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The numbers of a name in the rows of a stretch; NaN elsewhere."""
    whole = np.full(shape, np.nan)
    if name in numbers:
        whole[rows] = numbers[name]
    return whole
