"""Serving: releases behind HTTP, and the door that admits none without evidence.

In:    frozen releases and signed gate reports of a state folder; windows from callers or the shared cache of bars.
Out:   VIEW messages that carry the release's digest; its card; a readiness that golden outputs decide.
Never: serves a release whose files or gate report do not verify, answers before golden outputs match, fills in bars,
       batches requests, imports MLflow, sizes or sends an order.

Every name is loaded when it is first used, so that BentoML is loaded only where something is served.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.serving.admission import Admitted, admit
    from sapphire.serving.runner import Runner, Standing
    from sapphire.serving.service import ReleaseService, cpu_service
    from sapphire.serving.settings import Settings

_HOMES = {
    "admission": ("Admitted", "admit"),
    "runner": ("Runner", "Standing"),
    "service": ("ReleaseService", "cpu_service"),
    "settings": ("Settings",),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["Admitted", "ReleaseService", "Runner", "Settings", "Standing", "admit", "cpu_service"]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
