"""A figure as SVG that a page holds itself: no script, text as text in the page's colour, on light and dark paper."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

from sapphire.monitoring.telling.stills.drawing import Look, draw, undrawn
from sapphire.monitoring.telling.stills.reading import Plotted, loaded, plain, text_of

__all__ = ["still"]

_PAGE = Look(ink="#010203", width=11.0, px_per_inch=96.0, font=9.0, has_title=False)
"""The ink stands for the page's text colour, which replaces it in the picture."""


def still(figure: Plotted | Mapping[str, Any]) -> str:
    """An HTML `figure` element of a plotly figure; a kind of trace that is not drawn here is named in it.

    Parameters
    ----------
    figure : itself, or its JSON as a notebook keeps it.
    """
    import matplotlib as mpl

    given = loaded(figure)
    head, _, below = text_of(given.get("layout", {}).get("title")).partition("<br>")
    caption = f"<figcaption><strong>{head}</strong> {plain(below)}</figcaption>"
    if unknown := undrawn(given):
        return f"<figure>{caption}<p>{', '.join(unknown)}: drawn in the notebook beside this page.</p></figure>"
    if not given.get("data"):
        return f"<figure>{caption}<p>Nothing is drawn in this figure.</p></figure>"
    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sapphire"}):
        draw(given, _PAGE).savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return f"<figure>{caption}{_inline(out.getvalue(), head)}</figure>"


def _inline(svg: str, name: str) -> str:
    """The `svg` element alone, in the page's colour and font, as wide as the page."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r'width="[^"]*pt" height="[^"]*pt"', 'width="100%"', body, count=1)
    body = body.replace(_PAGE.ink, "currentColor")
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", body)
    return body.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
