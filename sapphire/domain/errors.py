"""Every error Sapphire raises on purpose, in one tree.

::

    SapphireError
    ├── ValueRefused            a value that the domain does not allow
    │   ├── PrecisionError      finer than the instrument or the asset allows; never rounded
    │   ├── UnknownInstrument   a symbol nobody declared
    │   └── UnknownInterval     a bar length that venues do not have
    ├── DataError               market data
    │   ├── MissingData         asked for and not there
    │   │   └── TextExpired     it was there, and its retention is over
    │   ├── UnknownFile         a file that does not say what it holds
    │   ├── BadDocuments        a document, or a file of them, that is wrong
    │   └── BadBars             there, and wrong
    ├── AgentError              an agent broke its promise
    │   ├── BadModelOutput      a model wrote what cannot be used; nobody guesses what it meant
    │   ├── LeakFound           it saw what was not yet knowable
    │   ├── TwinDiffers         its vectorised twin says something else
    │   └── NotFitted           it was asked before it was fitted
    ├── StatisticsError         a number that cannot be had from these data
    │   └── TooFewReturns
    ├── StudyError              research bookkeeping
    │   ├── HoldoutSealed
    │   └── LedgerDamaged
    ├── Refused                 a deliberate no: gates, promotion, serving, risk
    │   ├── AccessDenied        a server does not take these credentials, or its user may not do this
    │   └── EvidenceRefused     a release, a report or a signature that does not verify; names what differs
    │       └── PermitClosed    it was refused later, was revoked, or its permit has ended
    ├── EngineError             the compiled engine
    │   └── EngineMissing       it is not built or not installed
    ├── ExchangeError           a venue or the embedded exchange
    │   ├── PortInUse
    │   └── NotReady
    ├── PlaceError              where state lies that several machines need
    │   ├── PlaceUnreachable    it does not answer, or not in time
    │   ├── PlaceDenied         a credential that is wrong, has ended, or lacks a right
    │   ├── PlaceFull           no room for more
    │   ├── PlaceDamaged        bytes or moves that were there and are not, or are others
    │   └── HeadMoved           somebody else moved it first
    ├── ConfigError             sapphire.toml, the environment, a policy file
    └── MessageError            a message on the wire
        ├── UnknownSchema       a schema id that this version does not have
        └── BadMessage          a field that is missing, unknown or bad; names it

A message has up to four lines: what went wrong, what was expected, what came, what to do next.
"""

# ruff: noqa: N818  (an error is named after what happened: LeakFound says more than LeakFoundError)

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "AgentError",
    "BadBars",
    "BadDocuments",
    "BadMessage",
    "BadModelOutput",
    "ConfigError",
    "DataError",
    "EngineError",
    "EngineMissing",
    "EvidenceRefused",
    "ExchangeError",
    "HeadMoved",
    "HoldoutSealed",
    "LeakFound",
    "LedgerDamaged",
    "MessageError",
    "MissingData",
    "NotFitted",
    "NotReady",
    "PermitClosed",
    "PlaceDamaged",
    "PlaceDenied",
    "PlaceError",
    "PlaceFull",
    "PlaceUnreachable",
    "PortInUse",
    "PrecisionError",
    "Refused",
    "SapphireError",
    "StatisticsError",
    "StudyError",
    "TextExpired",
    "TooFewReturns",
    "TwinDiffers",
    "UnknownFile",
    "UnknownInstrument",
    "UnknownInterval",
    "UnknownSchema",
    "ValueRefused",
]

_LABEL_WIDTH = len("expected: ")


