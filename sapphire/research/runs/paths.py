"""Paths: several histories of one agent's beliefs, out of folds that test every part of the time more than once.

A combinatorial split tests each block of time by several agents that were trained on different parts of the rest. A
path takes one of them for every block, so it covers the whole time once, and each fold serves each block that it tests
in one path. How far the paths' results spread is what the one order of history hides (Lopez de Prado, Advances in
Financial Machine Learning, 2018, ch. 12). Part of what an agent was trained on comes after its tests, so paths describe
how robust it is; they are no replay of what could have been traded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from sapphire.agents import Agent
from sapphire.domain.clocks import to_ns
from sapphire.domain.errors import StudyError
from sapphire.domain.progress import Progress
from sapphire.research.runs.splits import Fold, TimeWindow
from sapphire.research.runs.walking import BeliefPanel, walk_beliefs

if TYPE_CHECKING:
    from sapphire.domain.bars import Bars

__all__ = ["path_folds", "walk_paths"]


def path_folds(folds: Sequence[Fold]) -> tuple[tuple[int, ...], ...]:
    """For each path, the positions of the folds that supply its blocks, in time order of the blocks.

    Path p takes for every block the p-th of the folds that test it. Folds of a walk forward or of a purged k-fold make
    one path.

    Raises
    ------
    StudyError : blocks that are not tested equally often, or that leave time between them untested.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from sapphire.research.runs.splits import combinatorial_purged
    >>> folds = combinatorial_purged(3, 2).folds(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 1, 31, tzinfo=UTC))
    >>> path_folds(folds)
    ((0, 0, 1), (1, 2, 2))
    """
    testing: dict[TimeWindow, list[int]] = defaultdict(list)
    for position, fold in enumerate(folds):
        for span in fold.testing:
            testing[span].append(position)
    blocks = sorted(testing)
    times = {len(positions) for positions in testing.values()}
    if len(times) != 1 or any(a.end != b.start for a, b in pairwise(blocks)):
        raise StudyError(
            "folds that do not make whole paths",
            expected="blocks of time without gaps, each tested equally often",
            got=f"{len(folds)} folds, {len(blocks)} blocks tested {', '.join(map(str, sorted(times)))} times",
            next="take the folds of combinatorial_purged(groups, tested) as they are",
        )
    return tuple(zip(*(testing[block] for block in blocks), strict=True))


def walk_paths(
    agent: Agent, bars: Bars, folds: Sequence[Fold], *, seed: int, on_progress: Progress
) -> tuple[BeliefPanel, ...]:
    """Calibrated forecasts of all test bars, one panel per path; the agent is fitted once in each fold.

    Raises
    ------
    StudyError : folds that do not make whole paths, a fold without test bars, or one whose training windows never made
        the agent state its score.
    TooFewReturns : training windows too short to calibrate a score on.
    """
    paths = path_folds(folds)
    blocks = sorted({span for fold in folds for span in fold.testing})
    panels = []
    for number, fold in enumerate(folds, start=1):
        on_progress(number - 1, len(folds), f"{agent.name}: fold {number} of {len(folds)}")
        panels.append(walk_beliefs(agent, bars, [fold], seed=seed, on_progress=lambda *_: None))
    on_progress(len(folds), len(folds), f"{agent.name}: {len(folds)} folds, {len(paths)} paths")
    return tuple(
        _joined([_within(panels[position], block) for position, block in zip(path, blocks, strict=True)])
        for path in paths
    )


def _within(panel: BeliefPanel, block: TimeWindow) -> BeliefPanel:
    """The rows of a fold's panel that close in one of the blocks it tests."""
    start, stop = np.searchsorted(panel.close_time_ns, [to_ns(block.start), to_ns(block.end)], side="left")
    rows = slice(int(start), int(stop))
    return BeliefPanel(
        panel.symbols, panel.horizon, panel.close_time_ns[rows], panel.mean_bps[rows], panel.std_bps[rows]
    )


def _joined(parts: Sequence[BeliefPanel]) -> BeliefPanel:
    return BeliefPanel(
        symbols=parts[0].symbols,
        horizon=parts[0].horizon,
        close_time_ns=np.concatenate([part.close_time_ns for part in parts]),
        mean_bps=np.concatenate([part.mean_bps for part in parts]),
        std_bps=np.concatenate([part.std_bps for part in parts]),
    )
