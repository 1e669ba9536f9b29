"""Views and beliefs: what one agent thinks of a symbol, and what the pool of them comes to.

A View never sizes anything. It is a forecast (mean and deviation, or quantiles), or a bare score whose worth the
calibration decides. A Belief is always a forecast.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise, zip_longest

from sapphire.domain.clocks import to_ns
from sapphire.domain.display import kind_of_value
from sapphire.domain.errors import ValueRefused

__all__ = ["Belief", "View", "ViewNote"]

_LONGEST_THESIS = 1_000
_MOST_READ = 64
_LONGEST_ID = 200
"""With 64 of them in any script, a view still fits in a message."""
_LONGEST_KIND = 64
_LONGEST_ELICITATION = 200
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows: where they are shown, a text looks like another."""


@dataclass(frozen=True, slots=True)
class ViewNote:
    """What stands beside the numbers of a view: why it says so, what it read, and what made it. Nothing is sized by it.

    Parameters
    ----------
    thesis : in words, at most 1,000 characters. A model may have written it: whoever shows it shows it as text.
    read : ids of the documents that it read, oldest first, at most 64 of at most 200 characters.
    model_kind : what kind of model made it, "embedded-default"; empty where none did.
    elicitation : how the model was asked, "one token"; empty where none was.

    Raises
    ------
    ValueRefused : one that is longer, is no text, or has characters that are none.
    """

    thesis: str = ""
    read: tuple[str, ...] = ()
    model_kind: str = ""
    elicitation: str = ""

    def __post_init__(self) -> None:
        _check_text("thesis", self.thesis, _LONGEST_THESIS, lines=True)
        _check_text("model_kind", self.model_kind, _LONGEST_KIND)
        _check_text("elicitation", self.elicitation, _LONGEST_ELICITATION)
        if not isinstance(self.read, list | tuple) or len(self.read) > _MOST_READ:
            got = f"{len(self.read):,}" if isinstance(self.read, list | tuple) else kind_of_value(self.read)
            raise ValueRefused("documents of a view's note", expected=f"a tuple of at most {_MOST_READ} ids", got=got)
        object.__setattr__(self, "read", tuple(self.read))
        for each in self.read:
            _check_text("id of a document", each, _LONGEST_ID)

    @staticmethod
    def can_name(identity: str) -> bool:
        """Whether the id of a document can stand in `read`; the hash of any document can."""
        return len(identity) <= _LONGEST_ID and not any(map(_is_control, identity))

    @classmethod
    def joined(cls, notes: Sequence[tuple[str, ViewNote]]) -> ViewNote | None:
        r"""One note of several speakers, each with its name; None of none.

        What is too long for one note is shared out: the longest theses are cut, and of what was read the newest stays.

        Examples
        --------
        >>> ViewNote.joined([("a", ViewNote("up", model_kind="small")), ("b", ViewNote("down"))]).thesis
        'a: up\nb: down'
        """
        if not notes:
            return None
        theses = [f"{name}: {note.thesis}" for name, note in notes if note.thesis]
        kinds = list(dict.fromkeys(note.model_kind for _, note in notes if note.model_kind))
        ways = [f"{name}: {note.elicitation}" for name, note in notes if note.elicitation]
        return cls(
            _within(_LONGEST_THESIS, "\n", theses),
            _newest([note.read for _, note in notes]),
            _within(_LONGEST_KIND, ", ", kinds),
            _within(_LONGEST_ELICITATION, ", ", ways),
        )


@dataclass(frozen=True, slots=True)
class View:
    """What one agent says about one symbol over one horizon.

    Exactly one of three is stated: a score, a mean with its deviation, or quantiles.

    Parameters
    ----------
    symbol : "BTC/USDT".
    as_of : the moment up to which the agent saw data.
    horizon : how far ahead it looks.
    score : any finite number, larger is more bullish; not a forecast.
    mean_bps, std_bps : expected return over the horizon and its standard deviation (above zero), in basis points.
    quantiles_bps : probability in (0, 1) to return in basis points, at least two, not crossing; kept sorted.
    agent : who says it; empty until the caller that knows fills it in (`stated_by`).
    note : what stands beside the numbers.

    Raises
    ------
    ValueRefused : none or more than one stated, a number that is not finite, crossing quantiles, a bad time or horizon,
        a note that is none.
    """

    symbol: str
    as_of: datetime
    horizon: timedelta
    score: float | None = None
    mean_bps: float | None = None
    std_bps: float | None = None
    quantiles_bps: Mapping[float, float] | None = field(default=None, hash=False)
    agent: str = ""
    note: ViewNote | None = None

    def __post_init__(self) -> None:
        _check_span(f"view of {self.symbol}", self.as_of, self.horizon)
        forecast = self.mean_bps is not None or self.std_bps is not None
        if (self.score is not None) + forecast + (self.quantiles_bps is not None) != 1:
            raise ValueRefused(
                f"view of {self.symbol} must state one thing",
                expected="exactly one of: score; mean_bps with std_bps; quantiles_bps",
                got=", ".join(
                    f"{name} {getattr(self, name)}" for name in ("score", "mean_bps", "std_bps", "quantiles_bps")
                ),
            )
        if self.score is not None:
            object.__setattr__(self, "score", _finite(self.symbol, "score", self.score))
        if forecast:
            mean, std = _forecast(self.symbol, self.mean_bps, self.std_bps)
            object.__setattr__(self, "mean_bps", mean)
            object.__setattr__(self, "std_bps", std)
        if self.quantiles_bps is not None:
            object.__setattr__(self, "quantiles_bps", _sorted_quantiles(self.symbol, self.quantiles_bps))
        if self.note is not None and not isinstance(self.note, ViewNote):
            raise ValueRefused(f"note of {self.symbol}", expected="a ViewNote", got=kind_of_value(self.note))

    def stated_by(self, agent: str) -> View:
        """The same view with the name of who says it."""
        return replace(self, agent=agent)


