"""Monitoring: what a run did, whether it is what the evidence says, and reports that say so.

In:    a run's folder (journal, decisions, stamps, the exchange's books), the release that traded, the market's bars.
Out:   the traded day as values, parity lot by lot with causes, latency with its n, an order's life, rendered reports;
       whole days on paper as evidence beside the release.
Never: changes what it reads, trades, or calls a difference explained that it cannot name.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
