"""Workers: processes in which an agent's captured code runs, and from which it cannot reach anything but its windows.

In:    the code of a release, training bars, windows of closed bars.
Out:   what was learned, views of one window after the other, panels of a twin, the verdicts of the leak checks.
Never: holds a bar that closes after the window that is being asked, opens a file or a socket once it is warm, shares
       memory with who asks it.

An agent that looks for the future finds none: the next window is sent when the views of this one are there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.agents.worker.asking import Asked, TwinSample, ask_panel
    from sapphire.agents.worker.release_worker import ReleaseWorker, learned_by
    from sapphire.agents.worker.worker import Worker

_LAZY = {
    "Asked": "asking",
    "ReleaseWorker": "release_worker",
    "TwinSample": "asking",
    "Worker": "worker",
    "ask_panel": "asking",
    "learned_by": "release_worker",
}

__all__ = ["Asked", "ReleaseWorker", "TwinSample", "Worker", "ask_panel", "learned_by"]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562): a worker process needs none of them."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
