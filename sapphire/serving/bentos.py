"""Bentos: the folders that releases are served by, and which of them fits a release.

A bento is a folder with a `bentofile.yaml`, which names the service that runs and the lock of its image. A release fits
where that lock pins every package that the release's code imports, and of those that fit the smallest is taken. They
lie in `bentos/` of the workspace and in `bentos/` beside the installed `sapphire`, the workspace's first. One whose
label `serves` is another word than `releases` serves something else, as a large model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import find_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sapphire.serving.settings import Settings

__all__ = ["BentoFolder", "bento_for", "find_bentos"]

_BUILD_FILE = "bentofile.yaml"
_RELEASES = "releases"
_PIN = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==")


@dataclass(frozen=True, slots=True)
class BentoFolder:
    """One bento.

    Parameters
    ----------
    folder : "ROOT/bentos/NAME".
    service : "module:Class" that its `bentofile.yaml` names.
    packages : distributions that its lock pins, by their normalised names.
    serves : "releases", or what its label `serves` says.
    """

    folder: Path
    service: str
    packages: frozenset[str] = field(repr=False)
    serves: str = _RELEASES

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.folder.name

    @property
    def root(self) -> Path:
        """Where its service is imported from."""
        return self.folder.parents[1]

    @classmethod
    def read(cls, folder: Path) -> BentoFolder:
        """The bento in `folder`.

        Raises
        ------
        ConfigError : its build file, or the lock that this names, is not there or does not read.
        """
        import yaml  # type: ignore[import-untyped]

        file = folder / _BUILD_FILE
        try:
            made = yaml.safe_load(file.read_text("utf-8"))
            service, lock = made["service"], made["python"]["requirements_txt"]
            serves = made.get("labels", {}).get("serves", _RELEASES)
            pinned = (folder.parents[1] / lock).read_text("utf-8")
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"the bento {folder.name} does not read",
                expected='service: "bentos.NAME.service:Class" and python.requirements_txt, a lock from the root on',
                got=f"{type(error).__name__}: {error}",
                next=f"see {file}",
            ) from None
        packages = frozenset(_normalised(name) for name in _PIN.findall(pinned))
        return cls(folder, str(service), packages, str(serves))


def find_bentos() -> tuple[BentoFolder, ...]:
    """Every bento that serves releases: the workspace's, then those beside the installed package, the smaller first.

    Raises
    ------
    ConfigError : one that does not read.
    """
    own = find_workspace()
    roots = dict.fromkeys(root.resolve() for root in (own, Path(__file__).parents[2]) if root is not None)
    return tuple(bento for root in roots for bento in _in(root / "bentos"))


def bento_for(settings: Settings) -> BentoFolder:
    """The bento that serves the release of `settings`, by what its code imports.

    Raises
    ------
    ConfigError : none has all of it; says what each lacks.
    EvidenceRefused : the release does not verify, or has no such member.
    """
    from sapphire.agents.release import read_release

    read = read_release(settings.home / "releases" / settings.release, expected_digest=settings.release)
    needed = (read.member(settings.member) if settings.member else read).packages
    bentos = find_bentos()
    lacks = {bento: sorted(_lacking(needed, bento.packages)) for bento in bentos}
    for bento in bentos:
        if not lacks[bento]:
            return bento
    raise ConfigError(
        f"no bento fits {read.label}",
        expected=f"one whose lock pins {', '.join(sorted(needed))}",
        got="; ".join(f"{bento.name} lacks {', '.join(names)}" for bento, names in lacks.items()) or "no bento at all",
        next="make a folder bentos/NAME in the workspace: bentofile.yaml, service.py and a lock, as in the platform's",
    )


def _in(folder: Path) -> Iterable[BentoFolder]:
    found = [BentoFolder.read(file.parent) for file in sorted(folder.glob(f"*/{_BUILD_FILE}"))]
    return sorted((bento for bento in found if bento.serves == _RELEASES), key=lambda bento: len(bento.packages))


def _lacking(needed: Iterable[str], pinned: frozenset[str]) -> Iterator[str]:
    """Packages of which no distribution is pinned; most are named as their distribution is."""
    unnamed = [name for name in needed if _normalised(name) not in pinned]
    if not unnamed:
        return
    from importlib.metadata import packages_distributions

    distributions: Mapping[str, Any] = packages_distributions()
    for name in unnamed:
        if not pinned.intersection(map(_normalised, distributions.get(name, ()))):
            yield name


def _normalised(name: str) -> str:
    """A distribution's name as an index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
