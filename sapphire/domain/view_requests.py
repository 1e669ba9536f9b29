"""What a release is asked for its views with: a window of bars, or a moment whose bars are in the shared cache.

::

    {"schema": "WINDOW@1", "symbols": [S], "interval": "1h", "as_of_ns": "...", "open_time_ns": ["...", ...],
     "open": [T][S], "high": [T][S], "low": [T][S], "close": [T][S], "volume_base": [T][S]}
    {"schema": "CACHED_WINDOW@1", "venue": "binance-spot", "as_of_ns": "..."}

each with `trace_id` and `causation_id`, text or null, where the caller has them. Nanoseconds are text or whole JSON
numbers. Prices and volumes are JSON numbers or decimal text, null where a symbol had no bar; each is read as the
nearest double, so a window arrives with the bits it left with.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapphire.domain.bars import FIELDS, Bars
from sapphire.domain.clocks import from_ns, to_ns
from sapphire.domain.errors import BadMessage, UnknownSchema
from sapphire.domain.intervals import Interval
from sapphire.domain.precision import I64_MAX
from sapphire.domain.windows import Window

__all__ = [
    "CACHED_WINDOW",
    "MAX_REQUEST_BYTES",
    "VIEWS",
    "WINDOW",
    "CachedRequest",
    "WindowRequest",
    "encode_window",
    "read_request",
]

WINDOW = "WINDOW@1"
CACHED_WINDOW = "CACHED_WINDOW@1"
VIEWS = "VIEWS@1"
"""Schema of the answer: the release's digest, its VIEW messages, and the symbols that it is silent about."""
MAX_REQUEST_BYTES = 16 * 2**20
"""Larger requests are refused before they are read."""

_MAX_SYMBOLS = 512
_MAX_BARS = 20_000
_SHOWN = 80
_NAME = re.compile(r"[!-~]{1,128}", re.ASCII)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
_WIRE_FIELDS = {("volume_base" if name == "volume" else name): name for name in FIELDS}
_BOTH = ("schema", "as_of_ns")
_OPTIONAL = ("trace_id", "causation_id")
_KEYS = {
    WINDOW: (*_BOTH, "symbols", "interval", "open_time_ns", *_WIRE_FIELDS),
    CACHED_WINDOW: (*_BOTH, "venue"),
}


@dataclass(frozen=True, slots=True, eq=False)
class WindowRequest:
    """Views of the window that came with the request.

    Parameters
    ----------
    window : closed bars up to its `as_of`, checked.
    trace_id, causation_id : what the answer's envelopes carry on.
    """

    window: Window
    trace_id: str | None = None
    causation_id: str | None = None


@dataclass(frozen=True, slots=True)
class CachedRequest:
    """Views at a moment, of bars in the shared cache.

    Parameters
    ----------
    venue : whose bars.
    as_of_ns : the moment, in whole microseconds.
    trace_id, causation_id : as in `WindowRequest`.
    """

    venue: str
    as_of_ns: int
    trace_id: str | None = None
    causation_id: str | None = None

    def encode(self) -> bytes:
        """The request as JSON."""
        made = {"schema": CACHED_WINDOW, "venue": self.venue, "as_of_ns": str(self.as_of_ns)}
        return _written(made, self.trace_id, self.causation_id)


def encode_window(window: Window, *, trace_id: str | None = None, causation_id: str | None = None) -> bytes:
    """A request for views of `window`, as JSON; its features are the release's own and do not travel."""
    bars = window.bars
    made: dict[str, Any] = {
        "schema": WINDOW,
        "symbols": list(bars.symbols),
        "interval": bars.interval.text,
        "as_of_ns": str(to_ns(window.as_of)),
        "open_time_ns": list(map(str, bars.open_time_ns.tolist())),
    }
    for wire, name in _WIRE_FIELDS.items():
        rows = getattr(bars, name).tolist()
        made[wire] = [[None if math.isnan(value) else value for value in row] for row in rows]
    return _written(made, trace_id, causation_id)


