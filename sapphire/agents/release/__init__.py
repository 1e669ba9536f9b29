"""Releases: everything that decides, frozen into a folder, and the one loader that reads it.

In:    fitted agents and the bars they were fitted on; folders of releases.
Out:   manifests and folders `DIGEST/` that are there whole or not at all; releases that state views and beliefs.
Never: runs code of a release before every digest is verified, reads a pickle, writes a time, a path or a run id into a
       manifest, knows where releases are registered.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sapphire.agents.release.code import ReleaseCode
    from sapphire.agents.release.freezing import MAX_AGE, freeze
    from sapphire.agents.release.loading import LoadedRelease, load_release
    from sapphire.agents.release.reading import PLAIN_BARS, ReadRelease, read_release

# each where it is first used: a worker loads releases and freezes none
_LAZY = {
    "MAX_AGE": "freezing",
    "PLAIN_BARS": "reading",
    "LoadedRelease": "loading",
    "ReadRelease": "reading",
    "ReleaseCode": "code",
    "freeze": "freezing",
    "load_release": "loading",
    "read_release": "reading",
}

__all__ = [
    "MAX_AGE",
    "PLAIN_BARS",
    "LoadedRelease",
    "ReadRelease",
    "ReleaseCode",
    "freeze",
    "load_release",
    "read_release",
]


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
