"""Rust source of the messages, from their Python definition.

Structs list their fields in alphabetical order, because serde writes them as they are declared and the canonical form
sorts keys. What is the same for every message (how text is read, how an error finds its field) is in
`rust_prelude`.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from enum import StrEnum

from sapphire.domain.envelope import Message, WireModel
from sapphire.domain.precision import MAX_ATOMS
from sapphire.domain.rust_prelude import MESSAGE, PRELUDE
from sapphire.domain.wire import WireType

__all__ = ["rust_source"]

_COPIED = {"DecimalText": "DecimalText", "Name": "Name", "Prose": "Prose", "Flag": "bool"}
_INDENT = "    "


def rust_source(types_by_schema: typing.Mapping[str, type[Message]], command: str) -> str:
    """The whole of `messages.rs`.

    Parameters
    ----------
    types_by_schema : the message types, in the order in which they are written.
    command : the command that writes the file, for its header.
    """
    found: dict[str, type[WireModel] | type[StrEnum]] = {}
    for message in types_by_schema.values():
        for needed in _needs(message):
            found.setdefault(needed.__name__, needed)
    parts = [PRELUDE.replace("@COMMAND@", command), _message_enum(types_by_schema)]
    parts += [_enum(each) if issubclass(each, StrEnum) else _struct(each) for each in found.values()]
    return "\n".join(parts)


def _needs(model: type[WireModel]) -> Iterator[type[WireModel] | type[StrEnum]]:
    """The types that `model` is made of, parts first, itself last."""
    for hint in _hints(model).values():
        inner = _strip(hint)
        if isinstance(inner, type) and issubclass(inner, WireModel):
            yield from _needs(inner)
        elif isinstance(inner, type) and issubclass(inner, StrEnum):
            yield inner
    yield model


def _hints(model: type[WireModel]) -> dict[str, object]:
    hints = typing.get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in sorted(model.model_fields)}


def _strip(hint: object) -> object:
    """The type inside `X | None` and `tuple[X, ...]`."""
    if _is_optional(hint) or typing.get_origin(hint) is tuple:
        return _strip(typing.get_args(hint)[0])
    return hint


def _is_optional(hint: object) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _rust_name(model: type) -> str:
    return model.__name__.removesuffix("Message")


def _struct(model: type[WireModel]) -> str:
    lines = [f"/// {line}".rstrip() for line in inspect.cleandoc(model.__doc__ or "").splitlines()]
    if issubclass(model, Message):
        lines += ["///", f"/// Schema `{model.SCHEMA_ID}`."]
    lines += ["#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]", "#[serde(deny_unknown_fields)]"]
    lines.append(f"pub struct {_rust_name(model)} {{")
    for name, hint in _hints(model).items():
        doc = model.model_fields[name].description or ""
        rust, attribute = _field(hint)
        lines.append(f"{_INDENT}/// {doc}")
        if attribute:
            lines.append(f"{_INDENT}#[serde({attribute})]")
        lines.append(f"{_INDENT}pub {name}: {rust},")
    return "\n".join([*lines, "}", ""])


def _field(hint: object) -> tuple[str, str]:
    """Rust type of a field, and its serde attribute where it needs one."""
    if _is_optional(hint):
        inner, _ = _field(typing.get_args(hint)[0])
        whole = _whole_number(typing.get_args(hint)[0])
        if whole is None:
            return f"Option<{inner}>", 'deserialize_with = "present"'
        assert not _is_amount(typing.get_args(hint)[0])  # no message has an amount that may be absent
        return "Option<i64>", f'serialize_with = "write_option", deserialize_with = "read_option::<{whole}, _>"'
    if typing.get_origin(hint) is tuple:
        return f"Vec<{_field(typing.get_args(hint)[0])[0]}>", ""
    whole = _whole_number(hint)
    if whole is not None and _is_amount(hint):
        return "Atoms", f'serialize_with = "write_amount", deserialize_with = "read_amount::<{whole}, _>"'
    if whole is not None:
        return "i64", f'serialize_with = "write_whole", deserialize_with = "read_whole::<{whole}, _>"'
    wire = _wire_type(hint)
    if wire is None:
        assert isinstance(hint, type)  # what is no wire type is a model or an enumeration
        return _rust_name(hint), ""
    if wire.name == "Counter":
        return "u64", 'deserialize_with = "read_counter"'
    return _COPIED[wire.name], ""


def _whole_number(hint: object) -> str | None:
    """The smallest value of a whole number that travels as text, in Rust; None for everything else."""
    wire = _wire_type(hint)
    if wire is None or wire.minimum is None or wire.name == "Counter":
        return None
    if wire.minimum >= 0:
        return str(wire.minimum)
    return "{ -MAX_ATOMS }" if _is_amount(hint) else "{ i64::MIN }"


def _is_amount(hint: object) -> bool:
    """Whether it is an amount of an asset, which 64 bits do not hold for every coin."""
    wire = _wire_type(hint)
    return wire is not None and wire.maximum == MAX_ATOMS


def _wire_type(hint: object) -> WireType | None:
    return next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, WireType)), None)


def _enum(enumeration: type[StrEnum]) -> str:
    lines = [f"/// {line}".rstrip() for line in inspect.cleandoc(enumeration.__doc__ or "").splitlines()]
    lines += ["#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]"]
    lines.append(f"pub enum {enumeration.__name__} {{")
    for member in enumeration:
        variant = "".join(word.capitalize() for word in member.name.split("_"))
        lines += [
            f"{_INDENT}/// `{member.value}`.",
            f'{_INDENT}#[serde(rename = "{member.value}")]',
            f"{_INDENT}{variant},",
        ]
    return "\n".join([*lines, "}", ""])


def _message_enum(types_by_schema: typing.Mapping[str, type[Message]]) -> str:
    rows = [(schema_id, _rust_name(model)) for schema_id, model in types_by_schema.items()]
    variants = "\n".join(f"    /// `{schema_id}`.\n    {name}(Box<{name}>)," for schema_id, name in rows)
    # One name a line, joined by a continuation: rustfmt leaves such a text alone however many there are.
    between = ", \\\n" + _INDENT * 2
    known = f' "{between.join(schema_id for schema_id, _ in sorted(rows))}"'
    decode = "\n".join(
        f'            "{schema_id}" => read(bytes, &schema_id).map(Self::{name}),' for schema_id, name in rows
    )
    encode = "\n".join(f"            Self::{name}(message) => write(message.as_ref())," for _, name in rows)
    envelope = "\n".join(f"            Self::{name}(message) => &message.envelope," for _, name in rows)
    schema = "\n".join(f'            Self::{name}(_) => "{schema_id}",' for schema_id, name in rows)
    filled = {
        "VARIANTS": variants,
        "KNOWN": known,
        "DECODE": decode,
        "ENCODE": encode,
        "ENVELOPE": envelope,
        "SCHEMA": schema,
    }
    text = MESSAGE
    for key, value in filled.items():
        text = text.replace(f"@{key}@", value)
    return text
