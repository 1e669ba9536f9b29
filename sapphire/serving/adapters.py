"""Adapters: small matrices that are added to a large model's own, in peft's layout, by digest like any weights.

::

    FOLDER/OWNER--NAME/REVISION/    adapter_config.json, adapter_model.safetensors

A server is given the adapters that it may serve when it starts, and none later.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from sapphire.domain.errors import ConfigError, EvidenceRefused
from sapphire.serving.weights import Weights, verified

__all__ = ["RANKS", "adapters_of", "verified_adapter"]

RANKS: Final = (8, 16, 32, 64)
"""Highest ranks that a server may be set up for; vLLM's slots have one of these sizes."""
_NAMED = re.compile(r"([^\s@:]+)@([0-9a-f]+):([0-9a-f]+)", re.ASCII)


def adapters_of(text: str) -> tuple[Weights, ...]:
    """The adapters that a variable names: "OWNER/NAME@REVISION:SHA256", as many as there are, with blanks between.

    Raises
    ------
    ConfigError : one that is none, or a repository that is named twice.
    """
    found = []
    for each in text.split():
        named = _NAMED.fullmatch(each)
        if named is None:
            raise ConfigError("no adapter", expected="OWNER/NAME@REVISION:SHA256", got=repr(each))
        found.append(Weights(*named.groups()))
    names = [each.repository for each in found]
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise ConfigError("an adapter is named twice", expected="one revision of each", got=", ".join(twice))
    return tuple(found)


def verified_adapter(adapter: Weights, root: Path, *, rank: int) -> Path:
    """The folder of an adapter that is there, is the one that is named, and fits in a server's slots.

    Parameters
    ----------
    rank : of the slots.

    Raises
    ------
    EvidenceRefused : it holds what no server of ours reads, a pickle say.
    ConfigError : it is no LoRA adapter, or of a higher rank.
    ConfigError, MissingData, EvidenceRefused : as `verified`.
    """
    folder = verified(adapter, root)
    if not (folder / "adapter_model.safetensors").is_file():
        raise EvidenceRefused(
            f"{adapter.repository} has no weights that can be read without running code",
            expected="adapter_model.safetensors",
            got=", ".join(sorted(path.name for path in folder.iterdir())),
            next="save it again with peft, which writes safetensors",
        )
    highest = _rank(adapter, folder / "adapter_config.json")
    if highest > rank:
        raise ConfigError(
            f"{adapter.repository} does not fit in a slot",
            expected=f"rank {rank} or less",
            got=f"rank {highest}",
            next=f"SAPPHIRE_ADAPTER_RANK, one of {', '.join(map(str, RANKS))}",
        )
    return folder


def _rank(adapter: Weights, path: Path) -> int:
    try:
        config = json.loads(path.read_text("utf-8"))
        if config["peft_type"] != "LORA":
            raise ValueError(f"peft_type {config['peft_type']!r}")
        return max(int(each) for each in (config["r"], *(config.get("rank_pattern") or {}).values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{adapter.repository} is no LoRA adapter",
            expected="adapter_config.json with peft_type LORA and a rank r",
            got=f"{type(error).__name__}: {error}",
        ) from None
