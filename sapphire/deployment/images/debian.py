"""Locks of Debian packages: which packages an image's root is made of, each with its version and digest.

`debian.in` names the packages that are wanted, one a line; `!NAME` leaves one out that nothing here needs at run time.
What they depend on follows, but for what Debian needs to install packages: no image has a package manager.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.domain.errors import ConfigError

if TYPE_CHECKING:
    from sapphire.deployment.images.podman import Podman

__all__ = ["lock_debian", "wanted"]

_INSTALLING = frozenset(
    {"adduser", "apt", "bash", "coreutils", "cron", "cron-daemon-common", "dash", "dbus", "debconf", "debianutils"}
    | {"dpkg", "findutils", "gawk", "grep", "init-system-helpers", "install-info", "logrotate", "login", "lsb-base"}
    | {"mawk", "media-types", "openssl", "passwd", "perl", "perl-base", "perl-modules-5.36", "procps", "sed"}
    | {"sensible-utils", "sysvinit-utils", "tar", "ucf", "util-linux"}
)
"""What Debian's packages want for being installed, and an image has only where its `debian.in` names it."""


@dataclass(frozen=True, slots=True)
class _Package:
    name: str
    version: str
    digest: str
    needs: tuple[tuple[str, ...], ...]
    provides: frozenset[str] = field(default_factory=frozenset)


def wanted(file: Path) -> tuple[list[str], set[str]]:
    """What a `debian.in` names, and what it leaves out."""
    lines = [line.split("#")[0].strip() for line in file.read_text("utf-8").splitlines()]
    named = [line for line in lines if line]
    return [name for name in named if not name.startswith("!")], {name[1:] for name in named if name.startswith("!")}


def lock_debian(podman: Podman, base: str, files: Iterable[Path]) -> None:
    """Write `debian.lock` beside each `debian.in`, from what the base's mirror has now.

    Parameters
    ----------
    base : image of Debian.

    Raises
    ------
    ConfigError : a package that the mirror does not have.
    """
    container = podman.run("create", "--network", "host", base, "sleep", "600").strip()
    try:
        podman.run("start", container)
        podman.run("exec", container, "apt-get", "update", "-qq")
        for file in files:
            _lock(podman, container, file)
    finally:
        podman.run("rm", "--force", "--time", "0", container)


def _lock(podman: Podman, container: str, file: Path) -> None:
    names, left_out = wanted(file)
    empty = "dir::state::status=/dev/null"
    install = ("apt-get", "install", "--simulate", "--no-install-recommends", "-o", empty, *names)
    planned = re.findall(r"(?m)^Inst (\S+) \((\S+)", podman.run("exec", container, *install))
    shown = podman.run("exec", container, "apt-cache", "show", *(f"{name}={version}" for name, version in planned))
    packages = {package.name: package for package in _packages(shown)}
    missing = set(names) - set(packages)
    if missing:
        raise ConfigError(f"{file} names what the mirror does not have", got=", ".join(sorted(missing)))
    closure = sorted(_closure(names, packages, (_INSTALLING | left_out) - set(names)))
    lines = [f"{name}={packages[name].version} {packages[name].digest}" for name in closure]
    head = ["# Written by `make lock-images` from debian.in: NAME=VERSION SHA256."]
    file.with_suffix(".lock").write_text("\n".join(head + lines) + "\n", "utf-8")


def _closure(names: Iterable[str], packages: Mapping[str, _Package], left_out: frozenset[str]) -> set[str]:
    reached: set[str] = set()
    coming = list(names)
    while coming:
        name = coming.pop()
        if name in reached or name in left_out:
            continue
        reached.add(name)
        for choice in packages[name].needs:
            coming += [package.name for package in packages.values() if _fits(package, choice)][:1]
    return reached


def _fits(package: _Package, choice: tuple[str, ...]) -> bool:
    return package.name in choice or bool(package.provides.intersection(choice))


def _packages(shown: str) -> Iterator[_Package]:
    """The packages of a text as `apt-cache show` writes it."""
    for stanza in shown.strip().split("\n\n"):
        fields = dict(re.findall(r"(?m)^([A-Za-z0-9-]+): (.*)$", stanza))
        needs = [part for key in ("Pre-Depends", "Depends") for part in fields.get(key, "").split(",") if part.strip()]
        yield _Package(
            name=fields["Package"],
            version=fields["Version"],
            digest=fields["SHA256"],
            needs=tuple(tuple(_bare(one) for one in part.split("|")) for part in needs),
            provides=frozenset(_bare(one) for one in fields.get("Provides", "").split(",") if one.strip()),
        )


def _bare(relation: str) -> str:
    """The name of a relation, without versions and architectures."""
    return re.split(r"[\s:(\[]", relation.strip())[0]
