"""A view states exactly one thing; a belief is always a forecast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sapphire.domain import Belief, ValueRefused, View
from sapphire.domain.views import ViewNote

AS_OF = datetime(2024, 3, 1, tzinfo=UTC)
HORIZON = timedelta(hours=12)
NAN = float("nan")


def view(**stated: object) -> View:
    return View("BTC/USDT", AS_OF, HORIZON, **stated)


def test_each_of_the_three_forms() -> None:
    assert view(score=1).score == 1.0
    assert (view(mean_bps=3, std_bps=20).mean_bps, view(mean_bps=3, std_bps=20).std_bps) == (3.0, 20.0)
    assert list(view(quantiles_bps={0.9: 5, 0.1: -5}).quantiles_bps or ()) == [0.1, 0.9]
    assert view(score=1.0).stated_by("trend") == View("BTC/USDT", AS_OF, HORIZON, score=1.0, agent="trend")
    assert hash(view(quantiles_bps={0.1: -5.0, 0.9: 5.0})) == hash(view(quantiles_bps={0.9: 5.0, 0.1: -5.0}))


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({}, "must state one thing"),
        ({"score": 1.0, "mean_bps": 1.0, "std_bps": 1.0}, "must state one thing"),
        ({"score": 1.0, "quantiles_bps": {0.1: 0.0, 0.9: 1.0}}, "must state one thing"),
        ({"mean_bps": 1.0}, "half stated"),
        ({"std_bps": 1.0}, "half stated"),
        ({"mean_bps": 1.0, "std_bps": 0.0}, "no forecast is certain"),
        ({"mean_bps": 1.0, "std_bps": -1.0}, "no forecast is certain"),
        ({"mean_bps": NAN, "std_bps": 1.0}, "finite"),
        ({"score": float("inf")}, "finite"),
        ({"quantiles_bps": {}}, "two or more"),
        ({"quantiles_bps": {0.5: 1.0}}, "two or more"),
        ({"quantiles_bps": {0.0: 1.0, 0.5: 2.0}}, "between 0 and 1"),
        ({"quantiles_bps": {0.1: 1.0, 0.5: NAN}}, "finite"),
        ({"quantiles_bps": {0.1: 1.0, 0.9: 0.0}}, "cross"),
    ],
)
def test_what_a_view_may_not_state(stated: dict[str, object], message: str) -> None:
    with pytest.raises(ValueRefused, match=message):
        view(**stated)


def test_a_belief_is_a_forecast_with_a_span() -> None:
    assert Belief("BTC/USDT", AS_OF, HORIZON, 3, 20).mean_bps == 3.0
    for mean, std in ((NAN, 1.0), (1.0, 0.0), (1.0, float("inf"))):
        with pytest.raises(ValueRefused):
            Belief("BTC/USDT", AS_OF, HORIZON, mean, std)
    with pytest.raises(ValueRefused, match="looks nowhere"):
        Belief("BTC/USDT", AS_OF, timedelta(0), 1.0, 1.0)
    with pytest.raises(ValueRefused, match="timezone"):
        View("BTC/USDT", AS_OF.replace(tzinfo=None), HORIZON, score=1.0)


def test_a_note_stands_beside_a_view_and_is_part_of_what_it_says() -> None:
    note = ViewNote("it rose\nfor days", ("news-1",), "embedded-default", "one token")
    assert view(score=0.5).note is None
    assert view(score=0.5, note=note) != view(score=0.5)
    assert view(score=0.5, note=note).stated_by("desk").note == note


@pytest.mark.parametrize(
    "made",
    [
        {"thesis": "x" * 1_001},
        {"thesis": "\x1b[31mred"},
        {"thesis": "\ud800"},
        {"thesis": "up \u202enwod"},
        {"thesis": None},
        {"read": ("n",) * 65},
        {"read": ("a\nb",)},
        {"read": ("x" * 201,)},
        {"read": "news-1"},
        {"read": None},
        {"model_kind": "a\nb"},
        {"model_kind": "x" * 65},
        {"elicitation": "x" * 201},
    ],
)
def test_a_note_that_is_no_text_is_refused(made: dict[str, object]) -> None:
    with pytest.raises(ValueRefused, match="of a view's note"):
        ViewNote(**made)


def test_notes_of_several_are_one_with_their_names() -> None:
    assert ViewNote.joined([]) is None
    qwen = ViewNote("", ("n1",), "embedded-default", "one token")
    deepseek = ViewNote("it rose", ("n1", "n2"), "embedded-default", "reasoned, 8 tokens")
    joined = ViewNote.joined([("qwen", qwen), ("deepseek", deepseek)])
    assert joined.thesis == "deepseek: it rose"
    assert (joined.read, joined.model_kind) == (("n1", "n2"), "embedded-default")
    assert joined.elicitation == "qwen: one token, deepseek: reasoned, 8 tokens"
    many = ViewNote.joined([(str(each), ViewNote("x" * 900, (f"{each}",))) for each in range(80)])
    assert (len(many.thesis), len(many.read)) == (1_000, 64)


def test_a_long_note_leaves_room_for_the_others() -> None:
    long = ViewNote("x" * 1_000, tuple(f"a{each}" for each in range(64)), "embedded-default", "y" * 200)
    short = ViewNote("it fell", tuple(f"b{each}" for each in range(64)), "named", "one token")
    joined = ViewNote.joined([("slow", long), ("slow", short)])
    first, second = joined.thesis.split("\n")
    assert (first, second) == ("slow: " + "x" * 979 + "\u2026", "slow: it fell"), "two of one name are two"
    halves = ViewNote.joined([("one", long), ("two", long)]).thesis.split("\n")
    assert [len(half) for half in halves] == [499, 500], "what is cut is cut of both"
    assert joined.read == (*(f"a{each}" for each in range(32, 64)), *(f"b{each}" for each in range(32, 64)))
    assert joined.model_kind == "embedded-default, named"
    assert joined.elicitation.endswith("\u2026, slow: one token")
    assert len(joined.elicitation) == 200


def test_only_a_note_is_a_note() -> None:
    with pytest.raises(ValueRefused, match="note of BTC/USDT"):
        view(score=0.5, note="it rose")  # type: ignore[arg-type]


def test_an_id_that_no_note_can_hold_is_known_beforehand() -> None:
    for identity in ("news-1", "a\nb", "x" * 200, "x" * 201, "\u2067"):
        if ViewNote.can_name(identity):
            assert ViewNote(read=(identity,)).read == (identity,)
        else:
            with pytest.raises(ValueRefused, match="id of a document"):
                ViewNote(read=(identity,))
