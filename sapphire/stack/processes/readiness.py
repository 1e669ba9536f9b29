"""Whether a part answers. One that does not listen yet, or not any more, does not; that is no error."""

from __future__ import annotations

from sapphire.domain.errors import NotReady
from sapphire.telemetry.http_client import HttpClient

__all__ = ["HttpChecks"]


class HttpChecks:
    """The probes of one part, asked over a connection that is kept.

    Parameters
    ----------
    url : where it answers, "http://HOST:PORT".
    within_s : how long an answer may take.
    live_path, ready_path : what is asked; 200 is yes.
    """

    def __init__(self, url: str, *, within_s: float, live_path: str = "/livez", ready_path: str = "/readyz") -> None:
        self.url = url
        self._live_path, self._ready_path = live_path, ready_path
        self._client = HttpClient(url, "the part", within_s=within_s)

    def live(self) -> bool:
        """Whether it is live: its loop turns."""
        return self._is_ok(self._live_path)

    def ready(self) -> bool:
        """Whether it does its work."""
        return self._is_ok(self._ready_path)

    def started(self) -> bool:
        """Whether a Python part came up, ready or not."""
        try:
            return self._client.get(self._ready_path).facts().get("started") is True
        except NotReady:
            return False

    def _is_ok(self, path: str) -> bool:
        try:
            return self._client.get(path).is_ok
        except NotReady:
            return False
