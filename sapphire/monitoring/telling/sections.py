"""A section of a report: a caption, a table that scrolls when it is long, a figure, and its plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapphire.research.results.showing import Shown

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
    title : the caption.
    header, lines : of the table; no lines, no table.
    facts : plain values with stable keys.
    plot : the figure, where there is one.
    """

    title: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]
    facts: Mapping[str, Any]
    plot: go.Figure | None = field(default=None)

    @property
    def caption(self) -> str:
        """One line."""
        return self.title

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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """As any result's; a long table scrolls."""
        shown = super(Section, self)._repr_mimebundle_(include, exclude)
        if len(self.lines) > _LONG and "text/html" in shown:
            style = "max-height:30em;overflow:auto"
            shown["text/html"] = f'<div class="long-table" style="{style}">{shown["text/html"]}</div>'
        return shown
