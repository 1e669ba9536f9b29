"""The room as a whole: light to import, closed to the rest of the house, and its examples hold."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import sapphire.domain

MODULES = sorted(f"sapphire.domain.{each.name}" for each in pkgutil.iter_modules(sapphire.domain.__path__))


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.strip()


def test_importing_the_domain_loads_nothing_heavy() -> None:
    heavy = ("numpy", "pandas", "pydantic")
    loaded = run(f"import sys, sapphire.domain; print([name for name in {heavy} if name in sys.modules])")
    assert loaded == "[]"


def test_importing_the_domain_is_quick() -> None:
    code = "import time; t = time.perf_counter(); import sapphire.domain; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(5)) < 0.15


def test_the_domain_imports_nothing_of_ours() -> None:
    code = "import sys, sapphire.domain as d; [getattr(d, n) for n in d.__all__]; print([m for m in sys.modules])"
    ours = {name.split(".")[1] for name in eval(run(code)) if name.startswith("sapphire.")}
    assert ours - {"_lazy"} == {"domain"}


def test_every_public_name_is_there() -> None:
    for name in sapphire.domain.__all__:
        assert getattr(sapphire.domain, name) is not None
    assert len(set(sapphire.domain.__all__)) == len(sapphire.domain.__all__)
    assert set(sapphire.domain.__all__) <= set(dir(sapphire.domain))
    with pytest.raises(AttributeError, match="no attribute 'Gossip'"):
        _ = sapphire.domain.Gossip


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
    assert module.__doc__


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for exported in module.__all__:
        assert hasattr(module, exported)
