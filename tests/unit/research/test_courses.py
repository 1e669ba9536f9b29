"""The same prices are known under another name with noise on them, and other coins that go along are not the same."""

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from sapphire.data import import_candles
from sapphire.data.generated import generated_rows
from sapphire.data.store import Store
from sapphire.domain.bars import Bars
from sapphire.domain.canonical import sha256_of
from sapphire.domain.errors import LedgerDamaged
from sapphire.domain.intervals import Interval
from sapphire.research.ledger.courses import NO_COURSE, SAME, Course, course_of
from sapphire.research.ledger.sketches import Sketch, Sketches, sketches_of

START_NS = 1_704_067_200_000_000_000
MINUTE, HOUR, DAY = 60_000_000_000, 3_600_000_000_000, 86_400_000_000_000


def path(days, bar_ns, *, daily=0.03, seed=1):
    """Times and closes of a random walk of this daily deviation."""
    count = days * DAY // bar_ns
    steps = np.random.default_rng(seed).normal(0.0, daily * (bar_ns / DAY) ** 0.5, count)
    return START_NS + np.arange(1, count + 1) * bar_ns, 100.0 * np.exp(np.cumsum(steps))


def noisy(closes, deviation, *, seed=2):
    return closes * np.exp(np.random.default_rng(seed).normal(0.0, deviation, len(closes)))


def bars(times, closes, interval):
    """One symbol whose bars open, rise and fall to their closes."""
    columns = dict.fromkeys(("open", "high", "low", "close"), closes[:, None])
    shape = closes[:, None].shape
    made = Bars(
        symbols=("BTC/USDT",),
        interval=Interval(interval),
        open_time_ns=times - Interval(interval).ns,
        volume=np.ones(shape),
        listed=np.ones(shape, np.bool_),
        **columns,
    )
    return made.validate()


def sketch(times, closes, interval):
    return sketches_of(bars(times, closes, interval))["BTC/USDT"]


@pytest.mark.parametrize(
    ("days", "interval", "noise"),
    [
        (500, "1d", 0.005),
        (90, "1d", 0.005),
        (60, "1h", 0.001),
        (20, "1h", 0.001),
        (10, "5m", 0.0005),
        (200, "4h", 0.002),
    ],
)
def test_a_copy_with_noise_is_the_same(days, interval, noise):
    times, closes = path(days, Interval(interval).ns)
    mine, copy = sketch(times, closes, interval), sketch(times, noisy(closes, noise), interval)
    assert mine.course.moves_with(copy.course)
    assert mine.resembles(copy)
    inverted = sketch(times, 1e4 / noisy(closes, noise), interval)
    assert inverted.resembles(mine)


def test_a_stretch_in_longer_bars_is_known_in_shorter_ones():
    times, closes = path(120, HOUR)
    short, long = (times > times[900]) & (times <= times[1_400]), times % (4 * HOUR) == 0
    shorter = sketch(times[short], noisy(closes[short], 0.001), "1h")
    whole = sketch(times[long], closes[long], "4h")
    assert (shorter.course.step_ns, whole.course.step_ns) == (HOUR, 4 * HOUR)
    assert shorter.resembles(whole)


def test_noise_as_large_as_the_moves_is_beyond_it():
    """As the module says."""
    times, closes = path(365, DAY)
    assert not sketch(times, closes, "1d").resembles(sketch(times, noisy(closes, 0.03), "1d"))


def test_fewer_than_sixty_returns_in_common_say_nothing():
    times, closes = path(200, DAY)
    for returns, same in ((59, False), (60, True)):
        one = course_of(times[: returns + 1], closes[: returns + 1], DAY)
        assert one.moves_with(course_of(times, closes, DAY)) == same


def test_what_only_goes_along_is_not_the_same():
    """Returns that share 0.95 of their size, as those of two large coins do in their closest weeks."""
    times, closes = path(365, DAY)
    other = closes * path(365, DAY, daily=0.0098, seed=9)[1]
    assert 0.9 < course_of(times, closes, DAY).correlation(course_of(times, other, DAY)) < SAME


