"""Whether a part answers: by HTTP, or as a server of the bus. One that does not listen yet is not ready, no error."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

__all__ = ["answers_http", "answers_ping"]

_TIMEOUT_S = 1.0
_OK = 200


def answers_http(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def answers_ping(port: int) -> bool:
    """Whether a Valkey server on this machine answers PING; while it reads its file it says that it is loading."""
    try:
        with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
