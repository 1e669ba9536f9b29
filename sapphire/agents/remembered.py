"""Views that were stated before: an agent that learns nothing says the same of the same window in every fold.

A walk forward shows most of its bars to the agent many times, once for each training window that holds them. While an
answer book is open (`Remembered.open`), `views_at` looks there before it asks. Books can be kept on the disk as well;
there one is believed only after the agent, asked anew about windows that nobody foresees, answered the same.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from sapphire.agents.agent import Agent
    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View

    Asked = Callable[[int], list[View]]
    AskedMany = Callable[[Sequence[int]], list[list[View]]]

__all__ = ["Answers", "KeptAnswers", "Remembered", "remembered_batch", "remembered_views"]

_AGENTS = 8
"""Books kept, of the agents that were asked last; one of 13,000 hourly windows of 2 symbols has some 10 MB."""
_PROVEN_BY = 8
"""Windows that the agent is asked about anew before a book from the disk is believed."""
_DICE = np.random.default_rng()

Answers = dict[bytes, tuple["View", ...]]
"""Digest of the open times that a window holds, to what was answered of it."""


class KeptAnswers(Protocol):
    """Where answers outlive a process."""

    def load(self, agent: Agent) -> Answers:
        """What the agent answered in an earlier process; empty where that is not known."""

    def save(self, agent: Agent, answers: Answers) -> None:
        """Keep what it answered."""


@dataclass(slots=True)
class _Book:
    agent: Agent
    answers: Answers
    kept: int
    proven: bool


@dataclass(eq=False)
class Remembered:
    """Answers of agents about windows of one panel of bars, known by the open times that a window holds.

    Agents that learn, or that have a twin, are asked anew: the first say something else in each fold, the others are
    fast and are compared with their twin by surprise. An agent is known by its class, its methods and its parameters.

    Parameters
    ----------
    files : where answers outlive this process; nowhere unless given.
    """

    files: KeptAnswers | None = None
    _books: OrderedDict[object, _Book] = field(default_factory=OrderedDict)
    _latest: tuple[Agent, object, _Book] | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Look here first, for as long as the context lasts."""
        token = _OPEN.set(self)
        try:
            yield
        finally:
            _OPEN.reset(token)
            self._save()

    def book(self, agent: Agent, bars: Bars, ask: Asked) -> Answers | None:
        """What this agent answered before; None for one that has to be asked anew.

        Parameters
        ----------
        ask : for its views at a row of `bars`.
        """
        if self._latest is not None and self._latest[0] is agent and self._latest[1] is type(agent).views:
            return self._latest[2].answers
        if agent.learns or agent.has_twin or agent.parts():
            return None
        key = (type(agent), type(agent).views, agent, repr(agent))  # 24 and 24.0 are equal, and two parameters
        try:
            book = self._books.get(key)
        except TypeError:  # a parameter that cannot be hashed
            return None
        if book is None:
            found = {} if self.files is None else self.files.load(agent)
            book = self._books[key] = _Book(agent, found, len(found), proven=not found)
        if not book.proven and not _answers_the_same(book.answers, agent, bars, ask):
            book.answers, book.kept = {}, 0
        book.proven = True
        self._books.move_to_end(key)
        self._latest = (agent, type(agent).views, book)
        while len(self._books) > _AGENTS:
            self._keep(self._books.popitem(last=False)[1])
        return book.answers

    def _save(self) -> None:
        self._latest = None
        for book in self._books.values():
            self._keep(book)

    def _keep(self, book: _Book) -> None:
        if self.files is not None and len(book.answers) != book.kept:
            self.files.save(book.agent, book.answers)
            book.kept = len(book.answers)


_OPEN: ContextVar[Remembered | None] = ContextVar("remembered", default=None)


def remembered_batch(agent: Agent, bars: Bars, rows: Sequence[int], ask: AskedMany) -> list[list[View]]:
    """What `agent` answered of its windows at the closes of some bars; what is not known is asked for together."""
    remembered = _OPEN.get()
    answers = None if remembered is None else remembered.book(agent, bars, lambda row: ask([row])[0])
    if answers is None:
        return ask(rows)
    windows = {row: _window(agent, bars, row) for row in rows}
    new = [row for row in rows if windows[row] not in answers]
    for row, views in zip(new, ask(new) if new else [], strict=True):
        answers[windows[row]] = tuple(views)
    return [list(answers[windows[row]]) for row in rows]


def remembered_views(agent: Agent, bars: Bars, row: int, ask: Asked) -> list[View]:
    """What `agent` answered of its window at the close of bar `row`, asked for by `ask` where that is not known."""
    remembered = _OPEN.get()
    answers = None if remembered is None else remembered.book(agent, bars, ask)
    if answers is None:
        return ask(row)
    window = _window(agent, bars, row)
    if window not in answers:
        answers[window] = tuple(ask(row))
    return list(answers[window])


def _window(agent: Agent, bars: Bars, row: int) -> bytes:
    times = bars.open_time_ns[max(0, row + 1 - agent.warmup) : row + 1]
    return hashlib.blake2b(times.tobytes(), digest_size=16).digest()


def _answers_the_same(answers: Answers, agent: Agent, bars: Bars, ask: Asked) -> bool:
    """Whether the agent says anew what a book holds, of some of these bars that are in it."""
    rows = _DICE.permutation(np.arange(agent.warmup - 1, len(bars)))
    known = [int(row) for row in rows if _window(agent, bars, int(row)) in answers][:_PROVEN_BY]
    return bool(known) and all(tuple(ask(row)) == answers[_window(agent, bars, row)] for row in known)
