"""One value has one spelling, and nothing else is read as it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.canonical import canonical_json, plain, read_canonical
from sapphire.domain.errors import ValueRefused

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: "\\ud" not in json.dumps(value))  # half a character has no UTF-8


@given(values)
def test_what_was_spelled_is_read_again(value: object) -> None:
    spelled = canonical_json(value)
    assert read_canonical(spelled, what="value") == plain(value)
    assert canonical_json(read_canonical(spelled, what="value")) == spelled


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=2))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b"[NaN]",
        b"[1e400]",
        b'"\\u00e4"',
        b"[1.50]",
        b"{} ",
        b'"\\ud800"',
    ],
)
def test_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(ValueRefused, match="file is not canonical"):
        read_canonical(data, what="file")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(ValueRefused, match="file is not JSON"):
        read_canonical(data, what="file")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": float("nan")}, r"value\.a is not finite"),
        ([1, {"b": [float("inf")]}], r"value\[1\]\.b\[0\] is not finite"),
        ({1: 2}, "a key of value is not text"),
        ({"a": {1, 2}}, r"value\.a cannot be written as JSON"),
        ("\ud800", "UTF-8 cannot spell"),
    ],
)
def test_what_json_does_not_have_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(ValueRefused, match=message):
        canonical_json(value)
