"""Exact rank tests against scipy without ties, brute-force enumeration with them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from ctcfish.errors import StatisticsError
from ctcfish.stats import rank


def test_spearman_enumerates_all_orders() -> None:
    x, y = [1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 6]
    made = rank.spearman_permutation(x, y)
    observed = stats.spearmanr(x, y).statistic
    every = [stats.spearmanr(x, order).statistic for order in itertools.permutations(y)]
    assert made.statistic == pytest.approx(observed)
    assert made.p_value == pytest.approx(np.mean(np.abs(every) >= abs(observed) - 1e-12))
    assert "all permutations" in made.method


def test_spearman_by_random_permutations() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = 0.4 * x + rng.normal(size=30)
    made = rank.spearman_permutation(x, y, resamples=20_000)
    assert made.statistic == pytest.approx(stats.spearmanr(x, y).statistic)
    assert made.p_value == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.01)
    assert made == rank.spearman_permutation(x, y, resamples=20_000)


def test_spearman_is_never_zero_and_holds_its_level() -> None:
    rng = np.random.default_rng(1)
    x = np.arange(11.0)
    assert rank.spearman_permutation(x, x, resamples=999).p_value == pytest.approx(1 / 1000)
    p = [rank.spearman_permutation(x, rng.normal(size=11), resamples=199).p_value for _ in range(600)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(("x", "y"), [([], []), ([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5, 5, 5])])
def test_spearman_without_a_ranking(x: list[float], y: list[float]) -> None:
    made = rank.spearman_permutation(x, y)
    assert np.isnan([made.statistic, made.p_value]).all()
    assert made.n == len(x)


@pytest.mark.parametrize("seed", range(4))
def test_signed_rank_without_ties_equals_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=12), rng.normal(0.4, 1, size=12)
    made = rank.signed_rank(a, b)
    assert made.p_value == pytest.approx(stats.wilcoxon(b, a, method="exact").pvalue)
    assert min(made.statistic, 78 - made.statistic) == stats.wilcoxon(b, a, method="exact").statistic


def test_signed_rank_with_ties_by_enumeration() -> None:
    before, after = np.array([9, 5, 12, 3, 3, 40, 7]), np.array([4, 5, 2, 4, 2, 10, 2])
    change = (after - before)[after != before]
    ranks = stats.rankdata(np.abs(change))
    sums = [ranks[np.array(signs, dtype=bool)].sum() for signs in itertools.product([0, 1], repeat=6)]
    observed = ranks[change > 0].sum()
    tail = min(np.mean(np.array(sums) <= observed), np.mean(np.array(sums) >= observed))
    made = rank.signed_rank(before, after)
    assert (made.statistic, made.n) == (observed, 6)
    assert made.p_value == pytest.approx(min(1, 2 * tail))


def test_signed_rank_where_nothing_changed() -> None:
    for pairs in ([], [3.0, 4.0]):
        made = rank.signed_rank(pairs, pairs)
        assert (made.p_value, made.n, made.statistic) == (1.0, 0, 0.0)


@pytest.mark.parametrize("seed", range(4))
def test_rank_sum_without_ties_equals_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=5), rng.normal(0.8, 1, size=7)
    made = rank.rank_sum(np.append(a, b), [True] * 5 + [False] * 7)
    assert made.p_value == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue)
    assert made.statistic - 15 == stats.mannwhitneyu(a, b).statistic


def test_rank_sum_with_ties_by_enumeration() -> None:
    values, chosen = np.array([1, 1, 2, 2, 2, 3, 9, 9]), np.array([0, 1, 0, 0, 1, 0, 1, 1], dtype=bool)
    ranks = stats.rankdata(values)
    sums = np.array([ranks[list(pick)].sum() for pick in itertools.combinations(range(8), 4)])
    observed = ranks[chosen].sum()
    expected = min(1, 2 * min(np.mean(sums <= observed), np.mean(sums >= observed)))
    assert rank.rank_sum(values, chosen).p_value == pytest.approx(expected)


def test_score_sum_by_enumeration() -> None:
    scores, chosen = np.array([1, 1, 2, 3, 1, 5, 22, 4, 2, 1, 7]), np.zeros(11, dtype=bool)
    chosen[[5, 6]] = True
    sums = np.array([scores[list(pick)].sum() for pick in itertools.combinations(range(11), 2)])
    expected = min(1, 2 * min(np.mean(sums <= 27), np.mean(sums >= 27)))
    made = rank.score_sum(scores, chosen)
    assert (made.statistic, made.n) == (27, 11)
    assert made.p_value == pytest.approx(expected)


def test_two_classes_are_fisher() -> None:
    # a 0/1 score is Fisher's table; its one-sided tail doubled
    scores, chosen = np.repeat([0, 1], [8, 6]), np.array([1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0], dtype=bool)
    table = [[4, 2], [1, 7]]
    one_sided = min(stats.fisher_exact(table, side).pvalue for side in ("less", "greater"))
    assert rank.score_sum(scores, chosen).p_value == pytest.approx(min(1, 2 * one_sided))


def test_many_subjects_stay_finite() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 50, 90)
    chosen = rng.random(90) < 0.4
    made = rank.rank_sum(values, chosen)
    normal = stats.mannwhitneyu(values[chosen], values[~chosen], method="asymptotic").pvalue
    assert made.p_value == pytest.approx(normal, abs=0.02)


@pytest.mark.parametrize("chosen", [[True] * 4, [False] * 4])
def test_one_group_says_nothing(chosen: list[bool]) -> None:
    assert rank.rank_sum([1, 2, 3, 4], chosen).p_value == 1.0
    assert rank.score_sum([2, 2, 2, 2], [True, False, True, False]).p_value == 1.0
    assert rank.score_sum([], []).p_value == 1.0


def test_mcnemar() -> None:
    assert rank.mcnemar_exact(1, 9).p_value == pytest.approx(stats.binomtest(1, 10).pvalue)
    assert rank.mcnemar_exact(0, 0).p_value == 1.0
    assert rank.mcnemar_exact(4, 4).p_value == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank.spearman_permutation([1, 2], [1]), "come in pairs"),
        (lambda: rank.spearman_permutation([1, 2, 3], [1, 2, 3], resamples=0), "at least 1 permutation"),
        (lambda: rank.score_sum([1, 2], [True]), "2 scores and 1 responses"),
        (lambda: rank.score_sum([1, 2], [True, 2]), "responses must be yes or no"),
        (lambda: rank.score_sum([0.5], [True]), "scores must be whole numbers"),
        (lambda: rank.rank_sum([np.nan], [True]), "missing or infinite"),
        (lambda: rank.mcnemar_exact(-1, 2), "whole numbers from 0 up"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
