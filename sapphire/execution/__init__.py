"""Execution: the Python face of the compiled engine, of the embedded exchange, and of the processes that run them.

In:    signals (portfolio), the active releases and the limits table (risk), a venue's addresses and keys.
Out:   positions, orders and fills; the embedded exchange and the execution service as local processes; the settings
       with which ccxt, freqtrade and hummingbot connect; the service's journal as rows; runs in lock-step.
Never: decides what to trade, holds trading state in Python, sends an order that the engine's risk gate has not passed.

The engine itself is the Rust workspace in `engine/`; `make engine` builds it. Every name is loaded when it is first
used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.execution.binaries import engine_binary
    from sapphire.execution.ccxt_settings import ccxt_config
    from sapphire.execution.conductor import Conductor, Driven, Moment, Phase
    from sapphire.execution.control import Advanced, Control, Credentials
    from sapphire.execution.exchange import Exchange, ExchangeAddress
    from sapphire.execution.journal import journal_entries, journal_rows, replay_journal, verify_journal
    from sapphire.execution.parts import Part, PartStatus, Standing
    from sapphire.execution.run_lock import RunLock
    from sapphire.execution.service import Service, ServiceSettings
    from sapphire.execution.supervisor import Supervisor

_HOMES = {
    "binaries": ("engine_binary",),
    "ccxt_settings": ("ccxt_config",),
    "conductor": ("Conductor", "Driven", "Moment", "Phase"),
    "control": ("Advanced", "Control", "Credentials"),
    "exchange": ("Exchange", "ExchangeAddress"),
    "journal": ("journal_entries", "journal_rows", "replay_journal", "verify_journal"),
    "parts": ("Part", "PartStatus", "Standing"),
    "run_lock": ("RunLock",),
    "service": ("Service", "ServiceSettings"),
    "supervisor": ("Supervisor",),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Advanced",
    "Conductor",
    "Control",
    "Credentials",
    "Driven",
    "Exchange",
    "ExchangeAddress",
    "Moment",
    "Part",
    "PartStatus",
    "Phase",
    "RunLock",
    "Service",
    "ServiceSettings",
    "Standing",
    "Supervisor",
    "ccxt_config",
    "engine_binary",
    "journal_entries",
    "journal_rows",
    "replay_journal",
    "verify_journal",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
