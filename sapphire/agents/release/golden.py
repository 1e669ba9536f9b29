"""Golden inputs and outputs: a stretch of real bars, and what the release says of it.

They are captured when a release is frozen and made again wherever it is loaded: a build that differs (another library,
another processor, another platform version) is found before anything trades on it. How far the outputs may be apart is
written beside them: by the type of the agent's numbers, to the last bit for float64 in NumPy. A tolerance wider than
the type that is found in the release's files allows is refused. What stands beside the numbers (`ViewNote`) is no part
of them: a model that is not bit-exact may give another reason for the same view.

Where agents ask models, what these answered then is part of the outputs (`GOLDEN@3`) and answers again when the views
are made anew: a model elsewhere need not give the same bits, and what is compared is what the release makes of its
answers.

Where agents read documents, those of the stretch are part of the outputs too (`GOLDEN@4`). A document whose text may be
kept for some time only is none of them: what is in a release stays.

`GOLDEN@1`, of before, states none. It is read, and held to the last bit where the arrays are float64, and to 1e-9 where
they are coarser.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents.agent import Agent
from sapphire.agents.answers import views_by
from sapphire.agents.differences import far_apart, numbers_of_views
from sapphire.agents.model_calls import ModelCalls, backed_by
from sapphire.agents.release.numbers import Numbers
from sapphire.agents.release.tensors import read_tensors, write_tensors
from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.canonical import canonical_json, read_canonical
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.documents import Document, Documents
from sapphire.domain.errors import EvidenceRefused, MissingData, SapphireError
from sapphire.domain.intervals import Interval
from sapphire.domain.views import View
from sapphire.domain.windows import Window

if TYPE_CHECKING:
    from sapphire.domain.documents import DocumentKind
    from sapphire.domain.windows import Feature

__all__ = ["GOLDEN_FORMAT", "Golden", "golden_bars", "golden_views", "require_same_views"]

GOLDEN_FORMAT = "GOLDEN@2"
"""Format of `golden_outputs.json`."""
_WITH_CALLS = "GOLDEN@3"
"""The format that has calls of models too."""
_WITH_DOCUMENTS = "GOLDEN@4"
"""The format that has documents, and calls where there were any."""
_WITHOUT_TOLERANCE = "GOLDEN@1"
_FORMATS = ", ".join((_WITHOUT_TOLERANCE, GOLDEN_FORMAT, _WITH_CALLS, _WITH_DOCUMENTS))
_COARSE_BEFORE = 1e-9
"""How close coarser types than float64 are held in the format that states no tolerance."""

_MOMENTS = 5
_STRIDE = 6
_MICROSECOND = timedelta(microseconds=1)

GoldenViews = Sequence[Sequence[View]]
"""The views at each of several moments."""


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Golden inputs and outputs of one agent of a release.

    Parameters
    ----------
    bars : the stretch, all symbols of the release, with the documents that its agents read.
    as_of_ns : closes at which the views were taken, rising.
    agent : what the agent itself says at each.
    release : what the release as a whole says at each.
    numbers : what the agent computes in.
    tolerance : how far its views may be apart elsewhere, relative; 0 for to the last bit.
    calls : what models answered then, as `ModelCalls.canonical`; empty where none was asked.
    """

    bars: Bars
    as_of_ns: tuple[int, ...]
    agent: GoldenViews
    release: GoldenViews
    numbers: Numbers
    tolerance: float
    calls: bytes = b""

    @property
    def inputs(self) -> bytes:
        """`golden_inputs.safetensors`."""
        arrays = {name: getattr(self.bars, name) for name in ("open_time_ns", *FIELDS, "listed")}
        return write_tensors(arrays | {"as_of_ns": np.array(self.as_of_ns, dtype=np.int64)})

    @property
    def outputs(self) -> bytes:
        """`golden_outputs.json`."""
        asked: dict[str, Any] = {}
        if self.calls:
            asked["calls"] = [json.loads(line) for line in self.calls.splitlines()]
        documents = self.bars.documents
        if documents is not None:
            asked["documents"] = {"kinds": list(documents.kinds), "items": [each.as_dict() for each in documents]}
        form = _WITH_DOCUMENTS if documents is not None else _WITH_CALLS if self.calls else GOLDEN_FORMAT
        return canonical_json(
            {
                **asked,
                "format": form,
                "numbers": {"runtime": self.numbers.runtime, "type": self.numbers.type},
                "tolerance": float(self.tolerance),
                "agent": [[_plain(view) for view in views] for views in self.agent],
                "release": [[_plain(view) for view in views] for views in self.release],
            }
        )

    @contextmanager
    def answered(self) -> Iterator[None]:
        """What models were asked then is answered from there; where none was asked, nothing changes."""
        if not self.calls:
            yield
            return
        with backed_by(recorded=self.calls):
            yield

    @classmethod
    def read(
        cls,
        inputs: bytes,
        outputs: bytes,
        *,
        symbols: tuple[str, ...],
        interval: Interval,
        label: str,
        found: Numbers,
    ) -> Golden:
        """What `inputs` and `outputs` hold.

        Parameters
        ----------
        symbols, interval : of the release.
        label : what messages call the agent.
        found : what the agent computes in by its own files; bounds the tolerance.

        Raises
        ------
        EvidenceRefused : one of them is not what it should be, or the tolerance is wider than `found` allows.
        """
        arrays: dict[str, Any] = read_tensors(inputs, what=f"golden_inputs.safetensors of {label}")
        try:
            as_of_ns = tuple(int(ns) for ns in arrays.pop("as_of_ns"))
            value = read_canonical(outputs, what=f"golden_outputs.json of {label}")
            bars = Bars(symbols=symbols, interval=interval, documents=_documents(value), **arrays)
            numbers, tolerance = _allowed(value, found, label)
            agent, release = (_views(value[key], as_of_ns) for key in ("agent", "release"))
            calls = _calls(value, label)
        except (KeyError, TypeError, ValueError, SapphireError) as error:
            if isinstance(error, EvidenceRefused):
                raise
            raise _unreadable(label, f"{type(error).__name__}: {error}") from None
        return cls(bars, as_of_ns, agent, release, numbers, tolerance, calls)


