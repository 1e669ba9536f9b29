"""An agent's own source: what it is identified by, and what a release freezes.

The text is taken when the class is made, so it is the code that runs, whatever happens to the file afterwards.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from weakref import WeakKeyDictionary

from sapphire.domain.errors import AgentError

__all__ = ["Source", "digest_of", "remember_source", "source_of"]

MODULE_SOURCE = "__agent_source__"
"""The name under which a module that was made from text keeps that text."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file.

    Parameters
    ----------
    name : file name without its folder, "moving_average.py".
    text : everything in it.
    """

    name: str
    text: str

    @property
    def digest(self) -> str:
        """sha256 of the file's bytes; `sha256sum` shows the same."""
        return hashlib.sha256(self.text.encode()).hexdigest()


_SOURCES: WeakKeyDictionary[type, Source] = WeakKeyDictionary()


def remember_source(cls: type) -> None:
    """Take the text of the file that is just making `cls`; a class made elsewhere (a notebook's cell) has none."""
    module = sys.modules.get(cls.__module__)
    source = _text_of(module) if module is not None else None
    if source is not None:
        _SOURCES[cls] = source


def source_of(cls: type) -> Source:
    """The file that made `cls`.

    Raises
    ------
    AgentError : it was not made by a file.
    """
    source = _SOURCES.get(cls)
    if source is None:
        raise AgentError(
            f"the source of {cls.__name__} cannot be had",
            expected="a class that was made by a file, so that what ran can be named and released",
            got=f"a class of {cls.__module__}",
            next=f"put %%agent {cls.__name__.lower()} on top of its cell, or the class into a file of agents/",
        )
    return source


def digest_of(sources: Iterable[Source]) -> str:
    """One sha256: a lone file's own, otherwise that of the lines "digest  name" of them all, sorted."""
    each = sorted({f"{source.digest}  {source.name}\n" for source in sources})
    if len(each) == 1:
        return each[0].split(" ", 1)[0]
    return hashlib.sha256("".join(each).encode()).hexdigest()


def _text_of(module: ModuleType) -> Source | None:
    file = getattr(module, "__file__", None)
    if file is None or not str(file).endswith(".py"):
        return None
    path = Path(file)
    text = getattr(module, MODULE_SOURCE, None)
    if text is None:
        try:
            text = path.read_text("utf-8")
        except OSError:  # an importer without files: the class has no source that can be shown
            return None
    return Source(path.name, str(text))
