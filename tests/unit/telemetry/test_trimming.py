"""Streams are trimmed behind what every consumer has on record, on a real bus."""

import pytest

from sapphire.domain.errors import MessageError
from sapphire.telemetry.bus import Bus
from sapphire.telemetry.streams import EntryId, VenueStreams
from sapphire.telemetry.trimming import Consumed, trim

MINUTE_NS, BARS_SENT = 60_000_000_000, 3_000
KEPT_MS = 60 * 60_000
BARS = VenueStreams("embedded").bars("1m", ["BTC/USDT"])


@pytest.fixture
def full(bus, marker):
    bus.publish_all(BARS, [marker(number * MINUTE_NS) for number in range(1, BARS_SENT + 1)])
    return bus


def end(number):
    return EntryId(number * 60_000, 65_535)


def test_what_the_slowest_has_not_read_stays(full):
    consumed = Consumed(BARS, (end(2_900), end(1_500)), KEPT_MS)
    gone = trim(full, [consumed])
    left = full.read(BARS, EntryId.BEGIN, count=BARS_SENT)
    assert gone == {BARS: BARS_SENT - len(left)}
    assert 1_200 < gone[BARS] < 1_440
    assert left[0].id <= end(1_440)
    assert [entry.id for entry in left] == [end(number) for number in range(BARS_SENT - len(left) + 1, BARS_SENT + 1)]
    assert trim(full, [consumed]) == {BARS: 0}


def test_nothing_goes_where_a_consumer_has_nothing_on_record(full):
    assert trim(full, [Consumed(BARS, (end(2_900), None), KEPT_MS), Consumed(BARS, (), 0)]) == {}
    assert len(full.read(BARS, EntryId.BEGIN, count=BARS_SENT)) == BARS_SENT


def test_who_repeats_itself_finds_what_it_wrote_last(full, marker):
    trim(full, [Consumed(BARS, (end(BARS_SENT),), KEPT_MS)])
    assert full.publish(BARS, *marker(BARS_SENT * MINUTE_NS)) is False
    with pytest.raises(MessageError, match="does not have it"):
        full.publish(BARS, *marker(MINUTE_NS))


def test_memory_is_told(url):
    assert 0 < Bus(url, patience_s=5.0).memory_bytes() < 100e6
