"""Progress of long work: a bar on stderr in a terminal, one under the cell in a notebook, else nothing."""

from __future__ import annotations

import html
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from sapphire.domain.progress import Progress
from sapphire.registry.tracking import NOTEBOOK_VARIABLE

__all__ = ["progress"]

_EVERY_S = 0.1


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """A function to tell `(done, of, what)`; the bar goes away when the work is done."""
    with _under_the_cell(title) if _is_in_a_notebook() else _in_a_terminal(title) as on_progress:
        yield on_progress


def _is_in_a_notebook() -> bool:
    """Whether a notebook's kernel runs this and somebody is there: a notebook that is run as a report has a name."""
    ipython = sys.modules.get("IPython")
    shell: Any = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None and NOTEBOOK_VARIABLE not in os.environ


@contextmanager
def _under_the_cell(title: str) -> Iterator[Progress]:
    page: Any = import_module("IPython.display")
    handle, begun = page.DisplayHandle(), time.monotonic()
    handle.display(page.HTML(_bar(title, 0, 0, 0.0)))
    last = begun

    def on_progress(done: int, of: int, what: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _EVERY_S or done == of:
            last = now
            handle.update(page.HTML(_bar(what, done, of, now - begun)))

    try:
        yield on_progress
    finally:
        handle.update(page.HTML(""))


def _bar(what: str, done: int, of: int, spent_s: float) -> str:
    """A bar of the browser's own, which takes the theme's colours."""
    known = f' value="{done}" max="{of}"' if of else ""
    left = f", {spent_s / done * (of - done):.0f} s left" if done else ""
    counted = f"{done:,}/{of:,}{left}" if of else ""
    return f"<progress{known}></progress> {html.escape(what)} {counted}"


@contextmanager
def _in_a_terminal(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(title, total=None)

        def on_progress(done: int, of: int, what: str) -> None:
            bars.update(task, completed=done, total=of, description=what)

        yield on_progress
