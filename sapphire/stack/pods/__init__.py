"""Pods: the parts of a stack where nobody keeps them all, each alone in a container, from one plan file.

In:    the plan file, the same for every part; files with secrets; the place that releases come from.
Out:   the settings that a keeper would have written, and the part that runs by them; the secrets of a deployment.
Never: another way to compute a setting than a keeper's; a password in a plan or on a command line.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
