"""Turns: one request after the other in a thread of its own, so that the event loop answers probes meanwhile.

A release has one worker, which is asked one thing at a time. So many requests may be inside, and one more is told so at
once. Whoever gives up while waiting gives up the place; a forward pass that has begun is carried to its end, or to the
worker's own deadline, before the next one begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sapphire.domain.errors import NotReady

__all__ = ["PLACES", "TURN_WITHIN_S", "Turns"]

PLACES = 16
"""Requests that may be inside at once, the one that is being worked on among them."""
TURN_WITHIN_S = 25.0
"""How long a request may wait for its turn: a little less than who asks waits for the answer."""

_T = TypeVar("_T")


class Turns:
    """A bounded queue before one thread. Used from one event loop.

    Parameters
    ----------
    places : requests that may be inside at once.
    turn_within_s : how long one may wait for its turn, in seconds.
    """

    def __init__(self, *, places: int = PLACES, turn_within_s: float = TURN_WITHIN_S) -> None:
        self._places, self._within_s = places, turn_within_s
        self._inside, self._ending = 0, False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ask-release")

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those inside, kept for the length of the block.

        Raises
        ------
        NotReady : all are taken.
        """
        if self._inside >= self._places:
            raise NotReady(
                "too many requests at once",
                expected=f"at most {self._places} inside: one is answered, the others wait their turn",
                got=f"{self._places} inside and one more",
                next="ask again in a moment",
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def take(self, work: Callable[[], _T]) -> _T:
        """Do `work` in the thread when its turn comes; gives what it gives and raises what it raises.

        Raises
        ------
        NotReady : its turn did not come in time, or nothing is begun any more; `work` was not begun.
        """
        if self._ending:
            raise NotReady("the server is ending", expected="a server that goes on", next="ask again")
        place = self._thread.submit(work)
        answer = asyncio.wrap_future(place)
        try:
            done, _ = await asyncio.wait({answer}, timeout=self._within_s)
            if not done and place.cancel():
                raise NotReady(
                    "the request did not get its turn",
                    expected=f"the requests before it answered within {self._within_s:g} s",
                    got=f"{self._inside} requests inside",
                    next="ask again; /metrics shows how long requests take",
                )
            return await answer
        finally:
            answer.cancel()  # where nobody waits any more: its place is free unless it has begun

    def close(self) -> None:
        """Wait until what has begun is done; what waits is dropped."""
        self._ending = True
        self._thread.shutdown(wait=True, cancel_futures=True)
