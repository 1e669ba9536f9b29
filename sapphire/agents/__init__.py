"""Agents: one file each; closed bars in, views out.

In:    windows and panels of closed bars (domain), training windows, agent files of a workspace.
Out:   views and panels of views; fitted copies of agents, with what they learned as arrays; leak reports.
Never: sizes, places orders, does I/O inside an agent, reads the clock, keeps anything between two calls.

An agent is a frozen dataclass that derives from `Agent`; `moving_average.py` shows a small one. Every name is loaded
when it is first used, so that neither pandas nor torch is loaded before an agent needs it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