class SapphireError(Exception):
    """Root of the tree.

    Parameters
    ----------
    what : what went wrong, and where; one line.
    expected : what would have been right.
    got : what came instead.
    next : what the reader can do now: a command, a setting, a file to look at.

    Examples
    --------
    >>> print(DataError("bars out of order in btc_1h.parquet", expected="each open time after the one before"))
    DataError: bars out of order in btc_1h.parquet
      expected: each open time after the one before
    """

    lines: str = ""
    """Of the reader's own code, where it went wrong; a notebook shows them first."""

    def __init__(self, what: str, *, expected: str = "", got: str = "", next: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.got = got
        self.next = next

    def __str__(self) -> str:
        lines = [f"{type(self).__name__}: {self.what}"]
        for label, text in (("expected:", self.expected), ("got:", self.got), ("next:", self.next)):
            if text:
                indented = text.replace("\n", "\n" + " " * (2 + _LABEL_WIDTH))
                lines.append(f"  {label:<{_LABEL_WIDTH}}{indented}")
        return "\n".join(lines)


class ValueRefused(SapphireError):
    """A value that the domain does not allow."""


class PrecisionError(ValueRefused):
    """A number finer than the instrument or the asset allows. It is never rounded."""


class UnknownInstrument(ValueRefused):
    """A symbol that nobody declared."""


class UnknownInterval(ValueRefused):
    """A bar length that is not one of the venue's."""


class DataError(SapphireError):
    """Something about market data."""


class MissingData(DataError):
    """Data that were asked for and are not there."""


class TextExpired(MissingData):
    """A document whose text is gone, because its retention is over; its id, its hash and its times are there."""


class UnknownFile(DataError):
    """A file that does not say what it holds."""


class BadBars(DataError):
    """Bars that are there and wrong; names the symbol and the row."""


class BadDocuments(DataError):
    """A document that is wrong, or a file of them; names the id, or each line."""


class AgentError(SapphireError):
    """An agent broke its promise."""


class BadModelOutput(AgentError):
    """A model wrote what cannot be used. Its agent abstains."""


class LeakFound(AgentError):
    """Something was seen before it could be known."""


class TwinDiffers(AgentError):
    """An agent and its vectorised twin disagree."""


class NotFitted(AgentError):
    """An agent that learns was asked for views before it was fitted."""


class StatisticsError(SapphireError):
    """A number that cannot be had from these data."""


class TooFewReturns(StatisticsError):
    """Fewer returns than the statistic needs; says how many there were."""


class StudyError(SapphireError):
    """Something about a study's bookkeeping."""


class HoldoutSealed(StudyError):
    """The hold-out is sealed for this request."""


class LedgerDamaged(StudyError):
    """The ledger of trials does not verify."""


class Refused(SapphireError):
    """A deliberate no, with its reason and what is open instead."""


class AccessDenied(Refused):
    """A server that does not take these credentials, or whose user may not do this."""


class EvidenceRefused(Refused):
    """A release, its evidence, a gate report or a signature that does not verify; names what differs."""


class PermitClosed(EvidenceRefused):
    """A release whose permit is no more: refused later, revoked, or past its end."""


class EngineError(SapphireError):
    """Something about the compiled engine."""


class EngineMissing(EngineError):
    """The compiled engine is not built or not installed."""


class ExchangeError(SapphireError):
    """A venue, or the embedded exchange, said no or said nothing."""


class PortInUse(ExchangeError):
    """A port that another process holds; names the holder where it can be known."""


class NotReady(ExchangeError):
    """It did not come up in time."""


class PlaceError(SapphireError):
    """Where shared state lies could not give or take it. What was there before is still there."""


class PlaceUnreachable(PlaceError):
    """It does not answer, or not in time."""


class PlaceDenied(PlaceError):
    """A credential that is wrong, has ended, or has not the right."""


class PlaceFull(PlaceError):
    """It has no room for more."""


class PlaceDamaged(PlaceError):
    """What it held is missing, or is other than what was put there."""


class HeadMoved(PlaceError):
    """A head stands elsewhere than whoever wanted to move it thought."""


class ConfigError(SapphireError):
    """A setting that is wrong or missing."""


class MessageError(SapphireError):
    """Something about a message on the wire."""


class UnknownSchema(MessageError):
    """A schema id that this version does not have."""


class BadMessage(MessageError):
    """A message with a field that is missing, unknown or bad.

    Parameters
    ----------
    field : path of the field from the top of the message, joined by dots; empty where the whole is unreadable.
    """

    def __init__(self, what: str, *, field: str = "", expected: str = "", got: str = "", next: str = "") -> None:
        super().__init__(what, expected=expected, got=got, next=next)
        self.field = field
