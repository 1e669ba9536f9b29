"""Proof: what the gates let through, where it is known what is there.

In:    markets without an edge and markets with a planted one, and agents that trade on them.
Out:   how often each skill gate passed, beside the rate computed for that number of trials and their correlation.
Never: touches the ledger of the state folder, changes a gate, or widens an interval to hold what was observed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.research.proof.running import prove
    from sapphire.research.proof.settings import Settings
    from sapphire.research.proof.verdicts import Proof

__all__ = ["Proof", "Settings", "prove"]

_HOMES = {"Proof": "verdicts", "Settings": "settings", "prove": "running"}


def __getattr__(name: str) -> object:
    """Load what is asked for, when it is asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
