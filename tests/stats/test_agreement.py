"""Agreement statistics against published examples, statsmodels and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_statsmodels

from ctcfish.errors import StatisticsError
from ctcfish.stats import agreement as ag
from ctcfish.stats.bootstrap import BootstrapPlan

# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", four observers, twelve units
M = ag.MISSING
FOUR_OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, M, M, M],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, M, 3],
    [M, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, M],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, M],
]).T  # fmt: skip
# Fleiss 1971 as worked in many textbooks: ten subjects, fourteen raters, five categories
FLEISS = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip


@pytest.fixture(scope="module")
def four() -> np.ndarray:
    return ag.rating_counts(np.where(FOUR_OBSERVERS == M, M, FOUR_OBSERVERS - 1), 5)


def test_high_agreement_at_low_prevalence() -> None:
    table = np.array([[60, 1], [0, 1]])
    counts = np.repeat([[2, 0], [1, 1], [0, 2]], [60, 1, 1], axis=0)
    assert round(100 * float(ag.percent_agreement(table)), 1) == 98.4
    assert round(float(ag.cohen_kappa(table)), 2) == 0.66
    assert round(float(ag.gwet_ac1(counts)), 2) == 0.98
    assert round(float(ag.specific_agreement(table, 1)), 2) == 0.67
    assert ag.specific_agreement(table, 0) == pytest.approx(120 / 121)


def test_alpha_of_the_four_observers(four: np.ndarray) -> None:
    assert round(float(ag.krippendorff_alpha(four, ag.nominal_distance(5))), 3) == 0.743
    assert round(float(ag.krippendorff_alpha(four, ag.ordinal_distance(four))), 3) == 0.815
    assert round(float(ag.krippendorff_alpha(four, ag.interval_distance([1, 2, 3, 4, 5]))), 3) == 0.849


def test_ac1_and_fleiss_of_the_four_observers(four: np.ndarray) -> None:
    # Gwet, Handbook of Inter-Rater Reliability: AC1 0.7754, Fleiss' kappa with missing readings 0.7612
    assert round(float(ag.gwet_ac1(four)), 4) == 0.7754
    assert round(float(ag.fleiss_kappa(four)), 4) == 0.7612


def test_fleiss_example() -> None:
    assert round(float(ag.fleiss_kappa(FLEISS)), 3) == 0.210
    assert ag.fleiss_kappa(FLEISS) == pytest.approx(fleiss_of_statsmodels(FLEISS))


@pytest.mark.parametrize("seed", range(5))
def test_kappas_equal_statsmodels(seed: int) -> None:
    table = np.random.default_rng(seed).integers(1, 30, (4, 4)) + 20 * np.eye(4, dtype=int)
    plain = cohens_kappa(table)
    assert ag.cohen_kappa(table) == pytest.approx(plain.kappa)
    assert ag.cohen_kappa(table, ag.linear_weights(4)) == pytest.approx(cohens_kappa(table, wt="linear").kappa)
    assert ag.cohen_kappa(table, ag.quadratic_weights(4)) == pytest.approx(cohens_kappa(table, wt="quadratic").kappa)
    made = ag.cohen_kappa_interval(table)
    spread = (np.arctanh(made.high) - np.arctanh(made.low)) / 2 / 1.959964 * (1 - made.value**2)
    assert spread == pytest.approx(plain.std_kappa, rel=1e-6)
    assert np.arctanh(made.high) + np.arctanh(made.low) == pytest.approx(2 * np.arctanh(plain.kappa))


def test_two_readers_without_missing_tie_the_families_together() -> None:
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 3, (40, 2))
    counts = ag.rating_counts(pairs, 3)
    scott = ag.fleiss_kappa(counts)
    alpha = ag.krippendorff_alpha(counts, ag.nominal_distance(3))
    assert 1 - alpha == pytest.approx((1 - scott) * (80 - 1) / 80)  # Krippendorff's small-sample form of Scott's pi


def test_weights() -> None:
    assert ag.linear_weights(3).tolist() == [[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]]
    assert ag.quadratic_weights(3)[0].tolist() == [1, 0.75, 0]
    assert ag.linear_weights(1).tolist() == [[1]]


def test_confusion_counts_pairs_and_leaves_out_missing() -> None:
    table = ag.confusion([0, 1, 1, M, 0], [0, 1, 0, 1, M], 2)
    assert table.tolist() == [[1, 0], [1, 1]]
    assert ag.confusion([], [], 2).tolist() == [[0, 0], [0, 0]]


def test_batches_equal_their_members() -> None:
    rng = np.random.default_rng(2)
    tables = rng.integers(0, 20, (6, 3, 3))
    assert ag.cohen_kappa(tables) == pytest.approx([float(ag.cohen_kappa(t)) for t in tables])
    counts = rng.integers(0, 4, (5, 12, 3))
    for f in (ag.fleiss_kappa, ag.gwet_ac1, lambda c: ag.krippendorff_alpha(c, ag.nominal_distance(3))):
        assert f(counts) == pytest.approx([float(f(c)) for c in counts])


def test_all_agree() -> None:
    table = np.diag([30, 20])
    assert ag.percent_agreement(table) == ag.cohen_kappa(table) == 1.0
    made = ag.cohen_kappa_interval(table)
    assert (made.value, made.low, made.high) == (1.0, 1.0, 1.0)
    counts = ag.rating_counts([[0, 0], [1, 1]], 2)
    assert ag.fleiss_kappa(counts) == ag.gwet_ac1(counts) == 1.0
    assert ag.krippendorff_alpha(counts, ag.nominal_distance(2)) == 1.0


def test_one_category_alone() -> None:
    table = np.array([[30, 0], [0, 0]])
    assert ag.percent_agreement(table) == 1.0
    assert np.isnan(ag.cohen_kappa(table))
    assert np.isnan(ag.cohen_kappa_interval(table).value)
    assert np.isnan(ag.specific_agreement(table, 1))
    counts = ag.rating_counts([[0, 0, 0]] * 5, 2)
    assert np.isnan(ag.fleiss_kappa(counts))
    assert np.isnan(ag.krippendorff_alpha(counts, ag.nominal_distance(2)))
    assert ag.gwet_ac1(counts) == 1.0


def test_one_reader_or_no_item() -> None:
    for ratings in (np.array([[0], [1]]), np.zeros((0, 2), dtype=int), np.array([[0, M], [M, 1]])):
        counts = ag.rating_counts(ratings, 2)
        assert np.isnan(ag.fleiss_kappa(counts))
        assert np.isnan(ag.gwet_ac1(counts))
        assert np.isnan(ag.krippendorff_alpha(counts, ag.nominal_distance(2)))
    assert np.isnan(ag.cohen_kappa(np.zeros((2, 2))))
    assert np.isnan(ag.percent_agreement(np.zeros((2, 2))))


def test_single_item() -> None:
    assert ag.percent_agreement([[0, 0], [0, 1]]) == 1.0
    assert np.isnan(ag.cohen_kappa([[0, 0], [0, 1]]))


def test_proportions_of_agreement_name_their_population() -> None:
    made = ag.agreement_proportions([[60, 1], [0, 1]], "CTC read by both")
    assert "61/62 CTC read by both = 98.4 %" in str(made.overall)
    assert made.positive.value == pytest.approx(2 / 3)
    assert made.negative.value == pytest.approx(120 / 121)


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


@pytest.mark.parametrize("items", [30, 60])
def test_large_sample_kappa_interval_covers(items: int) -> None:
    rng = np.random.default_rng(4)
    truth = float(ag.cohen_kappa(simulated(100_000, 1, rng).sum(axis=0)))
    tables = [simulated(items, 1, rng).sum(axis=0) for _ in range(1000)]
    covered = np.mean([m.low <= truth <= m.high for m in map(ag.cohen_kappa_interval, tables)])
    assert 0.93 <= covered <= 0.97


def test_ratings_are_resampled_by_patient() -> None:
    rng = np.random.default_rng(6)
    patient = np.repeat(np.arange(25), 8)
    truth = rng.random(200) < np.repeat(rng.random(25), 8)
    noise = rng.random(25)[patient] * 0.4  # some patients are hard to read
    counts = ag.rating_counts(np.stack([truth ^ (rng.random(200) < noise) for _ in range(3)], axis=1).astype(int), 2)
    plan = BootstrapPlan(300)
    by_patient = ag.clustered_ratings(counts, ag.fleiss_kappa, patient, plan)
    by_item = ag.clustered_ratings(counts, ag.fleiss_kappa, np.arange(200), plan)
    assert by_patient.value == by_item.value == pytest.approx(float(ag.fleiss_kappa(counts)))
    assert by_patient.high - by_patient.low > 1.15 * (by_item.high - by_item.low)
    one = ag.clustered_ratings(counts[:8], ag.gwet_ac1, patient[:8], plan)
    assert np.isnan(one.low)


def test_clusters_that_all_agree_have_no_limits() -> None:
    made = ag.clustered(np.repeat(np.diag([3, 2])[None], 10, axis=0), ag.cohen_kappa)
    assert made.value == 1.0
    assert np.isnan(made.low)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ag.confusion([0, 2], [0, 1], 2), "categories must be 0 to 1"),
        (lambda: ag.confusion([0], [0, 1], 2), "readings come in pairs"),
        (lambda: ag.confusion([np.nan], [0], 2), "or -1 for missing"),
        (lambda: ag.rating_counts([0, 1], 2), "one column a reader"),
        (lambda: ag.cohen_kappa([[1, 2, 3], [4, 5, 6]]), "is square"),
        (lambda: ag.agreement_proportions(np.eye(3), "CTC"), "need a 2 x 2 table"),
        (lambda: ag.agreement_proportions(np.eye(2), ""), "has no population"),
        (lambda: ag.gwet_ac1([[3], [3]]), "at least 2 categories"),
        (lambda: ag.clustered_ratings([[1, 1]], ag.fleiss_kappa, [1, 2]), "1 items and 2 patients"),
        (lambda: ag.clustered(np.zeros((0, 2, 2)), ag.cohen_kappa), "at least one patient"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
