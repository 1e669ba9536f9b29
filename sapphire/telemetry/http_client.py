"""A server of ours asked over HTTP: one policy for deadlines, idle connections and what is sent a second time.

A deadline is for the whole call. A connection that was idle for longer than servers keep theirs is opened anew. Where
it breaks before the answer, a request that may be repeated is sent once more, and any other is not. What a status means
is for the one who asked to say.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sapphire.domain.errors import ConfigError, NotReady

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["Answer", "HttpClient"]

_IDLE_S = 4.0
"""Less than the 5 s after which uvicorn, and with it a bento, closes a connection that nobody uses."""
_OK = 200
_NOT_NOW = frozenset({408, 425, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Parameters
    ----------
    status : of HTTP.
    body : whole.
    """

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether it is 200."""
        return self.status == _OK

    @property
    def is_not_now(self) -> bool:
        """Whether the same request may be answered later: the server or one before it is busy, or not up."""
        return self.status in _NOT_NOW

    def facts(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class HttpClient:
    """One server; may be used from several threads, one call after the other.

    Parameters
    ----------
    url : its address, "http://HOST:PORT".
    name : what it is, for messages: "the bento".
    within_s : how long a call may take.
    token : bearer token; never shown.

    Raises
    ------
    ConfigError : not an address.
    """

    def __init__(self, url: str, name: str, *, within_s: float, token: str | None = None) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise ConfigError(f"not the address of {name}", expected="http://HOST:PORT", got=repr(url))
        self.url = url.rstrip("/")
        self._name, self._within_s, self._token = name, within_s, token
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def get(self, path: str, *, next: str = "") -> Answer:
        """What it answers to a GET, which may be repeated.

        Parameters
        ----------
        path : "/readyz".
        next : what to do where it does not answer, for the message.

        Raises
        ------
        NotReady : it did not answer in time.
        """
        return self._ask("GET", path, None, repeats=True, next=next)

    def post(
        self, path: str, body: Mapping[str, Any] | bytes = b"", *, repeats: bool = False, next: str = ""
    ) -> Answer:
        """What it answers to a POST of JSON.

        Parameters
        ----------
        repeats : whether doing it twice is doing it once.

        Raises
        ------
        NotReady : it did not answer in time. Whether the request was carried out is then not known.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask("POST", path, data, repeats=repeats, next=next)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _ask(self, verb: str, path: str, body: bytes | None, *, repeats: bool, next: str) -> Answer:
        import httpx

        until = time.monotonic() + self._within_s
        with self._lock:
            try:
                try:
                    return self._send(verb, path, body, until)
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    # A server may close a connection in the moment in which it is used again.
                    if not repeats:
                        raise
                    self._hang_up()
                    return self._send(verb, path, body, until)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                self._hang_up()
                raise NotReady(
                    f"{self._name} at {self.url} did not answer {path}",
                    expected=f"an answer within {self._within_s:g} s",
                    got=f"{type(error).__name__}: {error}".rstrip(": "),
                    next=next or "see whether it runs",
                ) from error

    def _send(self, verb: str, path: str, body: bytes | None, until: float) -> Answer:
        import httpx

        if self._client is None:
            self._client = _client(self._token)
        left = until - time.monotonic()
        with self._client.stream(verb, f"{self.url}{path}", content=body, timeout=max(left, 1e-3)) as response:
            parts = []
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("the answer did not end")
            return Answer(response.status_code, b"".join(parts))


def _client(token: str | None) -> httpx.Client:
    import httpx

    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_S)
    # Parts are reached as their address says; a proxy of the machine's environment is not between them.
    return httpx.Client(headers=headers, limits=limits, verify=_certificates(), trust_env=False, follow_redirects=False)


@cache
def _certificates() -> ssl.SSLContext:
    """Whom to trust, read once: it takes 20 ms, and a part that comes up is asked ten times a second."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)
