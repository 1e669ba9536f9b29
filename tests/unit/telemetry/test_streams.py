"""Names and entry ids follow from identities, rise with them and come back from text."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain.errors import ValueRefused
from sapphire.domain.wire import MAX_COUNTER, MAX_NAME_LENGTH
from sapphire.telemetry.streams import (
    MAX_SYMBOLS,
    AccountStreams,
    EntryId,
    VenueStreams,
    account_entry,
    bar_entry,
    bar_of,
    bar_sequence,
    bars_stream,
    end_of_bar,
    is_end_of_bar,
    message_id,
    step_entry,
)

VECTORS = json.loads((Path(__file__).parents[2] / "reference/golden/stream_names.json").read_text())
CLOSE_NS = 1_709_294_700_000_000_000
NUMBERS = st.integers(0, 2**64 - 1)
CLOSES = st.integers(0, 9_000_000_000).map(lambda seconds: seconds * 1_000_000_000)


def test_the_ids_of_the_contract():
    assert str(step_entry(7)) == "7-1"
    assert str(account_entry(CLOSE_NS)) == "1709294700000-1"
    assert [str(bar_entry(CLOSE_NS, k)) for k in (0, 1)] == ["1709294700000-1", "1709294700000-2"]
    assert str(end_of_bar(CLOSE_NS)) == "1709294700000-65535"
    assert message_id("collector", "bars", bar_entry(CLOSE_NS, 0)) == "collector-bars-1709294700000-1"


@pytest.mark.parametrize("vector", VECTORS["named"], ids=lambda vector: vector["account"])
def test_each_golden_vector_has_its_names(vector):
    own, release = AccountStreams(vector["venue"], vector["account"]), vector["release"]
    shared = own.shared
    made = {
        "lockstep": own.lockstep, "settled": own.settled, "states": own.states, "executions": own.executions,
        "signals": own.signals(release), "views": own.views(release, vector["agent"]),
        "dead_letters": own.dead_letters, "trace": own.trace(CLOSE_NS), "heartbeats": shared.heartbeats,
        "bars": shared.bars(vector["interval"], vector["symbols"]), "venue_lockstep": shared.lockstep,
        "venue_dead_letters": shared.dead_letters, "venue_trace": shared.trace(CLOSE_NS),
    }  # fmt: skip
    assert made == {name: vector[name] for name in made}
    longest = message_id("coordinator", own.views(release, vector["agent"]), end_of_bar(2**63 // 10**6 * 10**6))
    assert len(longest) <= MAX_NAME_LENGTH


@pytest.mark.parametrize("name", VECTORS["refused"])
@pytest.mark.parametrize("named", [lambda name: AccountStreams("embedded", name), VenueStreams])
def test_what_is_no_name_is_refused_with_a_sentence(name, named):
    with pytest.raises(ValueRefused, match="letters, digits, - and _") as refused:
        named(name)
    assert ("a colon parts" in str(refused.value)) == (":" in name)


def test_no_two_identities_have_a_stream_in_common():
    made = []
    for venue in ("embedded", "binance-spot"):
        for account in ("paper", "paper-2"):
            own = AccountStreams(venue, account)
            made += [own.lockstep, own.settled, own.states, own.executions, own.dead_letters, own.trace(CLOSE_NS)]
            for release in ("ab" * 32, "cd" * 32):
                made += [
                    own.signals(release),
                    *(own.views(release, agent) for agent in ("one", "two", "x" * 63, "x" * 62)),
                ]
        shared = VenueStreams(venue)
        made += [shared.lockstep, shared.heartbeats, shared.dead_letters, shared.trace(CLOSE_NS)]
        made += [
            shared.bars(interval, names)
            for interval in ("5m", "1h")
            for names in (["A/B"], ["A/B", "C/B"], ["C/B", "A/B"])
        ]
        made += [bars_stream(f"{venue}:{account}", "5m", ["A/B"]) for account in ("paper", "paper-2", "5m")]
    assert len(set(made)) == len(made)
    with pytest.raises(ValueRefused, match="digest of a release"):
        AccountStreams("embedded", "paper").signals("trend@1")


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
