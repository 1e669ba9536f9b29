"""What images are built on: a Debian base, and where Rust and Python packages are compiled and installed.

A machine that reaches an image registry names them (BASE_IMAGE, BUILDER_IMAGE). Elsewhere the base is made by
debootstrap from the mirror that apt uses, and Rust is this machine's own. What was made is kept under the digest of
what it was made of.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sapphire.deployment.images.catalogue import images_folder
from sapphire.deployment.images.podman import Podman
from sapphire.domain.errors import ConfigError, NotReady
from sapphire.domain.workspace import workspace

__all__ = ["SUITE", "base_image", "python_builder", "rust_builder"]

SUITE = "bookworm"
_INCLUDED = "ca-certificates"
_MIRROR = re.compile(r"(?m)^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s*)?)(\S+://\S*debian)/?(?:\s|$)")


def base_image(podman: Podman, named: str = "") -> str:
    """The base: the one that is named, or Debian as debootstrap makes it.

    Raises
    ------
    ConfigError : there is no debootstrap, or apt has no mirror.
    NotReady : it could not be made.
    """
    if named:
        return named
    mirror = _mirror()
    tag = f"localhost/sapphire/base:{SUITE}-{_digest(SUITE, _INCLUDED, mirror)}"
    if podman.has(tag):
        return tag
    if shutil.which("debootstrap") is None:
        raise ConfigError(
            "no debootstrap",
            expected="debootstrap on the PATH, or a base that a registry has",
            next="apt-get install debootstrap, or make images BASE_IMAGE=docker.io/library/debian:bookworm-slim",
        )
    _say(f"base: debootstrap of {SUITE}, a minute or two")
    with tempfile.TemporaryDirectory(prefix="sapphire-base-", dir=podman.folder) as made:
        root = Path(made) / "root"
        words = ["debootstrap", "--variant=minbase", f"--include={_INCLUDED}", SUITE, str(root), mirror]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotReady("debootstrap failed", expected="a base system", got=(done.stdout + done.stderr)[-2_000:])
        archive = Path(made) / "root.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
        podman.run("import", str(archive), tag)
    return tag


def rust_builder(podman: Podman, base: str, named: str = "") -> str:
    """Where Rust is compiled: the image that is named, or the base with this machine's toolchain.

    Raises
    ------
    ConfigError : this machine has no Rust.
    NotReady : it could not be made.
    """
    if named:
        return named
    if shutil.which("rustc") is None:
        raise ConfigError("no rustc", expected="Rust 1.90 or newer, or BUILDER_IMAGE", next="see rustup.rs")
    version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    file = images_folder() / "base" / "Containerfile.rust"
    tag = f"localhost/sapphire/builder-rust:{_digest(podman.inspect(base)['Id'], version, file.read_text('utf-8'))}"
    if not podman.has(tag):
        _say("builder of Rust: the base with this machine's toolchain")
        root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout
        podman.build(tag, file, Path(root.strip()), {"BASE_IMAGE": base})
    return tag


def python_builder(podman: Podman, base: str) -> str:
    """Where Python packages are installed: the base with Debian's Python and the locked build tools.

    Raises
    ------
    NotReady : it could not be made.
    """
    file, lock = images_folder() / "base" / "Containerfile.python", workspace() / "requirements-build.lock"
    made_of = (podman.inspect(base)["Id"], file.read_text("utf-8"), lock.read_text("utf-8"))
    tag = f"localhost/sapphire/builder-python:{_digest(*made_of)}"
    if not podman.has(tag):
        _say("builder of Python: the base with Python and the locked build tools")
        podman.build(tag, file, workspace(), {"BASE_IMAGE": base})
    return tag


def _mirror() -> str:
    for folder in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        found = _MIRROR.search(folder.read_text("utf-8")) if folder.is_file() else None
        if found:
            return found[1]
    raise ConfigError(
        "apt has no mirror of Debian",
        expected="one in /etc/apt (the base is made from it), or a base that a registry has",
        next="make images BASE_IMAGE=docker.io/library/debian:bookworm-slim",
    )


def _digest(*made_of: str) -> str:
    return hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:12]


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()
