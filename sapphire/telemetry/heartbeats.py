"""Heartbeats: a part says every few seconds that it is alive, and where it is in its life."""

from __future__ import annotations

from collections.abc import Callable

from sapphire.domain.clocks import Clock
from sapphire.domain.envelope import Envelope
from sapphire.domain.messages import HeartbeatMessage, PartState
from sapphire.telemetry.bus import Bus

__all__ = ["Pulse"]

_KEPT = 10_000
"""Heartbeats that the stream keeps, about."""
_NS_PER_S = 1_000_000_000


class Pulse:
    """The heartbeats of one part; they come from its own loop, so a part that hangs has none.

    Parameters
    ----------
    bus : where to.
    stream : of heartbeats.
    producer : name of the part, "collector", or with its account, "coordinator:paper".
    clock : the machine's.
    every_s : how often.
    release : digest of the release that it runs.
    address : where it listens.
    turned : called at each beat: the loop goes on.
    """

    def __init__(
        self,
        bus: Bus,
        stream: str,
        producer: str,
        clock: Clock,
        *,
        every_s: float = 2.0,
        release: str | None = None,
        address: str | None = None,
        turned: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus, self._stream, self._producer, self._clock = bus, stream, producer, clock
        self._every_ns = int(every_s * _NS_PER_S)
        self._release, self._address = release, address
        self._turned = turned
        self._state, self._since_ns = PartState.STARTING, clock.now_ns()
        self._sent_ns: int | None = None
        self._count = 0

    def state(self, state: PartState) -> None:
        """Enter a state, and say so."""
        self._state, self._since_ns = state, self._clock.now_ns()
        self._say()

    def beat(self) -> None:
        """The loop turns; say so on the bus if it is time to."""
        self._turned()
        if self._sent_ns is None or self._clock.monotonic_ns() - self._sent_ns >= self._every_ns:
            self._say()

    def _say(self) -> None:
        now_ns = self._clock.now_ns()
        envelope = Envelope(
            schema_id=HeartbeatMessage.SCHEMA_ID,
            message_id=f"{self._producer}-{self._stream}-{now_ns}",
            producer=self._producer,
            sequence=self._count,
            event_time_ns=now_ns,
            publish_time_ns=now_ns,
            trace_id=f"part-{self._producer}",
            causation_id=None,
        )
        message = HeartbeatMessage(
            envelope=envelope,
            state=self._state,
            since_ns=self._since_ns,
            address=self._address,
            release=self._release,
        )
        self._bus.append(self._stream, message, max_length=_KEPT)
        self._sent_ns = self._clock.monotonic_ns()
        self._count += 1
