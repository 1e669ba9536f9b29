"""Answers: VIEW messages out of views, and what a caller is told when there are none.

An answer is finished bytes with a status: 200 views or a card, 400 a bad request, 403 a deliberate no, 429 too many at
once, 503 not now (not ready, bars that are not up to date, or no turn in time), 500 the agent failed. Every refusal
carries its error's four lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sapphire.domain.envelope import Envelope
from sapphire.domain.errors import BadMessage, SapphireError
from sapphire.domain.messages import ViewMessage, encode
from sapphire.domain.view_requests import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sapphire.domain.clocks import Clock
    from sapphire.domain.view_requests import CachedRequest, WindowRequest
    from sapphire.domain.views import View

__all__ = ["Answer", "Speaker", "answered", "refused"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the caller.

    Parameters
    ----------
    status : of HTTP.
    body : JSON in UTF-8.
    """

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says the views of one server process.

    Parameters
    ----------
    release : digest.
    producer : the process; another one after each start, because its sequence begins again.
    numbers : the sequence.
    clock : when it is said.
    """

    release: str
    producer: str
    numbers: Iterator[int]
    clock: Clock

    def messages(
        self, views: Sequence[View], as_of_ns: int, request: WindowRequest | CachedRequest
    ) -> list[ViewMessage]:
        """One VIEW message per view. The same view said again has the same message id."""
        trace_id = request.trace_id or f"{self.release[:12]}:{as_of_ns}"
        messages = []
        for view in views:
            envelope = Envelope(
                schema_id=ViewMessage.schema_of(view),
                message_id=f"{self.release}:{view.symbol}:{as_of_ns}",
                producer=self.producer,
                sequence=next(self.numbers),
                event_time_ns=as_of_ns,
                publish_time_ns=self.clock.now_ns(),
                trace_id=trace_id,
                causation_id=request.causation_id,
            )
            messages.append(ViewMessage.of(view, envelope))
        return messages


def answered(messages: Sequence[ViewMessage], *, release: str, universe: Sequence[str], skill_failed: bool) -> Answer:
    """The views, each in its message's canonical bytes, and the symbols that the release is silent about.

    `skill_failed` marks a release that did not show an edge, as everywhere it is shown.
    """
    spoken = {message.symbol for message in messages}
    about = {
        "schema": VIEWS,
        "release": release,
        "silent": [symbol for symbol in universe if symbol not in spoken],
        "skill_failed": skill_failed,
    }
    head = json.dumps(about, sort_keys=True, separators=(",", ":")).encode()
    return Answer(200, head[:-1] + b',"views":[' + b",".join(map(encode, messages)) + b"]}")


def refused(error: SapphireError, status: int) -> Answer:
    """The error's four lines, and each of them by itself."""
    facts: dict[str, Any] = {
        "error": str(error),
        "type": type(error).__name__,
        "what": error.what,
        "expected": error.expected,
        "got": error.got,
        "next": error.next,
    }
    if isinstance(error, BadMessage):
        facts["field"] = error.field
    return Answer(status, json.dumps(facts, sort_keys=True, separators=(",", ":")).encode())
