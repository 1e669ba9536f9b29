"""Packages: which installed packages the code of an agent imports, read off its captured files without running them.

A server is chosen by them, and the arithmetic that golden outputs are held to is known by them.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sapphire.agents.workspace_modules import import_name, imported_names

if TYPE_CHECKING:
    from sapphire.agents.release.code import AgentCode

__all__ = ["packages_of"]

_PLATFORM = "sapphire"
_AGENTS = "sapphire.agents"


def packages_of(code: AgentCode) -> frozenset[str]:
    """Top-level names of the packages that an agent's files import, within functions too.

    Where they import a module of `sapphire.agents`, or a name of one, what that module itself imports counts: who
    computes with `LagLlama` needs torch.

    Examples
    --------
    >>> from sapphire.agents import LagLlama, MovingAverageCross
    >>> from sapphire.agents.release.code import AgentCode
    >>> "torch" in packages_of(AgentCode.of(LagLlama())), "torch" in packages_of(AgentCode.of(MovingAverageCross()))
    (True, False)
    """
    names = {name for name, _ in imported_names(code.text, "")}
    for path, text in code.modules.items():
        module = import_name(path)
        package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
        names |= {name for name, _ in imported_names(text, package)}
    captured = {import_name(path).partition(".")[0] for path in code.modules}
    for module in {each for name in names if (each := _agents_module(name))}:
        names |= set(_imported_by_platform(module))
    return frozenset(_roots(names) - captured)


def _roots(names: Iterable[str]) -> set[str]:
    roots = {name.partition(".")[0] for name in names}
    return {root for root in roots if root and root not in sys.stdlib_module_names and root != _PLATFORM}


def _agents_module(name: str) -> str:
    """The module of `sapphire.agents` that a dotted name is, or that makes what it names; empty for none."""
    if name.partition(".")[0] != _PLATFORM:
        return ""
    module = name if _is_module(name) else _made_by(name)
    return module if module.startswith(f"{_AGENTS}.") else ""


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # what is above it is no package
        return False


def _made_by(name: str) -> str:
    above, _, word = name.rpartition(".")
    try:
        made = getattr(import_module(above), word, None)
    except ImportError:
        return ""
    return str(getattr(made, "__module__", ""))


def _imported_by_platform(module: str) -> Iterator[str]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return
    package = module if spec.submodule_search_locations else module.rpartition(".")[0]
    yield from (name for name, _ in imported_names(Path(spec.origin).read_text("utf-8"), package))
