"""Messages between a worker and who asks it: one JSON object and named arrays, no pickle.

On the wire: the lengths of both parts (two unsigned 64-bit numbers, little-endian), JSON in UTF-8, and the bytes of the
arrays one after the other; the JSON has their names, types and shapes. It is what safetensors holds, without the
quarter of a millisecond that its library takes for seven small arrays.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.documents import Document, DocumentKind, Documents
from sapphire.domain.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ended", "Late", "arrays_of", "bars_of", "documents_in", "read_message", "write_message"]

_LENGTHS = struct.Struct("<QQ")
_CHUNK = 1 << 20
_ARRAYS = "arrays"
_DOCUMENTS = "documents"

Message = tuple[dict[str, Any], dict[str, "NDArray[Any]"]]


class Ended(Exception):  # noqa: N818  (what happened, said between two modules; nobody else sees it)
    """The other side is gone."""


class Late(Exception):  # noqa: N818
    """The other side said nothing in time."""


def write_message(descriptor: int, plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
    """Write one message.

    Raises
    ------
    Ended : nobody reads any more.
    """
    own = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    about = [[name, array.dtype.str, (arrays or {})[name].shape] for name, array in own.items()]
    head = json.dumps({**plain, _ARRAYS: about}, separators=(",", ":")).encode()
    body = b"".join(array.tobytes() for array in own.values())
    left = memoryview(_LENGTHS.pack(len(head), len(body)) + head + body)
    try:
        while left:
            left = left[os.write(descriptor, left[:_CHUNK]) :]
    except (BrokenPipeError, ConnectionResetError):
        raise Ended from None


def read_message(descriptor: int, *, within_s: float | None = None) -> Message:
    """Read one message.

    Parameters
    ----------
    within_s : how long the whole message may take; None for as long as it takes.

    Raises
    ------
    Ended : the other side is gone.
    Late : the time is over.
    """
    deadline = None if within_s is None else time.monotonic() + within_s
    head, body = _LENGTHS.unpack(_read(descriptor, _LENGTHS.size, deadline))
    plain = json.loads(_read(descriptor, head, deadline))
    return plain, dict(_arrays(plain.pop(_ARRAYS), _read(descriptor, body, deadline)))


def _arrays(about: list[Any], data: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    """Arrays of numbers, each in memory of its own."""
    start = 0
    for name, kind, shape in about:
        dtype = np.dtype(kind)
        if dtype.kind not in "biuf":
            raise ValueError(f"array {name} of {dtype}: expected booleans, integers or floats")
        end = start + dtype.itemsize * math.prod(shape)
        yield name, np.frombuffer(data[start:end], dtype).reshape(shape).copy()
        start = end


def documents_in(bars: Bars, kinds: tuple[DocumentKind, ...]) -> dict[str, Any]:
    """The documents of bars, of these kinds alone, as plain values for a message; empty where there are none."""
    documents = None if bars.documents is None else bars.documents.only(kinds)
    if documents is None:
        return {}
    return {_DOCUMENTS: {"kinds": documents.kinds, "items": [each.as_dict() for each in documents]}}


def arrays_of(bars: Bars) -> dict[str, NDArray[Any]]:
    """The arrays of bars, for a message."""
    return {name: getattr(bars, name) for name in ("open_time_ns", *FIELDS, "listed")}


def bars_of(
    plain: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], symbols: tuple[str, ...], interval: Interval
) -> Bars:
    """The bars of a message with their documents; nothing lies behind their arrays."""
    sent = plain.get(_DOCUMENTS)
    documents = None if sent is None else Documents(map(Document.from_dict, sent["items"]), kinds=sent["kinds"])
    own = {name: arrays[name] for name in ("open_time_ns", *FIELDS, "listed")}
    return Bars(symbols=symbols, interval=interval, documents=documents, **own)


def _read(descriptor: int, count: int, deadline: float | None) -> bytes:
    parts = []
    while count:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise Late
        try:
            part = os.read(descriptor, min(count, _CHUNK))
        except ConnectionResetError:
            raise Ended from None
        if not part:
            raise Ended
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
