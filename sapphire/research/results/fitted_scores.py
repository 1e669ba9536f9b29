"""The calibrations that a fitted agent is made of, as evidence: slopes of scores, and fits of log-odds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sapphire.agents import Agent, Arrays, Calibrated
from sapphire.registry.calibrations import ProbabilityFit, ScoreSlope
from sapphire.statistics import Calibration, DirectionCalibration, ScoreCalibration, calibration_from_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.agents.release import ReleaseCode

__all__ = ["probabilities_in", "probabilities_of", "slopes_in", "slopes_of"]


def slopes_of(agent: Agent, fold: int) -> tuple[ScoreSlope, ...]:
    """The slopes of the calibrated scores of a fitted agent."""
    return _slopes(_named(list(_calibrations(agent))), fold)


def slopes_in(code: ReleaseCode, learned: Mapping[str, NDArray[Any]], fold: int) -> tuple[ScoreSlope, ...]:
    """The same of what a worker learned, under the names of the whole agent's arrays."""
    return _slopes(_named(list(_learned(code, learned))), fold)


def probabilities_of(agent: Agent, fold: int) -> tuple[ProbabilityFit, ...]:
    """The fits of the calibrated log-odds of a fitted agent."""
    return _probabilities(_named(list(_calibrations(agent))), fold)


def probabilities_in(code: ReleaseCode, learned: Mapping[str, NDArray[Any]], fold: int) -> tuple[ProbabilityFit, ...]:
    """The same of what a worker learned, under the names of the whole agent's arrays."""
    return _probabilities(_named(list(_learned(code, learned))), fold)


def _calibrations(agent: Agent) -> Iterator[tuple[str, Calibration]]:
    if isinstance(agent, Calibrated) and agent.calibration is not None:
        yield type(agent.agent).__name__, agent.calibration
    for part in agent.parts():
        yield from _calibrations(part)


def _learned(code: ReleaseCode, learned: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, Calibration]]:
    arrays = Arrays(learned)
    for place, member in enumerate(code.members):
        own = arrays if code.pooling is None else Arrays(arrays.under(str(place)))
        worth = own.under("calibration")
        if worth:
            yield member.class_name, calibration_from_arrays(worth)


def _named(found: Sequence[tuple[str, Calibration]]) -> list[tuple[str, Calibration]]:
    """Each under its own name: two members of one class are told apart by their place."""
    names = [name for name, _ in found]
    return [
        (name if names.count(name) == 1 else f"{name} {place}", worth)
        for place, (name, worth) in enumerate(found, start=1)
    ]


def _slopes(found: Sequence[tuple[str, Calibration]], fold: int) -> tuple[ScoreSlope, ...]:
    return tuple(
        ScoreSlope(
            agent=name,
            fold=fold,
            slope_bps=worth.estimated_slope_bps,
            error_bps=worth.slope_error_bps,
            traded_bps=worth.slope_bps + 0.0,  # no negative zero
            pairs=int(worth.pairs),
        )
        for name, worth in found
        if isinstance(worth, ScoreCalibration)
    )


def _probabilities(found: Sequence[tuple[str, Calibration]], fold: int) -> tuple[ProbabilityFit, ...]:
    return tuple(
        ProbabilityFit(
            agent=name,
            fold=fold,
            method=worth.probability.method,
            kept=worth.probability.kept,
            t_value=worth.probability.t_value,
            base_rate=worth.probability.base_rate,
            up_bps=worth.up_mean_bps,
            down_bps=worth.down_mean_bps,
            brier=worth.probability.brier,
            reliability=worth.probability.reliability,
            resolution=worth.probability.resolution,
            uncertainty=worth.probability.uncertainty,
            pairs=int(worth.pairs),
            independent=worth.probability.independent,
        )
        for name, worth in found
        if isinstance(worth, DirectionCalibration)
    )