def test_a_price_that_stands_still_moves_with_nothing():
    times, closes = path(90, DAY)
    still = course_of(times, np.full(len(times), 3.0), DAY)
    assert still.correlation(course_of(times, closes, DAY)) == still.correlation(still) == 0.0
    assert NO_COURSE.correlation(still) == 0.0


def test_gaps_are_kept_as_gaps():
    times, closes = path(200, DAY)
    kept = np.random.default_rng(4).random(200) < 0.7
    holed = course_of(times[kept], closes[kept], DAY)
    assert (
        np.isnan(np.frombuffer(holed.returns, "<f2")).sum()
        == times[kept][-1] // DAY - times[kept][0] // DAY + 1 - kept.sum()
    )
    assert holed.correlation(course_of(times, closes, DAY)) > 0.999


def test_a_course_comes_back_as_it_was_kept(tmp_path):
    times, closes = path(1_084, HOUR)
    made = sketch(times, closes, "1h")
    assert len(times) > 26_000
    assert len(made.canonical) < 100_000
    kept = Sketches(tmp_path)
    kept.keep([made])
    assert Sketches(tmp_path).get(made.digest) == made
    assert Course.from_dict(made.course.as_dict()) == made.course


def test_a_sketch_of_an_earlier_version_is_named_as_that(tmp_path):
    old = Sketch("a" * 64, frozenset())
    data = b'{"closes":"' + b"a" * 64 + b'","words":[]}'
    (tmp_path / f"{sha256_of(data)}.json").write_bytes(data)
    assert sha256_of(data) != old.digest
    with pytest.raises(LedgerDamaged, match="another version of the platform") as refused:
        Sketches(tmp_path).get(sha256_of(data))
    assert (refused.value.expected, refused.value.got) == (f"SKETCH@2 in {tmp_path}", "one without a format")
    (tmp_path / f"{old.digest}.json").write_bytes(data)
    with pytest.raises(LedgerDamaged, match="does not verify"):
        Sketches(tmp_path).get(old.digest)


@pytest.mark.parametrize(("interval", "days"), [("1h", 60), ("1h", 240), ("1d", 60), ("1d", 120), ("1d", 730)])
def test_coins_of_the_generated_market_are_not_each_other(interval, days):
    bar = Interval(interval)
    for seed in range(3):
        rows = [
            generated_rows(symbol, bar, START_NS, START_NS + days * DAY, seed=seed)
            for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT")
        ]
        made = [course_of(each.open_time_ns + bar.ns, each.values[:, 3], bar.ns) for each in rows]
        assert max(one.correlation(other) for one, other in combinations(made, 2)) < 0.96


@pytest.mark.recordings
def test_recorded_coins_are_not_each_other_and_are_themselves_at_another_price(tmp_path, monkeypatch):
    """Mark prices of eight coins over any 60 days; and each with its own futures' trades, which another feed shows."""
    monkeypatch.setenv("SAPPHIRE_HOME", str(tmp_path))
    folder = Path(os.environ["SAPPHIRE_RECORDINGS"]) / "candles"
    read = {one.series: Store().read(one.series) for one in import_candles(folder, venue="binance").files}
    marks = {each.symbol: rows for each, rows in read.items() if str(each.measure) == "mark"}
    trades = {
        each.symbol: rows for each, rows in read.items() if str(each.measure) == "bars" and str(each.interval) == "1m"
    }
    assert len(marks) == len(trades) == 8

    def course(rows, bar_ns, start=0, end=2**62):
        times = rows.open_time_ns + bar_ns
        inside = (times >= start) & (times < end)
        return course_of(times[inside], rows.values[inside, min(3, rows.values.shape[1] - 1)], bar_ns)

    first = max(rows.open_time_ns[0] for rows in marks.values()) + 8 * HOUR
    for start in range(int(first), int(first) + 15 * DAY, DAY):
        windows = [course(rows, 8 * HOUR, start, start + 60 * DAY) for rows in marks.values()]
        assert max(one.correlation(other) for one, other in combinations(windows, 2)) < 0.96
    for symbol, rows in marks.items():
        same = {other: course(rows, 8 * HOUR).correlation(course(trades[other], MINUTE)) for other in trades}
        assert [other for other, size in same.items() if size >= SAME] == [symbol]
