"""The vocabulary: instruments, money, bars, views, signals, orders, messages, clocks, errors.

In:    nothing of ours; the standard library, numpy, and pydantic where messages are used.
Out:   frozen values that every other room speaks in, and the one tree of errors.
Never: does I/O, reads the wall clock (but for `WallClock`, made at the edge), rounds a price, quantity or amount.

Names that need numpy or pydantic, and those of releases, are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
