"""Agents from files: one file of a workspace's `agents/` folder, read as it is and run by itself.

A file is run as a module of its own, under a name made of its content, so two versions of one file live side by side.
What the agent needs is in its file, in an installed package, or in a module of its workspace, which is found from the
workspace's folder and travels with it. A module that has changed on the disk is run again with the file.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import sys
import types
from pathlib import Path

from sapphire.agents.agent import Agent, agent_name
from sapphire.agents.own_lines import lines_of_error
from sapphire.agents.sources import MODULE_SOURCE, MODULES, PROMPTS, Imported, Source
from sapphire.agents.workspace_modules import import_name
from sapphire.domain.errors import AgentError
from sapphire.domain.workspace import MARKER

__all__ = ["load_agent_file", "load_agent_source", "plain_name"]


def plain_name(name: str) -> str:
    """A name without what writers vary: "LagLlama", "lag_llama" and "lag-llama" are one."""
    return name.replace("-", "").replace("_", "").lower()


def load_agent_file(path: Path) -> type[Agent]:
    """The agent class that a file makes. The same content gives the same class.

    Raises
    ------
    AgentError : no such file, a file that does not run, not exactly one agent in it, or one of another name.
    """
    if not path.is_file():
        raise AgentError("no such agent file", expected=f"a file at {path}", got="nothing there")
    try:
        return load_agent_source(path.read_text("utf-8"), path)
    except UnicodeDecodeError as error:
        raise AgentError(f"{path.name} is not text", expected="Python source in UTF-8", got=str(error)) from None


def load_agent_source(text: str, path: Path) -> type[Agent]:
    """The agent class that `text` makes, as the content of `path`, which need not be there yet.

    Raises
    ------
    AgentError : as `load_agent_file`.
    """
    digest = hashlib.sha256(f"{path.absolute()}\0{text}".encode()).hexdigest()
    name = f"sapphire_agents_{path.stem}_{digest[:12]}"
    module = sys.modules.get(name)
    if module is None or _outdated(module):
        _find_modules_of(path)
        module = _run(text, path, name)
    return _only_agent(module, path)


def _outdated(module: types.ModuleType) -> bool:
    """Whether a prompt, or a module of the workspace that is imported, is another one now; modules are forgotten."""
    prompts: dict[str, Source] = vars(module).get(PROMPTS, {})
    if any(_is_other(source) for source in prompts.values()):
        return True
    imported: Imported = vars(module).get(MODULES, Imported())
    read = {source: source.path for source in imported.modules if source.path is not None}
    if all(path.is_file() and path.read_text("utf-8") == source.text for source, path in read.items()):
        return False
    for source, path in read.items():
        sys.modules.pop(import_name(source.name), None)
        # compiled code is told apart by whole seconds and size alone
        Path(importlib.util.cache_from_source(path)).unlink(missing_ok=True)
    importlib.invalidate_caches()
    return True


def _is_other(source: Source) -> bool:
    path = source.path
    return path is not None and not (path.is_file() and path.read_bytes() == source.text.encode())


def _find_modules_of(path: Path) -> None:
    """Let modules of the file's workspace be imported; an installed package of the same name comes first."""
    roots = [str(folder) for folder in path.absolute().parents if (folder / MARKER).is_file()]
    if roots and roots[0] not in sys.path:
        sys.path.append(roots[0])


def _run(text: str, path: Path, name: str) -> types.ModuleType:
    try:
        code = compile(ast.parse(text, filename=str(path)), str(path), "exec")
    except SyntaxError as error:
        raise AgentError(
            f"{path.name} is not Python",
            expected="source that compiles",
            got=f"line {error.lineno}: {error.msg}: {(error.text or '').strip()}",
        ) from None
    module = types.ModuleType(name)
    module.__file__ = str(path)
    setattr(module, MODULE_SOURCE, text)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        exec(code, module.__dict__)
    except Exception as error:
        del sys.modules[name]
        if isinstance(error, AgentError):
            raise
        failed = AgentError(
            f"{path.name} does not run",
            expected="a file that runs by itself, top to bottom",
            got=f"line {_line_of(error, path)}: {type(error).__name__}: {error}",
            next="import what it needs in the file, from installed packages or from modules in the workspace's folder",
        )
        failed.lines = lines_of_error(error)
        raise failed from error
    return module


def _only_agent(module: types.ModuleType, path: Path) -> type[Agent]:
    made = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Agent) and value.__module__ == module.__name__
    ]
    agents = list(dict.fromkeys(made))
    if len(agents) != 1:
        raise AgentError(
            f"{path.name} makes {len(agents)} agents",
            expected="one class that derives from Agent: an agent is one file",
            got=", ".join(agent.__name__ for agent in agents) or "none",
        )
    if plain_name(agents[0].name) != plain_name(path.stem):
        raise AgentError(
            f"{path.name} holds an agent of another name",
            expected=f"class {''.join(word.capitalize() for word in path.stem.replace('-', '_').split('_'))}",
            got=f"class {agents[0].__name__}",
            next=f"rename the class, or the file to {agent_name(agents[0].__name__).replace('-', '_')}.py",
        )
    _require_defaults(agents[0], path)
    return agents[0]


def _require_defaults(cls: type[Agent], path: Path) -> None:
    """An agent is had by its name, so its parameters must have defaults that it accepts itself."""
    try:
        cls()
    except TypeError as error:
        raise AgentError(
            f"the agent of {path.name} cannot be made by its name alone",
            expected="a default for every parameter",
            got=str(error),
        ) from None


def _line_of(error: BaseException, path: Path) -> int | str:
    """The deepest line of `path` in the traceback."""
    line: int | str = "?"
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
