"""Golden inputs and outputs: a stretch of real bars, and what the release says of it, to the last bit.

They are captured when a release is frozen and made again wherever it is loaded: a build that differs (another library,
another processor, another platform version) is found before anything trades on it. Agents that compute in float64 must
repeat themselves exactly; one that keeps weights in float32, or asks for a looser twin, gets its `twin_tolerance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.agent import Agent
from sapphire.agents.answers import views_by
from sapphire.agents.differences import far_apart, numbers_of_views
from sapphire.agents.panels import LOOSEST_TOLERANCE
from sapphire.agents.release.tensors import read_tensors, write_tensors
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.canonical import canonical_json, read_canonical
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import EvidenceRefused, MissingData, SapphireError
from sapphire.domain.intervals import Interval
from sapphire.domain.views import View
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.windows import Feature

__all__ = ["GOLDEN_FORMAT", "Golden", "golden_bars", "require_same_views", "said", "tolerance_of"]

GOLDEN_FORMAT = "GOLDEN@1"
"""Format of `golden_outputs.json`."""

_MOMENTS = 5
_STRIDE = 6
_EXACT_TWIN = 1e-9
_MICROSECOND = timedelta(microseconds=1)

Said = Sequence[Sequence[View]]
"""The views at each of several moments."""


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Golden inputs and outputs of one agent of a release.

    Parameters
    ----------
    bars : the stretch, all symbols of the release.
    as_of_ns : closes at which the views were taken, rising.
    agent : what the agent itself says at each.
    release : what the release as a whole says at each.
    """

    bars: Bars
    as_of_ns: tuple[int, ...]
    agent: Said
    release: Said

    @property
    def inputs(self) -> bytes:
        """`golden_inputs.safetensors`."""
        arrays = {name: getattr(self.bars, name) for name in ("open_time_ns", *FIELDS, "listed")}
        return write_tensors(arrays | {"as_of_ns": np.array(self.as_of_ns, dtype=np.int64)})

    @property
    def outputs(self) -> bytes:
        """`golden_outputs.json`."""
        return canonical_json(
            {
                "format": GOLDEN_FORMAT,
                "agent": [[_plain(view) for view in views] for views in self.agent],
                "release": [[_plain(view) for view in views] for views in self.release],
            }
        )

    @classmethod
    def read(cls, inputs: bytes, outputs: bytes, *, symbols: tuple[str, ...], interval: Interval, label: str) -> Golden:
        """What `inputs` and `outputs` hold.

        Raises
        ------
        EvidenceRefused : one of them is not what it should be.
        """
        arrays = read_tensors(inputs, what=f"golden_inputs.safetensors of {label}")
        try:
            as_of_ns = tuple(int(ns) for ns in arrays.pop("as_of_ns"))
            bars = Bars(symbols=symbols, interval=interval, **arrays)
            value = read_canonical(outputs, what=f"golden_outputs.json of {label}")
            if value["format"] != GOLDEN_FORMAT:
                raise _unreadable(label, str(value["format"]))
            agent, release = (_views(value[key], as_of_ns) for key in ("agent", "release"))
        except (KeyError, TypeError, ValueError, SapphireError) as error:
            if isinstance(error, EvidenceRefused):
                raise
            raise _unreadable(label, f"{type(error).__name__}: {error}") from None
        return cls(bars, as_of_ns, agent, release)


def golden_bars(bars: Bars, warmup: int) -> tuple[Bars, tuple[int, ...]]:
    """The latest stretch that lets an agent speak several times, and the closes at which it does.

    Raises
    ------
    MissingData : fewer bars than the warm-up.
    """
    if len(bars) < warmup:
        raise MissingData(
            "too few bars for golden inputs",
            expected=f"at least the warm-up of {warmup:,} bars",
            got=f"{len(bars):,}",
            next="freeze with the bars that the agent was fitted on",
        )
    stretch = bars.rows(max(0, len(bars) - warmup - _STRIDE * (_MOMENTS - 1)), len(bars))
    rows = range(len(stretch) - 1, warmup - 2, -_STRIDE)
    return stretch, tuple(int(stretch.close_time_ns[row]) for row in reversed(rows[:_MOMENTS]))


