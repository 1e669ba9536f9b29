"""Sapphire: crypto trading agents from a notebook to production, decided by one engine all the way.

``import sapphire as sp`` gives the notebook its words (`sp.data`, `sp.agents`, `sp.study`, ...). Each is loaded when it
is first used, so that importing the package and asking the command for help stay quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"

__getattr__, __dir__, _exported = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", "load_ipython_extension", *_exported]


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
