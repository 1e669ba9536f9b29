"""Captured source: the code of a release, run from the release's own bytes and from nowhere else.

It runs as a module of a name made of its content, so neither an installed package nor a workspace file of the same name
can take its place, and two releases live side by side. What it imports comes from installed packages, which the
release's lock digest and engine version name.
"""

from __future__ import annotations

import sys
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import CodeType, ModuleType

from sapphire.agents.agent import Agent
from sapphire.agents.sources import MODULE_SOURCE
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import AgentError, EvidenceRefused

__all__ = ["captured_class"]


def captured_class(text: str, *, file_name: str, class_name: str, label: str) -> type[Agent]:
    """The agent class that `text` makes. The same text and file name give the same class.

    Parameters
    ----------
    file_name : the file that the source was captured from; code digests and tracebacks name it.
    class_name : the agent's class.
    label : the release, for messages.

    Raises
    ------
    AgentError : the source does not run here.
    EvidenceRefused : it makes no agent of that class.
    """
    name = f"sapphire_release_{sha256_of(f'{file_name}{chr(0)}{text}'.encode())}"
    module = sys.modules.get(name)
    if module is None:
        module = _run(name, text, f"<{label}>/{file_name}")
    made = vars(module).get(class_name)
    if not isinstance(made, type) or not issubclass(made, Agent) or made.__module__ != name:
        raise EvidenceRefused(
            f"the source in {label} makes no agent {class_name}",
            expected=f"class {class_name}(Agent) in {file_name}",
            got=type(made).__name__ if made is not None else "no such name",
            next="freeze the agent again",
        )
    return made


class _CapturedLoader(InspectLoader):
    """Loads one module from text; tracebacks show its lines."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path

    def get_source(self, fullname: str) -> str:
        return self._text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self._path, "exec", dont_inherit=True)


def _run(name: str, text: str, path: str) -> ModuleType:
    loader = _CapturedLoader(text, path)
    module = module_from_spec(ModuleSpec(name, loader, origin=path))
    module.__file__ = path
    setattr(module, MODULE_SOURCE, text)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise AgentError(
            f"the source {path} does not run here",
            expected="the packages that the release was frozen with: its lock digest names them",
            got=f"{type(error).__name__}: {error}",
            next="install the requirements of that lock, or serve the release from the bento made for it",
        ) from error
    return module