def said(agent: Agent, bars: Bars, as_of_ns: Sequence[int], features: Mapping[str, Feature]) -> list[list[View]]:
    """What `agent` says at each moment, seeing its warm-up of bars up to it."""
    moments = map(from_ns, as_of_ns)
    return [views_by(agent, Window(bars.head_until(at).tail(agent.warmup), at, features)) for at in moments]


def tolerance_of(agent: Agent) -> float:
    """How far the views of `agent` may be from golden ones, relative: 0 where it computes in float64 throughout."""
    coarse = any(array.dtype.kind == "f" and array.dtype.itemsize < 8 for array in _own_arrays(agent))
    own = min(agent.twin_tolerance, LOOSEST_TOLERANCE) if coarse or agent.twin_tolerance > _EXACT_TWIN else 0.0
    return max(own, *(tolerance_of(part) for part in agent.parts()), 0.0)


def require_same_views(what: str, wanted: Said, got: Said, golden: Golden, tolerance: float) -> int:
    """Refuse views that are not the golden ones.

    Returns
    -------
    How many views were compared.

    Raises
    ------
    EvidenceRefused : a view that differs, is missing or is new; names the first and the worst.
    """
    rows = np.searchsorted(golden.bars.close_time_ns, golden.as_of_ns)
    stated, now = (numbers_of_views((list(views) for views in of), golden.bars.symbols) for of in (wanted, got))
    found = far_apart(stated, now, golden.bars, rows)
    looks = [
        f"{view.symbol} looks {view.horizon} ahead, was {then[view.symbol]}"
        for then, views in zip(map(_horizons, wanted), got, strict=True)
        for view in views
        if then.get(view.symbol, view.horizon) != view.horizon
    ]
    if found.worst > tolerance or looks:
        raise EvidenceRefused(
            f"{what} says something else here than when it was frozen",
            expected=f"its golden outputs, {'to the last bit' if tolerance == 0.0 else f'within {tolerance:g}'}",
            got=looks[0] if looks else f"{found.note} (golden, now): {found.worst:.3g} apart",
            next="run it with the lock, the platform version and the kind of processor it was frozen with",
        )
    return sum(map(len, wanted))


def _horizons(views: Sequence[View]) -> dict[str, timedelta]:
    return {view.symbol: view.horizon for view in views}


def _own_arrays(agent: Agent) -> Iterator[NDArray[Any]]:
    """The agent's own arrays; those of its parts are asked of the parts."""
    if not agent.parts():
        yield from agent.arrays().values()


def _plain(view: View) -> dict[str, Any]:
    """A view without its moment and its speaker."""
    made: dict[str, Any] = {"symbol": view.symbol, "horizon_ns": view.horizon // _MICROSECOND * 1_000}
    if view.score is not None:
        return made | {"score": view.score}
    if view.quantiles_bps is not None:
        return made | {"quantiles_bps": [[level, value] for level, value in view.quantiles_bps.items()]}
    return made | {"mean_bps": view.mean_bps, "std_bps": view.std_bps}


def _views(said: Sequence[Sequence[Mapping[str, Any]]], as_of_ns: Sequence[int]) -> list[list[View]]:
    return [[_view(view, ns) for view in views] for ns, views in zip(as_of_ns, said, strict=True)]


def _view(plain: Mapping[str, Any], as_of_ns: int) -> View:
    stated = dict(plain)
    horizon = timedelta(microseconds=stated.pop("horizon_ns") // 1_000)
    if "quantiles_bps" in stated:
        stated["quantiles_bps"] = dict(stated["quantiles_bps"])
    as_of = from_ns(as_of_ns)
    assert to_ns(as_of) == as_of_ns  # closes lie on the grid of whole seconds
    return View(as_of=as_of, horizon=horizon, **stated)


def _unreadable(label: str, got: str) -> EvidenceRefused:
    return EvidenceRefused(
        f"golden values of {label} do not read",
        expected=f"bars as safetensors and views as {GOLDEN_FORMAT}",
        got=got,
        next="freeze it again",
    )
