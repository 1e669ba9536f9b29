"""The room as a whole: light to import, closed to the rest of the house, and its examples hold."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from typing import Any

import pytest

import sapphire.domain

MODULES = sorted(f"sapphire.domain.{each.name}" for each in pkgutil.iter_modules(sapphire.domain.__path__))


def test_importing_the_domain_loads_nothing_heavy(fresh_interpreter: Any) -> None:
    assert not {"numpy", "pandas", "pydantic"} & fresh_interpreter.modules_after("import sapphire.domain")


def test_importing_the_domain_is_quick() -> None:
    """In seconds of the processor: what else the machine does at that moment is not the domain's."""
    code = "import time; t = time.process_time(); import sapphire.domain; print(time.process_time() - t)"
    words = [sys.executable, "-c", code]
    runs = [subprocess.run(words, capture_output=True, check=True, text=True).stdout for _ in range(5)]
    assert min(map(float, runs)) < 0.15


def test_the_domain_imports_nothing_of_ours(fresh_interpreter: Any) -> None:
    loaded = fresh_interpreter.modules_after("import sapphire.domain as d; [getattr(d, n) for n in d.__all__]")
    ours = {name.split(".")[1] for name in loaded if name.startswith("sapphire.")}
    assert ours == {"domain"}


def test_every_public_name_is_there() -> None:
    for name in sapphire.domain.__all__:
        assert getattr(sapphire.domain, name) is not None
    assert len(set(sapphire.domain.__all__)) == len(sapphire.domain.__all__)
    assert set(sapphire.domain.__all__) <= set(dir(sapphire.domain))
    with pytest.raises(AttributeError, match="Gossip"):
        _ = sapphire.domain.Gossip


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for exported in module.__all__:
        assert hasattr(module, exported)
