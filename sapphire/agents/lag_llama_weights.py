"""The published weights of Lag-Llama: read from its checkpoint once, kept as safetensors.

::

    lag-llama.ckpt (Lightning)  ──►  FOLDER/model.safetensors   arrays as `lag_llama_network` names them, float32
                                     FOLDER/config.json         lags, heads, context, and the checkpoint's sha256

A checkpoint is a pickle. It is read by torch's `weights_only` reader, which runs no code, and the two classes of
GluonTS that stand in the published one are let in as empty shells: their names say which distribution and loss it has.
Anything else in it is refused.

Published is repository `time-series-foundation-models/Lag-Llama`, file `lag-llama.ckpt`: 8 layers of 9 heads of 16,
context 32, robust scaling, time features, Student-t.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sapphire.agents.arrays import Arrays
from sapphire.agents.published_lag_llama import PublishedLagLlama
from sapphire.data.durable import replace_folder
from sapphire.domain.errors import AgentError, EvidenceRefused, MissingData, UnknownFile, ValueRefused

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["convert_lag_llama", "load_lag_llama"]

_STUDENT: Final = "gluonts.torch.distributions.studentT.StudentTOutput"
_LIKELIHOOD: Final = "gluonts.torch.modules.loss.NegativeLogLikelihood"
_TIME_FEATURES: Final = 6
_FORM: Final = "lag-llama-1"
_WEIGHTS, _CONFIG = "model.safetensors", "config.json"


class _Shell:
    """In place of an object of GluonTS: whatever it held is kept and does nothing."""


class _StudentT(_Shell):
    """In place of the output of a Student-t distribution."""


def convert_lag_llama(checkpoint: Path | str, folder: Path | str) -> Path:
    """Turn the published checkpoint of Lag-Llama into safetensors that `load_lag_llama` reads; gives the folder.

    Parameters
    ----------
    checkpoint : `lag-llama.ckpt`, or one that its makers' code wrote with the same settings of inputs and outputs.
    folder : is made; nothing stands there yet.

    Raises
    ------
    MissingData : no such file.
    ValueRefused : something stands in the folder.
    UnknownFile : no checkpoint, or one that holds something that is neither an array nor a setting.
    AgentError : a Lag-Llama that is built otherwise than the published one; says what differs.
    """
    import torch
    from safetensors.torch import save_file

    source, target = Path(checkpoint), Path(folder)
    if target.exists():
        raise ValueRefused("folder of the weights", expected="one that is not there yet", got=str(target))
    kept = _read(source)
    settings = _settings(kept)
    arrays = _renamed(kept["state_dict"], settings)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    config = {"form": _FORM, "checkpoint": {"file": source.name, "sha256": digest}, **settings}

    def write(temporary: Path) -> None:
        whole = {name: array.to(torch.float32).contiguous() for name, array in arrays.items()}
        save_file(whole, temporary / _WEIGHTS, metadata={"format": "pt"})
        config["sha256"] = hashlib.sha256((temporary / _WEIGHTS).read_bytes()).hexdigest()
        (temporary / _CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True), "utf-8")

    replace_folder(target, write)
    return target


def load_lag_llama(
    folder: Path | str,
    *,
    horizon: timedelta = timedelta(hours=1),
    bar: timedelta = timedelta(hours=1),
    history: int = 0,
) -> PublishedLagLlama:
    """The published Lag-Llama from what `convert_lag_llama` wrote.

    Parameters
    ----------
    horizon, bar, history : see `PublishedLagLlama`.

    Raises
    ------
    MissingData : nothing was converted there.
    EvidenceRefused : the weights are others than were written.
    AgentError : a horizon or a history that cannot be.
    """
    from safetensors.numpy import load

    place = Path(folder)
    missing = [name for name in (_CONFIG, _WEIGHTS) if not (place / name).is_file()]
    if missing:
        raise MissingData(
            "the weights of Lag-Llama are not there",
            expected=f"{_CONFIG} and {_WEIGHTS}",
            got=f"no {' and no '.join(missing)} in {place}",
            next='sp.agents.convert_lag_llama("lag-llama.ckpt", folder) makes them from the published checkpoint',
        )
    config, data = json.loads((place / _CONFIG).read_text("utf-8")), (place / _WEIGHTS).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if (config.get("form"), config.get("sha256")) != (_FORM, digest):
        raise EvidenceRefused(
            f"the weights in {place.name} were changed after they were made",
            expected=f"{_FORM}, sha256 {config.get('sha256')}",
            got=f"{config.get('form')}, sha256 {digest}",
            next="convert the checkpoint again",
        )
    agent = PublishedLagLlama(
        horizon=horizon,
        bar=bar,
        history=history,
        context=config["context"],
        lags=tuple(config["lags"]),
        heads=config["heads"],
        checkpoint=digest,
    )
    return replace(agent, weights=Arrays(load(data)))


def _read(path: Path) -> dict[str, Any]:
    """The checkpoint; the reader runs none of its code."""
    import torch

    if not path.is_file():
        raise MissingData(
            "the checkpoint of Lag-Llama is not there",
            expected="lag-llama.ckpt of time-series-foundation-models/Lag-Llama",
            got=str(path),
            next="download it there, outside of Sapphire, and name it here",
        )
    shells: list[Any] = [(_StudentT, _STUDENT), (_Shell, _LIKELIHOOD)]
    try:
        with torch.serialization.safe_globals(shells):
            kept = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        first = next((line.strip() for line in str(error).splitlines() if "Unsupported" in line), str(error)[:200])
        raise UnknownFile(
            f"{path.name} cannot be read as a checkpoint of Lag-Llama",
            expected=f"arrays, settings, {_STUDENT} and {_LIKELIHOOD}",
            got=first,
            next="take the published file again; nothing else in a checkpoint is let in",
        ) from None
    if not isinstance(kept, dict) or not {"state_dict", "hyper_parameters"} <= set(kept):
        raise UnknownFile(
            f"{path.name} is no checkpoint of Lightning",
            expected="state_dict and hyper_parameters",
            got=", ".join(map(str, kept)) if isinstance(kept, dict) else type(kept).__name__,
        )
    return kept


def _settings(kept: Mapping[str, Any]) -> dict[str, Any]:
    """What the network is built by, where it is built as the published one."""
    hyper = kept["hyper_parameters"]
    given: Mapping[str, Any] = hyper.get("model_kwargs", {}) if isinstance(hyper, Mapping) else {}
    try:
        lags = [int(lag) for lag in given["lags_seq"]]
        counts = {
            "context": int(given["context_length"]),
            "layers": int(given["n_layer"]),
            "heads": int(given["n_head"]),
            "head_width": int(given["n_embd_per_head"]),
        }
        fixed = {
            "scaling": (given["scaling"], "robust"),
            "time_feat": (bool(given["time_feat"]), True),
            "input_size": (int(given["input_size"]), 1),
            "rope_scaling": (given.get("rope_scaling"), None),
            "distr_output": (type(given["distr_output"]), _StudentT),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise AgentError(
            "a Lag-Llama whose settings are not there", expected="its makers' model_kwargs", got=repr(error)
        ) from None
    wrong = {name: (got, want) for name, (got, want) in fixed.items() if got != want}
    if wrong or not lags or min(lags) < 0 or min(counts.values()) < 1 or counts["head_width"] % 2:
        raise AgentError(
            "a Lag-Llama that is built otherwise than the published one",
            expected=", ".join(f"{name} {want!r}" for name, (_, want) in wrong.items()) or "lags >= 0, even heads",
            got=", ".join(f"{name} {got!r}" for name, (got, _) in wrong.items()) or f"lags {lags}, {counts}",
            next="the published checkpoint has these; another one needs another module",
        )
    return {**counts, "lags": lags}


def _renamed(state: Mapping[str, Tensor], settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """The arrays as `lag_llama_network` names them: inputs on the left, queries, keys and values side by side."""
    import torch

    width = settings["heads"] * settings["head_width"]
    hidden = 256 * -(-(8 * width // 3) // 256)
    inputs = len(settings["lags"]) + 2 + _TIME_FEATURES
    left = dict(state)

    def taken(name: str, *shape: int) -> Tensor:
        array = left.pop(f"model.{name}", None)
        if array is None or tuple(array.shape) != shape:
            raise AgentError(
                "a Lag-Llama that is built otherwise than the published one",
                expected=f"model.{name} of {shape}",
                got="no such array" if array is None else str(tuple(array.shape)),
                next="the published checkpoint has it; another one needs another module",
            )
        return array

    found = {"embed.weight": taken("transformer.wte.weight", width, inputs).T}
    found["embed.bias"] = taken("transformer.wte.bias", width)
    for layer in range(settings["layers"]):
        block = f"transformer.h.{layer}"
        queries = taken(f"{block}.attn.q_proj.weight", width, width)
        both = taken(f"{block}.attn.kv_proj.weight", 2 * width, width)
        gate, up = (taken(f"{block}.mlp.{name}.weight", hidden, width) for name in ("c_fc1", "c_fc2"))
        found |= {
            f"{layer}.attention.norm": taken(f"{block}.rms_1.scale", width),
            f"{layer}.attention.qkv": torch.cat([queries, both]).T,
            f"{layer}.attention.out": taken(f"{block}.attn.c_proj.weight", width, width).T,
            f"{layer}.swiglu.norm": taken(f"{block}.rms_2.scale", width),
            f"{layer}.swiglu.gate_up": torch.cat([gate, up]).T,
            f"{layer}.swiglu.down": taken(f"{block}.mlp.c_proj.weight", width, hidden).T,
        }
    found["head.norm"] = taken("transformer.ln_f.scale", width)
    heads = [
        (taken(f"param_proj.proj.{at}.weight", 1, width), taken(f"param_proj.proj.{at}.bias", 1)) for at in range(3)
    ]
    found["head.weight"] = torch.cat([weight for weight, _ in heads]).T
    found["head.bias"] = torch.cat([bias for _, bias in heads])
    unknown = [name for name in left if not name.endswith("rotary_emb.inv_freq")]
    if unknown:
        raise AgentError(
            "a Lag-Llama that is built otherwise than the published one",
            expected="no arrays beside the network's",
            got=", ".join(unknown[:5]),
        )
    return found
