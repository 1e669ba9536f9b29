"""A release's bento, as the coordinator asks it for what the release says at the close of a bar.

The bento is stateless and the answer a function of the bars in the cache, so it is asked again as often as it takes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Protocol
from urllib.parse import urlsplit

from sapphire.domain.errors import ConfigError, MessageError, NotReady, Refused
from sapphire.domain.messages import ViewMessage, decode
from sapphire.domain.view_requests import VIEWS, CachedRequest

__all__ = ["Bento", "Said"]

_ANSWER_WITHIN_S = 30.0
_OK, _UNAVAILABLE = 200, 503
_REFUSED_FOR_GOOD = "standing refused"
"""How a bento whose golden outputs differ says that asking again is of no use."""
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Said:
    """What a release said at a close.

    Parameters
    ----------
    views : at most one for each symbol, in the bento's order.
    silent : symbols that it says nothing about.
    """

    views: tuple[ViewMessage, ...]
    silent: tuple[str, ...]


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
    permit : the asker's own door; none asks always.

    Raises
    ------
    ConfigError : not an address.
    """

    def __init__(self, url: str, release: str, venue: str, permit: Permit | None = None) -> None:
        address = urlsplit(url)
        if address.scheme != "http" or not address.netloc:
            raise ConfigError("not the address of a bento", expected="http://HOST:PORT", got=repr(url))
        self._url, self._release, self._venue, self._permit = url, release, venue, permit
        self._connection = HTTPConnection(address.netloc, timeout=_ANSWER_WITHIN_S)

    @property
    def refusal(self) -> Refused | None:
        """Why it is not asked now; None where it is."""
        return None if self._permit is None else self._permit.refusal

    def ask(self, close_ns: int, universe: Sequence[str], *, trace_id: str, causation_id: str) -> Said:
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
        status, body = self._post(request.encode())
        if status != _OK:
            raise self._no(status, body)
        try:
            answer = json.loads(body)
            views = tuple(_view(each) for each in answer["views"])
            silent = tuple(str(symbol) for symbol in answer["silent"])
            named = (answer["schema"], answer["release"])
        except (ValueError, KeyError, TypeError, MessageError) as error:
            raise self._odd(f"{type(error).__name__}: {error}") from error
        symbols = [view.symbol for view in views]
        if named != (VIEWS, self._release):
            raise self._odd(f"{named[0]} of {str(named[1])[:_SHOWN]}")
        if len(set(symbols)) < len(symbols) or not set(symbols) <= set(universe):
            raise self._odd(f"views of {', '.join(symbols)}")
        for view in views:
            if (view.agent, view.as_of_ns) != (self._release, close_ns):
                raise self._odd(f"a view of {view.symbol} as of {view.as_of_ns} by {view.agent}")
        return Said(views, silent)

    def _post(self, body: bytes) -> tuple[int, bytes]:
        try:
            self._connection.request("POST", "/views", body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()  # the next request opens another
            raise NotReady(
                f"the bento at {self._url} did not answer",
                expected="views",
                got=f"{type(error).__name__}: {error}",
                next="it is asked again; see whether it runs",
            ) from error

    def _no(self, status: int, body: bytes) -> Refused | NotReady:
        """The bento's own words, as the error that they are."""
        told: dict[str, Any] = {}
        try:
            value = json.loads(body)
            told = value if isinstance(value, dict) else {}
        except ValueError:
            pass
        what = str(told.get("what") or f"the bento at {self._url} said {status}")
        got = str(told.get("got") or body[:_SHOWN].decode(errors="replace"))
        again = status == _UNAVAILABLE and not got.startswith(_REFUSED_FOR_GOOD)
        kind = NotReady if again else Refused
        return kind(what, expected=str(told.get("expected") or "views"), got=got, next=str(told.get("next") or ""))

    def _odd(self, got: str) -> Refused:
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
