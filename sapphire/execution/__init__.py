"""Execution: the Python face of the compiled engine and of the embedded exchange.

In:    signals (portfolio), the active releases and the limits table (risk), a venue's addresses and keys.
Out:   positions, orders and fills; the embedded exchange as a local process, and the settings with which ccxt,
       freqtrade and hummingbot connect to it.
Never: decides what to trade, holds trading state in Python, sends an order that the engine's risk gate has not passed.

The engine itself is the Rust workspace in `engine/`; `make engine` builds it.
"""

from __future__ import annotations

from sapphire.execution.binaries import engine_binary
from sapphire.execution.ccxt_settings import ccxt_config
from sapphire.execution.control import Advanced, Control, Credentials
from sapphire.execution.exchange import Exchange, ExchangeAddress

__all__ = [
    "Advanced",
    "Control",
    "Credentials",
    "Exchange",
    "ExchangeAddress",
    "ccxt_config",
    "engine_binary",
]
