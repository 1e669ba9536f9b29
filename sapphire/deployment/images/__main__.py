"""`python -m sapphire.deployment.images`, which `make images` calls: build, table, and lock for Debian's packages.

Of each image `$SAPPHIRE_HOME/images` has a bill of materials (`boms/NAME.cdx.json`) and a row (`rows/NAME.json`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sapphire.deployment.images.base import base_image
from sapphire.deployment.images.boms import bill_of_materials
from sapphire.deployment.images.building import Builder, Built
from sapphire.deployment.images.catalogue import IMAGES, catalogue, images_folder
from sapphire.deployment.images.debian import lock_debian
from sapphire.deployment.images.podman import Podman
from sapphire.deployment.images.table import Row, note, rows, table
from sapphire.domain.errors import SapphireError
from sapphire.domain.workspace import home


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words say; its exit code."""
    arguments = _arguments().parse_args(words)
    folder = home() / "images"
    try:
        if arguments.verb == "table":
            _show(folder, as_json=arguments.json)
            return 0
        podman = Podman(folder)
        if arguments.verb == "lock":
            lock_debian(podman, base_image(podman, arguments.base_image), sorted(images_folder().glob("*/debian.in")))
            return 0
        builder = Builder(podman, arguments.tag, arguments.base_image, arguments.builder_image, arguments.torch_index)
        for image in catalogue(tuple(arguments.names)):
            _note(podman, folder, builder.build(image))
    except SapphireError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _note(podman: Podman, folder: Path, built: Built) -> None:
    from sapphire.data.durable import write_text

    root = podman.run("image", "mount", built.tag).strip()
    try:
        bill = bill_of_materials(f"sapphire/{built.image.name}", built.digest, Path(root))
    finally:
        podman.run("image", "unmount", built.tag)
    for kept in ("boms", "rows"):
        (folder / kept).mkdir(parents=True, exist_ok=True)
    write_text(folder / "boms" / f"{built.image.name}.cdx.json", bill)
    components = len(json.loads(bill).get("components", ()))
    note(folder / "rows", Row(built.image.name, built.tag, built.digest, built.size_mb, components, built.seconds))
    sys.stderr.write(f"  {built.tag}: {built.size_mb:,.1f} MB, {built.seconds:.0f} s\n")


def _show(folder: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    from rich.console import Console

    kept = rows(folder / "rows")
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in kept], indent=1) + "\n")
    else:
        Console().print(table(kept))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sapphire.deployment.images", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build images")
    build.add_argument("names", nargs="*", metavar="NAME", help=", ".join(image.name for image in IMAGES))
    build.add_argument("--tag", default="dev", help="of what is built [dev]")
    build.add_argument("--builder-image", default="", help="with Rust and a C compiler [made here]")
    build.add_argument("--torch-index", default="", help="index of wheels that torch is taken from")
    shown = verbs.add_parser("table", help="sizes and start-up times of what was built")
    shown.add_argument("--json", action="store_true", help="as JSON on stdout")
    lock = verbs.add_parser("lock", help="write each debian.lock anew")
    for verb in (build, lock):
        verb.add_argument("--base-image", default="", help="Debian bookworm [made here by debootstrap]")
    return parser


if __name__ == "__main__":
    sys.exit(main())
