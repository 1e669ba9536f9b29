"""The part that sends notices, as the supervisor keeps it, and the settings file that it is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sapphire.domain.errors import ConfigError
from sapphire.domain.intervals import Interval
from sapphire.domain.workspace_settings import NOTICE_SHAPES
from sapphire.execution.bus_users import NOTICES
from sapphire.execution.parts import Part
from sapphire.stack.folders import RunFolder
from sapphire.stack.notices.notice import About
from sapphire.stack.notices.receivers import receiver_sources
from sapphire.stack.plan import Plan
from sapphire.telemetry.secret_files import write_secret

__all__ = ["notices_parts", "read_config"]

_KEYS = {"bus_url", "run", "about", "quote", "interval_ns", "anew", "sources"}


def notices_parts(plan: Plan, folder: RunFolder, bus_url: str) -> list[Part]:
    """The part, where `sapphire.toml` names somebody to tell.

    Its settings are written; the bus's password is in them, and no address of a receiver.

    None in lock-step: a run that is driven bar by bar has somebody who looks on.

    Raises
    ------
    ConfigError : settings that cannot be meant.
    """
    sources = {} if plan.is_lockstep else receiver_sources()
    if not sources.keys() & set(NOTICE_SHAPES):
        return []
    path = folder.settings(NOTICES)
    config = {
        "bus_url": bus_url,
        "run": str(plan.run),
        "about": About.of(plan.as_dict()).line,
        "quote": plan.quote,
        "interval_ns": Interval(plan.interval).ns,
        "anew": not folder.journal.exists(),
        "sources": sources,
    }
    write_secret(path, json.dumps(config, indent=1) + "\n")
    command = (sys.executable, "-m", "sapphire.stack.notices.part", "--config", str(path))
    return [Part(name=NOTICES, command=command, log=folder.log(NOTICES), needs=("bus",), is_optional=True)]


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a file, by the keys with which `notices_parts` writes them.

    Raises
    ------
    ConfigError : no such file, or another content.
    """
    try:
        config: dict[str, Any] = json.loads(path.read_bytes())
        missing = _KEYS - config.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"settings in {path}", expected="what sapphire up writes", got=str(error)) from None
    if missing:
        raise ConfigError(f"settings in {path}", expected=", ".join(sorted(_KEYS)), got=f"no {', '.join(missing)}")
    return config
