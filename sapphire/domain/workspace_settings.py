"""What a `sapphire.toml` may say: the one list of its keys, and the check of a file against it.

A key that is not in the list is refused: a limit that is misspelt would be a limit that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, get_args

from sapphire.domain.errors import ConfigError
from sapphire.domain.evidence import Target

__all__ = ["SETTINGS", "Kind", "check_settings"]

Kind = tuple[tuple[type, ...], str]
"""Types that a value may have, and what they are called."""

_TEXT: Final[Kind] = ((str,), "text")
_DIGESTS: Final[Kind] = ((str, list), "a digest, or a list of them")

SETTINGS: Final[Mapping[str, Kind]] = {
    "name": _TEXT,
    "trust.authority": _TEXT,
    "trust.key": _TEXT,
    **{f"trust.policies.{target}": _DIGESTS for target in get_args(Target)},
}
"""Every key by its place, sections joined by dots. Whoever reads a new one adds it here."""


def check_settings(found: Mapping[str, Any], path: str) -> None:
    """Refuse keys that nobody reads, and values of another kind.

    Parameters
    ----------
    found : the file as it was read.
    path : what the file is called in the error.

    Raises
    ------
    ConfigError : names every unknown key with the nearest known one, and lists all that there are.

    Examples
    --------
    >>> check_settings({"name": "desk", "trust": {"key": "desk.pub"}}, "sapphire.toml")
    >>> check_settings({"trust": {"kee": "desk.pub"}}, "sapphire.toml")
    Traceback (most recent call last):
    ...
    sapphire.domain.errors.ConfigError: ConfigError: unknown setting in sapphire.toml
      expected: name, trust.authority, trust.key, trust.policies.paper, trust.policies.live
      got:      trust.kee = 'desk.pub'
      next:     trust.kee: did you mean trust.key?
    """
    told = dict(_leaves(found))
    unknown = {key: value for key, value in told.items() if key not in SETTINGS and not _is_empty_section(key, value)}
    if unknown:
        raise ConfigError(
            f"unknown setting{'s' if len(unknown) > 1 else ''} in {path}",
            expected=", ".join(SETTINGS),
            got="\n".join(f"{key} = {value!r}" for key, value in unknown.items()),
            next="\n".join(_advice(key) for key in unknown),
        )
    for key, value in told.items():
        types, called = SETTINGS.get(key, ((dict,), ""))
        if not isinstance(value, types):
            raise ConfigError(
                f"{key} in {path}", expected=called, got=repr(value), next=f"change it in {path}, or take it out"
            )


def _leaves(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its place; a section without keys is a value of its own, and so is one where none belongs."""
    for name, value in found.items():
        key = before + name
        if isinstance(value, dict) and value and key not in SETTINGS:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _is_empty_section(key: str, value: object) -> bool:
    """A section that there is, with nothing in it."""
    return value == {} and any(known.startswith(f"{key}.") for known in SETTINGS)


def _advice(key: str) -> str:
    """The known key that is nearest: by its place, else by its last word, which may stand in another section."""
    by_word: dict[str, str] = {}
    for known in SETTINGS:
        by_word.setdefault(known.rpartition(".")[2], known)
    near = get_close_matches(key, SETTINGS, n=1)
    words = get_close_matches(key.rpartition(".")[2], by_word, n=1)
    nearest = near[0] if near else by_word[words[0]] if words else None
    if nearest is not None:
        return f"{key}: did you mean {nearest}?"
    return f"{key}: take it out; nothing reads it, and no setting has a name like it"
