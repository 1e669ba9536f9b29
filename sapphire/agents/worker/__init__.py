"""Workers: processes in which an agent's captured code runs, and from which it cannot reach anything but its windows.

In:    the code of a release, training bars, windows of closed bars.
Out:   what was learned, views of one window after the other, panels of a twin, the verdicts of the leak checks.
Never: holds a bar that closes after the window that is being asked, opens a file or a socket once it is warm, shares
       memory with who asks it.

An agent that looks for the future finds none: the next window is sent when the views of this one are there.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
