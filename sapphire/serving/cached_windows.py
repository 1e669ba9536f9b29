"""Windows out of the shared cache of bars: one MGET for the whole universe, and an error where a bar is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapphire.domain.bar_cache import ring_key, window_of_rings
from sapphire.domain.clocks import from_ns
from sapphire.domain.errors import ConfigError, MissingData
from sapphire.domain.intervals import Interval
from sapphire.serving.settings import BARS_VARIABLE

if TYPE_CHECKING:
    from sapphire.agents.release import ReadRelease
    from sapphire.domain.view_requests import CachedRequest
    from sapphire.domain.windows import Window

__all__ = ["BarCache"]

_TIMEOUT_S = 2.0


class BarCache:
    """The shared cache of bars, connected when it is first asked; may be asked from several threads.

    Parameters
    ----------
    url : its address; empty for none.
    """

    def __init__(self, url: str) -> None:
        self._client = None
        if url:
            from valkey import Valkey

            self._client = Valkey.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)

    def window(self, release: ReadRelease, request: CachedRequest) -> Window:
        """The window that `release` decides on at the request's moment: its universe, exactly its warm-up.

        Raises
        ------
        ConfigError : there is no cache.
        MissingData : it cannot be reached, or its bars are not up to date.
        DataError : what is in it is not bars.
        """
        if self._client is None:
            raise ConfigError(
                "this server has no shared cache of bars",
                expected=f"its address in {BARS_VARIABLE}",
                got="none",
                next="send the window with the request (WINDOW@1), or start the server with the address",
            )
        from valkey.exceptions import ValkeyError

        manifest, interval = release.manifest, Interval(release.manifest.interval)
        keys = [ring_key(request.venue, symbol, interval) for symbol in manifest.universe]
        try:
            found: Any = self._client.mget(keys)  # the client has types for both of its kinds at once
        except (ValkeyError, OSError) as error:
            raise MissingData(
                "the shared cache of bars does not answer",
                expected=f"bars of {', '.join(manifest.universe)} at {request.venue}",
                got=f"{type(error).__name__}: {error}",
                next=f"see whether the server of {BARS_VARIABLE} runs",
            ) from error
        rings = dict(zip(manifest.universe, found, strict=True))
        return window_of_rings(
            rings, interval=interval, as_of=from_ns(request.as_of_ns), rows=release.warmup, venue=request.venue
        )

    def close(self) -> None:
        """Let the connection go."""
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
