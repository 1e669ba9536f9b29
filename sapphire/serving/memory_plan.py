"""How much of a GPU a server of a language model takes, by arithmetic from its configuration, and what fits on one GPU.

A server's share of the GPU holds, in bytes:

- weights: the matrices of each layer, 1 byte a parameter in FP8 and 2 in bfloat16, and norms and biases in bfloat16;
- embeddings: the table of tokens and the head over them, always bfloat16 (one table where the two are tied);
- adapters: a slot for each, in bfloat16: rank x (in + out) for each matrix, embeddings among them;
- cache: 2 x layers x key-value heads x head size x 2 bytes for each token that the sequences may hold;
- what a step works with (activations, graphs): half a gibibyte.

The process's own half gibibyte (the driver's context) lies outside of the share. Both are estimates, for steps of 2,048
tokens at most; `make bench-gpu` holds them against a GPU. Sizes of tensors are those of the families in `FAMILIES`;
another one is refused rather than guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from sapphire.domain.errors import ConfigError, MissingData, Refused

__all__ = ["CONTEXT", "FAMILIES", "FP8", "GIB", "WORKING", "MemoryPlan", "ModelShape", "ServerMemory"]

GIB: Final = 1 << 30
CONTEXT: Final = GIB // 2
"""Of a process that uses the GPU, outside of its share."""
WORKING: Final = GIB // 2
"""What a step of at most 2,048 tokens works with, inside of the share."""
FAMILIES: Final = ("llama", "mistral", "qwen2", "qwen3")
FP8: Final = "fp8"

_BF16 = 2
_BLOCK = 128
"""Tokens of a block of the cache: 16 on a GPU and 128 on a processor."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a dense transformer.

    Parameters
    ----------
    layers, hidden, intermediate, heads, kv_heads, head_size, vocabulary : as its configuration names them.
    is_tied : whether the head is the table of tokens.
    extras : parameters of norms and biases, in all.
    stored : what its files hold matrices in: "fp8", or "" for bfloat16.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    is_tied: bool = False
    extras: int = 0
    stored: str = ""

    @classmethod
    def read(cls, folder: Path) -> ModelShape:
        """The shape that `config.json` in `folder` says.

        Raises
        ------
        MissingData : there is no such file.
        ConfigError : a family or a quantization that is not known here, or a size that is none.
        """
        path = folder / "config.json"
        if not path.is_file():
            raise MissingData("no configuration of a model", expected=str(path))
        try:
            config = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ConfigError("a model's configuration is no JSON", expected=str(path), got=str(error)) from None
        return cls.of(config)

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> ModelShape:
        """The shape that a configuration says; raises what `read` raises."""
        family = config.get("model_type")
        if family not in FAMILIES:
            raise ConfigError(
                "the memory of this model is not known",
                expected="model_type " + ", ".join(FAMILIES),
                got=repr(family),
                next="name a model of one of these families",
            )
        heads = _size(config, "num_attention_heads")
        shape = cls(
            layers=_size(config, "num_hidden_layers"),
            hidden=_size(config, "hidden_size"),
            intermediate=_size(config, "intermediate_size"),
            heads=heads,
            kv_heads=_size(config, "num_key_value_heads", heads),
            head_size=_size(config, "head_dim", _size(config, "hidden_size") // heads),
            vocabulary=_size(config, "vocab_size"),
            is_tied=bool(config.get("tie_word_embeddings", False)),
            stored=_stored(config),
        )
        return replace(shape, extras=_extras(family, config, shape))

    @property
    def matrices(self) -> tuple[tuple[int, int], ...]:
        """(in, out) of the seven matrices of a layer."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = ((self.hidden, queries), (self.hidden, keys), (self.hidden, keys), (queries, self.hidden))
        wide = (self.hidden, self.intermediate)
        return (*attention, wide, wide, wide[::-1])

    @property
    def matrix_parameters(self) -> int:
        """Parameters of all layers' matrices."""
        return self.layers * sum(rows * columns for rows, columns in self.matrices)

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the table of tokens and of the head."""
        return self.vocabulary * self.hidden * (1 if self.is_tied else 2)

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.matrix_parameters + self.embedding_parameters + self.extras

    @property
    def cache_per_token(self) -> int:
        """Bytes of one token's keys and values, in bfloat16."""
        return 2 * self.layers * self.kv_heads * self.head_size * _BF16

    def weight_bytes(self, quantization: str = "") -> int:
        """Bytes of all but the embeddings.

        Parameters
        ----------
        quantization : "fp8", or "" for what the files hold.
        """
        each = 1 if FP8 in (quantization, self.stored) else _BF16
        return self.matrix_parameters * each + self.extras * _BF16

    def adapter_bytes(self, rank: int) -> int:
        """Bytes of the slot of one adapter of that rank at most."""
        layer = sum(rows + columns for rows, columns in self.matrices)
        return rank * (self.layers * layer + 2 * (self.vocabulary + self.hidden)) * _BF16


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """What one server takes, bytes.

    Parameters
    ----------
    name : of the server, for people.
    share : of the GPU, above 0 to 1.
    weights, embeddings, adapters, cache : see the module.
    """

    name: str
    share: float
    weights: int
    embeddings: int
    adapters: int
    cache: int

    @classmethod
    def of(
        cls,
        name: str,
        shape: ModelShape,
        *,
        share: float,
        length: int,
        sequences: int,
        quantization: str = "",
        adapters: int = 0,
        rank: int = 0,
    ) -> ServerMemory:
        """What a server of a model of that shape takes.

        Parameters
        ----------
        length : tokens of a sequence at most, prompt and answer.
        sequences : how many are worked on at once. The cache holds all of them at their full length.
        quantization : "fp8", or "" for what the files hold.
        adapters, rank : how many there are, and the highest rank among them.
        """
        tokens = sequences * -(-length // _BLOCK) * _BLOCK + _BLOCK  # vLLM keeps the first block for itself
        return cls(
            name=name,
            share=share,
            weights=shape.weight_bytes(quantization),
            embeddings=shape.embedding_parameters * _BF16,
            adapters=adapters * shape.adapter_bytes(rank),
            cache=tokens * shape.cache_per_token,
        )

    @property
    def inside(self) -> int:
        """What its share has to hold."""
        return self.weights + self.embeddings + self.adapters + self.cache + WORKING


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Servers on one GPU.

    Parameters
    ----------
    gpu : bytes of the GPU that a process may use (an L4 has 22 GiB).
    servers : those on it.
    """

    gpu: int
    servers: tuple[ServerMemory, ...]

    @property
    def fits(self) -> bool:
        """Whether each share holds its server, and the GPU all shares and contexts."""
        return not self._problem()

    def require(self) -> None:
        """Nothing where it fits.

        Raises
        ------
        Refused : it does not; shows the table.
        """
        problem = self._problem()
        if problem:
            raise Refused(
                f"{problem} ({self.gpu / GIB:.2f} GiB)",
                expected="shares that hold what their servers take, and half a GiB beside each",
                got=self.table(),
                next="fewer sequences, a shorter length, fewer adapters, FP8, or a GPU of its own",
            )

    def place(self, server: ServerMemory, *, instead_of: str) -> Literal["beside", "in turn"]:
        """How a new release gets onto the GPU: beside the old one where both fit, otherwise in its turn.

        Parameters
        ----------
        server : of the new release.
        instead_of : name of the old one's server, which ends afterwards ("beside") or before ("in turn").

        Raises
        ------
        ConfigError : no server has that name.
        Refused : it does not even fit in the old one's place; shows the table.
        """
        if instead_of not in (each.name for each in self.servers):
            raise ConfigError(
                "no such server on this GPU",
                expected=", ".join(each.name for each in self.servers) or "none is on it",
                got=instead_of,
            )
        if MemoryPlan(self.gpu, (*self.servers, server)).fits:
            return "beside"
        others: Sequence[ServerMemory] = [each for each in self.servers if each.name != instead_of]
        MemoryPlan(self.gpu, (*others, server)).require()
        return "in turn"

    def table(self) -> str:
        """A line for each server, GiB."""
        columns = ("weights", "embeddings", "adapters", "cache", "working", "together", "share")
        width = max(len(each) for each in ("server", *(server.name for server in self.servers)))
        lines = [f"{'server':<{width}}  " + "  ".join(f"{each:>10}" for each in columns)]
        for each in self.servers:
            parts = (each.weights, each.embeddings, each.adapters, each.cache, WORKING, each.inside)
            numbers = [*parts, each.share * self.gpu]
            lines.append(f"{each.name:<{width}}  " + "  ".join(f"{number / GIB:>10.2f}" for number in numbers))
        return "\n".join(lines)

    def _problem(self) -> str:
        for each in self.servers:
            if each.inside > each.share * self.gpu:
                return f"{each.name} does not fit in its share"
        if sum(each.share * self.gpu + CONTEXT for each in self.servers) > self.gpu:
            return "these servers do not fit together"
        return ""


def _size(config: Mapping[str, Any], name: str, otherwise: int | None = None) -> int:
    value = config.get(name)
    value = otherwise if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"a model's {name} is none", expected="a whole number above 0", got=repr(value))
    return value


def _stored(config: Mapping[str, Any]) -> str:
    about = config.get("quantization_config")
    if not about:
        return ""
    method = about.get("quant_method") if isinstance(about, Mapping) else about
    if method != FP8:
        raise ConfigError("the memory of this quantization is not known", expected="fp8 or none", got=repr(method))
    return FP8


def _extras(family: str, config: Mapping[str, Any], shape: ModelShape) -> int:
    """Norms: two of each layer and the last, and of each head where the family has them. Biases: as the family adds."""
    layer = 2 * shape.hidden
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    if family == "qwen3":
        layer += 2 * shape.head_size
    if family == "qwen2" or config.get("attention_bias"):
        layer += queries + 2 * keys + (0 if family == "qwen2" else shape.hidden)
    if config.get("mlp_bias"):
        layer += 2 * shape.intermediate + shape.hidden
    return shape.layers * layer + shape.hidden
