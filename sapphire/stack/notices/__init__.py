"""Notices: what a person should hear of without looking, sent to the webhooks that `sapphire.toml` names.

In:    what a run says anyway: the bus's executions, the coordinator's decisions, the supervisor's `stack.json`.
Out:   HTTP requests to receivers, and `notices_state.json`: how far was read, what waits, what did not arrive.
Never: is waited for by anything that trades; repeats an address; loses a message without counting and saying so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.stack.notices.notice import About, Notice
    from sapphire.stack.notices.outbox import Outbox
    from sapphire.stack.notices.receivers import Receiver, read_receivers
    from sapphire.stack.notices.watch import Watch

_LAZY = {
    "About": "notice",
    "Notice": "notice",
    "Outbox": "outbox",
    "Receiver": "receivers",
    "Watch": "watch",
    "read_receivers": "receivers",
}

__all__ = ["About", "Notice", "Outbox", "Receiver", "Watch", "read_receivers"]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
