"""MCP Coordinator: views in, targets out, once for each closed bar.

In:    closed bars and the account's state (the bus), views of a release (its bento), a sizing that is handed in.
Out:   VIEW and HFT_SIGNAL messages with an end marker for each bar; one line of decisions.jsonl that says why.
       What is remembered from bar to bar (the newest belief of each symbol) stands in that line.
Never: sizes by itself, sends an order, trades a release whose evidence did not verify, decides a bar twice in two ways.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.coordination.bento import Bento
    from sapphire.coordination.coordinator import Coordinator, Duty
    from sapphire.coordination.decision_log import DecisionLog, last_decision, latest_decisions, may_hold
    from sapphire.coordination.decisions import Decision, Obstacle
    from sapphire.coordination.sizing import Account, Asked, Size, equity_atoms

_HOMES = {
    "bento": ("Bento",),
    "coordinator": ("Coordinator", "Duty"),
    "decision_log": ("DecisionLog", "last_decision", "latest_decisions", "may_hold"),
    "decisions": ("Decision", "Obstacle"),
    "sizing": ("Account", "Asked", "Size", "equity_atoms"),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Account",
    "Asked",
    "Bento",
    "Coordinator",
    "Decision",
    "DecisionLog",
    "Duty",
    "Obstacle",
    "Size",
    "equity_atoms",
    "last_decision",
    "latest_decisions",
    "may_hold",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
