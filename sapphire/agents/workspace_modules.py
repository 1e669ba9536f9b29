"""Modules of the workspace: what a file imports beside Python itself, installed distributions and Sapphire.

They are found by reading the file, so that an import within a function counts as well, and by looking at what the
running module holds, so that one by `importlib` does. Nothing is run to find them. An installed distribution is not
followed: the lock pins it.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from sapphire.agents.sources import Imported, Source

__all__ = ["import_name", "imported_by", "imported_names"]

_PLATFORM = "sapphire"


def import_name(path: str) -> str:
    """The name that a module's path by packages is imported by.

    Examples
    --------
    >>> import_name("desk/averages.py"), import_name("desk/__init__.py")
    ('desk.averages', 'desk')
    """
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported_by(text: str, *, package: str, seen: Mapping[str, Any]) -> Imported:
    """What a file imports, through its modules as well.

    Parameters
    ----------
    text : of the file.
    package : that the file is in, for relative imports; empty for none.
    seen : the running module's own names.
    """
    walk = _Walk()
    names = {*imported_names(text, package), *_modules_of(seen)}
    walk.follow(names)
    modules = tuple(walk.modules[path] for path in sorted(walk.modules))
    return Imported(modules, tuple(sorted(walk.installed)), tuple(sorted(walk.missing)))


@dataclass(slots=True)
class _Walk:
    """What was found so far."""

    modules: dict[str, Source] = field(default_factory=dict)
    installed: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    _done: set[str] = field(default_factory=set)

    def follow(self, names: set[tuple[str, bool]]) -> None:
        for name, certain in sorted(names):
            root = name.partition(".")[0]
            if name in self._done or root in sys.stdlib_module_names or root in (_PLATFORM, "__main__", "__future__"):
                continue
            self._done.add(name)
            found = _find(root)
            if found == "installed":
                self.installed.add(root)
            elif isinstance(found, Path):
                self._take(found, name, certain=certain)
            else:
                self.missing.add(root)

    def _take(self, root: Path, name: str, *, certain: bool) -> None:
        """Take the module `name` and its packages; `root` is the file or the folder of its first word."""
        words = name.split(".")
        for count in range(1, len(words) + 1):
            inside = root.joinpath(*words[1:count]) if root.suffix != ".py" else root
            path, kind = "/".join(words[:count]), _kind(inside)
            if kind == "module" and (count == 1 or root.suffix != ".py"):
                self._add(f"{path}.py", inside.with_suffix(".py"), ".".join(words[: count - 1]))
            elif kind == "package":
                self._add(f"{path}/__init__.py", inside / "__init__.py", ".".join(words[:count]))
            elif kind == "nothing" and certain:
                self.missing.add(".".join(words[:count]))

    def _add(self, path: str, file: Path, package: str) -> None:
        if path in self.modules:
            return
        text = file.read_text("utf-8")
        self.modules[path] = Source(path, text, file)
        self.follow(imported_names(text, package))


def _kind(place: Path) -> str:
    """What a name stands for in a folder: a module, a package, a folder without `__init__.py`, or nothing."""
    if place.suffix == ".py" or place.with_suffix(".py").is_file():
        return "package" if (place / "__init__.py").is_file() else "module"
    if (place / "__init__.py").is_file():
        return "package"
    return "folder" if place.is_dir() else "nothing"


def imported_names(text: str, package: str) -> set[tuple[str, bool]]:
    """Dotted names that a file imports, and whether each must be a module: `from a import b` may mean a name of a.

    Parameters
    ----------
    text : of the file.
    package : that the file is in, for relative imports; empty for none.
    """
    names: set[tuple[str, bool]] = set()
    for node in _imports(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {(alias.name, True) for alias in node.names}
            continue
        whole = "." * node.level + (node.module or "")
        try:
            base = importlib.util.resolve_name(whole, package) if node.level else whole
        except ImportError:
            names.add((whole, True))
            continue
        names.add((base, True))
        names |= {(f"{base}.{alias.name}", False) for alias in node.names if alias.name != "*"}
    return names


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that can run; those for a type checker alone cannot."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and _last_word(node.test) == "TYPE_CHECKING":
            for each in node.orelse:
                yield from _imports(ast.Module([each], []))
        else:
            yield from _imports(node)


def _last_word(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _modules_of(seen: Mapping[str, Any]) -> set[tuple[str, bool]]:
    """Modules that a running module holds, or whose functions and classes it holds."""
    modules = set()
    for value in list(seen.values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None and vars(module) is not seen and _from_file(module):
            modules.add((module.__name__, True))
    return modules


def _from_file(module: ModuleType) -> bool:
    """Whether a module is a file of a workspace under its own import name."""
    spec = getattr(module, "__spec__", None)
    return spec is not None and spec.has_location and isinstance(_find(spec.name.partition(".")[0]), Path)


def _find(root: str) -> Path | str:
    """Where a top-level name is: a file or folder of a workspace, "installed", or "" where it is not Python source."""
    module = sys.modules.get(root)
    spec = getattr(module, "__spec__", None)
    if spec is None:
        try:
            spec = importlib.util.find_spec(root)
        except (ImportError, ValueError, AttributeError):
            spec = None
    if spec is None or root.startswith("."):
        return ""
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    origin = Path(spec.origin) if spec.has_location and spec.origin else None
    if spec.origin in ("built-in", "frozen"):
        return "installed"
    place = origin or (folders[0] if folders else None)
    if place is None:
        return ""
    if any(place.resolve().is_relative_to(library) for library in _libraries()):
        return "installed"
    if folders:
        return folders[0]
    return place if place.suffix == ".py" else ""


def _libraries() -> set[Path]:
    """Folders of Python and of installed distributions."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    folders += [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    return {Path(folder).resolve() for folder in folders}
