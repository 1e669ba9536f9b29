"""A release's bento, as the coordinator asks it for what the release says at the close of a bar.

The bento is stateless and the answer a function of the bars in the cache, so it is asked again as often as it takes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sapphire.coordination.shadows import Shadow
from sapphire.domain.errors import MessageError, NotReady, Refused, SapphireError
from sapphire.domain.messages import ViewMessage, decode
from sapphire.domain.view_requests import VIEWS, CachedRequest
from sapphire.domain.views import View
from sapphire.telemetry.http_client import Answer, HttpClient

__all__ = ["Bento", "MemberAnswer", "ReleaseViews"]

_ANSWER_WITHIN_S = 30.0
_FAILED = 500
_FAILED_TIMES, _FAILED_PAUSE_S = 4, 0.1
"""How often a server is asked that fails without a word of ours, and the first pause; each is twice the last."""
_REFUSED_FOR_GOOD = "standing refused"
"""How a bento whose golden outputs differ says that asking again is of no use."""
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class MemberAnswer:
    """What came of asking one member at a close.

    Parameters
    ----------
    name : in the release.
    release : its digest.
    views : what it believes.
    silence : why it says nothing; None where it answered.
    shadow : why it is not heard; None where it is.
    """

    name: str
    release: str
    views: tuple[View, ...] = ()
    silence: SapphireError | None = None
    shadow: Shadow | None = None


@dataclass(frozen=True, slots=True)
class ReleaseViews:
    """What a release answered at a close.

    Parameters
    ----------
    views : at most one for each symbol, in the bento's order.
    silent : symbols that it says nothing about.
    members : of a pool whose members are served by themselves, what came of asking each.
    """

    views: tuple[ViewMessage, ...]
    silent: tuple[str, ...]
    members: tuple[MemberAnswer, ...] = ()


class Permit(Protocol):
    """What a release stands on: `registry.Permit`."""

    @property
    def refusal(self) -> Refused | None:
        """Why it does not hold now; None while it does."""
        ...


class Bento:
    """The bento of one release, asked only while its permit holds.

    Parameters
    ----------
    url : its address, "http://127.0.0.1:3000".
    release : digest of the release that it must serve.
    venue : whose bars in the shared cache it is to look at.
    permit : what decides whether the release may be asked; without one it is asked always.
    waits : called before a server that failed is asked again: who asks waits, and does not hang.

    Raises
    ------
    ConfigError : not an address.
    """

    def __init__(
        self,
        url: str,
        release: str,
        venue: str,
        permit: Permit | None = None,
        *,
        waits: Callable[[], None] = lambda: None,
    ) -> None:
        self._url, self._release, self._venue, self._permit = url, release, venue, permit
        self._waits = waits
        self._client = HttpClient(url, "the bento", within_s=_ANSWER_WITHIN_S)

    @property
    def refusal(self) -> Refused | None:
        """Why it is not asked now; None where it is."""
        return None if self._permit is None else self._permit.refusal

    def so_far(self, universe: Sequence[str]) -> ReleaseViews | None:
        """What there is of the answer at the latest close: one server answers whole or not at all."""
        return None

    def members(self) -> tuple[MemberAnswer, ...]:
        """Those who are asked in its place: none."""
        return ()

    def ask(self, close_ns: int, universe: Sequence[str], *, trace_id: str, causation_id: str) -> ReleaseViews:
        """What the release says at the close of a bar.

        Parameters
        ----------
        universe : symbols that it may speak of.
        trace_id, causation_id : for the bento's own trace.

        Raises
        ------
        NotReady : it did not answer, or not yet; ask again.
        Refused : the permit does not hold, it said no, or something that is no answer to this.
        """
        refusal = self.refusal
        if refusal is not None:
            raise refusal
        request = CachedRequest(self._venue, close_ns, trace_id, causation_id)
        answered = self._post(request.encode())
        if not answered.is_ok:
            raise self._no(answered)
        return self.read(answered.body, close_ns, universe)

    def read(self, body: bytes, close_ns: int, universe: Sequence[str]) -> ReleaseViews:
        """What an answer to `ask` says.

        Raises
        ------
        Refused : it is no answer to that.
        """
        try:
            answer = json.loads(body)
            views = tuple(_view(each) for each in answer["views"])
            silent = tuple(str(symbol) for symbol in answer["silent"])
            named = (answer["schema"], answer["release"])
        except (ValueError, KeyError, TypeError, MessageError) as error:
            raise self._unexpected(f"{type(error).__name__}: {error}") from error
        symbols = [view.symbol for view in views]
        if named != (VIEWS, self._release):
            raise self._unexpected(f"{named[0]} of {str(named[1])[:_SHOWN]}")
        if len(set(symbols)) < len(symbols) or not set(symbols) <= set(universe):
            raise self._unexpected(f"views of {', '.join(symbols)}")
        for view in views:
            if (view.agent, view.as_of_ns) != (self._release, close_ns):
                raise self._unexpected(f"a view of {view.symbol} as of {view.as_of_ns} by {view.agent}")
        return ReleaseViews(views, silent)

    def _post(self, body: bytes) -> Answer:
        """Its answer; a failure of the server, not of the agent, is asked again a few times at once."""
        for time_left in reversed(range(_FAILED_TIMES)):
            answer = self._client.post("/views", body, repeats=True, next="it is asked again; see whether it runs")
            if answer.status != _FAILED or "what" in answer.facts():
                break
            if time_left:
                self._waits()
                time.sleep(_FAILED_PAUSE_S * 2 ** (_FAILED_TIMES - 1 - time_left))
        return answer

    def _no(self, answer: Answer) -> Refused | NotReady:
        """The bento's own words, as the error that they are."""
        facts = answer.facts()
        what = str(facts.get("what") or f"the bento at {self._url} said {answer.status}")
        got = str(facts.get("got") or answer.body[:_SHOWN].decode(errors="replace"))
        again = answer.is_not_now and not got.startswith(_REFUSED_FOR_GOOD)
        kind = NotReady if again else Refused
        return kind(what, expected=str(facts.get("expected") or "views"), got=got, next=str(facts.get("next") or ""))

    def _unexpected(self, got: str) -> Refused:
        return Refused(
            f"the bento at {self._url} did not answer the question",
            expected=f"{VIEWS} of release {self._release} at the bar's close",
            got=got[:_SHOWN],
            next="see which release it serves: POST /card",
        )


def _view(wire: Any) -> ViewMessage:
    message = decode(json.dumps(wire).encode())
    if not isinstance(message, ViewMessage):
        raise TypeError(f"{message.envelope.schema_id} among the views")
    return message
