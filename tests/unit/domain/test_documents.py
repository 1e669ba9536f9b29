"""A document is known from the moment it was received, as a bar is from its close."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.domain import Bars, Document, Documents, Interval, Window
from sapphire.domain.clocks import from_ns
from sapphire.domain.documents import content_digest
from sapphire.domain.errors import BadDocuments, LeakFound, MissingData, TextExpired, ValueRefused

HOUR = 3_600_000_000_000
START = 1_709_251_200_000_000_000  # 2024-03-01T00:00Z


def told(name: str, received_ns: int, **changed: Any) -> Document:
    settings: dict[str, Any] = {
        "kind": "news",
        "id": name,
        "title": f"about {name}",
        "text": "BTC rises",
        "source": "desk",
        "published_ns": min(received_ns, START),
        "received_ns": received_ns,
        "licence": "CC0",
    }
    return Document(**settings | changed)


def hourly(rows: int = 24, documents: Documents | None = None) -> Bars:
    close = np.arange(1.0, rows + 1).reshape(rows, 1)
    times = START + np.arange(rows, dtype=np.int64) * HOUR
    listed = np.ones((rows, 1), dtype=np.bool_)
    own = {"documents": documents}
    return Bars(("BTC/USDT",), Interval("1h"), times, close, close, close, close, close, listed, **own).validate()


def names(found: tuple[Document, ...]) -> list[str]:
    return [each.id for each in found]


BAD = {
    "another kind": ({"kind": "tweet"}, "kind: one of news, announcement, note"),
    "no id": ({"id": " "}, "id: a text, not empty"),
    "no licence": ({"licence": ""}, "licence: a text"),
    "neither title nor text": ({"title": "", "text": " "}, "a title or a text"),
    "received before it was published": ({"published_ns": START + 2 * HOUR}, "when it was published"),
    "a query in its url": ({"url": "https://desk.example/a?token=1"}, "without query, fragment and credentials"),
    "a key in its url": ({"url": "https://ann:key@desk.example/a"}, "without query, fragment and credentials"),
    "a symbol with a space": ({"symbols": ("BTC USDT",)}, "symbols: texts without spaces"),
    "no version": ({"version": 0}, "version: a whole number of at least 1"),
    "a truth value for a time": ({"published_ns": True}, "published_ns: a whole number"),
    "no day of retention": ({"retention_days": 0}, "retention_days: a whole number of at least 1"),
    "another hash": ({"sha256": "a" * 64}, "content aaaaaaaaaaaaaaaa"),
    "expired with a text": ({"expired": True}, "no text and the hash"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_document_that_is_none_is_refused_in_words(what: str) -> None:
    changed, expected = BAD[what]
    with pytest.raises(BadDocuments) as refused:
        told("a", START + HOUR, **changed)
    assert expected in str(refused.value)


def test_its_hash_is_of_what_it_says_alone() -> None:
    first, second = told("a", START + HOUR), told("b", START + 2 * HOUR, title="about a", source="another")
    assert first.sha256 == second.sha256 == content_digest("news", "about a", "BTC rises")
    assert told("a", START, text="BTC falls").sha256 != first.sha256


def test_documents_stand_in_the_order_in_which_they_were_received() -> None:
    documents = Documents([told("late", START + 2), told("early", START + 1), told("same", START + 2)])
    assert [each.id for each in documents] == ["early", "late", "same"]
    assert names(documents.of()) == ["early", "late", "same"]


def test_a_version_that_comes_twice_and_a_kind_that_nobody_said_are_refused() -> None:
    with pytest.raises(BadDocuments, match="comes twice"):
        Documents([told("a", START + 1), told("a", START + 2)])
    with pytest.raises(BadDocuments, match="'a'"):
        Documents([told("a", START + 1)], kinds=("note",))
    with pytest.raises(BadDocuments, match="documents"):
        Documents(["news"])  # type: ignore[list-item]
    with pytest.raises(ValueRefused, match="kind of a document"):
        Documents(kinds=("tweet",))


def test_a_window_sees_the_newest_version_that_had_been_received() -> None:
    edits = [told("a", START + 1), told("a", START + 2 * HOUR, version=2, text="BTC falls"), told("b", START + 2)]
    before, after = (Documents(edits).until(START + moment).of("news") for moment in (2 * HOUR - 1, 2 * HOUR))
    assert [(each.id, each.version) for each in before] == [("a", 1), ("b", 1)]
    assert [(each.id, each.version) for each in after] == [("b", 1), ("a", 2)]


def test_since_is_of_when_the_newest_version_was_received_and_has_that_moment_in_it() -> None:
    documents = Documents([told("a", START + 1), told("b", START + 5), told("a", START + 9, version=2)])
    assert names(documents.of(since=START + 5)) == ["b", "a"]
    assert names(documents.of(since=START + 6)) == ["a"]
    assert documents.of(since=from_ns(START + HOUR)) == ()


def test_what_nobody_looked_for_is_no_empty_answer() -> None:
    documents = Documents([told("a", START + 1)], kinds=("news", "note"))
    assert documents.of("note") == ()
    with pytest.raises(MissingData, match="no announcement in this window"):
        documents.of("announcement")
    with pytest.raises(ValueRefused, match="kind of a document"):
        documents.of("tweet")
    for window in (Window(hourly(), from_ns(START + 24 * HOUR)),):
        for kind in ("news", None):
            with pytest.raises(MissingData, match="made without any"):
                window.documents(kind)


def test_a_document_of_the_future_cannot_get_into_a_window() -> None:
    close = START + 3 * HOUR
    known, later = told("known", close), told("later", close + 1)
    window = Window(hourly(3), from_ns(close), documents=Documents([known]))
    assert names(window.documents()) == ["known"]
    with pytest.raises(ValueRefused, match="documents of a window"):
        Window(hourly(3), from_ns(close), documents=[known])  # type: ignore[arg-type]
    with pytest.raises(LeakFound, match="a document of its own future"):
        Window(hourly(3), from_ns(close), documents=Documents([known, later]))
    with pytest.raises(LeakFound, match="a document of its own future"):
        Window(hourly(3, Documents([known, later])), from_ns(close))


def test_bars_are_cut_with_their_documents() -> None:
    """A bar has what was received from its open to its close, both included."""
    times = [START, START + 1, START + HOUR, START + HOUR + 1, START + 2 * HOUR, START + 5 * HOUR]
    bars = hourly(4, Documents([told(str(place), at) for place, at in enumerate(times)]))

    def seen(cut: Bars) -> list[str]:
        assert cut.documents is not None
        return names(cut.documents.of())

    assert [seen(bars.rows(row, row + 1)) for row in range(4)] == [["0", "1", "2"], ["2", "3", "4"], ["4"], []]
    assert seen(bars.head_until(START + HOUR)) == ["0", "1", "2"]
    assert seen(bars.tail(3)) == ["2", "3", "4"]
    assert seen(bars.rows(2, 2)) == []
    assert seen(bars.symbols_only(["BTC/USDT"])) == ["0", "1", "2", "3", "4", "5"]
    assert bars.rows(0, 2) == bars.rows(0, 2) != bars.rows(0, 2).with_documents(None)
    assert pickle.loads(pickle.dumps(bars)) == bars


def test_longer_bars_and_a_window_of_some_have_the_same_documents() -> None:
    documents = Documents([told("a", START + 3 * HOUR)])
    window = Window(hourly(4), from_ns(START + 4 * HOUR), documents=documents)
    assert window.resample("2h").documents() == window.documents("news") == documents.of("news")


def test_a_text_that_has_expired_is_an_error_and_its_hash_stays() -> None:
    kept = told("kept", START + 2 * HOUR)
    gone = told("gone", START + HOUR, retention_days=1)
    assert not gone.is_over(START + 25 * HOUR - 1)
    assert gone.is_over(START + 25 * HOUR)
    documents, before = Documents([kept, gone.without_text()]), Documents([kept, gone])
    assert documents.lineage_sha256() == before.lineage_sha256()
    assert documents != before
    window = Window(hourly(3), from_ns(START + 3 * HOUR), documents=documents)
    with pytest.raises(TextExpired, match="the text of news 'gone' is gone"):
        window.documents("news")
    assert names(window.documents("news", since=window.as_of - timedelta(hours=1))) == ["kept"]


def test_the_lineage_hangs_on_everything_that_is_kept() -> None:
    plain = told("a", START + HOUR)
    changes: list[dict[str, Any]] = [
        {"text": "other"},
        {"received_ns": START + HOUR + 1},
        {"published_ns": START - 1},
        {"version": 2},
        {"licence": "CC BY 4.0"},
        {"source": "other"},
        {"symbols": ("BTC/USDT",)},
        {"retention_days": 3},
        {"url": "https://desk.example/a"},
    ]
    others = [Documents([told(**{"name": "a", "received_ns": START + HOUR} | changed)]) for changed in changes]
    digests = {each.lineage_sha256() for each in (Documents([plain]), *others)}
    assert len(digests) == len(changes) + 1
    assert Documents([plain], kinds=("news", "note")).lineage_sha256() not in digests
    assert Document.from_dict(plain.as_dict()) == plain


received = st.lists(st.integers(0, 6 * 60).map(lambda minutes: START + minutes * 60 * 10**9), max_size=12)


@given(received, st.integers(0, 6), st.integers(0, 6))
def test_no_cut_shows_what_was_received_after_its_end(times: list[int], one: int, other: int) -> None:
    documents = Documents([told(str(place), at) for place, at in enumerate(times)], kinds=("news",))
    first, last = sorted((one, other))
    cut = hourly(6, documents).rows(first, last)
    assert cut.documents is not None
    if first == last:
        assert len(cut.documents) == 0
        return
    window = Window(cut, from_ns(START + last * HOUR))
    shown = {each.id for each in window.documents()}
    assert shown == {str(i) for i, at in enumerate(times) if START + first * HOUR <= at <= START + last * HOUR}
