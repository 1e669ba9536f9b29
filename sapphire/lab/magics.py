"""Magics for notebooks: `%load_ext sapphire`, then `%%agent NAME` on top of a cell.

`%%agent momentum` writes the cell as `agents/momentum.py` of the workspace, loads the agent from that file and puts its
class into the notebook. Its function twin is `capture_agent`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.workspace import workspace
from sapphire.lab.errors import show_short_errors

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from sapphire.lab.cells import Captured

__all__ = ["register"]


def register(ipython: InteractiveShell, *, folder: Path | None = None) -> None:
    """Give a shell the magics, and errors in short.

    Parameters
    ----------
    ipython : the notebook's shell.
    folder : the workspace; where the notebook stands unless stated.
    """
    show_short_errors(ipython)
    shell: Any = ipython  # its own annotations do not describe these two calls

    def agent(line: str, cell: str) -> Captured:
        """Write this cell as an agent's file, and load it: %%agent NAME."""
        from sapphire.lab.cells import capture

        captured = capture(line, cell, folder or workspace())
        shell.push({captured.cls.__name__: captured.cls})
        return captured

    shell.register_magic_function(agent, magic_kind="cell", magic_name="agent")
