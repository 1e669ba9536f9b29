"""Stack: what runs together on this machine, put together from the rooms below.

In:    a promoted release, a market, the settings of a run.
Out:   processes and the run folder that says what they did.
Never: decides, trades, or keeps a state of its own that the bus, a journal or a file of the run folder does not have.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
