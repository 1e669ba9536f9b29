"""Views that were stated before: an agent that learns nothing says the same of the same window in every fold.

A walk forward shows most of its bars to the agent many times, once for each training window that holds them. While an
answer book is open (`Remembered.open`), `views_at` looks there before it asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.agents.agent import Agent
    from sapphire.domain.bars import Bars
    from sapphire.domain.views import View

    Book = dict[bytes, tuple[View, ...]]

__all__ = ["Remembered", "remembered_views"]

_AGENTS = 8
"""Books kept, of the agents that were asked last; one of 13,000 hourly windows of 2 symbols has some 10 MB."""


class Remembered:
    """Answers of agents about windows of one panel of bars, known by the open times that a window holds.

    Agents that learn, or that have a twin, are asked anew: the first say something else in each fold, the others are
    fast and are compared with their twin by surprise. An agent is known by its class, its methods and its parameters.
    """

    def __init__(self) -> None:
        self._books: OrderedDict[object, Book] = OrderedDict()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Look here first, for as long as the context lasts."""
        token = _OPEN.set(self)
        try:
            yield
        finally:
            _OPEN.reset(token)

    def book(self, agent: Agent) -> Book | None:
        """What this agent said before; None for one that has to be asked anew."""
        if agent.learns or agent.has_twin or agent.parts():
            return None
        key = (type(agent), type(agent).views, agent, repr(agent))  # 24 and 24.0 are equal, and two parameters
        try:
            book = self._books.setdefault(key, {})
        except TypeError:  # a parameter that cannot be hashed
            return None
        self._books.move_to_end(key)
        while len(self._books) > _AGENTS:
            self._books.popitem(last=False)
        return book


_OPEN: ContextVar[Remembered | None] = ContextVar("remembered", default=None)


def remembered_views(agent: Agent, bars: Bars, row: int, ask: Callable[[], list[View]]) -> list[View]:
    """What `agent` said of its window at the close of bar `row`, asked for by `ask` where that is not known."""
    remembered = _OPEN.get()
    book = None if remembered is None else remembered.book(agent)
    if book is None:
        return ask()
    window = bars.open_time_ns[max(0, row + 1 - agent.warmup) : row + 1].tobytes()
    if window not in book:
        book[window] = tuple(ask())
    return list(book[window])
