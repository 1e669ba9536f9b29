"""How images are built, as far as no container is needed: what is locked, what is kept, what is said."""

import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from rich.console import Console

from sapphire.deployment.images import base, debian, podman
from sapphire.deployment.images.__main__ import main
from sapphire.deployment.images.boms import bill_of_materials
from sapphire.deployment.images.building import Builder
from sapphire.deployment.images.catalogue import IMAGES
from sapphire.deployment.images.debian import lock_debian, wanted
from sapphire.deployment.images.podman import Podman
from sapphire.deployment.images.table import Row, note, rows, table
from sapphire.domain import ConfigError

PLAN = """Inst libc6 (2.36-9 Debian:12.12/stable [amd64])
Inst gadget (1:2.0-1 Debian:12.12/stable [amd64])
Inst libbody (3.1+b1 Debian:12.12/stable [amd64])
Inst perl (5.36 Debian:12.12/stable [amd64])
Inst libperl (5.36 Debian:12.12/stable [amd64])
"""
SHOWN = f"""Package: libc6
Version: 2.36-9
Depends: libgcc-s1 (>= 12)
SHA256: {"a" * 64}

Package: gadget
Version: 1:2.0-1
Pre-Depends: perl:any (>= 5)
Depends: libc6 (>= 2.34), missing | body (>= 3)
SHA256: {"b" * 64}

Package: libbody
Version: 3.1+b1
Provides: body (= 3.1)
Depends: libc6
SHA256: {"c" * 64}

Package: perl
Version: 5.36
Depends: libperl
SHA256: {"d" * 64}

Package: libperl
Version: 5.36
SHA256: {"e" * 64}
"""


class Mirror:
    """What apt says in a container."""

    def __init__(self):
        self.ended = False

    def run(self, *words, stdin=None):
        if "--simulate" in words:
            return PLAN
        if "show" in words:
            return SHOWN
        self.ended = self.ended or words[0] == "rm"
        return "container\n"


def test_a_lock_has_what_is_wanted_and_what_that_needs_but_not_what_only_installing_needs(tmp_path):
    file = tmp_path / "debian.in"
    file.write_text("# why\ngadget  # a tool\n\n!nothing\n")
    assert wanted(file) == (["gadget"], {"nothing"})
    mirror = Mirror()
    lock_debian(mirror, "base", [file])
    locked = file.with_suffix(".lock").read_text().splitlines()[1:]
    assert locked == [f"gadget=1:2.0-1 {'b' * 64}", f"libbody=3.1+b1 {'c' * 64}", f"libc6=2.36-9 {'a' * 64}"]
    file.write_text("gadget\n!libbody\nperl\n")
    lock_debian(mirror, "base", [file])
    locked = [line.split("=")[0] for line in file.with_suffix(".lock").read_text().splitlines()[1:]]
    assert locked == ["gadget", "libc6", "libperl", "perl"]
    assert mirror.ended


def test_a_package_that_the_mirror_does_not_have_is_named_and_no_lock_is_written(tmp_path):
    file = tmp_path / "debian.in"
    file.write_text("gadget\ngizmo\n")
    mirror = Mirror()
    with pytest.raises(ConfigError, match="does not have") as refused:
        lock_debian(mirror, "base", [file])
    assert refused.value.got == "gizmo"
    assert not file.with_suffix(".lock").exists()
    assert mirror.ended


def test_a_missing_program_is_said_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no podman") as refused:
        Podman(tmp_path)
    assert "apt-get install podman runc" in refused.value.next
    monkeypatch.setattr(
        podman.shutil, "which", lambda name: None if name in {"debootstrap", "rustc"} else "/usr/bin/true"
    )

    class Empty(Podman):
        def has(self, image):
            return False

    with pytest.raises(ConfigError, match="no debootstrap") as refused:
        base.base_image(Empty(tmp_path))
    assert "apt-get install debootstrap" in refused.value.next
    assert base.base_image(Empty(tmp_path), "debian:bookworm") == "debian:bookworm"
    with pytest.raises(ConfigError, match="no rustc"):
        base.rust_builder(Empty(tmp_path), "base")


def test_an_image_that_there_is_not_is_refused_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    monkeypatch.setattr(podman.shutil, "which", lambda name: "/usr/bin/true")
    assert main(["build", "kernel"]) == 1
    assert "no image is called kernel" in capsys.readouterr().err


def test_each_argument_of_a_containerfile_is_known_to_the_builder(tmp_path, monkeypatch):
    monkeypatch.setattr(podman.shutil, "which", lambda name: "/usr/bin/true")
    builder = Builder(Podman(tmp_path), base="base", rust="rust", torch_index="http://127.0.0.1/cpu")
    builder._known["PYTHON_BUILDER"] = "python"
    for image in IMAGES:
        arguments = {name: builder._argument(name, image) for name in image.arguments}
        assert {"BASE_IMAGE", "VERSION", "REVISION"} <= set(arguments)
        assert arguments["BASE_IMAGE"] == "base"
        assert arguments.get("BUILDER_IMAGE", "rust") == "rust"
        assert arguments.get("BENTO", "") == image.bento
        assert arguments.get("TORCH_INDEX", builder.torch_index) == "http://127.0.0.1/cpu"


def test_a_bill_of_materials_is_valid_and_lists_debian_and_python_packages(tmp_path):
    status = tmp_path / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    (status / "libc6").write_text("Package: libc6\nVersion: 2.36-9\nDescription: C library\n of Debian: shared\n")
    info = tmp_path / "opt/sapphire/lib/python3.11/site-packages/gadget-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gadget\nVersion: 1.2\n")
    text = bill_of_materials("sapphire/desk", "sha256:00", tmp_path)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert {part["purl"] for part in bill["components"]} == {"pkg:deb/debian/libc6@2.36-9", "pkg:pypi/gadget@1.2"}
    assert bill["metadata"]["component"]["name"] == "sapphire/desk"


def test_the_table_shows_what_was_built_and_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    folder = tmp_path / "images" / "rows"
    folder.mkdir(parents=True)
    note(folder, Row("engine", "localhost/sapphire/engine:dev", f"sha256:{'ab' * 32}", 27.1, 197, 60.0))
    note(folder, Row("engine", "localhost/sapphire/engine:dev", f"sha256:{'ab' * 32}", 27.1, 197, 60.0, 0.42, "serves"))
    assert [row.start_s for row in rows(folder)] == [0.42]
    console = Console(width=80, record=True)
    console.print(table(rows(folder)))
    shown = console.export_text()
    assert all(word in shown for word in ("engine", "27.1", "197", "0.4", "serves"))
    assert main(["table", "--json"]) == 0
    out = capsys.readouterr().out
    (row,) = json.loads(out[out.index("[") :])
    assert (row["size_mb"], row["digest"]) == (27.1, f"sha256:{'ab' * 32}")


def test_locks_of_debian_leave_out_what_installs_packages():
    assert {"dpkg", "apt", "perl-base", "debconf", "bash", "openssl"} <= debian._INSTALLING
