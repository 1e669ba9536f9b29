"""Lab: what makes JupyterLab Sapphire's own, and the verbs that compose the rooms.

In:    cells, notebooks, the workspace.
Out:   agents captured from cells as files of the workspace; notebooks that were run; the demo.
Never: decides anything, keeps state of its own.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
