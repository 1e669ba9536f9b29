"""Watching: what a running process stands on, brought from the place again and again.

Whoever trades or serves looks at files of the state folder. A watch keeps those of one release current, so that a
revocation or a refusal that was signed on another machine closes it here within seconds. While the place does not
answer, what is here stays: it was verified, and the permit says until when it holds.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final, Self

from sapphire.data.places import shared_place
from sapphire.domain.errors import SapphireError
from sapphire.registry.sharing import bring
from sapphire.registry.trust import Deployment

__all__ = ["EVERY_S", "Watch"]

EVERY_S: Final = 2.0
"""Seconds between two looks."""
_log = logging.getLogger(__name__)


class Watch:
    """Keeps a release's evidence and the revocations in a state folder current, in a thread of its own.

    Parameters
    ----------
    home : the state folder.
    digest : the release.
    deployment : what is trusted; as settings and environment say unless given.
    every_s : seconds between two looks.
    """

    def __init__(
        self, home: Path, digest: str, *, deployment: Deployment | None = None, every_s: float = EVERY_S
    ) -> None:
        self._home, self._digest, self._every_s = home, digest, every_s
        self._deployment = deployment or Deployment.read()
        self._logged: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="places", daemon=True)

    def start(self) -> Self:
        """Begin, where there is a place."""
        if shared_place() is not None:
            self._thread.start()
        return self

    def stop(self) -> None:
        """End; a look that is under way is finished."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Bring what is new; an error is logged once until it is another or none."""
        try:
            bring(self._home, self._deployment, self._digest)
            reason = None
        except SapphireError as error:
            reason = str(error)
        if reason != self._logged:
            _log.warning("the place: %s", reason or "answers again")
        self._logged = reason

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            self.look()
