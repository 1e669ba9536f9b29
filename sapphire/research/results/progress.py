"""Progress of long work, on stderr: a bar in a terminal and in a notebook, nothing where neither looks on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.research.runs.walking import Told

__all__ = ["progress"]


@contextmanager
def progress(title: str) -> Iterator[Told]:
    """A function to tell `(done, of, what)`; the bar goes away when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)

        def told(done: int, of: int, what: str) -> None:
            bars.update(task, completed=done, total=of, description=what)

        yield told
