"""Whether parts do their work: what the supervisor asks again and again after a start."""

from __future__ import annotations

from pathlib import Path

from sapphire.serving.process import standing_of
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.http_client import HttpClient

__all__ = ["bus_answers", "serves"]

_ASK_WITHIN_S = 1.0


def bus_answers(bus_url: str) -> bool:
    """Whether the bus is there and knows the user of this address."""
    bus = Bus(bus_url, patience_s=_ASK_WITHIN_S)
    try:
        return bus.answers()
    finally:
        bus.close()


def serves(url: str, log: Path) -> bool:
    """Whether a release answers; one that does not stand up is a refusal that says why."""
    client = HttpClient(url, "the bento", within_s=_ASK_WITHIN_S)
    try:
        return standing_of(client, log=log) is None
    finally:
        client.close()
