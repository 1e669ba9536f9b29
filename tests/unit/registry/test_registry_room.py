"""The room as a whole: light to enter, and the policies' folder does not shadow a library."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import sapphire.registry

ROOT = Path(__file__).parents[3]
MODULES = sorted(f"sapphire.registry.{each.name}" for each in pkgutil.iter_modules(sapphire.registry.__path__))
HEAVY = {"mlflow", "sqlalchemy", "yaml", "cryptography", "pandas", "numpy"}


def test_the_room_and_its_verbs_load_nothing_heavy(fresh_interpreter: Any) -> None:
    assert not HEAVY & fresh_interpreter.modules_after("import sapphire.registry, sapphire.registry.commands")


def test_the_object_loads_mlflow_only_when_it_is_used(fresh_interpreter: Any) -> None:
    code = "import pathlib; from sapphire.registry import Registry; Registry(pathlib.Path('/nowhere')).store.digests()"
    assert "mlflow" not in fresh_interpreter.modules_after(code)


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for exported in module.__all__:
        assert getattr(module, exported) is not None


def test_every_public_name_is_there() -> None:
    for name in sapphire.registry.__all__:
        assert getattr(sapphire.registry, name) is not None
    assert sapphire.registry.__all__ == sorted(sapphire.registry.__all__)
    with pytest.raises(AttributeError, match="Gossip"):
        _ = sapphire.registry.Gossip


def test_the_folder_of_policies_holds_no_python() -> None:
    assert not [path for path in (ROOT / "mlflow").rglob("*") if path.suffix in (".py", ".pyi", ".so")]


@pytest.mark.parametrize("where", [".", "mlflow", "tests"])
def test_the_real_mlflow_is_found_from_wherever_a_command_runs(fresh_interpreter: Any, where: str) -> None:
    code = "import importlib.util as found; print(found.find_spec('mlflow').origin)"
    assert "site-packages" in fresh_interpreter.run(code, cwd=ROOT / where).stdout
