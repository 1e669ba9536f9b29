"""An agent's own source: what it is identified by, and what a release freezes.

It is the file that made the class, every module of the workspace that this file imports, directly or through others,
and the prompts that the class names, from the folder `prompts` beside the file. The texts are taken when the class is
made, so they are the code that runs, whatever happens to the files afterwards.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from weakref import WeakKeyDictionary

from sapphire.domain.errors import AgentError

__all__ = [
    "MODULES",
    "MODULE_SOURCE",
    "PROMPTS",
    "Code",
    "Imported",
    "Source",
    "code_of",
    "digest_of",
    "prompt_text",
    "remember_source",
]

MODULE_SOURCE = "__agent_source__"
"""The name under which a module that was made from text keeps that text."""
MODULES = "__agent_modules__"
"""The name under which a module keeps what it imports of the workspace, as `Imported`."""
PROMPTS = "__agent_prompts__"
"""The name under which a module keeps the prompts that its classes were made with, name to `Source`."""
PROMPTS_FOLDER = "prompts"
"""The folder beside an agent's file in which its prompts lie."""
_LARGEST_PROMPT = 64 * 2**10
_SPEC = "__agent_spec__"
"""The name under which a module keeps what it was imported by when its modules were looked at."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one file.

    Parameters
    ----------
    name : file name without its folder, "moving_average.py"; of a module its path by packages, "desk/averages.py".
    text : everything in it.
    path : where it lies; None where it was never on a disk.
    """

    name: str
    text: str
    path: Path | None = field(default=None, compare=False)

    @property
    def digest(self) -> str:
        """sha256 of the file's bytes; `sha256sum` shows the same."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file imports beside Python itself and Sapphire.

    Parameters
    ----------
    modules : of the workspace, by name, those that they import among them.
    installed : top-level names of installed distributions.
    missing : names that nothing here answers to, or that are not Python source.
    """

    modules: tuple[Source, ...] = ()
    installed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """All the code of one class.

    Parameters
    ----------
    file : that made it.
    imported : what the file imports.
    prompts : that the class names, each called "prompts/NAME".
    """

    file: Source
    imported: Imported
    prompts: tuple[Source, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The file, the modules of the workspace, and the prompts."""
        return (self.file, *self.imported.modules, *self.prompts)


_CODES: WeakKeyDictionary[type, Code] = WeakKeyDictionary()


def remember_source(cls: type) -> None:
    """Take the text of the file that is just making `cls`; a class made elsewhere (a notebook's cell) has none."""
    module = sys.modules.get(cls.__module__)
    file = _text_of(module) if module is not None else None
    if module is None or file is None:
        return
    known, spec = vars(module).get(MODULES), module.__spec__
    if known is None or vars(module).get(_SPEC, spec) is not spec:  # a module that is reloaded has another one
        known = _imported_by(module, file)
        setattr(module, MODULES, known)
        setattr(module, _SPEC, spec)
    _CODES[cls] = Code(file, known, _prompts_of(cls, module, file))


def code_of(cls: type) -> Code:
    """The code of `cls`.

    Raises
    ------
    AgentError : it was not made by a file, or a method of it was replaced by one that stands in none.
    """
    code = _CODES.get(cls)
    loose = None if code is None else _loose_method(cls)
    if code is None or loose is not None:
        raise AgentError(
            f"the source of {cls.__name__} cannot be had",
            expected="a class that was made by a file, so that what ran can be named and released",
            got=f"a class of {cls.__module__}" if loose is None else f"its {loose} was put there by a cell",
            next=f"put %%agent {cls.__name__.lower()} on top of its cell (after %load_ext sapphire), or the class into "
            f"agents/{cls.__name__.lower()}.py of the workspace",
        )
    return code


def _loose_method(cls: type) -> str | None:
    """A method that stands neither in the file of its class nor in any other; decorators are looked behind."""
    own = getattr(sys.modules.get(cls.__module__), "__file__", None)
    for name, value in vars(cls).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if isinstance(function, FunctionType) and not (name.startswith("__") and name.endswith("__")):
            file = inspect.unwrap(function).__code__.co_filename
            if file != own and not Path(file).is_file():
                return name
    return None


def digest_of(sources: Iterable[Source]) -> str:
    """One sha256: a lone file's own, otherwise that of the lines "digest  name" of them all, sorted."""
    each = sorted({f"{source.digest}  {source.name}\n" for source in sources})
    if len(each) == 1:
        return each[0].split(" ", 1)[0]
    return hashlib.sha256("".join(each).encode()).hexdigest()


def prompt_text(cls: type, name: str) -> str:
    """The text of a prompt that a class, or one that it derives from, names.

    Raises
    ------
    AgentError : no such prompt.
    """
    wanted = f"{PROMPTS_FOLDER}/{name}"
    codes = [_CODES[each] for each in cls.__mro__ if each in _CODES]
    found = next((source for code in codes for source in code.prompts if source.name == wanted), None)
    if found is None:
        known = [source.name.partition("/")[2] for code in codes for source in code.prompts]
        raise AgentError(
            f"{cls.__name__} has no prompt {name!r}",
            expected="one of " + (", ".join(known) or "none: its class names none"),
            got=name,
            next=f'prompts = ("{name}",) on its class, and the file {wanted} beside its own',
        )
    return found.text


def _prompts_of(cls: type, module: ModuleType, file: Source) -> tuple[Source, ...]:
    """The prompts that a class names: those its module was captured with, else the files that are there now."""
    names: tuple[str, ...] = cls.__dict__.get(PROMPTS_FOLDER, ())
    captured: dict[str, Source] = vars(module).setdefault(PROMPTS, {})
    for name in names:
        if name not in captured:
            captured[name] = _read_prompt(cls, name, file)
    return tuple(captured[name] for name in names)


def _read_prompt(cls: type, name: str, file: Source) -> Source:
    folder = None if file.path is None else file.path.parent / PROMPTS_FOLDER
    path = None if folder is None else folder / name
    if path is None or not path.is_file():
        raise AgentError(
            f"the prompt {name} of {cls.__name__} is not there",
            expected=f"{PROMPTS_FOLDER}/{name} beside {file.name}",
            got="nothing" if path is None else f"no file at {path}",
        )
    data = path.read_bytes()
    try:
        if len(data) > _LARGEST_PROMPT:
            raise ValueError(f"{len(data):,} bytes")
        return Source(f"{PROMPTS_FOLDER}/{name}", data.decode(), path)
    except ValueError as error:
        raise AgentError(
            f"the prompt {name} of {cls.__name__} cannot be read",
            expected=f"text in UTF-8, at most {_LARGEST_PROMPT:,} bytes",
            got=str(error),
        ) from None


def _imported_by(module: ModuleType, file: Source) -> Imported:
    if module.__name__.partition(".")[0] == "sapphire":  # the platform's own imports nothing of a workspace
        return Imported()
    from sapphire.agents.workspace_modules import imported_by

    return imported_by(file.text, package=module.__package__ or "", seen=vars(module))


def _text_of(module: ModuleType) -> Source | None:
    file = getattr(module, "__file__", None)
    if file is None or not str(file).endswith(".py"):
        return None
    path = Path(file)
    text = getattr(module, MODULE_SOURCE, None)
    if text is None:
        try:
            text = path.read_text("utf-8")
        except OSError:  # an importer without files: the class has no source that can be shown
            return None
    return Source(path.name, str(text), path if path.is_absolute() else None)
