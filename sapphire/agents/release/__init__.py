"""Releases: everything that decides, frozen into a folder, and the one loader that reads it.

In:    fitted agents and the bars they were fitted on; folders of releases.
Out:   manifests and folders `DIGEST/` that are there whole or not at all; releases that state views and beliefs.
Never: runs code of a release before every digest is verified, reads a pickle, writes a time, a path or a run id into a
       manifest, knows where releases are registered.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
