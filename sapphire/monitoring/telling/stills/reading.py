"""What a plotly figure says, read from its JSON: numbers, times, colours and words."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

__all__ = ["Plotted", "Trace", "colour_of", "kind_of", "loaded", "plain", "row_of", "text_of", "values_of"]

Trace = Mapping[str, Any]
"""One of a figure's `data`."""


class Plotted(Protocol):
    """A `plotly.graph_objects.Figure`, or whatever else says its `data` and `layout` as JSON."""

    def to_json(self) -> str:
        """`data` and `layout`, as a notebook keeps them."""
        ...


def loaded(figure: Plotted | Mapping[str, Any]) -> Mapping[str, Any]:
    """A figure's `data` and `layout`."""
    if isinstance(figure, Mapping):
        return figure
    spec: Mapping[str, Any] = json.loads(figure.to_json())
    return spec


def kind_of(trace: Trace) -> str:
    """Its type, which plotly leaves out of a scatter."""
    return str(trace.get("type", "scatter"))


def row_of(trace: Trace) -> str:
    """The y axis of the panel that it is in: "y", "y2"."""
    return str(trace.get("yaxis", "y"))


def text_of(title: Any) -> str:
    """A title's text, which has plotly's tags in it."""
    return str(title.get("text", "") if isinstance(title, Mapping) else title or "")


def plain(text: str) -> str:
    """What plotly says with tags, on as many lines."""
    return re.sub("<[^>]*>", "", text.replace("<br>", "\n"))


def values_of(given: Any) -> Any:
    """Numbers or times of a trace, however the notebook keeps them; times without their zone, which is UTC."""
    if isinstance(given, Mapping):
        return np.frombuffer(base64.b64decode(given["bdata"]), dtype=np.dtype(given["dtype"]))
    values = list(given if given is not None else ())
    if values and isinstance(values[0], str) and re.match(r"\d{4}-\d\d-\d\d", values[0]):
        import pandas as pd

        return pd.DatetimeIndex(pd.to_datetime(values, utc=True, format="ISO8601")).tz_localize(None).to_numpy()
    return np.array([np.nan if value is None else value for value in values])


def colour_of(given: Any) -> Any:
    """A colour as matplotlib reads it, or one per point."""
    if isinstance(given, str) and given.startswith("rgb"):
        red, green, blue, *alpha = map(float, re.findall(r"[\d.]+", given))
        return (red / 255, green / 255, blue / 255, *alpha)
    return [colour_of(each) for each in given] if isinstance(given, list | tuple) else given
