"""Releases: everything that decides, frozen into a folder, and the one loader that reads it.

In:    fitted agents and the bars they were fitted on; folders of releases.
Out:   manifests and folders `DIGEST/` that are there whole or not at all; releases that state views and beliefs.
Never: runs code of a release before every digest is verified, reads a pickle, writes a time, a path or a run id into a
       manifest, knows where releases are registered.
"""

from sapphire.agents.release.freezing import MAX_AGE, freeze
from sapphire.agents.release.loading import PLAIN_BARS, LoadedRelease, load_release

__all__ = ["MAX_AGE", "PLAIN_BARS", "LoadedRelease", "freeze", "load_release"]
