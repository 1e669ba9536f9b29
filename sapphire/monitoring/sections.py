"""A section of a report: a caption, a table that scrolls when it is long, a figure, and its plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapphire.domain.display import bundle
from sapphire.research.results.showing import RESULT_MIME, Shown

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Section"]

_LONG = 16
"""Lines of a table from which it scrolls."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Section(Shown):
    """One section.

    Parameters
    ----------
    said : the caption.
    header, lines : of the table; no lines, no table.
    facts : plain values with stable keys.
    plot : the figure, where there is one.
    """

    said: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    facts: Mapping[str, Any]
    plot: go.Figure | None = field(default=None)

    @property
    def caption(self) -> str:
        """One line."""
        return self.said

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Header and lines."""
        return self.header, self.lines

    @property
    def figure(self) -> go.Figure | None:
        """The figure, where there is one."""
        return self.plot

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dict(self.facts)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        shown: dict[str, Any] = {**bundle(self.said, self.header, self.lines), RESULT_MIME: self.as_dict()}
        if len(self.lines) > _LONG:
            shown["text/html"] = f'<div style="max-height:30em;overflow:auto">{shown["text/html"]}</div>'
        display(shown, raw=True)  # type: ignore[no-untyped-call]
        if self.plot is not None:
            display(self.plot)  # type: ignore[no-untyped-call]
