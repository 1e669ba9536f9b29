"""What agents have in common that show a model a context of each symbol and ask it for a choice or for quantiles.

In:    an agent's parameters, and a window.  Out: what the window must have, and the contexts of its symbols.
Never: asks the model; that is each agent's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from sapphire.agents.llm.context import contexts_of
from sapphire.agents.llm.known_models import artefacts_of
from sapphire.agents.llm.shown_features import bars_needed, require_names
from sapphire.domain.errors import AgentError

if TYPE_CHECKING:
    from sapphire.agents.llm.context import Context
    from sapphire.agents.models import Model
    from sapphire.domain.artefacts import Artefact
    from sapphire.domain.windows import Window

__all__ = ["ContextAgent", "Elicitation"]

Elicitation = Literal["choice", "quantiles"]
"""What a model is asked for: one of two words, or three quantiles of the return."""


class ContextAgent:
    """Stands before `Agent` among the bases of an agent that has these parameters."""

    model: Model
    shown_bars: int
    memory: int
    named: bool
    shown_features: tuple[str, ...]
    elicitation: Elicitation

    @property
    def warmup(self) -> int:
        """The memory, or what a feature needs where that is more."""
        return max(self.memory, bars_needed(self.shown_features))

    @property
    def features(self) -> tuple[str, ...]:
        """Those that the prompt shows."""
        return self.shown_features

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        """The model, as a release names it."""
        return artefacts_of(self.model)

    def contexts(self, window: Window) -> list[Context]:
        """What the prompt shows of each symbol."""
        return contexts_of(
            window, bars=self.shown_bars, memory=self.memory, named=self.named, features=self.shown_features
        )

    def require_question(self, agent: str) -> None:
        """Refuse parameters that no question can be made of.

        Raises
        ------
        AgentError : no elicitation, or names of features that are none.
        """
        require_names(self.shown_features, agent)
        if self.elicitation not in get_args(Elicitation):
            raise AgentError(
                f"elicitation of {agent}", expected=" or ".join(get_args(Elicitation)), got=f"{self.elicitation!r:.60}"
            )
