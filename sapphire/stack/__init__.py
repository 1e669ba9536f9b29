"""Stack: what runs together on this machine, put together from the rooms below.

In:    a promoted release, a market, the settings of a run.
Out:   processes and the run folder that says what they did.
Never: decides, trades, or keeps a state of its own that the bus, a journal or a file of the run folder does not have.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.stack.folders import RunFolder
    from sapphire.stack.plan import ChosenRelease, Market, Plan
    from sapphire.stack.releases import choose_release, described
    from sapphire.stack.stack import Stack, run_bars

_HOMES = {
    "folders": ("RunFolder",),
    "plan": ("ChosenRelease", "Market", "Plan"),
    "releases": ("choose_release", "described"),
    "stack": ("Stack", "run_bars"),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["ChosenRelease", "Market", "Plan", "RunFolder", "Stack", "choose_release", "described", "run_bars"]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
