"""How values look on the wire: the field types that messages are made of.

JSON numbers are doubles to most readers, so whole 64-bit numbers and decimals travel as text, in one spelling each. A
type here carries a `WireType`, by which the generator knows what it is called in other languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator, StringConstraints, ValidationInfo, WithJsonSchema

from sapphire.domain.precision import I64_MAX, I64_MIN

__all__ = [
    "AmountText",
    "Counter",
    "DecimalText",
    "Flag",
    "IntegerText",
    "Name",
    "Nanoseconds",
    "PositiveText",
    "Prose",
    "WireType",
    "decimal_of_float",
]

MAX_NAME_LENGTH = 128
MAX_PROSE_LENGTH = 1_000
MAX_DECIMAL_LENGTH = 400
"""Enough for any double written out: the smallest has 324 decimals and up to 17 digits."""
MAX_COUNTER = 2**53 - 1
"""Largest whole number that every JSON reader keeps exact."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class WireType:
    """What the generator calls a field type.

    Parameters
    ----------
    name : the type's name here.
    minimum : smallest value, for whole numbers.
    """

    name: str
    minimum: int | None = None


def _reader_of_integers(minimum: int) -> Callable[[object, ValidationInfo], int]:
    """Text on the wire, an int in Python; a bool or a float is neither."""
    expected = "whole number" if minimum == I64_MIN else f"whole number of {minimum} or more"

    def read(value: object, info: ValidationInfo) -> int:
        if info.mode == "json":
            if not isinstance(value, str) or not _INTEGER.fullmatch(value):
                raise ValueError(f"a {expected} as text, without leading zeros")
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            raise ValueError(f"a {expected} as an int")
        if not minimum <= number <= I64_MAX:
            raise ValueError(f"a {expected} that fits in 64 bits")
        return number

    return read


def _read_decimal(value: object, info: ValidationInfo) -> Decimal:
    """Plain decimal text on the wire; a Decimal, text or int in Python."""
    if isinstance(value, str) and len(value) <= MAX_DECIMAL_LENGTH and _DECIMAL.fullmatch(value):
        return Decimal(value)
    if info.mode != "json" and isinstance(value, Decimal | int) and not isinstance(value, bool):
        number = Decimal(value)
        if (
            number.is_finite()
            and abs(number.adjusted()) < MAX_DECIMAL_LENGTH
            and len(f"{number:f}") <= MAX_DECIMAL_LENGTH
        ):
            return number
    raise ValueError("a finite decimal number as text, such as '64250.10'; no exponent, no leading zeros")


def _integer_schema(minimum: int) -> WithJsonSchema:
    pattern = {0: "^(0|[1-9][0-9]{0,18})$", 1: "^[1-9][0-9]{0,18}$"}.get(minimum, "^(0|-?[1-9][0-9]{0,18})$")
    return WithJsonSchema({"type": "string", "pattern": pattern})


Nanoseconds = Annotated[
    int,
    WireType("Nanoseconds", 0),
    PlainValidator(_reader_of_integers(0)),
    PlainSerializer(str, return_type=str),
    _integer_schema(0),
]
"""A moment, UTC nanoseconds since the epoch; text on the wire."""

AmountText = Annotated[
    int,
    WireType("AmountText", 0),
    PlainValidator(_reader_of_integers(0)),
    PlainSerializer(str, return_type=str),
    _integer_schema(0),
]
"""A 64-bit number of zero or more: what has filled so far, in lots or atoms; text on the wire."""

IntegerText = Annotated[
    int,
    WireType("IntegerText", I64_MIN),
    PlainValidator(_reader_of_integers(I64_MIN)),
    PlainSerializer(str, return_type=str),
    _integer_schema(I64_MIN),
]
"""A signed 64-bit number: a position in lots, a fee in atoms; text on the wire."""

PositiveText = Annotated[
    int,
    WireType("PositiveText", 1),
    PlainValidator(_reader_of_integers(1)),
    PlainSerializer(str, return_type=str),
    _integer_schema(1),
]
"""A 64-bit number above zero: ticks, ordered lots, lengths of time in ns; text on the wire."""

DecimalText = Annotated[
    Decimal,
    WireType("DecimalText"),
    PlainValidator(_read_decimal),
    PlainSerializer(lambda number: f"{number:f}", return_type=str),
    WithJsonSchema(
        {"type": "string", "maxLength": MAX_DECIMAL_LENGTH, "pattern": "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?$"},
    ),
]
"""An exact decimal number; plain text on the wire, with the decimals it was given."""

Name = Annotated[
    str,
    WireType("Name"),
    StringConstraints(strict=True, pattern=f"^[!-~]{{1,{MAX_NAME_LENGTH}}}$"),
]
"""An identifier: 1 to 128 printable ASCII characters, no spaces."""

Prose = Annotated[str, WireType("Prose"), StringConstraints(strict=True, max_length=MAX_PROSE_LENGTH)]
"""Text for people, at most 1,000 characters."""

Counter = Annotated[int, WireType("Counter", 0), Field(strict=True, ge=0, le=MAX_COUNTER)]
"""A small count; a JSON integer."""

Flag = Annotated[bool, WireType("Flag"), Field(strict=True)]
"""Yes or no; a JSON boolean."""


def decimal_of_float(number: float) -> Decimal:
    """The shortest decimal that reads back as the same double.

    Examples
    --------
    >>> decimal_of_float(0.1)
    Decimal('0.1')
    """
    return Decimal(repr(float(number)))
