"""Evidence by workers: the captured code of an agent, fitted and asked in processes of its own.

The agent object of the notebook is not asked for anything but its code and its parameters. In each fold a worker that
is thrown away afterwards learns from the training window; what it learned goes as arrays into the workers that are
asked, as a release's does. Those see windows of the warm-up in the order of time. They are two for all folds, so that
what an agent might keep from one call to the next is of its past. Each stretch has a sample of its own, drawn by the
system's entropy once the code is captured and kept in the evidence: nobody can write an agent that is honest there.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.arrays import Arrays
from sapphire.agents.worker import ReleaseWorker, TwinSample, Worker, ask_panel, learned_by
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.progress import Progress
from sapphire.research.results.fitted_scores import probabilities_in, slopes_in
from sapphire.research.runs.walking import BeliefPanel, require_once, tested_rows, training_bars

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents import Agent
    from sapphire.agents.counterfactuals import AgentCounterfactuals
    from sapphire.agents.leak_report import LeakReport
    from sapphire.agents.release import ReadRelease, ReleaseCode
    from sapphire.agents.worker.confinement import Isolation
    from sapphire.domain.bars import Bars
    from sapphire.domain.releases import ReleasedAgent
    from sapphire.registry import ProbabilityFit, ScoreSlope
    from sapphire.research.runs.splits import Fold

__all__ = [
    "AskedBeliefs",
    "ask_counterfactuals",
    "ask_release",
    "check_release",
    "counterfactual_seed",
    "drawn_seed",
    "fit_in_worker",
    "walk_in_workers",
]

_OTHER_HASHES = 20_251
"""Seed of Python's hashes in the processes that are asked again."""
_CHECKED_BARS = 1_000
_HISTORIES = 4


@dataclass(frozen=True, slots=True, eq=False)
class AskedBeliefs:
    """What was believed, and how it was asked.

    Parameters
    ----------
    beliefs : of every tested bar.
    samples : one per stretch.
    isolation : of the workers.
    digests : file to sha256 of the code that ran, one mapping per agent.
    """

    beliefs: BeliefPanel
    samples: tuple[TwinSample, ...]
    isolation: Isolation
    digests: tuple[Mapping[str, str], ...] = field(repr=False)


def drawn_seed() -> int:
    """A seed from the system's entropy, for samples that an agent must not foresee; 31 bits, as fits take them."""
    return secrets.randbits(31)


def fit_in_worker(code: ReleaseCode, bars: Bars, *, seed: int, label: str) -> Mapping[str, NDArray[Any]]:
    """What the captured code learns from `bars`, calibration included, under the names of the whole agent's arrays.

    Raises
    ------
    AgentError : what the fit raised.
    TooFewReturns : too few scores to calibrate on.
    """
    with Worker(code, bars.symbols, bars.interval, label=label) as worker:
        return worker.fit(bars, seed)


def walk_in_workers(
    code: ReleaseCode,
    bars: Bars,
    folds: Sequence[Fold],
    *,
    seed: int,
    label: str,
    horizon_of: Agent,
    on_progress: Progress,
) -> AskedBeliefs:
    """Calibrated forecasts of the folds' test bars, fitted and asked in workers.

    Parameters
    ----------
    label : what messages call the agent.
    horizon_of : the captured agent, for its horizon.

    Raises
    ------
    AgentError : what the agent raised, with the bar.
    StudyError : folds that test a bar more than once, or a fold without test bars.
    NotFitted : a score that training never showed.
    """
    require_once(folds)
    means, deviations, closes, samples = [], [], [], []
    slopes: list[ScoreSlope] = []
    probabilities: list[ProbabilityFit] = []
    with ExitStack() as running:

        def started(hash_seed: int = 0) -> Worker:
            return running.enter_context(Worker(code, bars.symbols, bars.interval, label=label, hash_seed=hash_seed))

        asked, again = started(), started(_OTHER_HASHES)
        for number, fold in enumerate(folds, start=1):
            on_progress(number - 1, len(folds), f"{label}: fold {number} of {len(folds)}")
            learned = fit_in_worker(code, training_bars(bars, fold), seed=seed, label=label)
            slopes.extend(slopes_in(code, learned, number))
            probabilities.extend(probabilities_in(code, learned, number))
            for worker in (asked, again):
                worker.learn(learned)

            def renewed(learned: Mapping[str, NDArray[Any]] = learned) -> Worker:
                fresh = started()
                fresh.learn(learned)
                return fresh

            for start, stop in (tested_rows(bars, span) for span in fold.testing):
                found = ask_panel(asked, again, bars.rows(0, stop), start, stop, seed=drawn_seed(), renew=renewed)
                means.append(found.mean_bps)
                deviations.append(found.std_bps)
                closes.append(bars.close_time_ns[start:stop])
                samples.append(found.sample)
        on_progress(len(folds), len(folds), f"{label}: {len(folds)} folds")
        panel = BeliefPanel(
            bars.symbols,
            horizon_of.horizon,
            np.concatenate(closes),
            np.concatenate(means),
            np.concatenate(deviations),
            tuple(slopes),
            tuple(probabilities),
        )
        return AskedBeliefs(panel, tuple(samples), asked.isolation, asked.digests)


