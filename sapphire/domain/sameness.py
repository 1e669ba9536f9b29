"""Whether two values are the same, part by part: arrays and frames among them, and NaN as equal to NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["same", "same_fields"]


def same(one: Any, other: Any) -> bool:
    """Whether two values are of one type and say the same.

    A dataclass is its fields, unless it says itself what it is equal to.

    >>> same({"at": np.array([1.0, np.nan])}, {"at": np.array([1.0, np.nan])})
    True
    >>> same((1, 2.0), (1, 2)), same(float("nan"), float("nan"))
    (False, True)
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, np.ndarray):
        is_float = one.dtype.kind in "fc"
        return one.dtype == other.dtype and bool(np.array_equal(one, other, equal_nan=is_float))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "equals"):  # a frame, a series or an index
        return bool(one.equals(other))
    if is_dataclass(one) and (_is_generated(one) or type(one).__eq__ is object.__eq__):
        return same_fields(one, other)
    return bool(one == other)


def same_fields(one: Any, other: Any, *, but: frozenset[str] = frozenset()) -> bool:
    """Whether two dataclasses have the same in every field that is compared, but for those that are named."""
    names = [each.name for each in fields(one) if each.compare and each.name not in but]
    return all(same(getattr(one, name), getattr(other, name)) for name in names)


def _is_generated(value: Any) -> bool:
    """Whether the dataclass left it to its fields what it is equal to; theirs would find no NaN equal to another."""
    return bool(type(value).__dataclass_params__.eq)
