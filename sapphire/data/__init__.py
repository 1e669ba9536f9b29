"""Data Collector: collect, import, snapshot, check, and the features made of bars.

In:    candles from venues (ccxt), from candle files, and from the generated market (the compiled engine); news,
       announcements and notes from files and feeds (`documents`).
Out:   snapshots: bars that stay what they are, with where they are from and the hash of what they say, and what was
       received to read in their time; features.
Never: fills a gap, changes a price by more than rounding noise, mixes real and generated bars, or shows a bar that has
       not closed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
