"""Counterfactuals: what an agent says of inputs that differ in one thing, such as the names, the dates or the news.

In:    an agent, windows that it could be asked about, and nothing else.
Out:   the same windows with something changed; how many views kept their sign, how far they moved, what fell silent.
Never: looks at a return that came later, writes to a ledger, judges: thresholds are a policy's.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
