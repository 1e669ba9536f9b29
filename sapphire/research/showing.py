"""How results show themselves: the table first, then the figure; in a terminal the table alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sapphire.domain.display import bundle

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["RESULT_MIME", "Shown"]

RESULT_MIME = "application/vnd.sapphire.result+json"
"""Under this type a result's plain values lie beside its table in a notebook that was run."""


class Shown(ABC):
    """A result with a caption, a table, and perhaps a figure."""

    __slots__ = ()

    @property
    @abstractmethod
    def caption(self) -> str:
        """One line: what this is, of which agent, on whose data."""

    @abstractmethod
    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        """Header and lines."""

    @property
    def figure(self) -> go.Figure | None:
        """The plot, where there is one."""
        return None

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Plain values with stable keys, for `--json`."""

    def __repr__(self) -> str:
        return bundle(self.caption, *self.table())["text/plain"]

    def _ipython_display_(self) -> None:
        from IPython.display import display

        shown: dict[str, Any] = {**bundle(self.caption, *self.table()), RESULT_MIME: self.as_dict()}
        display(shown, raw=True)  # type: ignore[no-untyped-call]
        if self.figure is not None:
            display(self.figure)  # type: ignore[no-untyped-call]