@dataclass(frozen=True, slots=True)
class Belief:
    """The pooled, calibrated forecast of one symbol over one horizon, in basis points of return.

    Raises
    ------
    ValueRefused : a number that is not finite, a deviation that is not above zero, a bad time or horizon.
    """

    symbol: str
    as_of: datetime
    horizon: timedelta
    mean_bps: float
    std_bps: float

    def __post_init__(self) -> None:
        _check_span(f"belief of {self.symbol}", self.as_of, self.horizon)
        mean, std = _forecast(self.symbol, self.mean_bps, self.std_bps)
        object.__setattr__(self, "mean_bps", mean)
        object.__setattr__(self, "std_bps", std)


def _check_text(name: str, text: object, limit: int, *, lines: bool = False) -> None:
    allowed = "\n" if lines else ""
    if not isinstance(text, str) or len(text) > limit or any(_is_control(each) for each in text if each not in allowed):
        raise ValueRefused(
            f"{name} of a view's note",
            expected=f"text of at most {limit:,} characters, none of which controls how it is shown",
            got=f"{len(text):,} characters" if isinstance(text, str) else kind_of_value(text),
        )


def _is_control(character: str) -> bool:
    return character in _TURNS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _within(limit: int, between: str, texts: Sequence[str]) -> str:
    """Texts as one of at most `limit` characters; where they are too long, the longest of them are cut."""
    left, room = max(0, limit - len(between) * (len(texts) - 1)), dict.fromkeys(range(len(texts)), 0)
    shortest_first = sorted(room, key=lambda place: len(texts[place]))
    for done, place in enumerate(shortest_first):
        room[place] = min(len(texts[place]), left // (len(texts) - done))
        left -= room[place]
    shown = (text if len(text) <= room[i] else text[: max(0, room[i] - 1)] + "\u2026" for i, text in enumerate(texts))
    return between.join(shown)[:limit]


def _newest(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Of several lists of ids the newest of each in turn, as many as a note may have, in the order of the lists."""
    in_turn = (each for row in zip_longest(*map(reversed, lists)) for each in row if each is not None)
    kept = set(list(dict.fromkeys(in_turn))[:_MOST_READ])
    return tuple(each for each in dict.fromkeys(each for ids in lists for each in ids) if each in kept)


def _check_span(what: str, as_of: datetime, horizon: timedelta) -> None:
    to_ns(as_of)
    if not isinstance(horizon, timedelta):
        raise ValueRefused(f"horizon of a {what}", expected="a timedelta", got=kind_of_value(horizon))
    if horizon <= timedelta(0):
        raise ValueRefused(f"{what} looks nowhere", expected="a horizon above zero", got=str(horizon))


def _finite(symbol: str, name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueRefused(f"{name} of {symbol}", expected="a finite number", got=str(value))
    return float(value)


def _forecast(symbol: str, mean_bps: float | None, std_bps: float | None) -> tuple[float, float]:
    if mean_bps is None or std_bps is None:
        raise ValueRefused(
            f"forecast of {symbol} is half stated",
            expected="mean_bps and std_bps together",
            got=f"mean_bps {mean_bps}, std_bps {std_bps}",
            next="hand over a score where the uncertainty is not known",
        )
    mean, std = _finite(symbol, "mean_bps", mean_bps), _finite(symbol, "std_bps", std_bps)
    if std <= 0:
        raise ValueRefused(f"std_bps of {symbol}", expected="above zero: no forecast is certain", got=str(std))
    return mean, std


def _sorted_quantiles(symbol: str, quantiles: Mapping[float, float]) -> dict[float, float]:
    ordered = {float(level): _finite(symbol, f"quantile {level}", quantiles[level]) for level in sorted(quantiles)}
    values = list(ordered.values())
    if len(ordered) < 2 or not all(0 < level < 1 for level in ordered):
        raise ValueRefused(
            f"quantiles of {symbol}", expected="two or more probabilities between 0 and 1", got=str(list(ordered))
        )
    if any(later < earlier for earlier, later in pairwise(values)):
        what = f"quantiles of {symbol} cross"
        raise ValueRefused(what, expected="returns that rise with probability", got=str(ordered))
    return ordered
