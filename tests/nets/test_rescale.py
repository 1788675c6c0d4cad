"""Labels at another scale: against a brute-force vote, and against drawn truth."""

import numpy as np
import pytest

from ctcfish.nets.rescale import resize_labels


def two_discs(side: int) -> np.ndarray:
    """Two touching discs drawn exactly at any size: 1 left, 2 right, split at the middle."""
    rows, columns = (np.mgrid[:side, :side] + 0.5) / side
    labels = np.zeros((side, side), np.int32)
    labels[(rows - 0.5) ** 2 + (columns - 0.3) ** 2 < 0.04] = 1
    labels[((rows - 0.5) ** 2 + (columns - 0.7) ** 2 < 0.04) & (labels == 0)] = 2
    return labels


def shortfall(labels: np.ndarray, found: np.ndarray) -> float:
    """How far the worst pixel's label is from the winner of a vote counted from the definition of the B-spline."""

    def spline(t: float) -> float:
        t = abs(t)
        return (4 - 6 * t * t + 3 * t**3) / 6 if t < 1 else (2 - t) ** 3 / 6 if t < 2 else 0.0

    worst = 0.0
    for i, j in np.ndindex(found.shape):
        y, x = ((k + 0.5) * a / b - 0.5 for k, a, b in zip((i, j), labels.shape, found.shape, strict=True))
        votes: dict[int, float] = {}
        for m in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
            for n in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                at = int(labels[np.clip(m, 0, labels.shape[0] - 1), np.clip(n, 0, labels.shape[1] - 1)])
                votes[at] = votes.get(at, 0.0) + spline(y - m) * spline(x - n)
        worst = max(worst, max(votes.values()) - votes.get(int(found[i, j]), -1.0))
    return worst


@pytest.mark.parametrize("shape", [(40, 52), (13, 17), (9, 31), (16, 16)])
def test_equals_a_vote_counted_pixel_by_pixel(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 4, (4, 4)), np.ones((4, 4))).astype(np.int32)
    found = resize_labels(labels, shape)
    assert found.dtype == np.int32
    assert found.shape == shape
    assert shortfall(labels, found) < 1e-6


@pytest.mark.parametrize("small", [60, 100])
@pytest.mark.parametrize("large", [600, 733])
def test_enlarged_discs_are_round(small: int, large: int) -> None:
    found, truth = resize_labels(two_discs(small), (large, large)), two_discs(large)
    for label in (1, 2):
        common = ((found == label) & (truth == label)).sum()
        assert common / ((found == label) | (truth == label)).sum() > 0.97


def test_outlines_are_nearer_to_the_truth_than_nearest_neighbours() -> None:
    small = two_discs(40)
    smooth, stairs = resize_labels(small, (400, 400)), np.kron(small, np.ones((10, 10), np.int32))
    truth = two_discs(400)
    assert np.count_nonzero(smooth != truth) < 0.75 * np.count_nonzero(stairs != truth)


def test_touching_nuclei_keep_touching() -> None:
    found = resize_labels(two_discs(60), (600, 600))
    assert (found[300] == 0).sum() < 0.25 * 600
    assert np.count_nonzero((found[300, :-1] == 1) & (found[300, 1:] == 2)) == 1


def test_same_shape_rounds_a_corner_at_most_and_large_numbers_survive() -> None:
    labels = two_discs(64) * 99_991
    found = resize_labels(labels, (64, 64))
    assert set(np.unique(found)) == {0, 99_991, 199_982}
    assert (found != labels).mean() < 0.01


def test_background_stays_background() -> None:
    np.testing.assert_array_equal(resize_labels(np.zeros((5, 7), np.int32), (11, 3)), np.zeros((11, 3), np.int32))
