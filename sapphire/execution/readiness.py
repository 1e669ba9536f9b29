"""Whether a part answers. One that does not listen yet is not ready, no error."""

from __future__ import annotations

from urllib.parse import urlsplit

from sapphire.domain.errors import NotReady
from sapphire.telemetry.http_client import HttpClient

__all__ = ["answers_http"]

_TIMEOUT_S = 1.0


def answers_http(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    parts = urlsplit(url)
    client = HttpClient(f"{parts.scheme}://{parts.netloc}", "the part", within_s=_TIMEOUT_S)
    try:
        return client.get(parts.path or "/").is_ok
    except NotReady:
        return False
    finally:
        client.close()
