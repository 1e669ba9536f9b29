"""Probes: what a part answers to `GET /livez`, `/readyz` and `/metrics`, on a thread of its own.

Live means that the part's loop turns, not that its process is there: a loop that hangs is answered with 503, and a
process that is frozen does not answer. Before the loop turns for the first time the part is starting, and live.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import PortInUse

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Liveness", "Probes", "Readiness"]

_OK, _NOT_FOUND, _UNAVAILABLE = 200, 404, 503
_JSON = "application/json"


class Liveness:
    """When a loop turned last.

    Parameters
    ----------
    hung_after_s : longer ago, and it hangs.
    """

    def __init__(self, hung_after_s: float) -> None:
        self._hung_after_s = hung_after_s
        self._turned_s: float | None = None

    def turned(self) -> None:
        """The loop goes on; from the first time on it has to."""
        self._turned_s = time.monotonic()

    @property
    def age_s(self) -> float | None:
        """Seconds since the loop turned; None while it has not begun."""
        turned_s = self._turned_s
        return None if turned_s is None else time.monotonic() - turned_s

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and facts of `/livez`."""
        age_s = self.age_s
        live = age_s is None or age_s <= self._hung_after_s
        facts = {"live": live, "turned_ago_s": None if age_s is None else round(age_s, 3)}
        return (_OK if live else _UNAVAILABLE), facts | {"hung_after_s": self._hung_after_s}


class Readiness:
    """Whether a part does its work, with the facts that go with it; not ready until it is told."""

    def __init__(self) -> None:
        self._facts: Mapping[str, Any] = {"started": False, "ready": False}

    def tell(self, *, ready: bool, **facts: Any) -> None:
        """What is answered from now on: 200 where it is ready, 503 otherwise, with the facts as JSON."""
        self._facts = {"started": True, "ready": ready, **facts}

    def answer(self) -> tuple[int, Mapping[str, Any]]:
        """Status and facts of `/readyz`; `started` says that the part came up, ready or not."""
        facts = self._facts
        return (_OK if facts["ready"] else _UNAVAILABLE), facts


class Probes:
    """Answers at an address until it is closed.

    Parameters
    ----------
    host, port : where; port 0 takes a free one.
    liveness, readiness : what `/livez` and `/readyz` say.
    metrics : what `/metrics` shows.

    Attributes
    ----------
    port : where it listens.

    Raises
    ------
    PortInUse : it cannot listen there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        liveness: Callable[[], tuple[int, Mapping[str, Any]]],
        readiness: Callable[[], tuple[int, Mapping[str, Any]]],
        metrics: CollectorRegistry,
    ) -> None:
        self._facts = {"/livez": liveness, "/readyz": readiness}
        self._metrics = metrics
        try:
            (family, *_), *_ = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            kind = type("_Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
            self._server: ThreadingHTTPServer = kind((host, port), self._handler())
        except OSError as error:
            raise PortInUse(
                f"no part can listen on {host}:{port}",
                expected="an address of this machine, and a free port",
                got=str(error),
                next="another host or port in the part's settings; port 0 takes a free one",
            ) from None
        self.port = int(self._server.server_address[1])
        Thread(target=self._server.serve_forever, args=(0.1,), name="probes", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str, accepts: str) -> tuple[int, str, bytes]:
        path = path.partition("?")[0]
        if path == "/metrics":
            from prometheus_client.exposition import choose_encoder

            encode, kind = choose_encoder(accepts)
            return _OK, kind, encode(self._metrics)
        if path not in self._facts:
            return _NOT_FOUND, _JSON, json.dumps({"error": "expected: /livez, /readyz or /metrics"}).encode()
        status, facts = self._facts[path]()
        return status, _JSON, json.dumps(facts).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            """One connection, which may ask again."""

            protocol_version = "HTTP/1.1"
            timeout = 10.0

            def do_GET(self) -> None:
                status, kind, body = answer(self.path, self.headers.get("Accept", ""))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes are not logged."""

        return Handler
