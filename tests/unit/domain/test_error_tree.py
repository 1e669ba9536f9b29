"""An error says what was expected, what came and what to do next, and belongs to one tree."""

from __future__ import annotations

import inspect
import pickle

import pytest

from sapphire.domain import errors
from sapphire.domain.errors import BadBars, BadMessage, DataError, PrecisionError, SapphireError, ValueRefused


def test_a_message_has_the_four_lines_of_the_house() -> None:
    error = DataError(
        "bars out of order in btc_1h.parquet",
        expected="each open time after the one before",
        got="2024-03-01T05:00Z after 2024-03-01T06:00Z at row 1,204",
        next="sapphire data check btc_1h.parquet --repair",
    )
    assert str(error) == (
        "DataError: bars out of order in btc_1h.parquet\n"
        "  expected: each open time after the one before\n"
        "  got:      2024-03-01T05:00Z after 2024-03-01T06:00Z at row 1,204\n"
        "  next:     sapphire data check btc_1h.parquet --repair"
    )


def test_lines_that_were_not_given_are_left_out() -> None:
    assert str(PrecisionError("price", got="0.001")) == "PrecisionError: price\n  got:      0.001"
    assert str(ValueRefused("price")) == "ValueRefused: price"


def test_a_text_of_several_lines_stays_under_its_label() -> None:
    assert str(ValueRefused("files", got="a\nb")).splitlines() == [
        "ValueRefused: files",
        "  got:      a",
        "            b",
    ]


def test_every_error_hangs_in_the_tree_and_is_drawn_there() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, SapphireError)
        assert inspect.getdoc(error)
        assert name in errors.__doc__


@pytest.mark.parametrize(
    "error",
    [BadBars("bars", expected="x", got="y", next="z"), BadMessage("field a of VIEW@1", field="a", expected="x")],
)
def test_an_error_survives_the_way_between_processes(error: SapphireError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))
