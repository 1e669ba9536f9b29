"""Known models: what a release has to say of a model beside its name: licence, type, and until when it may know.

The packaged model is known here. Of any other the workspace says it, in `models.toml` beside `sapphire.toml`:

::

    ["Qwen/Qwen3-8B@9c925d64d72725edaf899c6cb9c377fd0709d9c5"]
    dtype = "fp8"
    runtime = "vllm"
    licence = "Apache-2.0"
    published = 2025-04-28
    knowledge_cutoff = 2024-10-31        # left out where its makers do not state it
"""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Final

from sapphire.agents.llm.default_model import EMBEDDED_DEFAULT, PACKAGED
from sapphire.agents.models import Model
from sapphire.domain.artefacts import Artefact
from sapphire.domain.errors import ConfigError, ValueRefused
from sapphire.domain.workspace import find_workspace

__all__ = ["KNOWN_MODELS_FILE", "artefacts_of", "model_kind"]

KNOWN_MODELS_FILE: Final = "models.toml"
"""In the workspace: what is known of models that are not packaged."""
_PACKAGED: Final[dict[str, Any]] = {
    "dtype": "bfloat16",
    "runtime": "transformers",
    "licence": "Apache-2.0",
    "published": date(2025, 2, 7),
}
_KEYS: Final = {"dtype", "runtime", "licence", "published", "knowledge_cutoff"}


def model_kind(model: Model) -> str:
    """What views say of the model behind them: "embedded-default" of the packaged one, "named" of any other."""
    return EMBEDDED_DEFAULT if model == PACKAGED else "named"


def artefacts_of(model: Model, adapter: Model | None = None) -> tuple[Artefact, ...]:
    """The model as a release names it, and the adapter that is asked on it, if any.

    Raises
    ------
    ConfigError : nobody says what is known of one of them, or what is said cannot be meant.
    """
    base = _artefact(model, adapter=None if adapter is None else str(adapter))
    return (base,) if adapter is None else (base, _artefact(adapter))


def _artefact(model: Model, adapter: str | None = None) -> Artefact:
    facts = _PACKAGED if model == PACKAGED else _written(model)
    name: dict[str, Any] = {"repository": model.repository, "revision": model.revision, "sha256": model.sha256}
    try:
        return Artefact(**name, **facts, adapter=adapter)
    except (TypeError, ValueRefused) as error:
        raise ConfigError(
            f"what {KNOWN_MODELS_FILE} says of {model.repository}@{model.revision} cannot be meant",
            expected="dtype, runtime, licence, published (a day) and, where it is known, knowledge_cutoff",
            got=str(error),
        ) from None


def _written(model: Model) -> dict[str, Any]:
    key, folder = f"{model.repository}@{model.revision}", find_workspace()
    path = None if folder is None else folder / KNOWN_MODELS_FILE
    found = _read(path) if path is not None and path.is_file() else {}
    facts = found.get(key)
    if not isinstance(facts, dict) or set(facts) - _KEYS:
        raise ConfigError(
            f"nobody says what {key} may know",
            expected=f'["{key}"] in {KNOWN_MODELS_FILE} of the workspace, with {", ".join(sorted(_KEYS))}',
            got=", ".join(found) or "no such file" if facts is None else ", ".join(facts),
            next="its model card says it: licence, the day its revision was published, the end of its training data",
        )
    return facts


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{KNOWN_MODELS_FILE} is not TOML", expected="key = value", got=str(error)) from None
