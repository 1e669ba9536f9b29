"""A notebook's cell as an agent's file.

The cell is completed until it runs by itself: imports it uses without naming them, and the dataclass decorator. A name
that only the notebook knows is refused, because the file would not find it. The file changes only when the new text
makes an agent.
"""

from __future__ import annotations

import ast
import builtins
import html
import keyword
import re
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sapphire.agents import Agent, code_digest, load_agent_file, load_agent_source
from sapphire.agents import __all__ as agent_words
from sapphire.agents.agent_files import plain_name
from sapphire.agents.catalogue import BUILT_IN
from sapphire.domain.errors import AgentError

__all__ = ["Captured", "agent_path", "capture", "capture_agent", "completed"]

_DECORATOR = "@dataclass(frozen=True)"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MODULE_NAMES = {"__name__", "__file__", "__doc__", "__annotations__", "__dict__", "__module__", "__qualname__"}
_IMPORTS = (
    ("collections.abc", ("Callable", "Iterable", "Iterator", "Mapping", "Sequence")),
    ("dataclasses", ("dataclass", "field", "replace")),
    ("datetime", ("UTC", "datetime", "timedelta")),
    ("typing", ("Any", "ClassVar", "Literal", "Self")),
    ("sapphire", ("Agent", "View", "Window")),
    ("sapphire.domain", ("Bars", "Belief", "Interval", "AgentError", "from_ns", "to_ns")),
    ("sapphire.agents", tuple(word for word in agent_words if word != "Agent")),
)
_MODULES = {"math": "import math", "np": "import numpy as np", "pd": "import pandas as pd"}


@dataclass(frozen=True, slots=True)
class Captured:
    """What a cell became.

    Parameters
    ----------
    cls : the agent's class.
    path : its file.
    text : the file's content.
    added : the lines that the cell did not have.
    changed : whether the file is new or other than before.
    """

    cls: type[Agent]
    path: Path
    text: str = field(repr=False)
    added: tuple[str, ...]
    changed: bool

    @property
    def title(self) -> str:
        """One line: what was written and where."""
        verb = "written" if self.changed else "unchanged"
        place = "/".join(self.path.parts[-2:])  # below the workspace: what is stored names no machine
        return f"{self.cls.name}: {place} {verb}, {len(self.text.splitlines())} lines, {code_digest(self.cls)[:12]}"

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  added  {line}" for line in self.added)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        shown = html.escape(str(self))
        source = html.escape(self.text)
        page = f"<pre>{shown}</pre><details><summary>{self.path.name}</summary><pre>{source}</pre></details>"
        return {"text/plain": str(self), "text/html": page}


def capture_agent(name: str, source: str, workspace: Path) -> type[Agent]:
    """Write `source` as the agent `name` of a workspace, and load it from there: `%%agent` as a function.

    Raises
    ------
    AgentError : as `capture`.
    """
    return capture(name, source, workspace).cls


def capture(name: str, source: str, workspace: Path) -> Captured:
    """Write `source`, completed, as `agents/NAME.py` of a workspace, and load the agent from that file.

    Parameters
    ----------
    name : "momentum"; the file's name, and that of the class in it but for case and underscores.
    source : one agent, as it stands in a cell.
    workspace : folder of the workspace; its `agents/` is made if need be.

    Raises
    ------
    AgentError : a bad or taken name, source that does not compile or run, uses what only the notebook knows, or does
        not make exactly that agent. The file stays as it was.
    """
    path = agent_path(name, workspace)
    text, added = completed(source, path.name)
    load_agent_source(text, path)
    changed = not path.is_file() or path.read_text("utf-8") != text
    if changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".py.new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    return Captured(load_agent_file(path), path, text, added, changed)


