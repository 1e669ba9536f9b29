"""Telemetry: the bus and what every room writes to it: messages, heartbeats, log lines; how parts are asked over HTTP;
and the runtime that Python parts are built on: settings, probes, metrics, drain.

In:    messages (domain) and the identity of what they are about.
Out:   streams whose entry ids are made of that identity, so that a retry is the same entry; refused messages kept in
       a stream of their own; log lines on stderr.
Never: drops a message in silence, takes another message under an entry's id, decides what a message means.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.telemetry.bus import Bus, Entry
    from sapphire.telemetry.heartbeats import Pulse
    from sapphire.telemetry.http_client import Answer, HttpClient
    from sapphire.telemetry.logs import log_to_stderr
    from sapphire.telemetry.part_runtime import PartRuntime
    from sapphire.telemetry.part_settings import PartSettings
    from sapphire.telemetry.signal_keys import SignalKey
    from sapphire.telemetry.streams import EntryId

_HOMES = {
    "bus": ("Bus", "Entry"),
    "heartbeats": ("Pulse",),
    "http_client": ("Answer", "HttpClient"),
    "logs": ("log_to_stderr",),
    "part_runtime": ("PartRuntime",),
    "part_settings": ("PartSettings",),
    "signal_keys": ("SignalKey",),
    "streams": ("EntryId",),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "Bus",
    "Entry",
    "EntryId",
    "HttpClient",
    "PartRuntime",
    "PartSettings",
    "Pulse",
    "SignalKey",
    "log_to_stderr",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
