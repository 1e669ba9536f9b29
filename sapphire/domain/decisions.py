"""A line of decisions.jsonl: what was known at a bar's close and what was decided on it, as one JSON object.

The coordinator writes it, canonical JSON with an end of line; reports, notices and `sapphire decisions` read it. 64-bit
numbers are text, floats are numbers that read back as the same double, but for a view's own, which are decimal text as
in its message. Fields are only ever added, under a new version; a version that is not known is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from sapphire.domain.canonical import read_canonical
from sapphire.domain.envelope import bad_message
from sapphire.domain.errors import BadMessage, ValueRefused
from sapphire.domain.messages import TradingState
from sapphire.domain.views import ViewNote
from sapphire.domain.wire import (
    AmountText,
    AtomsText,
    Counter,
    DecimalText,
    IntegerText,
    Name,
    Nanoseconds,
    PositiveText,
    Prose,
    SignedAtomsText,
)

__all__ = ["DECISION_FORMAT", "DECISION_FORMATS", "MEMBERS_FORMAT", "NOTED_FORMAT", "DecisionLine"]

DECISION_FORMAT = "DECISION@2"
"""What is written."""
NOTED_FORMAT = "DECISION@3"
"""What is written where a view has a note; every other line stays as it was."""
MEMBERS_FORMAT = "DECISION@4"
"""What is written where the members of a pool are asked by themselves."""
DECISION_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "DECISION@1": "no `format`, and no agent of a view",
        DECISION_FORMAT: "`format` says the version, and a view whose it is",
        NOTED_FORMAT: "a view may have a note: thesis, what was read, kind of model, how it was asked",
        MEMBERS_FORMAT: "what each member of a pool answered, or why it was silent",
    }
)
"""What is read."""
_WITHOUT_FORMAT = "DECISION@1"


class _Frozen(BaseModel):
    """A JSON object of the line: frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class LinePosition(_Frozen):
    """What was held of one symbol."""

    symbol: Name
    """Of what."""
    atoms: AtomsText
    """Base held, in atoms of 1e-8."""
    lots: AmountText
    """Whole lots of it."""


class LineQuantile(_Frozen):
    """One point of a forecast distribution."""

    probability: DecimalText
    """Between 0 and 1."""
    value_bps: DecimalText
    """Return in basis points that is not exceeded with this probability."""


class LineAccount(_Frozen):
    """The account's state that was decided on."""

    account: Name
    """Its name."""
    entry: Name
    """Place of its message on the bus."""
    state: TradingState
    """What it may do."""
    quote: Name
    """Asset that its cash is in."""
    cash_quote_atoms: SignedAtomsText
    """Cash, in atoms of 1e-8."""
    positions: tuple[LinePosition, ...]
    """One for each symbol."""


class LineView(_Frozen):
    """A view as its message says it."""

    entry: Name
    """Place of its message on the bus."""
    agent: Name | None = None
    """Whose it is; None in a line of before it was written."""
    symbol: Name
    """Of what."""
    as_of_ns: Nanoseconds
    """Up to when its agent saw data."""
    horizon_ns: PositiveText
    """How far it looks ahead."""
    score: DecimalText | None
    """A number whose worth the calibration decides."""
    mean_bps: DecimalText | None
    """Expected return over the horizon, basis points."""
    std_bps: DecimalText | None
    """Its standard deviation, basis points."""
    quantiles: tuple[LineQuantile, ...]
    """By rising probability."""
    thesis: Prose | None = None
    """Why, in words; this and the next three stand there together, or none of them does."""
    read: tuple[Prose, ...] | None = None
    """Ids of the documents that were read."""
    model_kind: Prose | None = None
    """What kind of model made it."""
    elicitation: Prose | None = None
    """How the model was asked."""

    @property
    def has_note(self) -> bool:
        """Whether something stands beside its numbers."""
        return any(each is not None for each in (self.thesis, self.read, self.model_kind, self.elicitation))

    @model_validator(mode="after")
    def _check_note(self) -> Self:
        if not self.has_note:
            return self
        if self.thesis is None or self.read is None or self.model_kind is None or self.elicitation is None:
            raise ValueError("thesis, read, model_kind and elicitation together, or none of them")
        try:
            ViewNote(self.thesis, self.read, self.model_kind, self.elicitation)
        except ValueRefused as error:
            raise ValueError(f"{error.what}: {error.expected}, not {error.got}") from error
        return self


class LineBelief(_Frozen):
    """What is believed of a symbol."""

    symbol: Name
    """Of what."""
    horizon_ns: PositiveText
    """How far it looks ahead."""
    mean_bps: FiniteFloat
    """Expected return over the horizon, basis points."""
    std_bps: FiniteFloat
    """Its standard deviation, basis points."""


class LineRemembered(LineBelief):
    """The newest belief of a symbol, with which the next bar is sized where no view comes."""

    as_of_ns: Nanoseconds
    """When it was believed."""
    lots: IntegerText | None
    """What is kept of the position while views stop; None while they come."""


