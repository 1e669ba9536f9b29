"""Research: studies that say what an agent is worth, before it may trade.

In:    snapshots (data), agents, a sizing (portfolio), costs.
Out:   screens, sweeps, walk-forward replays by the compiled engine, and the ledger of every trial.
Never: shows an agent a bar of its future or of the sealed hold-out, trusts a screen, forgets a trial.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
