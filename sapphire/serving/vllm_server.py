"""vLLM's own server on weights that verify: the words that run it, and what must be there first.

A server takes a share of one GPU's memory, so that two of them fit on one; what it needs of that share is known before
it starts (`memory_plan`). Its cache has the bytes that its sequences take and no more: what vLLM would measure for
itself counts what a neighbour takes meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from sapphire.domain.errors import ConfigError
from sapphire.serving.adapters import RANKS, adapters_of, verified_adapter
from sapphire.serving.devices import DEVICES, Device, device_memory
from sapphire.serving.memory_plan import FP8, MemoryPlan, ModelShape, ServerMemory
from sapphire.serving.weights import Weights, verified, weights_of

__all__ = ["VllmServer"]

_STEP = 2_048
"""Tokens of a step at most: what a server works with is estimated for that."""
_SEQUENCES = 256
_STRUCTURED = '{"backend":"xgrammar","disable_any_whitespace":true}'
"""Between the parts of a JSON text a small model would write blanks until its tokens are used up."""
_QUANTIZATIONS: Final = ("", FP8)
_NUMBERS: Final = {
    "share": ("SAPPHIRE_GPU_SHARE", float),
    "length": ("SAPPHIRE_MODEL_LENGTH", int),
    "sequences": ("SAPPHIRE_MODEL_SEQUENCES", int),
    "rank": ("SAPPHIRE_ADAPTER_RANK", int),
    "port": ("SAPPHIRE_MODEL_PORT", int),
}


@dataclass(frozen=True, slots=True)
class VllmServer:
    """One server of a large model.

    Parameters
    ----------
    weights : what it serves, with their digest.
    root : the shared folder in which they lie.
    adapters : what it serves beside, each under the name of its repository.
    share : of the GPU's memory, above 0 to 1.
    length : tokens of prompt and answer together.
    sequences : how many are worked on at once; others wait. The cache holds all of them at their full length.
    quantization : "fp8" makes FP8 of matrices that the files hold in bfloat16; embeddings stay. "" takes the files.
    rank : highest of the adapters, 8, 16, 32 or 64.
    device : "gpu"; "cpu" is for vLLM's build for processors, whose share is of the machine's memory.
    port : on this machine alone: BentoML stands in front.

    Raises
    ------
    ConfigError : a value that cannot be meant.
    """

    weights: Weights
    root: Path
    adapters: tuple[Weights, ...] = ()
    share: float = 0.475
    length: int = 2_048
    sequences: int = 4
    quantization: str = ""
    rank: int = 16
    device: Device = "gpu"
    port: int = 8_000

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ConfigError("no share of a GPU's memory", expected="above 0 to 1", got=f"{self.share}")
        if self.length < 1:
            raise ConfigError("no length of a model's context", expected="1 token or more", got=f"{self.length}")
        if not 1 <= self.sequences <= _SEQUENCES:
            raise ConfigError("no number of sequences", expected=f"1 to {_SEQUENCES}", got=f"{self.sequences}")
        if not 0 < self.port < 1 << 16:
            raise ConfigError("no port", expected="1 to 65535", got=f"{self.port}")
        _require_among("quantization", self.quantization, _QUANTIZATIONS)
        _require_among("rank of adapters", self.rank, RANKS)
        _require_among("device", self.device, DEVICES)
        if self.weights.repository in (each.repository for each in self.adapters):
            raise ConfigError(
                "an adapter has the name of the model", expected="another repository", got=self.weights.repository
            )

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> VllmServer:
        """The server that an environment names.

        SAPPHIRE_MODEL, SAPPHIRE_MODEL_REVISION and SAPPHIRE_MODEL_SHA256 are its weights, SAPPHIRE_WEIGHTS the shared
        folder. SAPPHIRE_ADAPTERS ("OWNER/NAME@REVISION:SHA256", with blanks between), SAPPHIRE_ADAPTER_RANK,
        SAPPHIRE_GPU_SHARE, SAPPHIRE_MODEL_LENGTH, _SEQUENCES, _QUANTIZATION, _DEVICE and _PORT are the other
        parameters, where they differ from what they are here.

        Raises
        ------
        ConfigError : something is missing, or cannot be meant.
        """
        root = variables.get("SAPPHIRE_WEIGHTS", "")
        if not Path(root).is_absolute():
            raise ConfigError("SAPPHIRE_WEIGHTS names no folder", expected="an absolute path", got=repr(root))
        given: dict[str, Any] = {
            "adapters": adapters_of(variables.get("SAPPHIRE_ADAPTERS", "")),
            "quantization": variables.get("SAPPHIRE_MODEL_QUANTIZATION", ""),
            "device": variables.get("SAPPHIRE_MODEL_DEVICE") or "gpu",
        }
        for field in fields(cls):
            name, number = _NUMBERS.get(field.name, ("", str))
            if not variables.get(name):
                continue
            try:
                given[field.name] = number(variables[name])
            except ValueError as error:
                raise ConfigError(
                    f"{name} is no number", expected=f"a number, such as {field.default}", got=str(error)
                ) from None
        return cls(weights_of(variables), Path(root), **given)

    @property
    def url(self) -> str:
        """Where it answers, on this machine."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def names(self) -> tuple[str, ...]:
        """What it serves, as requests name it: the model, then its adapters."""
        return (self.weights.repository, *(each.repository for each in self.adapters))

    def command(self) -> list[str]:
        """The words that run it, after what it needs was seen: a GPU with room, and weights and adapters that verify.

        Raises
        ------
        NotReady : this machine has no GPU.
        Refused : its share does not hold it; shows the table.
        ConfigError, MissingData, EvidenceRefused : as `verified`, `verified_adapter` and `ModelShape.read`.
        """
        available = device_memory(self.device)
        verified(self.weights, self.root)
        for each in self.adapters:
            verified_adapter(each, self.root, rank=self.rank)
        MemoryPlan(available, (self.memory(self.shape()),)).require()
        return self.words()

    def shape(self) -> ModelShape:
        """Its model's sizes, by the files; raises what `ModelShape.read` raises."""
        return ModelShape.read(self.weights.folder(self.root))

    def memory(self, shape: ModelShape) -> ServerMemory:
        """What it takes with a model of that shape."""
        return ServerMemory.of(
            self.weights.repository,
            shape,
            share=self.share,
            length=self.length,
            sequences=self.sequences,
            quantization=self.quantization,
            adapters=len(self.adapters),
            rank=self.rank,
        )

    def words(self) -> list[str]:
        """The words that run it. No code of a model's repository runs, and no sampling that a repository says."""
        shape = self.shape()
        words = ["vllm", "serve", str(self.weights.folder(self.root)), "--served-model-name", self.weights.repository]
        words += ["--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--load-format", "safetensors", "--dtype", "bfloat16", "--generation-config", "vllm", "--seed", "0"]
        words += ["--gpu-memory-utilization", f"{self.share:g}", "--max-model-len", str(self.length)]
        words += ["--max-num-seqs", str(self.sequences), "--max-num-batched-tokens", str(_STEP)]
        words += ["--kv-cache-memory-bytes", str(self.memory(shape).cache), "--enable-prefix-caching"]
        words += ["--structured-outputs-config", _STRUCTURED]
        if self.quantization and not shape.stored:
            words += ["--quantization", "fp8_per_channel"]
        if self.adapters:
            slots = str(len(self.adapters))
            words += ["--enable-lora", "--max-loras", slots, "--max-lora-rank", str(self.rank), "--lora-modules"]
            words += [f"{each.repository}={each.folder(self.root)}" for each in self.adapters]
        return words


def _require_among(what: str, value: object, those: tuple[object, ...]) -> None:
    if value not in those:
        known = ", ".join(str(each) for each in those if each != "")
        raise ConfigError(f"no {what}", expected=f"one of {known}", got=repr(value))