def golden_bars(bars: Bars, warmup: int, kinds: Sequence[DocumentKind] = ()) -> tuple[Bars, tuple[int, ...]]:
    """The latest stretch that lets an agent speak several times, and the closes at which it does.

    Parameters
    ----------
    kinds : of documents that the stretch has, as far as their text may be kept for good.

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
    documents = None if stretch.documents is None else stretch.documents.only(tuple(kinds))
    if documents is not None:
        documents = documents.with_items(each for each in documents if each.retention_days is None)
    stretch = stretch.with_documents(documents)
    return stretch, tuple(int(stretch.close_time_ns[row]) for row in reversed(rows[:_MOMENTS]))


def golden_views(
    agent: Agent, bars: Bars, as_of_ns: Sequence[int], features: Mapping[str, Feature]
) -> list[list[View]]:
    """What `agent` says at each moment, seeing its warm-up of bars up to it."""
    moments = map(from_ns, as_of_ns)
    return [views_by(agent, Window(bars.head_until(at).tail(agent.warmup), at, features)) for at in moments]


def require_same_views(what: str, wanted: GoldenViews, got: GoldenViews, golden: Golden, tolerance: float) -> int:
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
            expected=f"its golden outputs, {_within(tolerance)}",
            got=looks[0] if looks else f"{found.note} (golden, now): {found.worst:.3g} apart",
            next="run it with the lock, the platform version and the kind of processor it was frozen with",
        )
    return sum(map(len, wanted))


def _documents(value: Mapping[str, Any]) -> Documents | None:
    """The documents of the stretch; None where no agent reads any."""
    if (value.get("format") == _WITH_DOCUMENTS) != ("documents" in value):
        raise ValueError(f"documents in {value.get('format')}")
    if "documents" not in value:
        return None
    sent = value["documents"]
    return Documents(map(Document.from_dict, sent["items"]), kinds=sent["kinds"])


def _calls(value: Mapping[str, Any], label: str) -> bytes:
    """What models answered when the views were taken."""
    calls = b"".join(canonical_json(call) + b"\n" for call in value.get("calls", ()))
    try:
        ModelCalls.parse(calls)
    except EvidenceRefused as error:
        raise _unreadable(label, f"{error.what}: {error.got}") from None
    return calls


def _horizons(views: Sequence[View]) -> dict[str, timedelta]:
    return {view.symbol: view.horizon for view in views}


def _allowed(value: Mapping[str, Any], found: Numbers, label: str) -> tuple[Numbers, float]:
    """The numbers and the tolerance that golden outputs state; what was the rule before where they state none."""
    if value["format"] == _WITHOUT_TOLERANCE:
        return found, 0.0 if found.type == "float64" else _COARSE_BEFORE
    wants = {GOLDEN_FORMAT: {False}, _WITH_CALLS: {True}, _WITH_DOCUMENTS: {False, True}}
    if ("calls" in value) not in wants.get(value["format"], ()):
        raise _unreadable(label, str(value["format"]))
    numbers, tolerance = Numbers(**value["numbers"]), value["tolerance"]
    if not numbers.is_known or type(tolerance) is not float:
        raise _unreadable(label, f"tolerance {tolerance!r} for {numbers}")
    if not 0.0 <= tolerance <= found.widest:
        raise EvidenceRefused(
            f"the golden tolerance of {label} is not one that it may have",
            expected=f"{_within(found.widest)}: its arrays and its code compute in {found}",
            got=f"{tolerance:g}, stated for {numbers}",
            next="freeze it again; what a release may differ by is the rule of its numbers, not its own",
        )
    return numbers, tolerance


def _within(tolerance: float) -> str:
    return "to the last bit" if tolerance == 0.0 else f"within {tolerance:g}"


def _plain(view: View) -> dict[str, Any]:
    """A view without its moment and its speaker."""
    made: dict[str, Any] = {"symbol": view.symbol, "horizon_ns": view.horizon // _MICROSECOND * 1_000}
    if view.score is not None:
        return made | {"score": view.score}
    if view.quantiles_bps is not None:
        return made | {"quantiles_bps": [[level, value] for level, value in view.quantiles_bps.items()]}
    return made | {"mean_bps": view.mean_bps, "std_bps": view.std_bps}


def _views(rows: Sequence[Sequence[Mapping[str, Any]]], as_of_ns: Sequence[int]) -> list[list[View]]:
    return [[_view(view, ns) for view in views] for ns, views in zip(as_of_ns, rows, strict=True)]


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
        expected=f"bars as safetensors and views as one of {_FORMATS}",
        got=got,
        next="freeze it again",
    )
