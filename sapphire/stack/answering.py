"""Whether a part answers: one that beats on the bus, and the server of a release."""

from __future__ import annotations

import http.client
import json
from typing import Any

from sapphire.domain.errors import NotReady, Refused, SapphireError
from sapphire.domain.messages import HeartbeatMessage, PartState
from sapphire.execution.readiness import answers_http
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import HEARTBEATS, EntryId

__all__ = ["beats", "serves"]

_ASK_WITHIN_S = 1.0
_NS_PER_MS = 1_000_000
_OK = 200


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


def serves(url: str) -> bool:
    """Whether a release answers; one that does not stand up is a refusal that says why."""
    if answers_http(f"{url}/readyz"):
        return True
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=_ASK_WITHIN_S)
    try:
        connection.request("POST", "/card", b"", {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read()) if answer.status == _OK else {}
    except (OSError, http.client.HTTPException, ValueError):  # it does not listen yet
        return False
    finally:
        connection.close()
    if told.get("refusal") is not None:
        raise _refusal(told)
    return False


def _refusal(card: dict[str, Any]) -> SapphireError:
    return Refused(
        f"release {card['name']} does not stand up here",
        expected="golden outputs that match",
        got=str(card["refusal"]),
        next="see logs/bento.log in the run folder",
    )
