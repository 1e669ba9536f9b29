"""Proof: what the gates let through, where it is known what is there.

In:    markets without an edge and markets with a planted one, and agents that trade on them.
Out:   how often each skill gate passed, beside the rate computed for that number of trials and their correlation.
Never: touches the ledger of the state folder, changes a gate, or widens an interval to hold what was observed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
