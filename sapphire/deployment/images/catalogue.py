"""The images there are, and of each what it is built from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import workspace

__all__ = ["IMAGES", "RUNNERS", "Image", "catalogue", "images_folder"]


@dataclass(frozen=True, slots=True)
class Image:
    """One image.

    Parameters
    ----------
    name : "sapphire/NAME".
    folder : of `k8s/images/` with its Containerfile.
    bento : what it serves, of `bentos/`; empty for an image that serves none.
    below_mb : what its size must stay below, in MB; None where its size is told and not bounded.
    keeps_steps : whether the next build may begin where it differs; the steps of images of several GB would fill the
        disk.
    """

    name: str
    folder: str
    bento: str = ""
    below_mb: int | None = None
    keeps_steps: bool = True

    @property
    def containerfile(self) -> Path:
        """Its Containerfile."""
        return images_folder() / self.folder / "Containerfile"

    @property
    def arguments(self) -> frozenset[str]:
        """What its Containerfile is to be told."""
        return frozenset(re.findall(r"(?m)^ARG ([A-Z_]+)", self.containerfile.read_text("utf-8")))

    def tag(self, version: str) -> str:
        """Its name with a tag, as podman keeps it."""
        return f"localhost/sapphire/{self.name}:{version}"


IMAGES = (
    Image("engine", "engine", below_mb=35),
    Image("valkey", "valkey", below_mb=35),
    Image("platform", "platform"),
    Image("runner-cpu", "runner", bento="cpu"),
    Image("postgresql", "postgresql"),
    Image("prometheus", "prometheus"),
    Image("mlflow", "mlflow"),
    Image("runner-cpu-torch", "runner", bento="cpu_torch", keeps_steps=False),
    Image("lab", "lab", keeps_steps=False),
)
"""In the order in which they are built, the quick ones first."""
RUNNERS = tuple(image.name for image in IMAGES if image.bento)


def images_folder() -> Path:
    """`k8s/images` of the repository.

    Raises
    ------
    ConfigError : this is no checkout of the repository.
    """
    folder = workspace() / "k8s" / "images"
    if not folder.is_dir():
        raise ConfigError("no k8s/images here", expected="a checkout of Sapphire's repository", got=str(folder.parent))
    return folder


def catalogue(names: tuple[str, ...] = ()) -> tuple[Image, ...]:
    """The images of these names; all of them unless some are named.

    Raises
    ------
    ConfigError : a name that no image has.
    """
    known = {image.name: image for image in IMAGES}
    for name in names:
        if name not in known:
            raise ConfigError(f"no image is called {name}", expected=", ".join(known), got=name)
    return tuple(known[name] for name in names) or IMAGES