class LineStopped(_Frozen):
    """A symbol whose views have stopped."""

    symbol: Name
    """Which."""
    since_ns: Nanoseconds
    """Since when."""
    bar: Counter
    """The how manyth bar without one it is."""
    stage: Name
    """What the release's rule does with the position now."""


class LineTarget(_Frozen):
    """What is to be held of a symbol."""

    symbol: Name
    """Of what."""
    lots: IntegerText
    """How many lots."""
    weight: FiniteFloat
    """Share of the equity."""
    reason: str
    """Why so much."""


class LineSignal(_Frozen):
    """What the engine is told."""

    symbol: Name
    """Of what."""
    target_lots: IntegerText
    """Lots to hold."""
    reference_ticks: IntegerText
    """The close that it was decided at, in ticks."""
    time_to_live_ns: PositiveText
    """For how long it holds."""
    entry: Name
    """Place of its message on the bus."""


class LineForecast(_Frozen):
    """What a member of a pool believes of a symbol."""

    symbol: Name
    """Of what."""
    mean_bps: FiniteFloat
    """Expected return over the release's horizon, basis points."""
    std_bps: FiniteFloat
    """Its standard deviation, basis points."""


class LineShadow(_Frozen):
    """Why a member is not heard: its signal drifted."""

    since_ns: Nanoseconds
    """Close from which on."""
    index: FiniteFloat
    """Population stability index of its signal."""
    threshold: FiniteFloat
    """What chance would seldom exceed."""


class LineMember(_Frozen):
    """A member of a pool, asked by itself."""

    name: Name
    """In the release."""
    release: Name
    """Digest of the release that it is by itself."""
    silence: str | None
    """Why it said nothing; None where it answered."""
    shadow: LineShadow | None
    """Since when and why it is not heard; None where it is."""
    views: tuple[LineForecast, ...]
    """What it answered."""


class LineReason(_Frozen):
    """What stood in the way."""

    code: Name
    """The obstacle's name."""
    text: str
    """In words."""


class DecisionLine(_Frozen):
    """One bar's decision."""

    format: Literal["DECISION@1", "DECISION@2", "DECISION@3", "DECISION@4"] = Field(default="DECISION@1")
    """Version of the line; the first had none."""
    bar_close_ns: Nanoseconds
    """Close of the bar, market time."""
    bars_entry: Name
    """Place of the bar's end marker on the bus."""
    release: Name
    """Digest of the release that decides."""
    trace_id: Name
    """Of everything that follows from the bar."""
    account: LineAccount | None
    """What was held; None where it never came."""
    answered_ns: Nanoseconds | None
    """Wall time of the release's answer; None when it was not asked."""
    asked_ns: Nanoseconds | None
    """Wall time of the question."""
    asked_times: Counter
    """How often it was asked."""
    beliefs: tuple[LineBelief, ...]
    """What follows from the views."""
    closes_ticks: Mapping[str, AmountText]
    """Last known close by symbol, in ticks."""
    equity_quote_atoms: SignedAtomsText | None
    """Cash and positions at these closes; None where nothing was decided."""
    history_rows: Counter
    """Closed bars that the portfolio's state was measured from."""
    reason: LineReason | None
    """Why nothing was decided; None where something was."""
    remembered: tuple[LineRemembered, ...]
    """The newest belief of each symbol."""
    signals: tuple[LineSignal, ...]
    """What the engine is told."""
    silent: tuple[str, ...]
    """Symbols without a view."""
    stopped: tuple[LineStopped, ...]
    """Symbols whose views have stopped."""
    targets: tuple[LineTarget, ...]
    """What is to be held."""
    views: tuple[LineView, ...]
    """What the release says."""
    members: tuple[LineMember, ...] | None = None
    """What each member of a pool said; None where the release was asked as one."""

    @model_validator(mode="after")
    def _check_version(self) -> Self:
        if self.format not in (NOTED_FORMAT, MEMBERS_FORMAT) and any(view.has_note for view in self.views):
            raise ValueError(f"no note beside a view in {self.format}, {NOTED_FORMAT} has a place for it")
        if (self.members is not None) != (self.format == MEMBERS_FORMAT):
            raise ValueError(f"members in {MEMBERS_FORMAT}, and in no other format")
        return self

    @classmethod
    def read(cls, line: bytes) -> Self:
        """The decision that a line says, with or without its end.

        Raises
        ------
        ValueRefused : not canonical JSON, a version that is not known, a field that is missing, bad or too many.
        """
        facts = read_canonical(line.removesuffix(b"\n"), what="a line of the decisions")
        if isinstance(facts, dict):
            _require_known(facts.get("format", _WITHOUT_FORMAT))
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            raise _refused(bad_message("a line of the decisions", error)) from error


def _require_known(version: Any) -> None:
    if version not in DECISION_FORMATS:
        raise ValueRefused(
            "a line of the decisions of another version",
            expected=" or ".join(DECISION_FORMATS),
            got=repr(version),
            next="read it with the version of Sapphire that wrote it, or bring this one up to date",
        )


def _refused(error: BadMessage) -> ValueRefused:
    return ValueRefused(error.what, expected=error.expected, got=error.got or "another value", next=error.next)
