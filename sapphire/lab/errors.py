"""Errors in a notebook: the reader's own lines first, then what Sapphire says of them, and no frames of libraries.

`%tb` shows the whole traceback all the same; so does `%debug`.
"""

from __future__ import annotations

import re
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sapphire.agents.own_lines import lines_of_error
from sapphire.domain.errors import SapphireError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["short_error", "show_short_errors"]

_BOLD, _PLAIN = "\x1b[1m", "\x1b[22m"  # a red would be hard to read on the page's own
_WHOLE = "%tb shows the whole traceback"
_MAGIC = re.compile(r"get_ipython\(\)\.run_cell_magic\('(\w+)', '([^']*)',.*")


def show_short_errors(shell: InteractiveShell) -> None:
    """Let a shell show Sapphire's errors in short; a handler that somebody else has set there stays."""
    if not shell.custom_exceptions:
        shell.set_custom_exc((SapphireError,), _show)  # type: ignore[no-untyped-call]


def short_error(shell: Any, value: SapphireError) -> list[str]:
    """The lines of an error: those of cells and files of the reader that it came through, then its own."""
    name, _, words = str(value).partition(":")
    own = _MAGIC.sub(r"%%\1 \2", lines_of_error(value, cell=lambda file: _cell(shell, file)))
    parts = (own, value.lines, f"{_BOLD}{name}{_PLAIN}:{words}", _WHOLE)
    return "\n\n".join(part for part in parts if part).split("\n")


def _show(
    shell: Any, etype: type[SapphireError], value: SapphireError, tb: TracebackType, tb_offset: int | None = None
) -> list[str]:
    """See IPython's `set_custom_exc`."""
    sys.last_type, sys.last_value, sys.last_traceback = etype, value, tb  # what %tb shows
    shown = short_error(shell, value)
    shell._showtraceback(etype, value, shown)
    return shown


def _cell(shell: Any, file: str) -> str | None:
    """A cell's name, "Cell In[3]"; None of what is none."""
    place = shell.compile.format_code_name(file)
    return None if place is None else " ".join(place)
