"""Installed files: whether every file among the installed packages is one that a distribution brought.

An agent may read installed packages while it is imported, so what lies there and was never installed, prices of the
hold-out for one, is as good as another version of a package.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

__all__ = ["strange_files"]

_CACHES = "__pycache__"
_CACHED = (".pyc", ".nbi", ".nbc")
"""What Python and numba compile of a source."""
_MUTABLE = ("direct_url.json", "RECORD", "INSTALLER", "REQUESTED")
"""What installers write again about a distribution that is there."""
_LEFT: Mapping[str, int] = {"_virtualenv.py": 8_192, "_virtualenv.pth": 64, ".DS_Store": 8_192, ".lock": 0}
"""What environments and systems leave there without a distribution, and the bytes that it has at most."""
_ABOUT = (".dist-info", ".egg-info")


@dataclass(frozen=True, slots=True)
class _Named:
    """What the distributions in a folder name.

    Parameters
    ----------
    files : every file, to its length where they say it.
    unlisted : the distributions that have no list of their files.
    spared : the top-level names of those.
    """

    files: Mapping[str, int | None]
    unlisted: tuple[str, ...]
    spared: frozenset[str]


def strange_files(folder: str | None = None) -> tuple[str, ...]:
    """Files among the installed packages that no distribution names, or that are longer or shorter than it says.

    Left out are compiled caches of a source that stands beside them, whatever is in them, and four small files that
    environments and systems leave: `_virtualenv.py`, `_virtualenv.pth`, `.DS_Store` and an empty `.lock`. A folder that
    an installer left behind, `~umpy`, can hold anything and is named once. A distribution without a list of its files,
    as some systems install them, is not judged; in a virtual environment, where installers write one, it is named.

    Parameters
    ----------
    folder : where packages are installed; this interpreter's own unless given.

    Returns
    -------
    Paths below `folder`, sorted: "numpy/core.py, 12 bytes and not 14", "prices.csv, of no distribution".
    """
    root = str(Path(folder or sysconfig.get_path("purelib")).resolve())
    named = _named(root, Path(root).stat().st_mtime_ns)
    in_environment = sys.prefix != sys.base_prefix
    found = {f"{each}, a distribution without a list of its files" for each in named.unlisted if in_environment}
    for path, size in _files(root):
        below = path.removeprefix(f"{root}/")
        top, wanted = below.partition("/")[0], named.files.get(path, -1)
        if top in named.spared or (wanted == -1 and size <= _LEFT.get(below, -1)):
            continue
        if wanted == -1:
            found.add(f"{top if top.startswith('~') else below}, of no distribution")
        elif wanted not in (None, size) and path.rpartition("/")[2] not in _MUTABLE:
            found.add(f"{below}, {size:,} bytes and not {wanted:,}")
    return tuple(sorted(found))


@lru_cache(maxsize=4)
def _named(root: str, changed_ns: int) -> _Named:
    """What the distributions in a folder name, as long as nothing is put there."""
    named: dict[str, int | None] = {}
    unlisted, spared = list[str](), set[str]()
    for each in metadata.distributions(path=[root]):
        if each.files is None:
            unlisted.append(f"{each.name or 'one without a name'} {each.version or ''}".rstrip())
            spared.update(_top_level(root, each))
        for file in each.files or ():
            named[os.path.normpath(f"{root}/{file}")] = file.size
    return _Named(named, tuple(unlisted), frozenset(spared))


def _top_level(root: str, distribution: metadata.Distribution) -> Iterator[str]:
    """The names below the folder that belong to a distribution without a list: its packages, and what tells of it."""
    name = distribution.name or ""
    packages = (distribution.read_text("top_level.txt") or name.replace("-", "_")).split()
    for package in packages:
        yield from (package, f"{package}.py")
    for entry in Path(root).iterdir():
        if entry.suffix in _ABOUT and _plain(entry.stem.partition("-")[0]) == _plain(name):
            yield entry.name


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _files(folder: str, sources: Collection[str] = ()) -> Iterator[tuple[str, int]]:
    """Files below a folder with their lengths; in a folder of caches those of none of the sources beside it."""
    with os.scandir(folder) as scanned:
        entries = list(scanned)
    cached = folder.endswith(f"/{_CACHES}")
    names = {entry.name for entry in entries if entry.name.endswith(".py")}
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, names)
        elif not (cached and entry.name.endswith(_CACHED) and f"{entry.name.partition('.')[0]}.py" in sources):
            yield entry.path, _size(entry)


def _size(entry: os.DirEntry[str]) -> int:
    """Length of a file; 0 of a link that leads nowhere."""
    try:
        return entry.stat().st_size
    except OSError:
        return 0
