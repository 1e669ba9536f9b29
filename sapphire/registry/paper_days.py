"""Paper days: what the recorded days of a release's accounts come to, bad ones as bad.

A day is recorded by the platform, which computes it from the run's own files. Before it counts, a witness that is
handed in computes it again from the journal; a day that no witness saw counts as no day, and with everything that is
bad about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sapphire.registry.measurements import ParityDay

__all__ = ["Measure", "PaperDays", "Witness"]

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
        """Parts of the whole over all days, each at its worst."""
        worst = [min((of(day) for day in days), key=_ratio) for days in self._by_day().values()]
        whole = sum(total for _, total in worst)
        return sum(part for part, _ in worst) / whole if whole else None

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
    told = [day.books_equal for day in days if day.books_equal is not None]
    return all(told) if told else None
