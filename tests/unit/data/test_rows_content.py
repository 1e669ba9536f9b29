"""The content hash says what the rows say, and nothing about who wrote them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.data.rows import Measure, Rows
from sapphire.domain import ValueRefused

PRICES = st.floats(allow_nan=True, allow_infinity=True, width=64)
TABLES = st.lists(st.tuples(st.integers(-(2**40), 2**40), PRICES), min_size=1, max_size=30)


def rates(table):
    return Rows(Measure.FUNDING, np.array([time for time, _ in table]), np.array([[rate] for _, rate in table]))


@given(TABLES, st.randoms(use_true_random=False))
def test_order_does_not_depend_on_the_order_before(table, random):
    shuffled = list(table)
    random.shuffle(shuffled)
    assert rates(table).in_order().content_sha256() == rates(shuffled).in_order().content_sha256()


@given(TABLES, st.data())
def test_every_value_is_in_the_hash(table, data):
    row = data.draw(st.integers(0, len(table) - 1))
    changed = list(table)
    changed[row] = (table[row][0] + 1, table[row][1])
    assert rates(table).content_sha256() != rates(changed).content_sha256()
    if np.isfinite(table[row][1]):
        changed[row] = (table[row][0], float(np.nextafter(table[row][1], np.inf)))
        assert rates(table).content_sha256() != rates(changed).content_sha256()


def test_the_hash_is_a_fixed_function_of_the_values():
    """Written down once: a change of it would orphan every snapshot that anybody keeps."""
    rows = Rows(Measure.BARS, np.array([0, 3_600_000_000_000]), np.arange(1.0, 11.0).reshape(2, 5))
    assert rows.content_sha256() == "c589a01f2b17b56387ee7189993ab5ef3d79c0eaacbf0cdbc7b441ac5c9204aa"


def test_minus_zero_is_zero():
    plus, minus = (Rows(Measure.FUNDING, np.array([0]), np.array([[zero]])) for zero in (0.0, -0.0))
    assert plus.content_sha256() == minus.content_sha256()


def test_rows_are_read_only_and_leave_the_caller_s_array_alone():
    values = np.array([[1.0]])
    rows = Rows(Measure.FUNDING, np.array([0]), values)
    with pytest.raises(ValueError, match="read-only"):
        rows.values[0, 0] = 2.0
    values[0, 0] = 3.0


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(ValueRefused, match="do not fit"):
        Rows(Measure.BARS, np.array([0]), np.array([[1.0]]))
