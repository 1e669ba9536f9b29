"""Entry ids follow from identities, rise with them and come back from text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import ValueRefused
from sapphire.domain.wire import MAX_COUNTER
from sapphire.telemetry.streams import (
    MAX_SYMBOLS,
    EntryId,
    account_entry,
    bar_entry,
    bar_of,
    bar_sequence,
    bar_trace,
    end_of_bar,
    is_end_of_bar,
    message_id,
    step_entry,
)

CLOSE_NS = 1_709_294_700_000_000_000
NUMBERS = st.integers(0, 2**64 - 1)
CLOSES = st.integers(0, 9_000_000_000).map(lambda seconds: seconds * 1_000_000_000)


def test_the_ids_of_the_contract():
    assert str(step_entry(7)) == "7-1"
    assert str(account_entry(CLOSE_NS)) == "1709294700000-1"
    assert [str(bar_entry(CLOSE_NS, k)) for k in (0, 1)] == ["1709294700000-1", "1709294700000-2"]
    assert str(end_of_bar(CLOSE_NS)) == "1709294700000-65535"
    assert message_id("collector", "bars", bar_entry(CLOSE_NS, 0)) == "collector-bars-1709294700000-1"
    assert bar_trace(CLOSE_NS) == "bar-1709294700000"


@given(NUMBERS, NUMBERS)
def test_an_id_comes_back_from_its_text(ms, seq):
    assert EntryId.parse(str(EntryId(ms, seq))) == EntryId(ms, seq)


@given(NUMBERS, NUMBERS)
def test_nothing_lies_between_an_id_and_the_one_before(ms, seq):
    entry = EntryId(ms, seq)
    if entry == EntryId.BEGIN:
        assert entry.before == entry
    else:
        assert (entry.ms << 64) + entry.seq - (entry.before.ms << 64) - entry.before.seq == 1


@given(CLOSES, st.integers(0, MAX_SYMBOLS - 1))
def test_a_bar_s_entries_lie_before_its_marker_and_the_marker_before_the_next_bar(close_ns, index):
    entry, marker = bar_entry(close_ns, index), end_of_bar(close_ns)
    assert entry < marker < bar_entry(close_ns + 60_000_000_000, 0)
    assert bar_of(entry) == bar_of(marker) == close_ns
    assert is_end_of_bar(marker)
    assert not is_end_of_bar(entry)
    assert bar_sequence(entry) < bar_sequence(marker) < bar_sequence(bar_entry(close_ns + 60_000_000_000, 0))
    assert bar_sequence(marker) <= MAX_COUNTER


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "01-1", "1-2-3", "1-x", f"{2**64}-0"])
def test_other_text_is_no_id(text):
    with pytest.raises(ValueRefused, match="id of an entry"):
        EntryId.parse(text)


@pytest.mark.parametrize("make", [lambda: step_entry(0), lambda: bar_entry(0, MAX_SYMBOLS), lambda: account_entry(1)])
def test_what_has_no_identity_has_no_id(make):
    with pytest.raises(ValueRefused):
        make()
