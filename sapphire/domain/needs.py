"""Needs: what a gate asks of one number, and whether a value is it.

A need is a truth value, a word, or one bound on a number. Nothing measured meets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

__all__ = ["Need", "Value", "is_need", "is_value", "meets", "need_text", "value_text"]

Need = bool | str | Mapping[str, float]
"""What a gate needs: a truth value, a word, or one of {"min": x}, {"max": x}, {"above": x}."""
Value = bool | int | float | str | None
"""What was measured; None where nothing was."""

_BOUNDS = {"min": ">=", "max": "<=", "above": ">"}


def meets(needs: Need, value: Value) -> bool:
    """Whether `value` is what the gate needs; nothing measured meets nothing.

    Examples
    --------
    >>> meets({"min": 0.95}, 0.41), meets("pass", "pass"), meets(True, None), meets({"above": 0.0}, 0.0)
    (False, True, False, False)
    """
    if not isinstance(needs, Mapping):
        return type(value) is type(needs) and value == needs
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    ((bound, limit),) = needs.items()
    return {"min": value >= limit, "max": value <= limit, "above": value > limit}[bound]


def need_text(needs: Need) -> str:
    """A need as a table shows it.

    Examples
    --------
    >>> need_text({"min": 0.95}), need_text(True), need_text("pass")
    ('>= 0.95', 'yes', 'pass')
    """
    if isinstance(needs, Mapping):
        ((bound, limit),) = needs.items()
        return f"{_BOUNDS[bound]} {limit:g}"
    return value_text(needs)


def value_text(value: Value, *, digits: int = 3) -> str:
    """A value as a table shows it.

    Examples
    --------
    >>> value_text(0.4132), value_text(None), value_text(False), value_text(312)
    ('0.413', 'nothing', 'no', '312')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def is_need(needs: object) -> bool:
    """Whether `needs` has the form of a need."""
    if isinstance(needs, Mapping):
        numbers = [each for each in needs.values() if isinstance(each, int | float) and not isinstance(each, bool)]
        return len(needs) == len(numbers) == 1 and set(needs) <= set(_BOUNDS)
    return isinstance(needs, bool | str)


def is_value(value: object) -> bool:
    """Whether `value` can be a measurement: finite, a word, a truth value or nothing."""
    if isinstance(value, float):
        return isfinite(value)
    return value is None or isinstance(value, bool | int | str)
