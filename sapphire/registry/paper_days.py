"""Paper days: what the recorded days of a release's accounts come to, bad ones as bad.

A day is recorded by the platform, which computes it from the run's own files. Before it counts, a witness that is
handed in computes it again from the journal; a day that no witness saw counts as no day, and with everything that is
bad about it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from sapphire.domain.canonical import canonical_json, is_sha256
from sapphire.domain.errors import ValueRefused
from sapphire.registry.record_reading import read_record, unreadable

__all__ = ["Measure", "PaperDays", "ParityDay", "Witness"]

PARITY_FORMAT = "PARITY@2"

Market = Literal["real", "recorded", "generated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityDay:
    """One day of a paper account, computed by the platform from the engine's journal.

    Parameters
    ----------
    day : "2026-03-01", UTC.
    market : what the account traded on; only days on the real one count as paper days.
    account : its name in the journal.
    bars, whole_bars : bars of the day that the run covers, and those that a whole day has.
    bars_seen : closes that the service saw.
    bars_decided : bars that the coordinator decided on views of the release, in time.
    signals, signals_taken : those that the release states on these bars, and those of them that the engine took.
    foreign_signals : of other releases, taken on the same account that day.
    books_equal : whether service and venue agree to the atom at the end of the run; None where that was not compared.
    replays : whether the journal folds again to the same decisions.
    unexplained_lots : lots by which account and evidence differ, timing and venue set aside.
    explained_lots : those that timing or the venue explain, by cause.
    journal_digest : sha256 of the run's configuration and everything in the journal of that day.

    Raises
    ------
    ValueRefused : no such day or market, a negative number, more of a part than of its whole, a digest that is none.
    """

    day: str
    market: Market
    account: str
    bars: int
    whole_bars: int
    bars_seen: int
    bars_decided: int
    signals: int
    signals_taken: int
    foreign_signals: int
    books_equal: bool | None
    replays: bool
    unexplained_lots: int
    explained_lots: Mapping[str, int] = field(hash=False)
    journal_digest: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "explained_lots", dict(self.explained_lots))
        try:
            sound = date.fromisoformat(self.day).isoformat() == self.day and bool(self.account)
        except ValueError:
            sound = False
        parts = (self.bars_seen, self.bars_decided, self.signals_taken)
        wholes = (self.bars, self.bars, self.signals)
        counts = (*parts, *wholes, self.foreign_signals, self.unexplained_lots, *self.explained_lots.values())
        sound = sound and self.market in get_args(Market) and all(type(each) is int and each >= 0 for each in counts)
        if not sound or not 0 < self.bars <= self.whole_bars or any(map(int.__gt__, parts, wholes)):
            raise ValueRefused(
                "parity of a day",
                expected=f"a day such as 2026-03-01, a market of {', '.join(get_args(Market))}, an account, counts of "
                "zero or more, no part larger than its whole",
                got=f"{self.day!r}, {self.market!r}, {self.account!r}, {counts}",
            )
        if not is_sha256(self.journal_digest):
            raise ValueRefused("journal of a day", expected="64 hexadecimal digits", got=repr(self.journal_digest))

    @property
    def is_whole(self) -> bool:
        """Whether the service saw every bar of it close."""
        return self.bars_seen == self.whole_bars

    @property
    def canonical(self) -> bytes:
        """Canonical JSON, as it is kept beside the release."""
        return canonical_json({"format": PARITY_FORMAT, **dataclasses.asdict(self)})

    @classmethod
    def parse(cls, data: bytes) -> ParityDay:
        """The day whose canonical JSON is `data`.

        Raises
        ------
        EvidenceRefused : not canonical, another format, or values that no day has.
        """
        entries = read_record(data, "parity of a day", PARITY_FORMAT)
        try:
            return cls(**entries)
        except (TypeError, ValueRefused) as error:
            raise unreadable("parity of a day", error) from None


Measure = Callable[[Path], tuple[str, Sequence[ParityDay]]]
"""From a run's folder to the digest of the release that traded it, and its days."""
Witness = Callable[[str, ParityDay], str]
"""From a release's digest and a recorded day to what is wrong with that day; empty where its journal says the same."""

_Key = tuple[str, str, str]
"""Market, account and day."""


