"""What the engine made of beliefs, from one look to the next: the same beliefs on the same market end the same.

The name of a file holds the beliefs themselves, the bars, the protocol, the market's rules and all that computes. Only
settings of the platform's own kinds are kept: another has methods that no protocol holds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.research.runs.delisting import Settlement
from sapphire.research.runs.kept import digest_of_bars, kept_files

if TYPE_CHECKING:
    from pathlib import Path

    from sapphire.research.results.replays import Model
    from sapphire.research.runs.walking import BeliefPanel
    from sapphire.research.studies import Study

__all__ = ["keep_record", "kept_record"]

_FORM = 1


def kept_record(study: Study, beliefs: BeliefPanel, model: Model) -> dict[str, Any] | None:
    """The engine's record of an earlier run; None where there was none."""
    path = _path(study, beliefs, model)
    data = None if path is None else kept_files("replays", ".json").read(path)
    if data is None:
        return None
    try:
        record: dict[str, Any] = _unpacked(json.loads(data))
    except (ValueError, KeyError, TypeError):  # cut off, or written by another
        return None
    return record


def keep_record(study: Study, beliefs: BeliefPanel, model: Model, record: dict[str, Any]) -> None:
    """Keep the engine's record of a run."""
    path = _path(study, beliefs, model)
    if path is not None:
        kept_files("replays", ".json").write(path, json.dumps(_packed(record)).encode())


def _path(study: Study, beliefs: BeliefPanel, model: Model) -> Path | None:
    settings = (study.split, study.costs, study.sizing, study.limits, study.execution, study.when_views_stop)
    if any(type(each).__module__.partition(".")[0] != "sapphire" for each in settings):
        return None
    digest = hashlib.sha256(json.dumps([beliefs.symbols, str(beliefs.horizon)]).encode())
    for array in (beliefs.close_time_ns, beliefs.mean_bps, beliefs.std_bps):
        digest.update(np.ascontiguousarray(array).tobytes())
    provenance = study.data.provenance
    about = {
        "form": _FORM,
        "beliefs": digest.hexdigest(),
        "bars": digest_of_bars(study.data.bars),
        "end_ns": study.data.end_ns,
        "source": [provenance.source, sorted((str(key), str(of)) for key, of in provenance.detail.items())],
        "instruments": [repr(each) for each in study.data.instruments],
        "protocol": study.protocol.canonical.decode(),
        "settings": [repr(each) for each in settings],
        "cash": repr(study.starting_cash),
        "model": str(model),
    }
    return kept_files("replays", ".json").path(about)


def _packed(value: Any) -> Any:
    """A record as JSON has it: an array by its type, a settlement by its fields."""
    if isinstance(value, dict):
        return {name: _packed(of) for name, of in value.items()}
    if isinstance(value, np.ndarray):
        return {"dtype": str(value.dtype), "shape": value.shape, "values": value.ravel().tolist()}
    if isinstance(value, Settlement):
        return {"settlement": dataclasses.asdict(value)}
    return [*map(_packed, value)] if isinstance(value, list | tuple) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_unpacked, value)]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"dtype", "shape", "values"}:
        return np.array(value["values"], dtype=value["dtype"]).reshape(value["shape"])
    if value.keys() == {"settlement"}:
        return Settlement(**value["settlement"])
    return {name: _unpacked(of) for name, of in value.items()}
