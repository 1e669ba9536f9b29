"""Places: where state lies that more than one machine needs: evidence, releases, ledger, snapshots, recordings.

A place holds immutable bytes, each under its own sha256, and named heads that move by compare-and-set. It is a folder
that several machines see, or PostgreSQL (heads) with a bucket (bytes). `$SAPPHIRE_HOME` is then what this machine has
of it: verified whenever it is read, brought up to date before anything is decided on it, and never ahead of the place.
Without a place, the state folder is all there is.

In:    bytes, and the names of heads; `[places]` of sapphire.toml and `SAPPHIRE_PLACES_*` over it.
Out:   the same bytes, checked; typed errors that say what was expected, what came and what to do.
Never: decides what is trusted (keys and policies are the deployment's), puts a head before its bytes, moves one back.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
