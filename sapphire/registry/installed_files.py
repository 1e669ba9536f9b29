"""Installed files: whether every file among the installed packages is one that a distribution brought.

An agent may read installed packages while it is imported, so what lies there and was never installed, prices of the
hold-out for one, is as good as another version of a package.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

__all__ = ["strange_files"]

_CACHES = "__pycache__"
_MUTABLE = ("direct_url.json", "RECORD", "INSTALLER", "REQUESTED")
"""What installers write again about a distribution that is there."""


def strange_files(folder: str | None = None) -> tuple[str, ...]:
    """Files among the installed packages that no distribution names, or that are longer or shorter than it says.

    Compiled caches are left out. A distribution without a list of its files, as some systems install them, makes the
    folder one that cannot be judged: nothing is said of it.

    Parameters
    ----------
    folder : where packages are installed; this interpreter's own unless given.

    Returns
    -------
    Paths below `folder`, sorted: "numpy/core.py, 12 bytes and not 14", "prices.csv, of no distribution".
    """
    root = str(Path(folder or sysconfig.get_path("purelib")).resolve())
    named = _named(root, Path(root).stat().st_mtime_ns)
    if named is None:
        return ()
    found = []
    for path, size in _files(root):
        wanted = named.get(path, -1)
        if wanted == -1:
            found.append(f"{path.removeprefix(f'{root}/')}, of no distribution")
        elif wanted not in (None, size) and path.rpartition("/")[2] not in _MUTABLE:
            found.append(f"{path.removeprefix(f'{root}/')}, {size:,} bytes and not {wanted:,}")
    return tuple(sorted(found))


@lru_cache(maxsize=4)
def _named(root: str, changed_ns: int) -> Mapping[str, int | None] | None:
    """Every file that the distributions in a folder name, to its length where they say it."""
    named: dict[str, int | None] = {}
    for each in metadata.distributions(path=[root]):
        if each.files is None:
            return None
        for file in each.files:
            named[os.path.normpath(f"{root}/{file}")] = file.size
    return named


def _files(folder: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != _CACHES:
                    yield from _files(entry.path)
            else:
                yield entry.path, entry.stat().st_size
