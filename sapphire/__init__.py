"""Sapphire: crypto trading agents from a notebook to production, decided by one engine all the way.

``import sapphire as sp`` gives the notebook its words (`sp.data`, `sp.agents`, `sp.study`, ...). Each is loaded when it
is first used, so that importing the package and asking the command for help stay quick.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what is loaded later, for editors and type checkers
    from IPython.core.interactiveshell import InteractiveShell

    from sapphire import (
        agents,
        coordination,
        data,
        domain,
        execution,
        lab,
        monitoring,
        portfolio,
        registry,
        research,
        serving,
        stack,
        statistics,
        telemetry,
    )
    from sapphire.agents import Agent
    from sapphire.domain import View, Window
    from sapphire.research import (
        combinatorial_purged,
        compare,
        costs,
        purged_k_fold,
        study,
        walk_forward,
    )

__version__ = "0.1.0"

_ROOMS = frozenset(
    {
        "agents",
        "coordination",
        "data",
        "domain",
        "execution",
        "lab",
        "monitoring",
        "portfolio",
        "registry",
        "research",
        "serving",
        "stack",
        "statistics",
        "telemetry",
    }
)
_NAMES = {
    "Agent": "sapphire.agents",
    "View": "sapphire.domain",
    "Window": "sapphire.domain",
    "combinatorial_purged": "sapphire.research",
    "compare": "sapphire.research",
    "costs": "sapphire.research",
    "purged_k_fold": "sapphire.research",
    "study": "sapphire.research",
    "walk_forward": "sapphire.research",
}

__all__ = [
    "Agent",
    "View",
    "Window",
    "__version__",
    "agents",
    "combinatorial_purged",
    "compare",
    "coordination",
    "costs",
    "data",
    "domain",
    "execution",
    "lab",
    "load_ipython_extension",
    "monitoring",
    "portfolio",
    "purged_k_fold",
    "registry",
    "research",
    "serving",
    "stack",
    "statistics",
    "study",
    "telemetry",
    "walk_forward",
]


if not TYPE_CHECKING:  # so that a type checker refuses a name that there is not

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return importlib.import_module(f"sapphire.{name}")
        if name in _NAMES:
            return getattr(importlib.import_module(_NAMES[name]), name)
        raise AttributeError(f"module 'sapphire' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)


def _show_short_errors() -> None:
    """In a notebook, let Sapphire's errors show the reader's own lines instead of the libraries'."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        from sapphire.lab.errors import show_short_errors

        show_short_errors(shell)


def load_ipython_extension(ipython: InteractiveShell) -> None:
    """Give the notebook its magics (`%load_ext sapphire`)."""
    from sapphire.lab.magics import register

    register(ipython)


_show_short_errors()