def read_request(data: bytes) -> WindowRequest | CachedRequest:
    """The request that `data` holds.

    Raises
    ------
    UnknownSchema : neither of the two.
    BadMessage : a field that is missing, unknown or bad; names it.
    UnknownInterval, BadBars : bars that are none.
    LeakFound : a bar that closes after `as_of_ns`.
    """
    if len(data) > MAX_REQUEST_BYTES:
        got = f"{len(data):,} bytes"
        raise BadMessage("request is too large", expected=f"at most {MAX_REQUEST_BYTES:,} bytes", got=got)
    try:
        value = json.loads(data, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadMessage("request is not JSON", expected="one JSON object in UTF-8", got=str(error)[:_SHOWN]) from None
    schema = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(schema, str) or schema not in _KEYS:
        raise UnknownSchema(
            "request of an unknown schema",
            expected=" or ".join(_KEYS),
            got=repr(schema)[:_SHOWN] if isinstance(value, dict) else type(value).__name__,
            next="sapphire.domain.view_requests.encode_window writes one",
        )
    _check_keys(schema, value)
    as_of_ns = _nanoseconds("as_of_ns", value["as_of_ns"])
    if as_of_ns % 1_000:
        raise _bad("as_of_ns", "whole microseconds", as_of_ns)
    carried = {key: _name(key, value[key]) for key in _OPTIONAL if value.get(key) is not None}
    if schema == CACHED_WINDOW:
        return CachedRequest(_name("venue", value["venue"]), as_of_ns, **carried)
    return WindowRequest(Window(_bars(value), from_ns(as_of_ns)), **carried)


def _bars(value: Mapping[str, Any]) -> Bars:
    symbols = tuple(_name(f"symbols.{i}", each) for i, each in enumerate(_list("symbols", value["symbols"])))
    times = _list("open_time_ns", value["open_time_ns"])
    if not 1 <= len(symbols) <= _MAX_SYMBOLS or not 1 <= len(times) <= _MAX_BARS:
        expected = f"1 to {_MAX_SYMBOLS} symbols and 1 to {_MAX_BARS:,} bars"
        raise BadMessage(
            "size of a window", field="open_time_ns", expected=expected, got=f"{len(symbols)} and {len(times):,}"
        )
    if not isinstance(value["interval"], str):
        raise _bad("interval", "text such as 1h", value["interval"])
    opens = np.array([_nanoseconds(f"open_time_ns.{row}", ns) for row, ns in enumerate(times)], dtype=np.int64)
    shape = (len(times), len(symbols))
    panels: dict[str, Any] = {name: _panel(wire, value[wire], shape) for wire, name in _WIRE_FIELDS.items()}
    listed = np.isfinite(panels["close"])
    interval = Interval(value["interval"])
    return Bars(symbols=symbols, interval=interval, open_time_ns=opens, listed=listed, **panels).validate()


def _panel(field: str, value: object, shape: tuple[int, int]) -> NDArray[np.float64]:
    rows = _list(field, value)
    if len(rows) != shape[0]:
        raise _bad(field, f"{shape[0]:,} rows, one per open time", f"{len(rows):,} rows")
    made = np.empty(shape)
    for place, row in enumerate(rows):
        cells = _list(f"{field}.{place}", row)
        if len(cells) != shape[1]:
            raise _bad(f"{field}.{place}", f"{shape[1]} values, one per symbol", f"{len(cells)} values")
        plain = set(map(type, cells)) == {float}
        made[place] = cells if plain else [_number(f"{field}.{place}.{i}", cell) for i, cell in enumerate(cells)]
    if np.isinf(made).any():
        raise _bad(field, "numbers that a double can hold", "one that is too large")
    return made


def _number(field: str, value: object) -> float:
    """A JSON number or decimal text as the nearest double; null is NaN."""
    if type(value) is float:
        return value
    if value is None:
        return math.nan
    if type(value) is int or (isinstance(value, str) and len(value) <= _SHOWN and _DECIMAL.fullmatch(value)):
        try:
            return float(value)
        except OverflowError:
            pass
    raise _bad(field, "a JSON number, decimal text such as '64250.10', or null", value)


def _nanoseconds(field: str, value: object) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value <= I64_MAX:
        raise _bad(field, "UTC nanoseconds, as text or a whole number", value)
    return value


def _name(field: str, value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _bad(field, "1 to 128 printable ASCII characters, no spaces", value)
    return value


def _list(field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise _bad(field, "a list", value)
    return value


def _check_keys(schema: str, value: Mapping[str, Any]) -> None:
    for key in _KEYS[schema]:
        if key not in value:
            raise BadMessage(f"field {key} of {schema}", field=key, expected="the field", got="nothing")
    for key in value:
        if key not in (*_KEYS[schema], *_OPTIONAL):
            shown = key[:_SHOWN]
            raise BadMessage(f"field {shown} of {schema}", field=shown, expected="no such field", got=shown)


def _bad(field: str, expected: str, got: object) -> BadMessage:
    shown = got if isinstance(got, str) else repr(got)
    return BadMessage(f"field {field} of a request", field=field, expected=expected, got=shown[:_SHOWN])


def _written(made: dict[str, Any], trace_id: str | None, causation_id: str | None) -> bytes:
    whole = made | {"trace_id": trace_id, "causation_id": causation_id}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a field comes twice")
    return made


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
