"""Parameters as plain values and as words: what a ledger, a release or a command line can hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from numbers import Integral, Real
from typing import Any

from sapphire.agents.agent import Agent
from sapphire.agents.models import Model
from sapphire.domain.clocks import parse_duration
from sapphire.domain.errors import AgentError, ValueRefused

__all__ = ["duration_text", "plain_parameters", "read_parameters"]

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def duration_text(duration: timedelta) -> str:
    """A duration as `parse_duration` reads it.

    Raises
    ------
    AgentError : negative, or finer than a millisecond.

    Examples
    --------
    >>> duration_text(timedelta(hours=36))
    '1d12h'
    """
    left, finer = divmod(duration, timedelta(milliseconds=1))
    if finer or left < 0:
        raise AgentError("a duration without a text", expected="whole milliseconds, zero or more", got=str(duration))
    text = ""
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def plain_parameters(agent: Agent) -> dict[str, Any]:
    """The parameters as JSON can hold them: durations as "12h", models by name, agents as name and own parameters.

    Two agents of one class are the same agent when these are equal.

    Raises
    ------
    AgentError : a parameter that is not a number, text, truth value, duration, model, agent or a sequence or mapping of
        them.
    """
    return {name: _plain(agent, name, value) for name, value in agent.parameters().items()}


def read_parameters(cls: type[Agent], words: Mapping[str, str]) -> dict[str, Any]:
    """Values of parameters from words, each read as the type of its default: `fast=12`, `horizon=12h`, `lags=1,2,3`.

    Raises
    ------
    AgentError : no such parameter, one that words cannot give, or words that do not read.
    """
    # a field whose default came from a factory says so by the factory's result
    defaults = {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in cls.parameter_fields()
    }
    read: dict[str, Any] = {}
    for name, text in words.items():
        if name not in defaults:
            known = ", ".join(defaults) or "none: it has no parameters"
            raise AgentError(f"{cls.name} has no parameter {name!r}", expected=f"one of {known}", got=f"{name}={text}")
        try:
            read[name] = _read(text, defaults[name])
        except (ValueError, KeyError, ValueRefused):
            like = _plain_or_repr(defaults[name])
            raise AgentError(
                f"{name}={text} does not read", expected=f"something like {name}={like}", got=text
            ) from None
    return read


def _plain(agent: Agent, name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):  # numpy's as well, so that a sweep over an array is the sweep over a list
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, Model):
        return str(value)
    if isinstance(value, Agent):
        return {"agent": value.name, "parameters": plain_parameters(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(agent, f"{name}.{key}", value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple | range):
        return [_plain(agent, f"{name}[{place}]", each) for place, each in enumerate(value)]
    raise AgentError(
        f"parameter {name} of {agent.name} cannot be written down",
        expected="a number, text, truth value, duration, model, agent, or a sequence or mapping of them",
        got=type(value).__name__,
        next="keep what was learned in a fitted() field",
    )


def _plain_or_repr(value: Any) -> str:
    if isinstance(value, timedelta):
        return duration_text(value)
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _read(text: str, default: Any) -> Any:
    if isinstance(default, bool):
        return _TRUTHS[text.lower()]
    if isinstance(default, timedelta):
        return parse_duration(text)
    if isinstance(default, Model):
        return Model.parse(text)
    if isinstance(default, int | float | str):
        return type(default)(text)
    if isinstance(default, tuple):
        like = default[0] if default else ""
        return tuple(_read(word.strip(), like) for word in text.split(",") if word.strip())
    raise ValueError(type(default).__name__)
