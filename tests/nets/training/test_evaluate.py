"""The measure against an assignment solved by scipy, and the shipped network against its own claims."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ctcfish.nets.training.evaluate import THRESHOLDS, Figures, count_matches, evaluate, pool
from ctcfish.nets.weights import load_network


def assigned(found: np.ndarray, true: np.ndarray, threshold: float) -> int:
    """Matches by the best assignment, from the definition of intersection over union."""
    a, b = (np.unique(labels[labels > 0]) for labels in (found, true))
    overlap = np.array(
        [[((found == i) & (true == j)).sum() / ((found == i) | (true == j)).sum() for j in b] for i in a]
    )
    if overlap.size == 0:
        return 0
    good = np.where(overlap >= threshold, overlap, 0.0)
    rows, columns = linear_sum_assignment(-good)
    return int((good[rows, columns] > 0).sum())


@pytest.mark.parametrize("seed", range(5))
def test_matches_equal_the_best_assignment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = np.kron(rng.integers(0, 9, (5, 5)), np.ones((6, 6), int))
    found = np.roll(true, rng.integers(0, 3, 2), (0, 1))
    found[rng.random(found.shape) < 0.1] = rng.integers(0, 9)
    counted = count_matches(found, true)
    assert counted.matched == tuple(assigned(found, true, threshold) for threshold in THRESHOLDS)
    assert counted.true == len(np.unique(true[true > 0]))
    assert counted.found == len(np.unique(found[found > 0]))


def test_precision_by_hand() -> None:
    figures = Figures(images=1, true=10, found=8, matched=(6, 6, 6, 6, 6, 3, 0, 0, 0))
    assert figures.average_precision(0.5) == 6 / 12
    assert figures.average_precision(0.75) == 3 / 15
    assert figures.mean_average_precision() == pytest.approx((5 * 0.5 + 0.2) / 9)


def test_perfect_empty_and_pooled() -> None:
    labels = np.zeros((9, 9), int)
    assert count_matches(labels, labels).average_precision(0.5) == 1.0
    labels[2:5, 2:5] = 4
    one = count_matches(labels, labels)
    assert one.average_precision(0.9) == 1.0
    missed = count_matches(np.zeros_like(labels), labels)
    both = pool([one, missed])
    assert (both.images, both.true, both.found, both.matched[0]) == (2, 2, 1, 1)
    assert both.average_precision(0.5) == 0.5
    assert pool([]).true == 0


def test_the_shipped_network_on_real_nuclei(shared_data: Path) -> None:
    folder = shared_data / "nuclei" / "val"
    names = sorted(path.stem for path in (folder / "images").glob("*.tif"))[:8]
    figures = evaluate(load_network(), folder, names)
    assert figures.images == 8
    assert figures.average_precision(0.5) > 0.8
