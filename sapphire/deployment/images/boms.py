"""What is in an image: a CycloneDX bill of materials, read from the image itself.

Debian packages are those that its root was made of, Python packages those of its environment. A program of Rust says
nothing of what it was compiled from: Cargo's lock does, for the crates that the program is built of.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sapphire.domain.workspace import workspace

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

__all__ = ["bill_of_materials", "crates", "debian_packages", "python_packages"]

_STATUS = "var/lib/dpkg/status.d"
_SITE = "opt/sapphire/lib/python3.11/site-packages"
_PROGRAMS = {"usr/bin/service": "sapphire-service", "usr/bin/exchange": "sapphire-exchange"}
_IN_LAB = {"opt/sapphire/bin/service": "sapphire-service", "opt/sapphire/bin/exchange": "sapphire-exchange"}
_MODULE = {f"{_SITE}/sapphire_engine/_engine.abi3.so": "sapphire-engine"}


def bill_of_materials(name: str, version: str, root: Path) -> str:
    """The bill of materials of an image as CycloneDX 1.6 in JSON.

    Parameters
    ----------
    name, version : of the image.
    root : its files.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    bom = Bom()
    bom.metadata.component = Component(name=name, version=version, type=ComponentType.CONTAINER)
    roots = [crate for file, crate in (_PROGRAMS | _IN_LAB | _MODULE).items() if (root / file).exists()]
    bom.components.update(debian_packages(root))
    bom.components.update(python_packages(root))
    bom.components.update(crates(roots))
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def debian_packages(root: Path) -> Iterator[Component]:
    """The Debian packages of an image's root."""
    for file in sorted((root / _STATUS).glob("*")):
        fields = dict(line.split(": ", 1) for line in file.read_text("utf-8").splitlines() if ": " in line[1:])
        yield _component("deb", fields["Package"], fields["Version"], namespace="debian")


def python_packages(root: Path) -> Iterator[Component]:
    """The Python packages of an image's environment."""
    found = {}
    for distribution in distributions(path=[str(root / _SITE)]):
        found[distribution.metadata["Name"]] = distribution.version
    for name, version in sorted(found.items()):
        yield _component("pypi", name, version)


def crates(roots: Iterable[str]) -> Iterator[Component]:
    """The crates that programs of the engine are built of, by Cargo's lock, themselves among them."""
    roots = set(roots)
    if not roots:
        return
    words = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    folder = workspace() / "sapphire" / "execution" / "engine"
    metadata = json.loads(subprocess.run(words, cwd=folder, capture_output=True, check=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    coming = [id_ for id_, package in packages.items() if package["name"] in roots]
    reached: set[str] = set()
    while coming:
        id_ = coming.pop()
        if id_ not in reached:
            reached.add(id_)
            coming += [dependency["pkg"] for dependency in nodes[id_]["deps"] if _is_built_in(dependency)]
    for id_ in sorted(reached):
        yield _component("cargo", packages[id_]["name"], packages[id_]["version"])


def _is_built_in(dependency: dict[str, Any]) -> bool:
    """Whether a crate becomes part of the program, and not only of its tests or of its build."""
    return any(kind["kind"] is None for kind in dependency["dep_kinds"])


def _component(kind: str, name: str, version: str, *, namespace: str | None = None) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = PackageURL(type=kind, namespace=namespace, name=name, version=version)
    return Component(name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=url.to_string())
