"""Execution: the Python face of the compiled engine, of the embedded exchange, and of the execution service.

In:    signals (portfolio), the active releases and the limits table (risk), a venue's addresses and keys.
Out:   positions, orders and fills; the embedded exchange and the execution service as local processes; the settings
       with which ccxt, freqtrade and hummingbot connect; the service's journal as rows; runs in lock-step.
Never: decides what to trade, holds trading state in Python, sends an order that the engine's risk gate has not passed.

The engine itself is the Rust workspace in `engine/`; `make engine` builds it. Every name is loaded when it is first
used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
