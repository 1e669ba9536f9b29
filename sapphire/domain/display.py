"""How objects show themselves in a notebook and in a log: a table as text and as HTML, without JavaScript.

Colours come from JupyterLab's own variables, so light and dark themes both work.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from sapphire.domain.clocks import from_ns

__all__ = ["bundle", "counted", "kind_of_value", "stamp"]

_MINUTE_NS = 60_000_000_000
_CELL = "padding:2px 10px;text-align:left"
_ROW = "border-bottom:1px solid var(--jp-border-color2,#bbb)"
_BOX = "color:var(--jp-content-font-color1,inherit);font-family:var(--jp-content-font-family,inherit)"


def counted(count: int, noun: str) -> str:
    """How many there are of something, one or several.

    Examples
    --------
    >>> counted(1, "file"), counted(1024, "file"), counted(0, "file"), counted(2, "recorded series")
    ('1 file', '1,024 files', '0 files', '2 recorded series')
    """
    return f"{count:,} {noun}{'' if count == 1 or noun.endswith('s') else 's'}"


def kind_of_value(value: object) -> str:
    """A value that came instead of another, by its type and size.

    Examples
    --------
    >>> kind_of_value(None), kind_of_value({"BTC/USDT": 0.1}), kind_of_value(3)
    ('None', "dict {'BTC/USDT': 0.1}", 'int 3')
    """
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} of {' x '.join(map(str, shape))}"
    return f"{type(value).__name__} {value!r:.40}"


def stamp(ns: int) -> str:
    """A moment in UTC, as short as it can be said.

    Examples
    --------
    >>> stamp(1709269200000000000), stamp(1709269200001000000)
    ('2024-03-01T05:00Z', '2024-03-01T05:00:00.001Z')
    """
    moment = from_ns(int(ns))
    if ns % _MINUTE_NS == 0:
        return f"{moment:%Y-%m-%dT%H:%MZ}"
    if ns % 1_000_000_000 == 0:
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    fraction = f"{ns % 1_000_000_000:09d}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def bundle(caption: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> dict[str, str]:
    """A table for the notebook: `text/plain` and `text/html`."""
    return {"text/plain": _text(caption, header, lines), "text/html": _html(caption, header, lines)}


def _text(caption: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return caption
    table = [list(header), *(list(line) for line in lines)]
    widths = [max(len(line[i]) for line in table) for i in range(len(header))]
    shown = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table)
    return "\n".join([caption, *(f"  {line}" for line in shown)])


def _html(caption: str, header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    def row(tag: str, cells: Sequence[str]) -> str:
        made = "".join(f'<{tag} style="{_CELL}">{html.escape(cell)}</{tag}>' for cell in cells)
        return f'<tr style="{_ROW}">{made}</tr>'

    body = "".join(row("td", line) for line in lines)
    head = row("th", header) if lines else ""
    above = html.escape(caption).replace("\n", "<br>")
    return (
        f'<div style="{_BOX}"><div style="color:var(--jp-content-font-color2,inherit)">{above}</div>'
        f'<table style="border-collapse:collapse">{head}{body}</table></div>'
    )
