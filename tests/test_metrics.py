"""The rulers themselves: small cases by hand, and slow second ways."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ctcfish.errors import StatisticsError
from ctcfish.metrics import (
    call_scores,
    count_scores,
    interval_coverage,
    match_points,
    nuclei_scores,
    pool_nuclei,
)

EMPTY = np.zeros((0, 3))


def best_by_trying(found: np.ndarray, truth: np.ndarray, radius: float) -> tuple[int, float]:
    """Most pairs, then least distance, over every assignment."""
    away = np.linalg.norm(found[:, None] - truth[None], axis=2)
    best = (0, 0.0)
    columns = [*range(len(truth)), *[-1] * len(found)]
    for choice in set(itertools.permutations(columns, len(found))):
        near = [away[i, j] for i, j in enumerate(choice) if j >= 0 and away[i, j] <= radius]
        best = max(best, (len(near), -sum(near)))
    return best[0], -best[1]


def test_nothing_found_and_nothing_there() -> None:
    match = match_points(EMPTY, EMPTY, 1.0)
    assert len(match.found) == 0
    assert np.isnan(match.precision)
    assert np.isnan(match.recall)


@pytest.mark.parametrize(("found", "truth"), [(EMPTY, [[0, 0, 0]]), ([[0, 0, 0]], EMPTY), ([], [[1, 2, 3]])])
def test_one_side_empty(found: object, truth: object) -> None:
    match = match_points(found, truth, 1.0)  # type: ignore[arg-type]
    assert len(match.found) == 0


def test_radius_is_inclusive_and_no_farther() -> None:
    assert len(match_points([[0.0]], [[1.0]], 1.0).found) == 1
    assert len(match_points([[0.0]], [[1.0001]], 1.0).found) == 0


def test_points_at_one_place_match() -> None:
    match = match_points([[1.0, 1.0]], [[1.0, 1.0]], 0.1)
    assert (match.precision, match.recall, match.distance.tolist()) == (1.0, 1.0, [0.0])


def test_each_point_is_used_once() -> None:
    match = match_points([[0.0], [0.1], [0.2]], [[0.1]], 1.0)
    assert match.found.tolist() == [1]
    assert match.precision == pytest.approx(1 / 3)
    assert match.recall == 1.0


def test_more_pairs_go_before_shorter_ones() -> None:
    """Greedy would join 0 with 0.9 and lose the pair of -0.9."""
    match = match_points([[0.0], [1.75]], [[0.9], [-0.9]], 1.0)
    assert len(match.found) == 2
    assert dict(zip(match.truth.tolist(), match.found.tolist(), strict=True)) == {0: 1, 1: 0}


def test_radius_per_axis() -> None:
    found, truth = [[0.0, 0.0, 0.0]], [[0.5, 0.1, 0.0]]
    assert len(match_points(found, truth, (0.6, 0.2, 0.2)).found) == 1
    assert len(match_points(found, truth, (0.4, 0.2, 0.2)).found) == 0
    assert match_points(found, truth, (0.6, 0.2, 0.2)).distance[0] == pytest.approx(np.hypot(0.5 / 0.6, 0.5))


@pytest.mark.parametrize("seed", range(20))
def test_against_trying_everything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, truth = rng.uniform(0, 2.5, (rng.integers(1, 5), 2)), rng.uniform(0, 2.5, (rng.integers(1, 5), 2))
    match = match_points(found, truth, 1.0)
    n, total = best_by_trying(found, truth, 1.0)
    assert len(match.found) == n
    assert match.distance.sum() == pytest.approx(total)
    away = np.linalg.norm(found[match.found] - truth[match.truth], axis=1)
    np.testing.assert_allclose(away, match.distance)
    assert (np.diff(match.truth) > 0).all()


def test_order_of_points_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    found, truth = rng.uniform(0, 20, (60, 2)), rng.uniform(0, 20, (50, 2))
    shuffle = rng.permutation(60)
    plain, mixed = match_points(found, truth, 1.0), match_points(found[shuffle], truth, 1.0)
    np.testing.assert_array_equal(plain.truth, mixed.truth)
    np.testing.assert_array_equal(plain.found, shuffle[mixed.found])


def test_many_points_are_matched() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 1000, (20_000, 2))
    match = match_points(truth + rng.normal(0, 0.05, truth.shape), truth, 0.5)
    assert match.recall > 0.999


@pytest.mark.parametrize(
    ("found", "truth", "radius", "message"),
    [
        ([[0.0]], [[0.0]], 0.0, "radius_um: found 0.0, needed a positive length"),
        ([[0.0]], [[0.0]], -1.0, "needed a positive length"),
        ([[np.nan, 0.0]], [[0.0, 0.0]], 1.0, "found_um: found values that are not finite"),
        ([[0.0]], [[np.inf]], 1.0, "truth_um: found values that are not finite"),
        ([[0.0, 1.0]], [[0.0, 1.0, 2.0]], 1.0, "found 2 and 3 axes"),
    ],
)
def test_refused_points(found: object, truth: object, radius: float, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        match_points(found, truth, radius)  # type: ignore[arg-type]


def squares(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    image = np.zeros(shape, np.int32)
    for number, (y0, y1, x0, x1) in enumerate(boxes, 1):
        image[y0:y1, x0:x1] = number
    return image


A, B = (2, 12, 2, 12), (2, 12, 20, 30)
TRUTH = squares(A, B)


def test_perfect_outlines() -> None:
    scores = nuclei_scores(TRUTH, TRUTH)
    assert scores.mean_ap == 1.0
    assert (scores.splits, scores.merges, scores.found_fraction) == (0, 0, 1.0)


def test_labels_are_only_names() -> None:
    renamed = np.where(TRUTH == 1, 700, np.where(TRUTH == 2, 3, 0))
    assert nuclei_scores(renamed, TRUTH) == nuclei_scores(TRUTH, TRUTH)


def test_shifted_outline_by_hand() -> None:
    # 10 x 10 against the same shifted by 2: intersection 80, union 120
    scores = nuclei_scores(squares((2, 12, 4, 14), B), TRUTH, (0.5, 0.65, 0.7))
    assert scores.true_positive == (2, 2, 1)
    assert scores.ap(0.7) == pytest.approx(1 / 3)


def test_missed_and_invented() -> None:
    scores = nuclei_scores(squares(A, (25, 35, 40, 50)), TRUTH, (0.5,))
    assert (scores.n_found, scores.n_truth, scores.true_positive) == (2, 2, (1,))
    assert scores.ap(0.5) == pytest.approx(1 / 3)
    assert scores.found_fraction == 0.5
    assert (scores.splits, scores.merges) == (0, 0)


def test_split_nucleus() -> None:
    scores = nuclei_scores(squares((2, 12, 2, 7), (2, 12, 7, 12), B), TRUTH)
    assert (scores.splits, scores.merges) == (1, 0)
    assert scores.true_positive[0] == 2  # a half reaches one half exactly, and is one nucleus


def test_merged_nuclei() -> None:
    scores = nuclei_scores(squares((2, 12, 2, 30)), TRUTH)
    assert (scores.splits, scores.merges) == (0, 1)
    assert scores.true_positive[0] == 0


def test_a_crumb_is_no_split() -> None:
    assert nuclei_scores(squares((2, 12, 2, 11), (2, 4, 11, 12), B), TRUTH).splits == 0


def test_two_equal_nuclei_under_one_outline_match_at_most_once() -> None:
    touching = squares((0, 10, 0, 10), (0, 10, 10, 20))
    scores = nuclei_scores(squares((0, 10, 0, 20)), touching, (0.5,))
    assert scores.true_positive == (1,)
    assert scores.merges == 1


@pytest.mark.parametrize(("found", "truth"), [(0, 0), (0, 2), (2, 0)])
def test_empty_images(found: int, truth: int) -> None:
    images = {0: np.zeros_like(TRUTH), 2: TRUTH}
    scores = nuclei_scores(images[found], images[truth])
    assert (scores.n_found, scores.n_truth) == (found, truth)
    assert np.isnan(scores.ap(0.5)) if not (found or truth) else scores.ap(0.5) == 0.0


def test_image_without_background() -> None:
    full = np.ones((5, 5), np.int32)
    scores = nuclei_scores(full, full)
    assert (scores.n_found, scores.n_truth, scores.mean_ap) == (1, 1, 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_against_pairs_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = [(*sorted(rng.choice(40, 2, False)), *sorted(rng.choice(60, 2, False))) for _ in range(8)]
    pred, truth = (
        squares(*boxes[:4]),
        squares(*[tuple(np.clip(np.add(b, rng.integers(-1, 2, 4)), 0, 60)) for b in boxes]),
    )  # type: ignore[misc]
    scores = nuclei_scores(pred, truth, (0.5001, 0.7, 0.9))
    for threshold, hits in zip(scores.thresholds, scores.true_positive, strict=True):
        slow = sum(
            ((pred == p) & (truth == t)).sum() / ((pred == p) | (truth == t)).sum() >= threshold
            for p in set(pred.ravel().tolist()) - {0}
            for t in set(truth.ravel().tolist()) - {0}
        )
        assert hits == slow


def test_pooling_adds_counts() -> None:
    one, other = nuclei_scores(TRUTH, TRUTH), nuclei_scores(squares(A), TRUTH)
    pooled = pool_nuclei([one, other])
    assert (pooled.n_found, pooled.n_truth, pooled.true_positive[0]) == (3, 4, 3)
    assert pooled.ap(0.5) == pytest.approx(3 / 4)


def test_refused_outlines() -> None:
    with pytest.raises(StatisticsError, match=r"found shapes \(2, 2\) and \(3, 3\), needed one shape"):
        nuclei_scores(np.zeros((2, 2), int), np.zeros((3, 3), int))
    with pytest.raises(StatisticsError, match=r"thresholds: found 0\.3, needed at least 0\.5"):
        nuclei_scores(TRUTH, TRUTH, (0.3, 0.5))
    with pytest.raises(StatisticsError, match="found 0 images, needed at least one"):
        pool_nuclei([])
    with pytest.raises(StatisticsError, match="all with the same thresholds"):
        pool_nuclei([nuclei_scores(TRUTH, TRUTH, (0.5,)), nuclei_scores(TRUTH, TRUTH, (0.6,))])


def test_counts_by_hand() -> None:
    scores = count_scores([2, 2, 5, 9], [2, 3, 4, 6])
    assert (scores.n, scores.exact, scores.within_one) == (4, 0.25, 0.75)
    assert scores.mean_absolute_error == pytest.approx(5 / 4)
    assert scores.bias == pytest.approx(18 / 15 - 1)


def test_no_counts() -> None:
    scores = count_scores([], [])
    assert scores.n == 0
    assert np.isnan(scores.exact)
    assert np.isnan(scores.bias)


def test_unlike_lengths() -> None:
    with pytest.raises(StatisticsError, match="found 1 and 2 values, needed as many in both"):
        count_scores([1], [1, 2])
    with pytest.raises(StatisticsError, match="found 2 and 1 values"):
        call_scores(["amplified", "amplified"], ["amplified"])


@pytest.mark.parametrize(
    ("low", "high", "truth", "share"),
    [([1], [3], [3], 1.0), ([1], [3], [4], 0.0), ([1], [3], [1], 1.0), ([5, 0], [np.nan, 1], [99, 2], 0.5)],
)
def test_coverage(low: list[float], high: list[float], truth: list[float], share: float) -> None:
    assert interval_coverage(low, high, truth) == share


def test_calls_by_hand() -> None:
    yes, no, none = "amplified", "not_amplified", "not_evaluable"
    found = [yes, no, none, yes, no, none, yes, no]
    truth = [yes, yes, yes, no, no, no, none, no]
    scores = call_scores(found, truth)
    assert (scores.n_amplified, scores.n_not_amplified) == (3, 4)
    assert (scores.detected, scores.missed, scores.false_amplified, scores.not_evaluable) == (1, 1, 1, 2)
    assert scores.sensitivity == 0.5
    assert scores.accuracy == pytest.approx(3 / 5)


def test_no_calls() -> None:
    scores = call_scores([], [])
    assert np.isnan(scores.sensitivity)
    assert np.isnan(scores.accuracy)


def test_unknown_calls() -> None:
    with pytest.raises(StatisticsError, match=r"calls: found \['Amplified', 'nan'\], needed \['amplified'"):
        call_scores(["Amplified", float("nan")], ["amplified", "amplified"])
