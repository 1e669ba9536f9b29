"""How results show themselves: the table first, then the figures; in a terminal the table alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sapphire.agents import plain_parameters
from sapphire.domain.display import bundle

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sapphire.agents import Agent

__all__ = ["RESULT_MIME", "Shown", "described"]

RESULT_MIME = "application/vnd.sapphire.result+json"
"""Under this type a result's plain values lie beside its table in a notebook that was run."""


_FEW = 4


def described(agent: Agent) -> str:
    """An agent in a caption: its name, its parameters where they are few, its members where it has any."""
    members = agent.parts()
    if len(members) == 1:
        return described(members[0])
    if members:
        return f"{agent.name} of {', '.join(map(described, members))}"
    parameters = plain_parameters(agent)
    if len(parameters) > _FEW:
        usual = plain_parameters(type(agent)())
        parameters = {name: value for name, value in parameters.items() if value != usual[name]}
    told = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return f"{agent.name}({told})" if told else agent.name


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

    @property
    def figures(self) -> tuple[go.Figure, ...]:
        """Every plot that a notebook shows."""
        figure = self.figure
        return () if figure is None else (figure,)

    @property
    def below(self) -> tuple[Shown, ...]:
        """Further tables that are shown with it."""
        return ()

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Plain values with stable keys, for `--json`."""

    def __repr__(self) -> str:
        return self._tables()["text/plain"]

    def _tables(self) -> dict[str, str]:
        """Its own table and those below it, as one."""
        tables = [bundle(each.caption, *each.table()) for each in (self, *self.below)]
        return {kind: "\n".join(table[kind] for table in tables) for kind in tables[0]}

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
        from IPython.terminal.interactiveshell import TerminalInteractiveShell

        shown: dict[str, Any] = {**self._tables(), RESULT_MIME: self.as_dict()}
        display(shown, raw=True)  # type: ignore[no-untyped-call]
        if isinstance(get_ipython(), TerminalInteractiveShell):  # there plotly would open a browser and wait for it
            return
        for figure in self.figures:
            display(figure)  # type: ignore[no-untyped-call]
