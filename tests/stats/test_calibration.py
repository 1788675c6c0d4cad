"""Calibration against scikit-learn-like loops written out, and data whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.errors import StatisticsError
from ctcfish.stats.calibration import brier, reliability, reliability_of
from ctcfish.stats.proportions import clopper_pearson


def slow_error(p: np.ndarray, truth: np.ndarray, bins: int) -> float:
    """Second path: bin by bin, as the definition reads."""
    total = 0.0
    for k in range(bins):
        inside = (p >= k / bins) & ((p < (k + 1) / bins) | (k == bins - 1))
        if inside.any():
            total += inside.sum() / len(p) * abs(truth[inside].mean() - p[inside].mean())
    return total


def test_the_error_is_the_sum_over_bins() -> None:
    rng = np.random.default_rng(1)
    p, truth = rng.random(500), rng.random(500) < 0.4
    for bins in (1, 5, 10):
        assert reliability(p, truth, bins).error == pytest.approx(slow_error(p, truth, bins))


def test_calibrated_probabilities_have_a_small_error_and_others_their_bias() -> None:
    rng = np.random.default_rng(2)
    p = rng.beta(0.3, 0.9, 200_000)
    truth = rng.random(p.size) < p
    curve = reliability(p, truth)
    assert curve.error < 0.005
    assert ((curve.low <= curve.predicted) & (curve.predicted <= curve.high)).sum() >= 8
    assert reliability(p / 2, truth).error == pytest.approx(p.mean() / 2, abs=0.005)


def test_bins_hold_every_prediction_once() -> None:
    curve = reliability([0.0, 0.05, 0.1, 0.95, 1.0], [False, True, False, True, True])
    assert curve.n.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert curve.n.sum() == 5
    assert curve.predicted[0] == pytest.approx(0.025)
    assert curve.observed[[0, 1, 9]].tolist() == [0.5, 0.0, 1.0]
    assert np.isnan(curve.observed[2:9]).all()
    low, high = clopper_pearson(1, 2)
    assert (curve.low[0], curve.high[0]) == (low, high)
    assert curve.edges.tolist() == pytest.approx(np.linspace(0, 1, 11))


def test_brier_by_hand() -> None:
    assert brier([1.0, 0.0, 0.5], [True, False, True]) == pytest.approx(0.25 / 3)
    assert brier([0.2, 0.2], [True, False]) == pytest.approx((0.64 + 0.04) / 2)


def test_nothing_predicted_is_no_number() -> None:
    assert np.isnan(brier([], []))
    assert np.isnan(reliability([], []).error)


@pytest.mark.parametrize(
    ("p", "truth", "message"),
    [
        ([0.5], [True, False], "give one truth a probability"),
        ([1.5], [True], "probabilities"),
        ([[0.5]], [[True]], "give one truth"),
    ],
)
def test_what_does_not_fit_is_refused(p: list, truth: list, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        brier(p, truth)


def test_a_curve_needs_a_bin() -> None:
    with pytest.raises(StatisticsError, match="at least 1 bin"):
        reliability([0.5], [True], 0)


def test_a_curve_from_its_counts_is_that_of_the_cells() -> None:
    rng = np.random.default_rng(3)
    p = np.append(rng.random(400) ** 2, 1.0)
    truth = rng.random(401) < p
    whole = reliability(p, truth)
    again = reliability_of(whole.n, np.nan_to_num(whole.predicted), np.nan_to_num(whole.observed * whole.n).round())
    for name in ("edges", "n", "predicted", "observed", "low", "high"):
        np.testing.assert_allclose(getattr(again, name), getattr(whole, name))
    assert np.isnan(reliability_of([0, 2], [0.0, 0.7], [0, 1]).predicted[0])
    with pytest.raises(StatisticsError, match="successes"):
        reliability_of([1, 2], [0.2, 0.7], [0, 3])
