"""Building: each image from its Containerfile, its locks and the repository."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from sapphire import __version__
from sapphire.deployment.images.base import base_image, python_builder, rust_builder
from sapphire.deployment.images.catalogue import Image
from sapphire.deployment.images.podman import Podman
from sapphire.domain.workspace import workspace

__all__ = ["Builder", "Built"]


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was built.

    Parameters
    ----------
    image : what it is.
    tag : its name, as podman keeps it.
    digest : of its configuration: two images with the same one are the same.
    size_mb : unpacked, with its base, in MB (10**6 bytes).
    seconds : it took.
    """

    image: Image
    tag: str
    digest: str
    size_mb: float
    seconds: float


@dataclass(slots=True)
class Builder:
    """Builds images.

    Parameters
    ----------
    podman : that builds.
    tag : of what is built.
    base, rust : images to build on; made here unless named.
    torch_index : index of wheels that torch is taken from; the usual one unless named.
    """

    podman: Podman
    tag: str = "dev"
    base: str = ""
    rust: str = ""
    torch_index: str = ""
    _known: dict[str, str] = field(default_factory=dict)

    def build(self, image: Image) -> Built:
        """Build one image.

        Raises
        ------
        ConfigError : something that it is built with is not here; names the install line.
        NotReady : it does not build.
        """
        began = time.monotonic()
        tag, root = image.tag(self.tag), workspace()
        sys.stderr.write(f"  {image.name}\n")
        sys.stderr.flush()
        arguments = {name: self._argument(name, image) for name in sorted(image.arguments)}
        self.podman.build(tag, image.containerfile, root, arguments, keeps_steps=image.keeps_steps)
        facts = self.podman.inspect(tag)
        return Built(image, tag, f"sha256:{facts['Id']}", facts["Size"] / 1e6, time.monotonic() - began)

    def _argument(self, name: str, image: Image) -> str:
        if name == "BENTO":
            return image.bento
        if name not in self._known:
            self._known[name] = self._found(name)
        return self._known[name]

    def _found(self, name: str) -> str:
        if name == "VERSION":
            return __version__
        if name == "REVISION":
            return _revision(workspace())
        if name == "TORCH_INDEX":
            return self.torch_index
        base = self._known.setdefault("BASE_IMAGE", base_image(self.podman, self.base))
        if name == "BUILDER_IMAGE":
            return rust_builder(self.podman, base, self.rust)
        if name == "PYTHON_BUILDER":
            return python_builder(self.podman, base)
        return base


def _revision(root: Path) -> str:
    """The commit that is built, "-modified" where the tree is another one."""
    words = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--dirty=-modified", "--exclude=*"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