@dataclass(frozen=True, slots=True)
class PaperDays:
    """The recorded days of a release.

    Parameters
    ----------
    days : as they were recorded.
    doubts : what the witness says against each of them, where it says anything.
    """

    days: tuple[ParityDay, ...]
    doubts: Mapping[ParityDay, str]

    @classmethod
    def seen_by(cls, witness: Witness | None, release: str, days: Iterable[ParityDay]) -> PaperDays:
        """The days with what `witness` says of them."""
        found = tuple(dict.fromkeys(days))
        if witness is None:
            return cls(found, dict.fromkeys(found, "that nobody compared with a journal"))
        doubts = {day: witness(release, day) for day in found}
        return cls(found, {day: doubt for day, doubt in doubts.items() if doubt})

    def __len__(self) -> int:
        return len({(day.market, day.account, day.day) for day in self.days})

    @property
    def unexplained_lots(self) -> int:
        """Over all days; of a day that was recorded with several journals, the lots of each."""
        return sum(
            max(each.unexplained_lots for each in days if each.journal_digest == journal)
            for days in self._by_day().values()
            for journal in {each.journal_digest for each in days}
        )

    @property
    def bars_decided(self) -> float | None:
        """Share of the days' bars that the coordinator decided on its release's views; None without bars."""
        return self._share(lambda day: (day.bars_decided, day.bars))

    @property
    def signals_taken(self) -> float | None:
        """Share of the signals that the release states on those bars that the engine took; None without signals."""
        return self._share(lambda day: (day.signals_taken, day.signals))

    @property
    def books_equal(self) -> bool | None:
        """Whether account and venue agree on every day; None where a day was not compared."""
        answers = [_books(days) for days in self._by_day().values()]
        if False in answers:
            return False
        return None if None in answers or not answers else True

    @property
    def journals_replay(self) -> bool | None:
        """Whether every day's journal folds to the same decisions again; None without days."""
        return all(day.replays for day in self.days) if self.days else None

    def counted(self) -> tuple[tuple[str, ...], dict[str, int]]:
        """The days that count as paper days, and why how many others do not."""
        counts: dict[str, None] = {}
        reasons: dict[str, int] = defaultdict(int)
        for (market, _, day), days in self._by_day().items():
            why = self._against(days)
            if market != "real":
                reasons["on other markets"] += 1
            elif why:
                reasons[why] += 1
            else:
                counts[day] = None
        return tuple(counts), dict(reasons)

    def _against(self, days: Sequence[ParityDay]) -> str:
        """Why a day on the real market does not count; empty where it does."""
        if len({day.journal_digest for day in days}) > 1:
            return "recorded with different journals"
        doubts = [self.doubts[day] for day in days if day in self.doubts]
        if doubts:
            return doubts[0]
        if not all(day.is_whole for day in days):
            return "not seen from midnight to midnight"
        if any(day.foreign_signals for day in days):
            return "shared with another release"
        return "" if all(day.replays for day in days) else "whose journal does not replay"

    def _share(self, of: Callable[[ParityDay], tuple[int, int]]) -> float | None:
        """Parts of the whole over all days, each at its worst; a day that nobody saw can lower it and not raise it."""
        seen: list[tuple[int, int]] = []
        doubted: list[tuple[int, int]] = []
        for days in self._by_day().values():
            worst = min((of(day) for day in days), key=_ratio)
            (doubted if any(day in self.doubts for day in days) else seen).append(worst)
        part, whole = (sum(each) for each in zip((0, 0), *(seen or doubted), strict=True))
        for more, of_more in sorted(doubted, key=_ratio):
            if more * whole < part * of_more:
                part, whole = part + more, whole + of_more
        return part / whole if whole else None

    def _by_day(self) -> dict[_Key, list[ParityDay]]:
        found: dict[_Key, list[ParityDay]] = defaultdict(list)
        for day in self.days:
            found[day.market, day.account, day.day].append(day)
        return found


def _ratio(part_of: tuple[int, int]) -> float:
    part, whole = part_of
    return part / whole if whole else 1.0


def _books(days: Sequence[ParityDay]) -> bool | None:
    """What a day that was recorded several times says of its books: unequal once is unequal."""
    known = [day.books_equal for day in days if day.books_equal is not None]
    return all(known) if known else None
