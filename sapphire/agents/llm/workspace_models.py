"""What answers for models where nobody handed in anything: the workspace's recordings, its servers, the packaged model.

::

    [models]
    mode = "record"                       # live, record or replay
    recordings = "recordings/models"      # $SAPPHIRE_HOME/model-calls unless given
    servers = {"Qwen/Qwen3-8B" = "http://127.0.0.1:8000"}

SAPPHIRE_MODELS_MODE stands over the mode. Nothing is downloaded: a model that is neither packaged nor served is asked
for by name.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sapphire.agents.llm.backends import LanguageModel
from sapphire.agents.llm.default_model import PACKAGED
from sapphire.agents.llm.packaged import packaged_model
from sapphire.agents.models import Model
from sapphire.agents.recorder import Mode, Recorder
from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import home, settings

if TYPE_CHECKING:
    from sapphire.agents.llm.in_process import TransformersBackend
    from sapphire.agents.models import Backend

__all__ = ["MODE_VARIABLE", "backend_of", "workspace_recorder"]

MODE_VARIABLE: Final = "SAPPHIRE_MODELS_MODE"
"""Environment variable that stands over `models.mode` of the workspace."""
_FOLDER = "model-calls"


def workspace_recorder() -> Recorder:
    """The recorder that the settings of the workspace name; the same one while they stay the same.

    Raises
    ------
    ConfigError : a mode that there is not; or no workspace and no state folder.
    """
    section, folder = settings("models")
    mode = os.environ.get(MODE_VARIABLE) or str(section.get("mode", Mode.RECORD))
    if mode not in set(Mode):
        raise ConfigError(f"{MODE_VARIABLE} names no mode", expected=", ".join(Mode), got=repr(mode))
    named = section.get("recordings")
    calls = home() / _FOLDER if named is None else folder / str(named)
    return _recorder(calls.absolute(), mode, tuple(sorted(section.get("servers", {}).items())))


def backend_of(model: Model, base: Model | None, servers: dict[str, str]) -> Backend | None:
    """What runs a model here: the packaged one in process, a served one behind its server; None for any other.

    Parameters
    ----------
    model : that is asked.
    base : under it, where it is an adapter.
    servers : repository to address.
    """
    under = base or model
    if under.repository in servers:
        from sapphire.agents.llm.vllm_backend import VllmBackend

        adapters = () if base is None else (model,)
        return LanguageModel(VllmBackend(under, servers[under.repository], adapters=adapters), model)
    if model == PACKAGED:
        return LanguageModel(_packaged(), model)
    return None


@lru_cache(maxsize=8)
def _recorder(folder: Path, mode: str, servers: tuple[tuple[str, str], ...]) -> Recorder:
    def find(model: str, base: str | None) -> Backend | None:
        return backend_of(Model.parse(model), None if base is None else Model.parse(base), dict(servers))

    return Recorder(folder, find=find, mode=mode)


@lru_cache(maxsize=1)
def _packaged() -> TransformersBackend:
    from sapphire.agents.llm.in_process import TransformersBackend

    return TransformersBackend(PACKAGED, packaged_model())
