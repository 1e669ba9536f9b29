"""The reader's own lines in an error: where their code went wrong, without the libraries' part of the way there."""

from __future__ import annotations

import dis
import linecache
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from types import CodeType, FunctionType
from typing import Any

from sapphire.agents.sources import MODULE_SOURCE

__all__ = ["lines_of_error", "lines_of_returns", "place_in"]

_BEFORE = 2
_PLACES = 3
_LIBRARIES = tuple(
    {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(__file__).resolve().parents[1])}
)


def lines_of_error(error: BaseException, *, cell: Callable[[str], str | None] = lambda _: None) -> str:
    """The reader's own lines that an error came through, the deepest last and with those before it.

    A place such as "momentum.py, line 15, in views", and below it numbered lines of which one has an arrow; empty where
    nothing of the reader's was on the way.

    Parameters
    ----------
    cell : the name of a notebook's cell by the file that its code says it is of; None of what is no cell.
    """
    seen = []
    for frame, line in walk_tb(error.__traceback__):
        code, name = frame.f_code, cell(frame.f_code.co_filename)
        if name is not None or _is_own(code.co_filename, frame.f_globals):
            seen.append((_place(code, line, name), _text_of(code.co_filename, frame.f_globals), line))
    shown = [*seen[:1], *seen[-_PLACES:]] if len(seen) > _PLACES else seen
    return "\n".join(
        _excerpt(place, text, [line], before=_BEFORE if number == len(shown) else 0)
        for number, (place, text, line) in enumerate(shown, start=1)
    )


def lines_of_returns(method: object) -> str:
    """The lines at which a method or property gives its answer; empty where it is a library's."""
    function = method.fget if isinstance(method, property) else method
    if not isinstance(function, FunctionType) or not _is_own(function.__code__.co_filename, function.__globals__):
        return ""
    code = function.__code__
    instructions = [each for each in dis.get_instructions(code) if each.opname.startswith("RETURN_")]
    lines = sorted({each.positions.lineno for each in instructions if each.positions and each.positions.lineno})
    if not lines:
        return ""
    text = _text_of(code.co_filename, function.__globals__)
    return _excerpt(_place(code, lines[0]), text, lines[:_PLACES])


def place_in(lines: str) -> str:
    """The deepest place that such lines name."""
    places = [line for line in lines.splitlines() if not line.startswith(" ")]
    return places[-1] if places else ""


def _excerpt(place: str, text: str, marked: list[int], *, before: int = 0) -> str:
    """A place and its lines of code, each with an arrow, with some lines before a single one."""
    source = text.splitlines()
    shown = sorted({*marked, *range(max(1, marked[0] - before), marked[0])})
    numbered = [
        f"{'--->' if number in marked else '':>5} {number:>3}  {source[number - 1]}".rstrip()
        for number in shown
        if number <= len(source)
    ]
    return "\n".join([place, *numbered])


def _place(code: CodeType, line: int, file: str | None = None) -> str:
    name = f", in {code.co_name}" if not code.co_name.startswith("<") else ""
    return f"{file or Path(code.co_filename).name}, line {line}{name}"


def _is_own(file: str, seen: dict[str, Any]) -> bool:
    """Whether a frame is of an agent's file or of a module beside it: no library's, and nothing that was generated."""
    if MODULE_SOURCE in seen:
        return file == seen.get("__file__")
    if file.startswith("<") or str(seen.get("__name__", "")).partition(".")[0] == "sapphire":
        return False
    return Path(file).is_absolute() and not _in_a_library(file)


def _in_a_library(file: str) -> bool:
    path = str(Path(file).resolve())
    installed = "site-packages" in path or "dist-packages" in path
    return installed or path.startswith(_LIBRARIES) or file.startswith(sys.base_prefix + "/lib/python")


def _text_of(file: str, seen: dict[str, Any]) -> str:
    """What ran: the text that a module keeps, since its file may have changed."""
    if MODULE_SOURCE in seen and file == seen.get("__file__"):
        return str(seen[MODULE_SOURCE])
    return "".join(linecache.getlines(file, seen))
