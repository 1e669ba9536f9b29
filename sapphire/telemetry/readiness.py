"""Readiness: what a part that serves nothing else answers to `GET /livez` and `GET /readyz`.

It has a thread of its own, so `/livez` says that the process is there; that its loop turns is what heartbeats say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

__all__ = ["Readiness"]

_OK, _NOT_FOUND, _UNAVAILABLE = 200, 404, 503


class Readiness:
    """Answers on a port of this machine that the system chooses; not ready until it is told.

    Attributes
    ----------
    url : "http://127.0.0.1:PORT".
    """

    def __init__(self) -> None:
        self._facts: Mapping[str, Any] = {"ready": False}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, name="readiness", daemon=True).start()

    def tell(self, *, ready: bool, **facts: Any) -> None:
        """What is answered from now on: 200 where it is ready, 503 otherwise, with the facts as JSON."""
        self._facts = {"ready": ready, **facts}

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str) -> tuple[int, Mapping[str, Any]]:
        if path == "/livez":
            return _OK, {"live": True}
        if path != "/readyz":
            return _NOT_FOUND, {"error": "expected: /livez or /readyz"}
        facts = self._facts
        return (_OK if facts["ready"] else _UNAVAILABLE), facts

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            timeout = 10.0

            def do_GET(self) -> None:
                status, facts = answer(self.path)
                body = json.dumps(facts).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Probes are not logged."""

        return Handler
