"""Published and executed values of probabilities, of the parts of their score and of the intervals of forecasts.

Each test names its source. What other people's code gives is asked of it here, where it is installed anyway.
"""

from fractions import Fraction

import numpy as np
import pytest

from sapphire.statistics import (
    adaptive_conformal,
    brier_decomposition,
    drift_threshold,
    expected_calibration_error,
    fit_split_conformal,
    forward_returns,
    interval_coverage,
    isotonic_steps,
    normal_interval,
    platt_scaling,
    reliability_diagram,
    temperature_scaling,
    wilson_interval,
)

LOG_ODDS = np.array([-2.0, -1.5, -1.0, -1.0, -0.5, 0.0, 0.2, 0.2, 0.7, 1.1, 1.6, 2.4])
CAME = np.array([0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 1], dtype=float)
STATED = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
OBSERVED = (0.006, 0.019, 0.059, 0.15, 0.277, 0.377, 0.511, 0.587, 0.723, 0.779, 0.934, 0.933)
TEN_THOUSANDTHS = (4112, 671, 1833, 986, 616, 366, 303, 275, 245, 220, 170, 203)


def test_platts_line_of_lin_lin_and_weng():
    """Lin, Lin and Weng (2007) by their own code, in scikit-learn's tests; signs turned, and they stop at 1e-5."""
    assert platt_scaling([5.0, -4.0, 1.0], [1, 0, 0]) == pytest.approx(
        (0.20261354391187855, -0.65236314980010512), rel=1e-5
    )


def test_platts_line_and_isotonic_steps_of_scikit_learn():
    from sklearn.calibration import _SigmoidCalibration
    from sklearn.isotonic import IsotonicRegression

    theirs = _SigmoidCalibration().fit(LOG_ODDS, CAME)
    assert platt_scaling(LOG_ODDS, CAME) == pytest.approx((-theirs.a_, -theirs.b_), rel=1e-5)
    at = np.linspace(-2.0, 2.4, 45)
    steps = IsotonicRegression().fit(LOG_ODDS, CAME)
    assert np.interp(at, *isotonic_steps(LOG_ODDS, CAME)) == pytest.approx(steps.predict(at), abs=1e-12)


def test_one_temperature_is_the_minimum_of_guos_loss():
    """Guo et al. (2017), with Platt's targets: the negative log-likelihood over temperatures, found without slopes."""
    from scipy.optimize import minimize_scalar

    targets = np.where(CAME > 0, 7 / 8, 1 / 8)

    def loss(temperature):
        at = LOG_ODDS / temperature
        return np.sum(np.logaddexp(0.0, at) - targets * at)

    found = minimize_scalar(loss, bounds=(0.05, 50.0), method="bounded", options={"xatol": 1e-9})
    assert temperature_scaling(LOG_ODDS, CAME) == pytest.approx(1 / found.x, rel=1e-6)


def test_the_parts_of_wilks_rain_forecasts():
    """Wilks (1995), table 7.3, as the R package verification has it (two of its weights without their slips).

    100,000 forecasts in its proportions; outcomes are shares, so the parts are worked out in fractions.
    """
    weights = [Fraction(each, 10_000) for each in TEN_THOUSANDTHS]
    shares = [Fraction(str(each)) for each in OBSERVED]
    stated = [Fraction(str(each)) for each in STATED]
    base = sum(w * o for w, o in zip(weights, shares, strict=True))
    reliability = sum(w * (p - o) ** 2 for w, p, o in zip(weights, stated, shares, strict=True))
    resolution = sum(w * (o - base) ** 2 for w, o in zip(weights, shares, strict=True))
    assert sum(weights) == 1
    assert round(float(base), 3) == pytest.approx(0.162, abs=6e-4), "the sample mean that the table states"

    counts = 10 * np.array(TEN_THOUSANDTHS)
    events = np.rint(counts * np.array(OBSERVED)).astype(int)
    p = np.repeat(STATED, counts)
    o = np.concatenate([np.arange(n) < k for n, k in zip(counts, events, strict=True)])
    parts = brier_decomposition(p, o, bins=12)
    assert parts.reliability == pytest.approx(float(reliability), abs=2e-5)
    assert parts.resolution == pytest.approx(float(resolution), abs=2e-5)
    assert parts.uncertainty == pytest.approx(float(base * (1 - base)), abs=2e-5)
    assert parts.brier == pytest.approx(float(reliability - resolution + base * (1 - base)), abs=2e-5)
    assert parts.skill == pytest.approx(0.4575, abs=2e-4)
    gaps = sum(float(w) * abs(float(q - s)) for w, q, s in zip(weights, stated, shares, strict=True))
    assert expected_calibration_error(p, o, bins=12) == pytest.approx(gaps, abs=2e-4)
    assert [round(bin.share, 3) for bin in reliability_diagram(p, o, bins=12)] == pytest.approx(OBSERVED, abs=2e-3)


@pytest.mark.parametrize(
    ("events", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_of_newcombe(events, of, low, high):
    """Newcombe (1998), Statistics in Medicine 17(8), table I, method 3."""
    assert wilson_interval(events / of, of, confidence=0.95) == pytest.approx((low, high), abs=5e-5)


def test_the_null_of_the_stability_index_is_a_chi_square():
    """Yurdakul and Naranjo (2020): 10 bins, 5 % above; the quantile 16.919 of 9 degrees is in every table."""
    assert drift_threshold(10, 200, 200, false_alarm=0.05) == pytest.approx(16.919 * 2 / 200, rel=1e-4)


@pytest.fixture(scope="module", params=[1, 2])
def believed(request, tmp_path_factory):
    """Forecasts of the hour on a generated market, every 5 minutes, whose deviations are stated at 60 %."""
    from sapphire.data import snapshot

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAPPHIRE_HOME", str(tmp_path_factory.mktemp("generated")))
        bars = snapshot(
            ["BTC/USDT", "ETH/USDT"],
            interval="5m",
            start="2026-03-01",
            end="2026-04-10",
            source="embedded",
            seed=request.param,
        ).bars
    squares = np.diff(np.log(bars.close), axis=0, prepend=np.log(bars.close[:1])) ** 2
    added = np.cumsum(squares, axis=0)
    std = np.full(bars.close.shape, np.nan)
    std[288:] = 0.6 * 1e4 * np.sqrt((added[288:] - added[:-288]) * 12 / 288)
    return np.zeros_like(std), std, 1e4 * forward_returns(bars.close, horizon_bars=12)


def test_eighty_per_cent_intervals_hold_eighty_per_cent_of_a_generated_market(believed):
    """Fitted on the first half, held to the second: 77 to 83 %, where the stated deviations hold far less."""
    mean, std, came = believed
    half, judged = slice(0, len(came) // 2 - 12), slice(len(came) // 2, None)
    fitted = fit_split_conformal(mean[half], std[half], came[half], horizon_bars=12)
    found, stated = (
        interval_coverage(low, high, came[judged], stated=0.8, horizon_bars=12)
        for low, high in (
            fitted.interval(mean[judged], std[judged]),
            normal_interval(mean[judged], std[judged], stated=0.8),
        )
    )
    assert 0.77 <= found.realised <= 0.83
    assert stated.realised < 0.65
    assert fitted.std_factor == pytest.approx(1 / 0.6, rel=0.1)


def test_adaptive_intervals_hold_it_on_average(believed):
    mean, std, came = (each[::12] for each in believed)  # one an hour: outcomes that share no bar
    found = adaptive_conformal(mean, std, came, gamma=0.02, window=300)
    assert 0.77 <= found.coverage <= 0.83
