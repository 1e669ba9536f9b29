"""Still pictures of the house's figures for a notebook that is stored with its outputs: PNG, as small as they can be.

The page shows through, as it does in the live figures: the ink is that of `sapphire.domain.theme`, which is read on a
light page and on a dark one.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from sapphire.domain.theme import INK
from sapphire.monitoring.telling.stills import Look, Plotted, draw

__all__ = ["picture"]

_LOOK = Look(ink=INK, width=9.4, px_per_inch=84.0, font=8.0, has_title=True)
_DPI = 60
_COLOURS, _SHADES = 20, 128
"""A heatmap needs its shades: with few of them the colours of its scale are other ones."""
_ALPHAS = 6
"""Steps from what is seen through to what is not: letters and lines end softly on any page."""


def picture(figure: Plotted | Mapping[str, Any]) -> bytes:
    """A PNG of a plotly figure, or of its JSON.

    Raises
    ------
    StudyError : a kind of trace that is not drawn here, or no trace.
    """
    drawn, raw, small = draw(figure, _LOOK), io.BytesIO(), io.BytesIO()
    drawn.savefig(raw, format="png", dpi=_DPI, metadata={"Software": None}, transparent=True)
    colours = _SHADES if any(panel.images for panel in drawn.axes) else _COLOURS
    _stepped(Image.open(raw)).quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        small, "png", optimize=True
    )
    return small.getvalue()


def _stepped(picture: Image.Image) -> Image.Image:
    """The picture with few opacities, which is a third of its size."""
    *shades, alpha = picture.convert("RGBA").split()
    step = 255 / (_ALPHAS - 1)
    return Image.merge("RGBA", (*shades, alpha.point([round(round(of / step) * step) for of in range(256)])))
