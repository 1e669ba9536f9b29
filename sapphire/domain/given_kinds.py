"""What a parameter is given, held to the kind that it is declared as: another kind is refused in words, at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

__all__ = ["wrong_kinds"]

_KINDS: dict[str, tuple[type, str]] = {
    "float": (Real, "a number"),
    "int": (Integral, "a whole number"),
    "bool": (bool, "True or False"),
    "str": (str, "a text"),
    "timedelta": (timedelta, "a duration, timedelta(hours=2)"),
}


def wrong_kinds(given: Any, *, but: Iterable[str] = ()) -> list[str]:
    """Fields of a dataclass that hold another kind of thing than they are declared as; one line for each.

    Parameters
    ----------
    but : fields that are not looked at; those of other kinds than numbers, texts, truth values and durations are not.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Wide:
    ...     share: float = 0.1
    >>> wrong_kinds(Wide("20%")), wrong_kinds(Wide(1))
    (["share is a number, not str '20%'"], [])
    """
    left_out, found = set(but), []
    for field in fields(given):
        declared = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "")
        kind, text = _KINDS.get(declared, (object, ""))
        value = getattr(given, field.name)
        is_truth = isinstance(value, bool) and kind is not bool and kind is not object
        if field.name not in left_out and (is_truth or not isinstance(value, kind)):
            found.append(f"{field.name} is {text}, not {type(value).__name__} {value!r:.40}")
    return found
