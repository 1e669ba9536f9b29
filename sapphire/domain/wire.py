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

from sapphire.domain.precision import I64_MAX, I64_MIN, MAX_ATOMS

__all__ = [
    "AmountText",
    "AtomsText",
    "Counter",
    "DecimalText",
    "Flag",
    "IntegerText",
    "Name",
    "Nanoseconds",
    "PositiveText",
    "Prose",
    "SignedAtomsText",
    "WireType",
    "decimal_of_float",
]

MAX_NAME_LENGTH = 128
MAX_PROSE_LENGTH = 1_000
MAX_DECIMAL_LENGTH = 400
"""Enough for any double written out: the smallest has 324 decimals and up to 17 digits."""
MAX_COUNTER = 2**53 - 1
"""Largest whole number that every JSON reader keeps exact."""

_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_MAX_INTEGER_LENGTH = 30
"""Longer than the largest number of any field, so that nobody is made to read a book of digits."""
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class WireType:
    """What the generator calls a field type.

    Parameters
    ----------
    name : the type's name here.
    minimum, maximum : smallest and largest value, for whole numbers.
    """

    name: str
    minimum: int | None = None
    maximum: int = I64_MAX


def _reader_of_integers(minimum: int, maximum: int = I64_MAX) -> Callable[[object, ValidationInfo], int]:
    """Text on the wire, an int in Python; a bool or a float is neither."""
    expected = "whole number" if minimum < 0 else f"whole number of {minimum} or more"
    room = "fits in 64 bits" if maximum == I64_MAX else f"an account can hold, at most {maximum}"

    def read(value: object, info: ValidationInfo) -> int:
        if info.mode == "json":
            if not isinstance(value, str) or len(value) > _MAX_INTEGER_LENGTH or not _INTEGER.fullmatch(value):
                raise ValueError(f"a {expected} as text, without leading zeros")
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            raise ValueError(f"a {expected} as an int")
        if not minimum <= number <= maximum:
            raise ValueError(f"a {expected} that {room}")
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


def _integer_schema(minimum: int, maximum: int = I64_MAX) -> WithJsonSchema:
    digits = f"[1-9][0-9]{{0,{len(str(maximum)) - 1}}}"
    pattern = {0: f"^(0|{digits})$", 1: f"^{digits}$"}.get(minimum, f"^(0|-?{digits})$")
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
"""A 64-bit number of zero or more: what has filled so far, in lots; text on the wire."""

AtomsText = Annotated[
    int,
    WireType("AtomsText", 0, MAX_ATOMS),
    PlainValidator(_reader_of_integers(0, MAX_ATOMS)),
    PlainSerializer(str, return_type=str),
    _integer_schema(0, MAX_ATOMS),
]
"""An amount of an asset, zero or more, in atoms of 1e-8: what is held or has changed hands; text on the wire."""

SignedAtomsText = Annotated[
    int,
    WireType("SignedAtomsText", -MAX_ATOMS, MAX_ATOMS),
    PlainValidator(_reader_of_integers(-MAX_ATOMS, MAX_ATOMS)),
    PlainSerializer(str, return_type=str),
    _integer_schema(-MAX_ATOMS, MAX_ATOMS),
]
"""An amount of an asset with a sign, in atoms of 1e-8: cash, or a fee that may be a rebate; text on the wire."""

IntegerText = Annotated[
    int,
    WireType("IntegerText", I64_MIN),
    PlainValidator(_reader_of_integers(I64_MIN)),
    PlainSerializer(str, return_type=str),
    _integer_schema(I64_MIN),
]
"""A signed 64-bit number: a position in lots; text on the wire."""

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
