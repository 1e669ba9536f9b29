"""Lab: what makes JupyterLab Sapphire's own, and the verbs that compose the rooms.

In:    cells, notebooks, the workspace.
Out:   agents captured from cells as files of the workspace; notebooks that were run; the demo.
Never: decides anything, keeps state of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.lab.cells import Captured, capture, capture_agent
    from sapphire.lab.magics import register

_LAZY = {"Captured": "cells", "capture": "cells", "capture_agent": "cells", "register": "magics"}

__all__ = ["Captured", "capture", "capture_agent", "register"]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
