"""The envelope that every message travels in, and how a message becomes bytes and bytes a message.

The canonical form is JSON in UTF-8: keys sorted, no spaces, every field present. Reading accepts other spacing and
order, but no field twice, none unknown, none missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from sapphire.domain.errors import BadMessage, SapphireError, UnknownSchema
from sapphire.domain.wire import Counter, Name, Nanoseconds

__all__ = ["MAX_MESSAGE_BYTES", "Envelope", "Message", "WireModel", "bad_message", "read_message", "write_message"]

MAX_MESSAGE_BYTES = 65_536
"""Larger messages are refused, by whoever would send or read them."""

_SHOWN = 80


class WireModel(BaseModel):
    """A JSON object of the wire: frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_with_our_error(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Made in Python, a bad value is a `BadMessage`; read from the wire, `read_message` names the whole path."""
        reading = info.mode == "json"
        try:
            made = handler(data)
            made._check()
        except ValidationError as error:
            if reading:
                raise
            raise bad_message(cls.__name__, error) from error
        except BadMessage:
            raise
        except (ValueError, SapphireError) as error:
            rule = _one_line(error)
            if reading:
                raise ValueError(rule) from error
            raise BadMessage(f"fields of {cls.__name__} together", expected=rule) from error
        return made

    def _check(self) -> None:
        """Rules between fields, where a type has any; a broken one is a ValueError or an error of ours."""


class Envelope(WireModel):
    """What every message carries."""

    schema_id: Name
    """Type and version, "VIEW@1"."""
    message_id: Name
    """The same for a message that is sent again."""
    producer: Name
    """The part that says it."""
    sequence: Counter
    """Number of the message among its producer's; it rises by one."""
    event_time_ns: Nanoseconds
    """Market time of what it is about."""
    publish_time_ns: Nanoseconds
    """Wall time at which it was said."""
    trace_id: Name
    """Shared by everything that follows from one bar."""
    causation_id: Name | None
    """The message that this one answers."""


class Message(WireModel):
    """A message of some schema; made as one of its types, read by `decode`."""

    SCHEMA_ID: ClassVar[str]

    envelope: Envelope
    """Who says it, when, and why."""

    def _check(self) -> None:
        if self.envelope.schema_id != self.SCHEMA_ID:
            raise ValueError(f"envelope.schema_id {self.SCHEMA_ID}, not {self.envelope.schema_id}")


def write_message(message: Message) -> bytes:
    """Canonical bytes of a message.

    Raises
    ------
    BadMessage : larger than `MAX_MESSAGE_BYTES`.
    """
    wire = message.model_dump(mode="json")
    data = json.dumps(wire, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    _check_size(data)
    return data


def read_message(data: bytes, types: Mapping[str, type[Message]]) -> Message:
    """The message that `data` holds.

    Parameters
    ----------
    data : one JSON object in UTF-8.
    types : message type by schema id.

    Raises
    ------
    UnknownSchema : a schema id that is not among `types`.
    BadMessage : anything else that is wrong; names the field.
    """
    _check_size(data)
    try:
        text = data.decode("utf-8")
        wire = json.loads(text, object_pairs_hook=_object_without_repeats)
    except (ValueError, RecursionError) as error:
        raise BadMessage("message is not JSON", expected="one JSON object in UTF-8", got=str(error)[:_SHOWN]) from error
    envelope = wire.get("envelope") if isinstance(wire, dict) else None
    schema_id = envelope.get("schema_id") if isinstance(envelope, dict) else None
    if not isinstance(schema_id, str):
        field = "envelope.schema_id" if isinstance(envelope, dict) else "envelope" if isinstance(wire, dict) else ""
        raise BadMessage(
            f"field {field} of a message" if field else "a message that is no object",
            field=field,
            expected="an object with an envelope that names its schema",
            got=text[:_SHOWN],
        )
    if schema_id not in types:
        raise UnknownSchema(
            "message of an unknown schema",
            expected="one of " + ", ".join(sorted(types)),
            got=schema_id[:_SHOWN],
            next="upgrade this part; consumers are upgraded before producers",
        )
    try:
        return types[schema_id].model_validate_json(text)
    except ValidationError as error:
        raise bad_message(schema_id, error) from error


def bad_message(what: str, error: ValidationError) -> BadMessage:
    """Our error for pydantic's, naming the first bad field of `what`."""
    problems = error.errors(include_url=False)
    first = problems[0]
    field = ".".join(map(str, first["loc"]))
    more = f"; {len(problems) - 1} more bad" if len(problems) > 1 else ""
    if first["type"] == "missing":
        expected, got = "the field", "nothing"
    elif first["type"] == "extra_forbidden":
        expected, got = "no such field", repr(first["input"])[:_SHOWN]
    else:
        expected = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        got = repr(first["input"])[:_SHOWN] if field else ""
    return BadMessage(
        f"{f'field {field}' if field else 'fields'} of {what}{more}", field=field, expected=expected, got=got
    )


def _one_line(error: Exception) -> str:
    if isinstance(error, SapphireError):
        return "; ".join(text for text in (error.what, error.expected, error.got) if text)
    return str(error)


def _check_size(data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise BadMessage(
            "message is too large", expected=f"at most {MAX_MESSAGE_BYTES:,} bytes", got=f"{len(data):,} bytes"
        )


def _object_without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A dict of the pairs; JSON readers disagree about which of two equal keys counts, so there may not be two."""
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        field = repeated[:_SHOWN]
        raise BadMessage(f"field {field} comes twice", field=field, expected="each field once")
    return made
