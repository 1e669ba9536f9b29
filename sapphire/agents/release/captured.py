"""Captured source: the code of a release, run from the release's own bytes and from nowhere else.

It runs as a module of a name made of its content, so neither an installed package nor a workspace file of the same name
can take its place, and two releases live side by side. Modules of the workspace were captured with it: an import
statement finds them first, under the names that they had. What else it imports comes from installed packages, which the
release's lock digest and engine version name.
"""

from __future__ import annotations

import builtins
import importlib.util
import sys
from collections.abc import Mapping
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from sapphire.agents.agent import Agent
from sapphire.agents.sources import MODULE_SOURCE, MODULES, PROMPTS, PROMPTS_FOLDER, Imported, Source, digest_of
from sapphire.agents.workspace_modules import import_name
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import AgentError, EvidenceRefused

__all__ = ["captured_class"]


def captured_class(
    text: str,
    *,
    file_name: str,
    class_name: str,
    label: str,
    modules: Mapping[str, str] | None = None,
    prompts: Mapping[str, str] | None = None,
) -> type[Agent]:
    """The agent class that `text` makes. The same text, file name, modules and prompts give the same class.

    Parameters
    ----------
    file_name : the file that the source was captured from; code digests and tracebacks name it.
    class_name : the agent's class.
    label : the release, for messages.
    modules : of the workspace, path by packages to text.
    prompts : file name to text.

    Raises
    ------
    AgentError : the source does not run here.
    EvidenceRefused : it makes no agent of that class.
    """
    imported = tuple(Source(path, each) for path, each in sorted((modules or {}).items()))
    given = {each: Source(f"{PROMPTS_FOLDER}/{each}", of) for each, of in sorted((prompts or {}).items())}
    beside = (*imported, *given.values())
    content = f"{file_name}{chr(0)}{text}" + (f"{chr(0)}{digest_of(beside)}" if beside else "")
    name = f"sapphire_release_{sha256_of(content.encode())}"
    module = sys.modules.get(name)
    if module is None:
        module = _Captured(name, f"<{label}>", imported, given).run(text, file_name)
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


class _Captured:
    """One agent's file and the modules it was captured with.

    Parameters
    ----------
    name : under which the file is kept; its modules are kept below that name.
    label : what tracebacks call the release.
    modules : captured ones.
    prompts : captured ones, by their names.
    """

    def __init__(self, name: str, label: str, modules: tuple[Source, ...], prompts: Mapping[str, Source]) -> None:
        self._prompts = dict(prompts)
        self._name = name
        self._label = label
        self._modules = modules
        self._sources = {import_name(source.name): source for source in modules}
        self._packages = {
            ".".join(words[:count])
            for words in (known.split(".") for known in self._sources)
            for count in range(1, len(words))
        }
        # an import statement asks the builtins of the module that it stands in
        self._builtins = {**vars(builtins), "__import__": self._import}

    def run(self, text: str, file_name: str) -> ModuleType:
        """Run the agent's file."""
        try:
            return self._run(self._name, text, f"{self._label}/{file_name}", package="")
        except Exception as error:
            for kept in [each for each in sys.modules if each == self._name or each.startswith(f"{self._name}.")]:
                del sys.modules[kept]
            if isinstance(error, AgentError):
                raise
            raise AgentError(
                f"the source {self._label}/{file_name} does not run here",
                expected="the packages that the release was frozen with: its lock digest names them",
                got=f"{type(error).__name__}: {error}",
                next="install the requirements of that lock, or serve the release from the bento made for it",
            ) from error

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> Any:
        """`__import__` that finds captured modules first."""
        package = str((globals or {}).get("__sapphire_package__", ""))
        whole = importlib.util.resolve_name("." * level + name, package) if level else name
        if whole.partition(".")[0] not in {*self._sources, *self._packages}:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self._module(whole)
        if not fromlist:
            return module if level else self._module(whole.partition(".")[0])
        for word in fromlist:
            if not hasattr(module, word) and f"{whole}.{word}" in {*self._sources, *self._packages}:
                self._module(f"{whole}.{word}")
        return module

    def _module(self, name: str) -> ModuleType:
        """The captured module that is imported as `name`, run when it is first asked for, its packages before it."""
        above, _, word = name.rpartition(".")
        parent = self._module(above) if above else None
        kept = f"{self._name}.{name}"
        module = sys.modules.get(kept)
        if module is None:
            source = self._sources.get(name)
            if source is None and name not in self._packages:
                raise ModuleNotFoundError(f"No module named {name!r} among those captured", name=name)
            text, file_name = (source.text, source.name) if source else ("", name.replace(".", "/"))
            package = name if source is None or source.name.endswith("__init__.py") else above
            module = self._run(kept, text, f"{self._label}/modules/{file_name}", package=package)
        if parent is not None:
            setattr(parent, word, module)
        return module

    def _run(self, kept: str, text: str, path: str, *, package: str) -> ModuleType:
        loader = _CapturedLoader(text, path)
        module = module_from(ModuleSpec(kept, loader, origin=path), path)
        vars(module).update(
            {
                MODULE_SOURCE: text,
                MODULES: Imported(modules=self._modules),
                PROMPTS: dict(self._prompts),
                "__builtins__": self._builtins,
                "__sapphire_package__": package,
            }
        )
        sys.modules[kept] = module  # dataclasses look their module up by name
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[kept]
            raise
        return module


def module_from(spec: ModuleSpec, path: str) -> ModuleType:
    """An empty module that says where its text is from."""
    module = importlib.util.module_from_spec(spec)
    module.__file__ = path
    return module
