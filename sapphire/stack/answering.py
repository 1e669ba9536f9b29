"""Whether parts do their work: what the supervisor asks again and again after a start."""

from __future__ import annotations

from pathlib import Path

from sapphire.domain.errors import NotReady
from sapphire.domain.messages import HeartbeatMessage, PartState
from sapphire.serving.process import standing_of
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.http_client import HttpClient
from sapphire.telemetry.streams import HEARTBEATS, EntryId

__all__ = ["beats", "bus_answers", "serves"]

_ASK_WITHIN_S = 1.0
_NS_PER_MS = 1_000_000


def bus_answers(bus_url: str) -> bool:
    """Whether the bus is there and knows the user of this address."""
    bus = Bus(bus_url, patience_s=_ASK_WITHIN_S)
    try:
        return bus.answers()
    finally:
        bus.close()


def beats(bus_url: str, part: str, launched_ns: int) -> bool:
    """Whether a part that was launched then has said on the bus that it is ready."""
    try:
        bus = Bus(bus_url, patience_s=_ASK_WITHIN_S)
        found = bus.read(HEARTBEATS, EntryId(launched_ns // _NS_PER_MS - 1, 0))
        bus.close()
        said = [entry.message for entry in found]
    except NotReady:
        return False
    ours = [each for each in said if isinstance(each, HeartbeatMessage) and each.envelope.producer == part]
    return any(each.state is PartState.READY and each.envelope.publish_time_ns >= launched_ns for each in ours)


def serves(url: str, log: Path) -> bool:
    """Whether a release answers; one that does not stand up is a refusal that says why."""
    client = HttpClient(url, "the bento", within_s=_ASK_WITHIN_S)
    try:
        return standing_of(client, log=log) is None
    finally:
        client.close()
