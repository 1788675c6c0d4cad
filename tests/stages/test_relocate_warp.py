"""Transforms of points, against scikit-image and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from skimage.transform import SimilarityTransform

from ctcfish.stages.relocation.warp import Similarity, fit_similarity, fit_similarity_trimmed, fit_warp, mutual_pairs


def _complex(points: np.ndarray) -> np.ndarray:
    return points[:, 0] + 1j * points[:, 1]


def _points(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 500, (n, 2))


@pytest.mark.parametrize("mirrored", [False, True])
def test_similarity_equals_scikit_image(mirrored: bool) -> None:
    source, noise = _points(40), np.random.default_rng(1).normal(0, 1, (40, 2))
    flip = np.array([1.0, -1.0 if mirrored else 1.0])
    oracle = SimilarityTransform(scale=1.02, rotation=0.4, translation=(12, -7))
    target = oracle(source * flip) + noise
    expected = SimilarityTransform.from_estimate(source * flip, target)
    found = fit_similarity(_complex(source), _complex(target), mirrored)
    np.testing.assert_allclose(found.apply(source), expected(source * flip), atol=1e-8)
    assert found.scale == pytest.approx(expected.scale)
    assert found.rotation_deg == pytest.approx(np.degrees(expected.rotation))


@pytest.mark.parametrize("mirrored", [False, True])
def test_inverse_and_matrix_and_move_agree(mirrored: bool) -> None:
    similarity = Similarity(1.1 * np.exp(0.7j), 5 - 3j, mirrored)
    points = _points(10)
    moved = similarity.apply(points)
    np.testing.assert_allclose(similarity.inverse().apply(moved), points, atol=1e-9)
    matrix = np.array(similarity.matrix())
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], moved, atol=1e-9)
    one = similarity.move(complex(*points[3]))
    np.testing.assert_allclose([one.real, one.imag], moved[3])


def test_trimming_ignores_wrong_pairs() -> None:
    source = _points(60)
    true = Similarity(np.exp(0.2j), 30 + 4j, False)
    target = true.apply(source)
    target[:8] += 80
    found = fit_similarity_trimmed(_complex(source), _complex(target), False)
    np.testing.assert_allclose(found.apply(source[8:]), target[8:], atol=1e-6)
    assert abs(fit_similarity(_complex(source), _complex(target), False).b - true.b) > 1


def test_one_point_moves_without_turning() -> None:
    found = fit_similarity(np.array([3 + 4j]), np.array([10 + 1j]), False)
    assert found.b + found.a * (3 + 4j) == pytest.approx(10 + 1j)


def test_mutual_pairs_equal_brute_force() -> None:
    here, there = _points(80, 1), _points(90, 2)
    distance = np.hypot(*(here[:, None] - there[None]).transpose(2, 0, 1))
    expected = [
        (i, j)
        for i in range(80)
        for j in range(90)
        if distance[i, j] == distance[i].min() == distance[:, j].min() and distance[i, j] <= 20
    ]
    rows, partners = mutual_pairs(here, cKDTree(there), 20.0)
    # The nearest of those that chose it wins, which brute force finds too.
    assert list(zip(rows.tolist(), partners.tolist(), strict=True)) == expected


def test_no_pair_within_reach_is_empty() -> None:
    rows, partners = mutual_pairs(np.array([[0.0, 0.0]]), cKDTree(np.array([[100.0, 0.0]])), 5.0)
    assert len(rows) == len(partners) == 0


def test_warp_recovers_a_smooth_deformation() -> None:
    source = np.random.default_rng(3).uniform(0, 8000, (4000, 2))
    bend = 6 * np.stack([np.sin(source[:, 1] / 2500), np.cos(source[:, 0] / 2500)], axis=1)
    target = Similarity(np.exp(1.0j), 40 + 9j, True).apply(source + bend)
    noisy = target + np.random.default_rng(4).normal(0, 0.5, target.shape)
    warp = fit_warp(source[::2], noisy[::2], True)
    error = np.hypot(*(warp.apply(source[1::2]) - target[1::2]).T)
    alone = np.hypot(*(warp.similarity.apply(source[1::2]) - target[1::2]).T)
    assert np.median(error) < 0.35
    assert np.median(alone) > 2


def test_few_pairs_get_no_polynomial() -> None:
    source = _points(12)
    assert len(fit_warp(source, source + 3, False).coefficients) == 0
    assert len(fit_warp(_points(60), _points(60) + 3, False).coefficients) == 3


def test_a_point_left_out_does_not_correct_itself() -> None:
    source = _points(30)
    target = source.copy()
    target[7] += [3.0, 0.0]
    warp = fit_warp(source, target, False)
    honest = warp.apply(source, leave_out=np.arange(30))
    assert np.hypot(*(honest[7] - target[7])) > np.hypot(*(warp.apply(source)[7] - target[7]))
