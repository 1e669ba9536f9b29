"""What a sizing is, and how one is made again from what a release wrote down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from sapphire.domain.errors import ValueRefused
from sapphire.domain.views import Belief
from sapphire.portfolio.baselines import EqualWeight, FixedFraction
from sapphire.portfolio.state import PortfolioState
from sapphire.portfolio.targets import Target
from sapphire.portfolio.volatility_target import VolatilityTarget


@runtime_checkable
class Sizing(Protocol):
    """From beliefs and state to targets: a pure function with parameters.

    It depends on its arguments and its parameters alone: no clock, no randomness, no memory, and the order of the
    beliefs does not matter. The same object sizes in a study and in the coordinator.
    """

    name: ClassVar[str]

    @property
    def parameters(self) -> dict[str, float | bool]:
        """What the sizing is made of, by name: what a sweep varies and a release freezes."""
        ...

    def size(self, beliefs: Sequence[Belief], state: PortfolioState) -> tuple[Target, ...]:
        """Targets in alphabetical order of symbol."""
        ...


_SIZINGS: dict[str, type[VolatilityTarget | EqualWeight | FixedFraction]] = {
    sizing.name: sizing for sizing in (VolatilityTarget, EqualWeight, FixedFraction)
}


def make_sizing(name: str, parameters: Mapping[str, Any]) -> Sizing:
    """The sizing that a release wrote down as `name` and `parameters`.

    Raises
    ------
    ValueRefused : an unknown name, an unknown parameter, or one of a wrong type or out of range.

    >>> made = make_sizing("volatility_target", {"annual": 0.15})
    >>> made == VolatilityTarget(annual=0.15), made.parameters["annual"]
    (True, 0.15)
    """
    if name not in _SIZINGS:
        raise ValueRefused("an unknown sizing", expected=" or ".join(_SIZINGS), got=repr(name), next="name one of them")
    sizing = _SIZINGS[name]
    defaults = sizing().parameters
    wrong = sorted(key for key, value in parameters.items() if not _fits(value, default=defaults.get(key)))
    if wrong:
        raise ValueRefused(
            f"{name} has no such parameters",
            expected=", ".join(f"{key} ({type(value).__name__})" for key, value in defaults.items()),
            got=", ".join(f"{key} = {parameters[key]!r}" for key in wrong),
            next="see help(sapphire.portfolio); a release of another version may have others",
        )
    return sizing(**parameters)


def _fits(value: Any, *, default: float | bool | None) -> bool:
    """Whether `value` can stand where `default` does; there is none for a parameter that is not known."""
    if isinstance(default, bool):
        return isinstance(value, bool)
    return default is not None and isinstance(value, int | float) and not isinstance(value, bool)
