"""Podman, as this machine lets it run."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sapphire.domain.errors import ConfigError, NotReady

__all__ = ["Podman", "build_mounts"]

_TRUST = ("/etc/ssl/certs/ca-certificates.crt",)
_BUILDER_HOME = "/root"
_INDEXES = {
    "/etc/pip.conf": "/etc/pip.conf",
    "~/.config/pip/pip.conf": f"{_BUILDER_HOME}/.config/pip/pip.conf",
    "~/.config/uv/uv.toml": f"{_BUILDER_HOME}/.config/uv/uv.toml",
}
_TAIL = 6_000


def build_mounts() -> tuple[str, ...]:
    """What builds see of this machine, and no image keeps: whom it trusts, and where its packages come from."""
    wanted = {file: file for file in _TRUST} | _INDEXES
    files = {str(Path(file).expanduser()): inside for file, inside in wanted.items()}
    return tuple(f"{file}:{inside}:ro" for file, inside in files.items() if Path(file).is_file())


@dataclass(frozen=True, slots=True)
class Podman:
    """Podman's command line with a configuration of its own.

    Parameters
    ----------
    folder : keeps that configuration.

    Raises
    ------
    ConfigError : there is no podman; names the line that installs it.
    """

    folder: Path

    def __post_init__(self) -> None:
        if shutil.which("podman") is None:
            raise ConfigError(
                "no podman",
                expected="podman on the PATH (images are built and run with it)",
                next="apt-get install podman runc netavark aardvark-dns catatonit, then run make images again",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configuration.write_text(_configuration())

    @property
    def _configuration(self) -> Path:
        return self.folder / "containers.conf"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command."""
        return os.environ | {"CONTAINERS_CONF": str(self._configuration)}

    def run(self, *words: str, stdin: bytes | None = None) -> str:
        """The output of a command.

        Raises
        ------
        NotReady : it failed; shows the end of what it said.
        """
        done = subprocess.run(["podman", *words], env=self.environment, input=stdin, capture_output=True, check=False)
        if done.returncode:
            output = (done.stdout + done.stderr)[-_TAIL:].decode(errors="replace")
            raise NotReady(f"podman {words[0]} failed", expected="exit code 0", got=f"{done.returncode}: {output}")
        return done.stdout.decode(errors="replace")

    def succeeds(self, *words: str) -> bool:
        """Whether a command does."""
        words = ("podman", *words)
        return subprocess.run(words, env=self.environment, capture_output=True, check=False).returncode == 0

    def has(self, image: str) -> bool:
        """Whether an image is here."""
        return self.succeeds("image", "exists", image)

    def inspect(self, image: str) -> dict[str, Any]:
        """What is known about an image."""
        found: list[dict[str, Any]] = json.loads(self.run("image", "inspect", image))
        return found[0]

    def build(
        self,
        tag: str,
        file: Path,
        context: Path,
        arguments: Mapping[str, str],
        *,
        mounts: Sequence[str] = (),
        keeps_steps: bool = True,
    ) -> None:
        """Build an image.

        Parameters
        ----------
        tag : its name.
        file : Containerfile.
        context : folder that it copies from.
        arguments : build arguments.
        mounts : what its commands see besides, "HOST:INSIDE:ro".
        keeps_steps : whether the image of each step is kept for the next build.

        Raises
        ------
        NotReady : it does not build; shows the end of what was said.
        """
        passed = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        seen = [word for mount in (*build_mounts(), *mounts) for word in ("--volume", mount)]
        how = ("--network", "host", "--force-rm", f"--layers={'true' if keeps_steps else 'false'}")
        self.run("build", *how, "--tag", tag, "--file", str(file), *passed, *seen, str(context))


def _configuration() -> str:
    """No more than this process may have itself: podman asks for more, which some machines refuse even to root."""
    files, processes = (
        min(resource.getrlimit(limit)[1], ceiling) if resource.getrlimit(limit)[1] > 0 else ceiling
        for limit, ceiling in ((resource.RLIMIT_NOFILE, 20_000), (resource.RLIMIT_NPROC, 10_000))
    )
    limits = f'default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]'
    runtime = f'runtime = "{next((name for name in ("runc", "crun") if shutil.which(name)), "crun")}"'
    return f"[containers]\n{limits}\n\n[engine]\n{runtime}\n"
