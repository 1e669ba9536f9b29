"""What `make test-cluster` says where it cannot build, and what makes it build anew."""

import shutil

import pytest
from cluster.definitions import Typed, defined, structural
from cluster.programs import MODULES, ToolMissingError, build, folders_of


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine whose cache and PATH are empty; the folder of its PATH."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def program(folder, name, says):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)


def test_without_go_the_line_that_installs_it_is_named(bare):
    with pytest.raises(
        ToolMissingError, match=r"no go\n  expected: Go 1\.26 .*\n  next:     install Go .*go\.dev/doc/install"
    ):
        build()
    assert list(bare.parent.glob("cache/**/*.making")) == []


def test_a_go_that_is_too_old_is_named(bare):
    program(bare, "go", '[ "$2" = GOVERSION ] && echo go1.20.3 || echo local')
    with pytest.raises(ToolMissingError, match=r"go1\.20\.3 is too old"):
        build()


def test_without_npm_the_line_that_installs_it_is_named(bare):
    program(bare, "go", "echo go1.99.0")
    with pytest.raises(ToolMissingError, match=r"no npm\n.*\n  next:     apt-get install nodejs npm"):
        build()


def test_another_version_is_another_folder(tmp_path):
    here = tmp_path / "modules"
    shutil.copytree(MODULES, here)
    assert folders_of(here) == folders_of()
    changed = here / "kwok" / "go.mod"
    changed.write_text(changed.read_text().replace("v0.7.0", "v0.7.1"))
    assert folders_of(here).programs != folders_of().programs
    assert folders_of(here).definitions == folders_of().definitions


def test_types_become_a_definition_that_names_what_may_stand_there():
    kinds = {
        "IThing": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "apiVersion": {"type": "string", "const": "a.dev/v1"},
                "kind": {"type": "string", "const": "Thing"},
                "metadata": {"$ref": "#/definitions/IObjectMeta"},
                "spec": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "port": {"type": ["number", "string"]},
                        "mode": {"type": "string", "enum": ["a", "b"]},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                    "required": ["mode"],
                },
            },
            "required": ["apiVersion", "kind", "metadata", "spec"],
        }
    }
    made = defined(Typed("a.dev", "v1", "Thing"), {"definitions": kinds})
    root = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert made["metadata"]["name"] == "things.a.dev"
    assert root["required"] == ["apiVersion", "kind", "spec"]
    assert root["properties"]["spec"] == {
        "type": "object",
        "properties": {
            "port": {"x-kubernetes-int-or-string": True},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["mode"],
    }
    assert structural({}, kinds) == {"x-kubernetes-preserve-unknown-fields": True}
