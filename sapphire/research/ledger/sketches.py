"""Sketches of closes: by which the same prices are known again under another name, scale, venue or bar length.

The direction of each close against the one before is one bit. 64 of them in a row make a word; prices that moved
through the same 64 directions have the same word, whatever they are called and whatever unit they are in. A sketch
keeps the smallest hashes of a series' words, so that two sketches share some where one series is a part of the other
(Broder, On the resemblance and containment of documents, 1997). Prices turned upside down have the same words. Two
assets that rise and fall together agree in about five directions of six: over 64 bars that is once in a hundred
thousand, and three words in common are asked for.

Noise breaks words, so a sketch keeps the course of the closes as well (`courses`): another venue's candles of the same
coin, or the same ones with a little noise, move with them time by time.

Known limitation: words need 65 bars, courses 60 returns at times in common. What is changed beyond both is known by its
name alone: noise that is no longer small beside the moves (0.5 % on a year of daily bars is known, 3 % is not), single
prices that are far off, or noise and another time at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sapphire.data.durable import write_text
from sapphire.domain.canonical import canonical_json, sha256_of
from sapphire.domain.errors import LedgerDamaged
from sapphire.research.ledger.courses import NO_COURSE, Course, course_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapphire.domain.bars import Bars

__all__ = ["SKETCH_FORMAT", "Sketch", "Sketches", "sketches_of"]

SKETCH_FORMAT = "SKETCH@2"
"""Format of a kept sketch."""
_BITS = 64
_KEPT = 256
_SHARED = 3
_STEADY = 12
"""A word with fewer ups or downs than this is a run that any series may have."""
_COARSER_NS = (3_600_000_000_000, 14_400_000_000_000, 86_400_000_000_000)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is kept of a series of closes.

    Parameters
    ----------
    closes : sha256 over times and closes: equal for the very same series.
    words : hashes of 64 directions in a row, at the bars' own length and at the hour, four hours and day; the smallest.
    course : log returns of the closes on a coarse grid of times.
    """

    closes: str
    words: frozenset[str]
    course: Course = NO_COURSE

    @property
    def digest(self) -> str:
        """Its name."""
        return sha256_of(self.canonical)

    @property
    def canonical(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                "format": SKETCH_FORMAT,
                "closes": self.closes,
                "words": sorted(self.words),
                "course": self.course.as_dict(),
            }
        )

    def resembles(self, other: Sketch) -> bool:
        """Whether one series is, or holds a part of, the other, or moves with it at the same times."""
        if self.closes == other.closes or len(self.words & other.words) >= _SHARED:
            return True
        return self.course.moves_with(other.course)


@dataclass(frozen=True, slots=True)
class Sketches:
    """The sketches in a folder, each under its digest.

    Parameters
    ----------
    at_hand : more of them, which are not kept there yet.
    """

    folder: Path
    at_hand: tuple[Sketch, ...] = ()

    def keep(self, sketches: Iterable[Sketch]) -> tuple[Path, ...]:
        """Keep sketches; those that are there already are left as they are. Their files."""
        paths = []
        for sketch in sketches:
            path = self.folder / f"{sketch.digest}.json"
            if not path.exists():
                write_text(path, sketch.canonical.decode())
            paths.append(path)
        return tuple(paths)

    def get(self, digest: str) -> Sketch:
        """The sketch of this digest.

        Raises
        ------
        LedgerDamaged : it is not there, is another, or is of another version.
        """
        found = next((sketch for sketch in self.at_hand if sketch.digest == digest), None)
        return found or _read(self.folder, digest)


@lru_cache(maxsize=4_096)
def _read(folder: Path, digest: str) -> Sketch:
    path = folder / f"{digest}.json"
    try:
        data = path.read_bytes()
        if sha256_of(data) != digest:
            raise ValueError("other bytes")
        entry: dict[str, Any] = json.loads(data)
        if entry.get("format") != SKETCH_FORMAT:
            raise _of_another_version(folder, str(entry.get("format", "one without a format")))
        return Sketch(entry["closes"], frozenset(entry["words"]), Course.from_dict(entry["course"]))
    except (OSError, ValueError, KeyError) as error:
        raise LedgerDamaged(
            "a sketch of prices that the trial ledger names does not verify",
            expected=f"{path}",
            got=str(error) or type(error).__name__,
            next=f"restore {folder} from a backup: without it the ledger cannot say which trials share their data",
        ) from None


def _of_another_version(folder: Path, format_: str) -> LedgerDamaged:
    return LedgerDamaged(
        "the trial ledger is of another version of the platform: its sketches of prices know too little",
        expected=f"{SKETCH_FORMAT} in {folder}",
        got=format_,
        next="go on with the version that wrote it, or begin in a state folder of its own; sketches are not converted",
    )


def sketches_of(bars: Bars) -> dict[str, Sketch]:
    """Symbol to the sketch of its closes, where it is listed."""
    made = {}
    for column, symbol in enumerate(bars.symbols):
        listed = bars.listed[:, column]
        times, closes = bars.close_time_ns[listed], np.ascontiguousarray(bars.close[listed, column])
        content = hashlib.sha256(times.astype("<i8").tobytes() + closes.astype("<f8").tobytes())
        words = _words(closes, bars.interval.ns)
        for length in _COARSER_NS:
            if length > bars.interval.ns:
                words |= _words(closes[times % length == 0], length)
        made[symbol] = Sketch(content.hexdigest(), frozenset(words), course_of(times, closes, bars.interval.ns))
    return made


def _words(closes: NDArray[np.float64], length_ns: int) -> set[str]:
    """The smallest hashes of the words of closes that lie `length_ns` apart."""
    up = (np.diff(closes) > 0.0).astype(np.uint64)
    count = len(up) - _BITS + 1
    if count < 1:
        return set()
    words = np.zeros(count, np.uint64)
    for bit in range(_BITS):
        words = (words << np.uint64(1)) | up[bit : bit + count]
    words = np.minimum(words, ~words)
    ups = np.bitwise_count(words)
    words = np.unique(words[(ups >= _STEADY) & (ups <= _BITS - _STEADY)])
    hashes = np.sort(_hashed(words ^ np.uint64((length_ns * _GOLDEN) % 2**64)))[:_KEPT]
    return {f"{value:016x}" for value in hashes.tolist()}


def _hashed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64: spreads neighbouring words over all of 64 bits."""
    mixed = words + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)