def ask_release(release: ReadRelease, horizon_of: Agent, bars: Bars, start: int, stop: int) -> AskedBeliefs:
    """What a frozen release believes at the rows `start` to `stop` (not included) of `bars`.

    Raises
    ------
    AgentError : what the agent raised, with the bar.
    """
    seed = drawn_seed()
    with ExitStack() as running:

        def started(hash_seed: int = 0) -> Worker:
            return running.enter_context(ReleaseWorker(release, hash_seed=hash_seed)).worker

        asked, again = started(), started(_OTHER_HASHES)
        found = ask_panel(asked, again, bars.rows(0, stop), start, stop, seed=seed, renew=started)
        closes = bars.close_time_ns[start:stop]
        panel = BeliefPanel(bars.symbols, horizon_of.horizon, closes, found.mean_bps, found.std_bps)
        return AskedBeliefs(panel, (found.sample,), asked.isolation, asked.digests)


def check_release(release: ReadRelease, bars: Bars, *, seed: int, moments: int) -> LeakReport:
    """Every leak check of the release's agents, in a worker that sees a stretch of `bars` and nothing else counts.

    Parameters
    ----------
    seed : of where the stretch lies, of the moments in it, of the changed futures and of the fit; see `drawn_seed`.
    moments : at how many bars each check looks.
    """
    length = min(len(bars), _CHECKED_BARS + _HISTORIES * release.warmup)
    first = int(np.random.default_rng(seed).integers(len(bars) - length + 1))
    with ReleaseWorker(release, hash_seed=_OTHER_HASHES) as fresh:
        return fresh.worker.check(bars.rows(first, first + length), seed=seed, moments=moments)


def ask_counterfactuals(release: ReadRelease, bars: Bars, *, first: int) -> tuple[AgentCounterfactuals, ...]:
    """What those agents of a release that name a model say of windows in which one thing is changed; in a worker.

    Which windows follows from the agent's code and parameters: another agent is asked about others, and the same one
    about the same again, so that its model's recorded answers do.

    Parameters
    ----------
    first : row of the first close that is looked at.
    """
    seeds = {
        place: counterfactual_seed(entry) for place, entry in enumerate(release.manifest.agents) if entry.artefacts
    }
    if not seeds:
        return ()
    with ReleaseWorker(release) as fresh:
        return fresh.worker.counterfactuals(bars, first=first, seeds=seeds)


def counterfactual_seed(entry: ReleasedAgent) -> int:
    """What draws the windows that an agent of a release is asked about with one thing changed."""
    decides = {"source": entry.source_sha256, "parameters": dict(entry.parameters), "prompts": dict(entry.prompts)}
    return int(sha256_of(canonical_json(decides))[:8], 16)


def learned_as(release: ReadRelease, learned: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a release holds exactly what a worker learned."""
    return Arrays(learned_by(release)).digest == Arrays(learned).digest
