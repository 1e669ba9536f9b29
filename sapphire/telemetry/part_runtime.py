"""The runtime that every Python part is built on: settings, log, probes, metrics, drain.

A part is a function of its runtime. Told to end (SIGTERM, SIGINT), it is left where it stands, and what it was at is as
if it had not begun; but for what stands inside `finishing`, which is finished first. So a bar whose decision is still
being made is decided by the next start, and one whose decision is written is also said.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from sapphire.domain.errors import SapphireError
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.metrics import PartMetrics
from sapphire.telemetry.part_settings import PartSettings
from sapphire.telemetry.probes import Liveness, Probes, Readiness

__all__ = ["PartRuntime", "run_part"]

_log = logging.getLogger(__name__)


class PartRuntime:
    """One part's runtime; it watches its connections to the bus.

    Parameters
    ----------
    part : its name.
    settings : of the part.
    identity : what the part is: venue, account, release, where it has one.
    readiness : where it says whether it does its work; one of its own unless given.

    Attributes
    ----------
    liveness, readiness : whether its loop turns, and whether it does its work.
    metrics : what it counts.
    """

    def __init__(
        self,
        part: str,
        settings: PartSettings | None = None,
        *,
        identity: Mapping[str, str] | None = None,
        readiness: Readiness | None = None,
    ) -> None:
        self.part, self._settings = part, settings or PartSettings()
        self.liveness, self.readiness = Liveness(self._settings.hung_after_s), readiness or Readiness()
        self.metrics = PartMetrics(part, identity or {}, age_s=lambda: self.liveness.age_s)
        self._probes: Probes | None = None
        self._is_ending = False
        self._finishing = 0

    def serve(self, *, port: int | None = None) -> str:
        """Answer probes where the settings say; its address.

        Parameters
        ----------
        port : instead of that of the settings.

        Raises
        ------
        PortInUse : it cannot listen there.
        """
        self._probes = Probes(
            self._settings.host,
            self._settings.port if port is None else port,
            liveness=self.liveness.answer,
            readiness=self.readiness.answer,
            metrics=self.metrics.registry,
        )
        host, _, _ = self._settings.probes_url.rpartition(":")
        return f"{host}:{self._probes.port}"

    def close(self) -> None:
        """Answer no more."""
        if self._probes is not None:
            self._probes.close()

    def bus(self, url: str, *, patience_s: float | None = None) -> Bus:
        """A connection to the bus that this runtime watches: while the bus is away, the part waits, and is live."""
        return Bus(url, patience_s=patience_s, watch=self)

    def turned(self) -> None:
        """The part's loop goes on."""
        self.liveness.turned()

    def waits(self) -> None:
        """The bus is away; it is asked again."""
        if self.liveness.age_s is not None:
            self.liveness.turned()

    def reconnected(self) -> None:
        """There is another connection to the bus."""
        self.metrics.bus_reconnects.inc()

    def refused(self) -> None:
        """An entry went to the dead letters."""
        self.metrics.dead_letters.inc()

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """What stands inside is finished before the part ends."""
        self._finishing += 1
        try:
            yield
        finally:
            self._finishing -= 1
        if self._is_ending and not self._finishing:
            raise SystemExit(0)

    def end(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal that tells the part to end."""
        self._is_ending = True
        if not self._finishing:
            raise SystemExit(0)


def run_part(runtime: PartRuntime, run: Callable[[PartRuntime], None], *, goodbye: Callable[[], None]) -> int:
    """Run a part until it is told to end; its exit code, 1 where it was refused something.

    Parameters
    ----------
    run : the part.
    goodbye : its last words, where it was told to end.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, runtime.end)
    try:
        try:
            run(runtime)
        except SystemExit:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            goodbye()
    except SapphireError as error:
        _log.error("%s", error)
        return 1
    finally:
        runtime.close()
    _log.info("ends")
    return 0
