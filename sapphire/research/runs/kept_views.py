"""What agents without a twin answered of windows, from one kernel to the next.

The name of a file holds the agent's captured source with its helpers, its class and parameters, the bars, and all that
computes (`kept`). What no digest can hold, a file that the agent reads or a name that was changed in its module, is
looked for when a book comes from the disk: the agent is asked anew about windows that nobody foresees (`Remembered`).
Arrays hold numbers alone: answers with a note beside a view are kept for one kernel and not written.
"""

from __future__ import annotations
import __future__

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.agents import Agent, code_digest, plain_parameters
from sapphire.agents.models import Model
from sapphire.agents.sources import code_of
from sapphire.agents.view_panels import numbers_of
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import SapphireError
from sapphire.domain.views import View
from sapphire.research.runs.kept import KeptFiles, digest_of_bars, kept_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from sapphire.agents.remembered import Answers
    from sapphire.domain.bars import Bars

__all__ = ["KeptViews"]

_FORM = 1


@dataclass(frozen=True, slots=True, eq=False)
class KeptViews:
    """Answers about windows of some bars, in the state folder."""

    bars: Bars

    def load(self, agent: Agent) -> Answers:
        """What the agent answered in an earlier kernel; empty where that is not known."""
        path = self._path(agent)
        data = None if path is None else _files().read(path)
        if data is None:
            return {}
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return _answers({name: arrays[name] for name in arrays.files}, self.bars.symbols, agent.horizon)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, SapphireError):  # cut off, or written by another
            return {}

    def save(self, agent: Agent, answers: Answers) -> None:
        """Keep what it answered, where arrays can hold it."""
        path = self._path(agent)
        arrays = None if path is None else _arrays(answers, self.bars.symbols)
        if path is None or arrays is None or _answers(arrays, self.bars.symbols, agent.horizon) != answers:
            return
        data, named = io.BytesIO(), dict[str, Any](arrays)
        np.savez(data, **named)
        _files().write(path, data.getvalue())

    def _path(self, agent: Agent) -> Path | None:
        """None for an agent whose answers no digest can stand for."""
        try:
            if not _is_as_written(type(agent)) or any(isinstance(of, Model) for of in agent.parameters().values()):
                return None
            about = {
                "form": _FORM,
                "class": type(agent).__qualname__,
                "code": code_digest(agent),
                "parameters": plain_parameters(agent),
                "written": repr(agent),  # 24 and 24.0
                "warmup": agent.warmup,
                "features": agent.features,
                "bars": digest_of_bars(self.bars),
            }
        except SapphireError:
            return None
        return _files().path(about)


def _files() -> KeptFiles:
    return kept_files("views", ".npz")


def _is_as_written(cls: type[Agent]) -> bool:
    """Whether the methods of a class are those of its captured source: a notebook can give it others."""
    for each in cls.__mro__:
        if not issubclass(each, Agent) or each is Agent:
            continue
        file = code_of(each).file
        # an agent's file is run with the annotations of the platform's own files, a module of Python's with its own
        flags = (0, __future__.annotations.compiler_flag)
        texts = [compile(file.text, file.name, "exec", flags=each, dont_inherit=True) for each in flags]
        written = {code for text in texts for code in _codes_in(text)}
        for name, value in vars(each).items():
            if name.startswith("__"):  # the dataclass decorator made them, in no file
                continue
            live = (value, getattr(value, "fget", None), getattr(value, "__func__", None))
            codes = [getattr(found, "__code__", None) for found in live]
            if any(isinstance(code, CodeType) and code not in written for code in codes):
                return False
    return True


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes_in(each)


def _arrays(answers: Answers, symbols: tuple[str, ...]) -> dict[str, NDArray[Any]] | None:
    """Answers as arrays; None where there is no view at all to take the names of the numbers from."""
    names = next((list(numbers_of(view)) for views in answers.values() for view in views), None)
    if names is None:
        return None
    columns = {symbol: column for column, symbol in enumerate(symbols)}
    values = np.full((len(answers), len(symbols), len(names)), np.nan)
    as_of = np.zeros(len(answers), dtype=np.int64)
    for row, views in enumerate(answers.values()):
        for view in views:
            numbers = numbers_of(view)
            if list(numbers) != names or view.symbol not in columns:
                return None
            values[row, columns[view.symbol]] = list(numbers.values())
            as_of[row] = to_ns(view.as_of)
    windows = np.frombuffer(b"".join(answers), dtype=np.uint8).reshape(len(answers), -1)
    text = np.frombuffer(json.dumps(names).encode(), dtype=np.uint8)
    return {"windows": windows, "as_of_ns": as_of, "values": values, "names": text}


def _answers(arrays: dict[str, NDArray[Any]], symbols: tuple[str, ...], horizon: timedelta) -> Answers:
    names = json.loads(arrays["names"].tobytes())
    levels = [float(name[1:]) for name in names] if names[0].startswith("q") else None
    found: Answers = {}
    for window, as_of_ns, values in zip(arrays["windows"], arrays["as_of_ns"], arrays["values"].tolist(), strict=True):
        views = []
        at = from_ns(int(as_of_ns))
        for symbol, numbers in zip(symbols, values, strict=True):
            if numbers[0] == numbers[0]:  # not NaN: it spoke
                given = dict(zip(names, numbers, strict=True)) if levels is None else {}
                quantiles = None if levels is None else dict(zip(levels, numbers, strict=True))
                views.append(View(symbol, at, horizon, quantiles_bps=quantiles, **given))
        found[window.tobytes()] = tuple(views)
    return found
