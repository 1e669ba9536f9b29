"""How results show themselves: the table first, then the figures; in a terminal the table alone.

A result is a value. Two are equal that say the same of the same: what stands in the ledger around them is left out. It
can be pickled, counted (`len`) and gone through; of what, each says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sapphire.agents import plain_parameters
from sapphire.domain.display import bundle
from sapphire.domain.sameness import same_fields

if TYPE_CHECKING:
    import pandas as pd
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
    shown = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return f"{agent.name}({shown})" if shown else agent.name


class Shown(ABC):
    """A result with a caption, a table, and perhaps a figure; its subclasses are dataclasses.

    `len` counts the lines of its table and a loop goes through them, unless the result says what else it is made of.
    """

    __slots__ = ()

    _not_compared = frozenset({"trials"})
    """Fields that make no difference between two results: N of the ledger rises with whatever is asked later."""

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

    @property
    def frame(self) -> pd.DataFrame:
        """Its table as a DataFrame."""
        import pandas as pd

        header, lines = self.table()
        return pd.DataFrame([list(line) for line in lines], columns=list(header))

    def _parts(self) -> Sequence[Any]:
        """What `len` counts and a loop goes through."""
        return self.table()[1]

    def __len__(self) -> int:
        return len(self._parts())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parts())

    def __bool__(self) -> bool:
        """Yes: a result is one, whatever it is made of."""
        return True

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return same_fields(self, other, but=self._not_compared)

    def __hash__(self) -> int:
        values = [getattr(self, each.name) for each in fields(self) if each.name not in self._not_compared]  # type: ignore[arg-type]
        return hash((type(self), *(each for each in values if isinstance(each, str | int))))

    def __getstate__(self) -> object:
        """Its fields: what was worked out of them is worked out again."""
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return self._tables()["text/plain"]

    def __rich__(self) -> object:
        """For `rich.print`: the caption, and a table that fits the terminal."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        shown: list[object] = []
        for each in (self, *self.below):
            header, lines = each.table()
            table = Table(box=None, pad_edge=False)
            for name in header:
                table.add_column(Text(name))
            for line in lines:
                table.add_row(*map(Text, line))
            shown += [Text(each.caption), *([table] if lines else [])]
        return Group(*shown)  # type: ignore[arg-type]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Its tables as text and as HTML, and its plain values."""
        shown: dict[str, Any] = {**self._tables(), RESULT_MIME: self.as_dict()}
        wanted = shown.keys() if include is None else shown.keys() & set(include)
        return {kind: shown[kind] for kind in shown if kind in wanted and kind not in set(exclude or ())}

    def _tables(self) -> dict[str, str]:
        """Its own table and those below it, as one."""
        tables = [bundle(each.caption, *each.table()) for each in (self, *self.below)]
        return {kind: "\n".join(table[kind] for table in tables) for kind in tables[0]}

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
        from IPython.terminal.interactiveshell import TerminalInteractiveShell

        display(self._repr_mimebundle_(), raw=True)  # type: ignore[no-untyped-call]
        if isinstance(get_ipython(), TerminalInteractiveShell):  # there plotly would open a browser and wait for it
            return
        for figure in self.figures:
            display(figure)  # type: ignore[no-untyped-call]