def completed(source: str, name: str) -> tuple[str, tuple[str, ...]]:
    """The source as a file that can run by itself, and the lines that it lacked.

    Raises
    ------
    AgentError : it does not compile, or uses names that neither it nor Sapphire knows.
    """
    lines = source.strip("\n").rstrip().splitlines()
    tree = _parsed("\n".join(lines), name)
    places = sorted(_undecorated(tree), reverse=True)
    for line in places:
        lines.insert(line - 1, _DECORATOR)
    text = "\n".join(lines)
    lacking = _lacking(text, name)
    header = _header(lacking, text, name)
    at = _behind_preface(_parsed(text, name))
    if header:
        rest = _without_leading_blanks(lines[at:])
        gap = [] if rest and rest[0].startswith(("import ", "from ")) else ["", ""]
        lines = [*lines[:at], *([""] if at else []), *header, *gap, *rest]
    decorators = (_DECORATOR,) * len(places)
    return "\n".join(lines) + "\n", (*(line for line in header if line), *decorators)


def agent_path(name: str, workspace: Path) -> Path:
    """Where the agent of a name lies in a workspace.

    Raises
    ------
    AgentError : not a name for an agent, or one that another agent has.
    """
    stem = name.strip().replace("-", "_")
    if not _NAME.fullmatch(stem) or keyword.iskeyword(stem):
        raise AgentError(
            "not a name for an agent",
            expected="lower case letters, digits and underscores, such as momentum",
            got=repr(name),
        )
    path = workspace / "agents" / f"{stem}.py"
    taken = [known for known in BUILT_IN if plain_name(known) == plain_name(stem)]
    others = path.parent.glob("*.py") if path.parent.is_dir() else ()
    taken += [str(other) for other in others if other != path and plain_name(other.stem) == plain_name(stem)]
    if taken:
        raise AgentError(
            f"the name {stem} is taken",
            expected="a name that no other agent has",
            got=f"that of {taken[0]}",
            next="give it another name, and its class the same",
        )
    return path


def _parsed(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text, filename=name)
    except SyntaxError as error:
        raise AgentError(
            f"the cell {name.removesuffix('.py')} is not Python",
            expected="source that compiles; magics and shell lines cannot be in it",
            got=f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}",
        ) from None


def _undecorated(tree: ast.Module) -> Iterator[int]:
    """Lines of the agent classes that no dataclass decorator stands above."""
    agents = {word for word in agent_words if word[0].isupper()}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and agents & set(map(_last_word, node.bases)):
            agents.add(node.name)
            decorators = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
            if "dataclass" not in map(_last_word, decorators):
                yield min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _last_word(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _lacking(text: str, name: str) -> set[str]:
    """Names that the text uses and does not have."""
    top = symtable.symtable(text, name, "exec")
    bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    used = {
        symbol.get_name()
        for table in _tables(top)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (table is top or symbol.is_global())
    }
    return used - bound - set(dir(builtins)) - _MODULE_NAMES


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _header(lacking: Iterable[str], text: str, name: str) -> list[str]:
    """Import lines for the names, in the order that a formatter would give them."""
    left = set(lacking)
    groups: list[list[str]] = [[_MODULES["math"]] if "math" in left else [], [], []]
    groups[1] = [_MODULES[word] for word in ("np", "pd") if word in left]
    for module, words in _IMPORTS:
        wanted = sorted(left.intersection(words), key=lambda word: (not word.isupper(), word[0].islower(), word))
        if wanted:
            place = 2 if module.startswith("sapphire") else 0
            groups[place].append(f"from {module} import {', '.join(wanted)}")
        left -= set(words)
    left -= set(_MODULES)
    if left and not _imports_everything(_parsed(text, name)):
        raise AgentError(
            f"the cell {name.removesuffix('.py')} uses what only the notebook knows",
            expected="a cell that runs by itself, as a file",
            got=", ".join(sorted(left)),
            next="import or define it in the cell; what varies is a parameter of the agent",
        )
    lines: list[str] = []
    for group in filter(None, groups):
        lines += ["", *group] if lines else group
    return lines


def _imports_everything(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))


def _behind_preface(tree: ast.Module) -> int:
    """Number of lines that the docstring and the `__future__` imports take."""
    last = 0
    for place, node in enumerate(tree.body):
        docstring = place == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not (docstring or future):
            break
        last = node.end_lineno or last
    return last


def _without_leading_blanks(lines: list[str]) -> list[str]:
    first = next((place for place, line in enumerate(lines) if line.strip()), len(lines))
    return lines[first:]
