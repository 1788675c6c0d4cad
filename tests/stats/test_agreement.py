"""Agreement statistics against published examples, statsmodels and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from ctcfish.errors import StatisticsError
from ctcfish.stats import agreement as ag
from ctcfish.stats import moments
from ctcfish.stats.bootstrap import BootstrapPlan

M = ag.MISSING


def test_high_agreement_at_low_prevalence() -> None:
    table = np.array([[60, 1], [0, 1]])
    sums = moments.rating_sums(np.repeat([[2, 0], [1, 1], [0, 2]], [60, 1, 1], axis=0)).sum(axis=0, keepdims=True)
    assert round(100 * float(ag.percent_agreement(table)), 1) == 98.4
    assert round(float(ag.cohen_kappa(table)), 2) == 0.66
    assert round(float(moments.gwet_ac1(sums)[0]), 2) == 0.98
    assert round(float(ag.specific_agreement(table, 1)), 2) == 0.67
    assert ag.specific_agreement(table, 0) == pytest.approx(120 / 121)


@pytest.mark.parametrize("seed", range(5))
def test_kappas_equal_statsmodels(seed: int) -> None:
    table = np.random.default_rng(seed).integers(1, 30, (4, 4)) + 20 * np.eye(4, dtype=int)
    plain = cohens_kappa(table)
    assert ag.cohen_kappa(table) == pytest.approx(plain.kappa)
    assert ag.cohen_kappa(table, ag.linear_weights(4)) == pytest.approx(cohens_kappa(table, wt="linear").kappa)
    assert ag.cohen_kappa(table, ag.quadratic_weights(4)) == pytest.approx(cohens_kappa(table, wt="quadratic").kappa)


def several(ratings) -> tuple[float, float, float]:
    """Fleiss' kappa, AC1 and alpha of readings of two categories."""
    sums = moments.rating_sums(ag.rating_counts(ratings, 2)).sum(axis=0, keepdims=True)
    figures = (moments.fleiss_kappa, moments.gwet_ac1, moments.krippendorff_alpha)
    return tuple(float(figure(sums)[0]) for figure in figures)


def test_weights() -> None:
    assert ag.linear_weights(3).tolist() == [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]
    assert ag.quadratic_weights(3)[0].tolist() == [1, 0.75, 0]
    assert ag.linear_weights(1).tolist() == [[1]]


def test_batches_equal_their_members() -> None:
    rng = np.random.default_rng(2)
    tables = rng.integers(0, 20, (6, 3, 3))
    assert ag.cohen_kappa(tables) == pytest.approx([float(ag.cohen_kappa(t)) for t in tables])
    assert ag.specific_agreement(tables, 1) == pytest.approx([float(ag.specific_agreement(t, 1)) for t in tables])


def test_all_agree() -> None:
    table = np.diag([30, 20])
    assert ag.percent_agreement(table) == ag.cohen_kappa(table) == 1.0
    for figure in several([[0, 0], [1, 1]]):
        assert figure == 1.0


def test_one_category_alone() -> None:
    table = np.array([[30, 0], [0, 0]])
    assert ag.percent_agreement(table) == 1.0
    assert np.isnan(ag.cohen_kappa(table))
    assert np.isnan(ag.specific_agreement(table, 1))
    fleiss, ac1, alpha = several([[0, 0, 0]] * 5)
    assert np.isnan([fleiss, alpha]).all()
    assert ac1 == 1.0


def test_one_reader_or_no_item() -> None:
    for ratings in (np.array([[0], [1]]), np.zeros((0, 2), dtype=int), np.array([[0, M], [M, 1]])):
        assert np.isnan(several(ratings)).all()
    assert np.isnan(ag.cohen_kappa(np.zeros((2, 2))))
    assert np.isnan(ag.percent_agreement(np.zeros((2, 2))))


def test_single_item() -> None:
    assert ag.percent_agreement([[0, 0], [0, 1]]) == 1.0
    assert np.isnan(ag.cohen_kappa([[0, 0], [0, 1]]))


def simulated(patients: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    share = rng.beta(0.9, 2.1, patients)
    truth = rng.random((patients, cells)) < share[:, None]
    first, second = (truth ^ (rng.random(truth.shape) < 0.08) for _ in range(2))
    codes = 2 * first + second
    return np.array([np.bincount(row, minlength=4).reshape(2, 2) for row in codes])


def test_clustered_interval_covers_known_kappa() -> None:
    rng = np.random.default_rng(3)
    truth = float(ag.cohen_kappa(simulated(100_000, 5, rng).sum(axis=0)))
    runs, covered = 1000, 0
    for _ in range(runs):
        made = ag.clustered(simulated(30, 5, rng), ag.cohen_kappa, BootstrapPlan(300))
        covered += made.low <= truth <= made.high
    assert 0.93 <= covered / runs <= 0.97, covered / runs


def test_clusters_that_all_agree_have_no_limits() -> None:
    made = ag.clustered(np.repeat(np.diag([3, 2])[None], 10, axis=0), ag.cohen_kappa)
    assert made.value == 1.0
    assert np.isnan(made.low)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ag.rating_counts([0, 1], 2), "one column a reader"),
        (lambda: ag.rating_counts([[0, 2]], 2), "categories must be 0 to 1"),
        (lambda: ag.rating_counts([[np.nan, 0]], 2), "or -1 for missing"),
        (lambda: ag.cohen_kappa([[1, 2, 3], [4, 5, 6]]), "is square"),
        (lambda: ag.clustered(np.zeros((0, 2, 2)), ag.cohen_kappa), "at least one patient"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]


def test_weighted_kappa_at_the_edges() -> None:
    for weights in (ag.linear_weights(3), ag.quadratic_weights(3)):
        assert ag.cohen_kappa(np.diag([4, 5, 6]), weights) == 1.0
        assert np.isnan(ag.cohen_kappa(np.diag([9, 0, 0]), weights))  # one category
        assert np.isnan(ag.cohen_kappa(np.zeros((3, 3)), weights))  # every reading missing
