"""Settings of a part: what follows from the run, `[parts.<part>]` of `sapphire.toml` over it, and the environment over
both: `SAPPHIRE_<PART>_<KEY>`, nothing else.

A setting that is text is taken as it stands (and none, where that is allowed, from an empty variable), a list of texts
from words with commas between, anything else from JSON. What is of another kind, and a variable of the part's that
names no setting, is refused with a sentence.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

from sapphire.domain.errors import ConfigError
from sapphire.domain.workspace import settings
from sapphire.domain.workspace_settings import LAST_PORT

__all__ = ["PartSettings", "is_number"]

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Who listens everywhere is reached here from this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSettings:
    """What every part is told; each part has a class of its own with what it needs besides.

    Parameters
    ----------
    host : address to listen on: that of this machine alone, unless it says otherwise.
    port : where it answers `/livez`, `/readyz` and `/metrics`; 0 takes a free one.
    hung_after_s : its loop counts as hung where it has not turned for so long.
    """

    EXPECTED: ClassVar[Mapping[str, str]] = {
        "host": "a name or an address to listen on, such as 127.0.0.1 or 0.0.0.0",
        "port": f"a whole number from 0 to {LAST_PORT}",
        "hung_after_s": "seconds, above zero",
    }

    host: str = "127.0.0.1"
    port: int = 0
    hung_after_s: float = 60.0

    def __post_init__(self) -> None:
        self._check()

    @classmethod
    def read(cls, path: Path, part: str, environ: Mapping[str, str]) -> Self:
        """The settings in a file, with those of the environment over them.

        Raises
        ------
        ConfigError : no such file, no JSON object, a key that is missing, unknown or bad.
        """
        try:
            value = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"settings in {path}", expected="a JSON object", got=str(error)) from None
        known = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING and field.default_factory is MISSING}
        given = value.keys() if isinstance(value, dict) else {type(value).__name__}
        if not isinstance(value, dict) or not needed <= value.keys() <= known:
            raise ConfigError(
                f"settings in {path}",
                expected="exactly " + ", ".join(sorted(known)),
                got=f"missing {sorted(needed - given)}, unknown {sorted(given - known)}",
                next="let the stack write it: sapphire up",
            )
        values: dict[str, Any] = {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}
        return cls(**values).overridden(part, environ)

    def configured(self, part: str) -> Self:
        """These settings with those of the workspace's `sapphire.toml` over them: its section `parts.<part>`.

        Raises
        ------
        ConfigError : the file says what nobody reads, or something else than a setting is.
        """
        section, _ = settings("parts")
        return replace(self, **section.get(part, {}))

    def overridden(self, part: str, environ: Mapping[str, str]) -> Self:
        """These settings with those of the environment over them.

        Raises
        ------
        ConfigError : a variable that names no setting of the part's, or holds something else than it.
        """
        prefix = f"SAPPHIRE_{part.upper()}_"
        kinds = get_type_hints(type(self))
        names = {field.name for field in fields(self)}
        variables = {key: text for key, text in environ.items() if key.startswith(prefix)}
        changes = {}
        for variable, text in variables.items():
            key = variable.removeprefix(prefix).lower()
            if key not in names:
                near = get_close_matches(key, names, n=1)
                raise ConfigError(
                    f"{variable} in the environment names no setting of the {part}",
                    expected=", ".join(sorted(prefix + name.upper() for name in names)),
                    got=variable,
                    next=f"did you mean {prefix}{near[0].upper()}?" if near else "take it out",
                )
            try:
                changes[key] = _from_text(kinds[key], text)
            except ValueError:
                expected = self.expected()[key]
                raise ConfigError(f"{variable} in the environment", expected=expected, got=repr(text)) from None
        try:
            return replace(self, **changes) if changes else self
        except ConfigError as error:
            raise ConfigError(
                f"{error.what}, with {', '.join(sorted(variables))} of the environment",
                expected=error.expected,
                got=error.got,
                next=error.next or "change or unset the variable",
            ) from None

    @classmethod
    def expected(cls) -> dict[str, str]:
        """What each setting has to be, in words."""
        return {key: text for kind in reversed(cls.__mro__) for key, text in getattr(kind, "EXPECTED", {}).items()}

    def as_dict(self) -> dict[str, Any]:
        """What the file says."""
        return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}

    @property
    def probes_url(self) -> str:
        """Where the part answers probes, from this machine."""
        host = _ANY_ADDRESS.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def _check(self, **sound: bool) -> None:
        """Refuse the first key that is not sound."""
        sound = {
            "host": isinstance(self.host, str),
            "port": type(self.port) is int and 0 <= self.port <= LAST_PORT,
            "hung_after_s": is_number(self.hung_after_s),
        } | sound
        for key, good in sound.items():
            if not good:
                what = f"setting {key} of a {type(self).__name__}"
                raise ConfigError(what, expected=self.expected()[key], got=repr(self._shown(key)))

    def _shown(self, key: str) -> object:
        """A setting as an error may repeat it."""
        return getattr(self, key)


def is_number(value: object) -> bool:
    """Whether it is a finite number above zero."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def _from_text(kind: Any, text: str) -> Any:
    """A setting of this kind from a variable; ValueError where it is none."""
    arguments = get_args(kind)
    if get_origin(kind) in (Union, types.UnionType) and type(None) in arguments:
        if not text:
            return None
        (kind,) = (each for each in arguments if each is not type(None))
        arguments = get_args(kind)
    if kind in (str, Path) or get_origin(kind) is Literal:
        return Path(text) if kind is Path else text
    if get_origin(kind) is tuple and arguments[0] is str and not text.startswith("["):
        return tuple(word.strip() for word in text.split(",") if word.strip())
    value = json.loads(text)
    return tuple(value) if isinstance(value, list) else value
