"""Noise is the decimal that it stands for, and a decimal is left alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapphire.data.decimals import as_decimals, decimals_of, is_narrow, narrow_decimals, summed

DECIMALS = st.integers(1, 10**9).flatmap(lambda units: st.integers(0, 8).map(lambda places: (units, places)))


@pytest.mark.parametrize(
    ("noisy", "meant"),
    [
        (5.2900000000000005e-05, 5.29e-05),
        (537249.6070000001, 537249.607),
        (95505.40000000001, 95505.4),
        (0.30000000000000004, 0.3),
        (-0.30000000000000004, -0.3),
        (0.10000000000005, 0.1),
        (1234567.1234000001, 1234567.1234),
        (160000000.10000002, 160000000.1),
    ],
)
def test_noise_is_read_as_the_decimal(noisy, meant):
    assert as_decimals(np.array([[noisy]])).tolist() == [[meant]]


@pytest.mark.parametrize(
    "value",
    [0.0, 1e-300, 1e22, 12345678.12345678, 0.1234567, 1.3e-10, 1 / 3, 0.1000000001, 98765.43210987654, 2.0**60],
)
def test_what_is_no_noise_stays(value):
    assert as_decimals(np.array([value])).tolist() == [value]


def test_what_is_no_number_stays():
    assert np.isnan(as_decimals(np.array([np.nan]))).all()
    assert as_decimals(np.array([np.inf, -np.inf])).tolist() == [np.inf, -np.inf]
    assert as_decimals(np.empty((0, 5))).shape == (0, 5)


@given(st.lists(DECIMALS, min_size=1, max_size=30), st.floats(-9e-13, 9e-13))
def test_any_decimal_of_nine_digits_is_found_again(units_and_places, noise):
    exact = np.array([float(f"{units}e-{places}") for units, places in units_and_places])
    assert as_decimals(exact).tolist() == exact.tolist()
    noisy = exact * (1 + noise)
    places = decimals_of(noisy)
    counted = (places <= 8) & (noisy * 10.0**places < 1e15)  # what an account counts is no noise, however near another
    assert as_decimals(noisy).tolist() == np.where(counted, noisy, exact).tolist()
    assert (decimals_of(exact) <= [places for _, places in units_and_places]).all()


@given(st.lists(st.integers(1, 9_999_999), min_size=1, max_size=30), st.integers(0, 8))
def test_a_narrow_column_is_its_shortest_decimals(units, places):
    exact = np.array([float(f"{unit}e-{places}") for unit in units])
    narrow = exact.astype(np.float32)
    assert narrow_decimals(narrow).tolist() == exact.tolist()
    widened = narrow.astype(np.float64)
    assert is_narrow(widened) or widened.tolist() == exact.tolist()


def test_doubles_are_no_narrow_column():
    assert not is_narrow(np.array([0.1, 0.25]))
    assert not is_narrow(np.array([0.5, 0.25, 3.0]))
    assert is_narrow(np.array([42043.54, 42008.36], np.float32).astype(np.float64))


def test_sums_of_decimals_are_decimals():
    parts = np.full((10, 3), [[0.1], [0.2], [0.7], [0.1], [0.1], [0.1], [0.1], [0.1], [0.1], [0.1]])
    assert summed(parts).tolist() == [1.7, 1.7, 1.7]
