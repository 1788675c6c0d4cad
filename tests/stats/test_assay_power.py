"""Limits of blank and detection by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from ctcfish.errors import StatisticsError
from ctcfish.stats.assay_power import detection_power, limit_of_blank, limit_of_detection
from ctcfish.stats.proportions import cells_needed


@pytest.mark.parametrize("fraction", [0.003, 0.016, 0.05, 0.1, 0.353])
def test_perfect_assay_needs_the_cells_of_the_domain(fraction: float) -> None:
    n = cells_needed(fraction)
    power = detection_power(fraction, [n - 1, n], 1.0, 0.0)
    assert power[0] < 0.95 <= power[1]


def test_power_at_no_fraction_is_the_false_patient() -> None:
    assert detection_power(0.0, 100, 0.9, 0.01) == pytest.approx(1 - 0.99**100)


def test_power_table_by_simulation() -> None:
    rng = np.random.default_rng(0)
    amplified = rng.random((40_000, 30)) < 0.1
    called = np.where(amplified, rng.random(amplified.shape) < 0.8, rng.random(amplified.shape) < 0.02)
    for k in (1, 2, 3):
        share = (called.sum(axis=1) >= k).mean()
        assert float(detection_power(0.1, 30, 0.8, 0.02, k)) == pytest.approx(share, abs=0.01)


def test_power_broadcasts() -> None:
    table = detection_power(np.linspace(0, 1, 5)[:, None], [0, 10, 100], 0.9, 0.001)
    assert table.shape == (5, 3)
    assert (table[:, 0] == 0).all()
    assert (np.diff(table, axis=0)[:, 1:] >= 0).all()


@pytest.mark.parametrize(
    ("cells", "rate", "blank"), [(100, 0.0, 0), (100, 0.0001, 0), (100, 0.01, 3), (10, 0.01, 1), (10, 0.001, 0)]
)
def test_limit_of_blank(cells: int, rate: float, blank: int) -> None:
    assert limit_of_blank(cells, rate) == blank
    assert binom.sf(blank, cells, rate) <= 0.05
    if blank:
        assert binom.sf(blank - 1, cells, rate) > 0.05


@pytest.mark.parametrize(("cells", "se", "rate"), [(100, 0.95, 0.001), (30, 0.8, 0.0), (200, 0.9, 0.01)])
def test_limit_of_detection_is_found_with_its_power(cells: int, se: float, rate: float) -> None:
    fraction = limit_of_detection(cells, se, rate)
    assert float(detection_power(fraction, cells, se, rate, limit_of_blank(cells, rate) + 1)) == pytest.approx(0.95)


def test_limit_of_detection_of_a_perfect_assay() -> None:
    assert limit_of_detection(29, 1.0, 0.0) == pytest.approx(1 - 0.05 ** (1 / 29))


def test_too_few_cells_detect_nothing() -> None:
    assert np.isnan(limit_of_detection(1, 0.9, 0.001))
    assert np.isnan(limit_of_detection(0, 0.9, 0.001))


def test_refusals() -> None:
    with pytest.raises(StatisticsError, match="nothing is detected"):
        limit_of_detection(10, 0.1, 0.2)
    with pytest.raises(StatisticsError, match="true fraction must lie in 0 to 1"):
        detection_power(1.5, 10, 0.9, 0.1)
