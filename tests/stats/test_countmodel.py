"""The count model against published figures, a Monte Carlo path and a hand calculation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom, poisson

from ctcfish.errors import StatisticsError
from ctcfish.stats.countmodel import (
    CountErrors,
    CountRule,
    SignalErrors,
    count_matrix,
    count_tables,
    enough_counts,
    joint_pmf,
    pass_probability,
)
from ctcfish.stats.ratio_rule import reaches

CUT = Fraction(11, 5)
USUAL = SignalErrors(missed=0.05, split=0.05, extra=0.03)
BOTH = CountErrors(USUAL, USUAL)


def trial(her2: np.ndarray, cep17: np.ndarray) -> np.ndarray:
    return reaches(her2, cep17, CUT)


def two_cep17(her2: np.ndarray, cep17: np.ndarray) -> np.ndarray:
    return reaches(her2, cep17, CUT) & (cep17 >= 2)


def four_her2(her2: np.ndarray, cep17: np.ndarray) -> np.ndarray:
    return reaches(her2, cep17, CUT) & (her2 >= 4)


def guarded(her2: np.ndarray, cep17: np.ndarray) -> np.ndarray:
    return reaches(her2, cep17, CUT) & ((cep17 >= 2) | (her2 >= 4))


@pytest.mark.parametrize(
    ("state", "rule", "per_cent", "last_digit"),
    [
        ((2, 2), trial, 0.99, 0.01),
        ((2, 2), two_cep17, 0.009, 0.001),
        ((2, 2), four_her2, 0.054, 0.001),
        ((4, 4), trial, 0.26, 0.01),
        ((3, 2), trial, 8.4, 0.1),
        ((3, 2), two_cep17, 0.8, 0.1),
        ((4, 2), trial, 22.5, 0.1),
        ((4, 2), two_cep17, 13.8, 0.1),
    ],
)
def test_figures_of_the_domain_within_their_last_digit(
    state: tuple[int, int], rule: CountRule, per_cent: float, last_digit: float
) -> None:
    # two of the eight are printed cut off, not rounded: 0.997 as 0.99, 8.48 as 8.4
    assert 100 * pass_probability(*state, BOTH, rule) == pytest.approx(per_cent, abs=last_digit)


def test_exact_figures_are_pinned() -> None:
    values = [100 * pass_probability(*state, BOTH, trial) for state in ((2, 2), (4, 4), (3, 2), (4, 2))]
    assert values == pytest.approx([0.997357, 0.259977, 8.481114, 22.495402], abs=1e-6)


def test_either_guard_lets_a_strong_signal_through() -> None:
    both, first, second = (pass_probability(2, 2, BOTH, rule) for rule in (guarded, two_cep17, four_her2))
    assert max(first, second) <= both <= first + second


@pytest.mark.parametrize("state", [(2, 2), (4, 2), (6, 3), (10, 1)])
def test_monte_carlo_agrees(state: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    errors = CountErrors(SignalErrors(0.1, 0.08, 0.2), SignalErrors(0.03, 0.02, 0.01))
    n = 200_000
    seen = []
    for copies, colour in zip(state, (errors.her2, errors.cep17), strict=True):
        found = rng.binomial(copies, 1 - colour.missed, n)
        seen.append(found + rng.binomial(found, colour.split) + rng.poisson(colour.extra, n))
    scored = (seen[0] > 0) & (seen[1] > 0)
    share = trial(*seen)[scored].mean()
    expected = pass_probability(*state, errors, trial)
    assert share == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / n) + 1e-9)


def test_one_signal_by_hand() -> None:
    m, s, e = 0.1, 0.2, 0.3
    row = count_matrix(SignalErrors(m, s, e), 1, 3)[1]
    none, one, two = m, (1 - m) * (1 - s), (1 - m) * s
    p = poisson.pmf(np.arange(4), e)
    assert row == pytest.approx(
        [
            none * p[0],
            none * p[1] + one * p[0],
            none * p[2] + one * p[1] + two * p[0],
            none * p[3] + one * p[2] + two * p[1],
        ]
    )


def test_no_copies_leave_the_extra_signals() -> None:
    assert count_matrix(SignalErrors(0.5, 0.5, 0.4), 0, 9)[0] == pytest.approx(poisson.pmf(np.arange(10), 0.4))


def test_misses_alone_are_binomial() -> None:
    row = count_matrix(SignalErrors(0.2, 0.0, 0.0), 7, 7)[7]
    assert row == pytest.approx(binom.pmf(np.arange(8), 7, 0.8))


@pytest.mark.parametrize("copies", [0, 2, 40])
@pytest.mark.parametrize("extra", [0.0, 0.03, 3.0])
def test_enough_counts_hold_all_but_a_trillionth(copies: int, extra: float) -> None:
    errors = SignalErrors(0.05, 0.3, extra)
    assert count_matrix(errors, copies, enough_counts(copies, extra))[copies].sum() == pytest.approx(1.0, abs=1e-12)


def test_mean_count_is_the_expected_one() -> None:
    pmf = joint_pmf(5, 2, BOTH)
    assert pmf.sum() == pytest.approx(1.0)
    assert pmf.sum(axis=1) @ np.arange(pmf.shape[0]) == pytest.approx(5 * 0.95 * 1.05 + 0.03)
    assert pmf.sum(axis=0) @ np.arange(pmf.shape[1]) == pytest.approx(2 * 0.95 * 1.05 + 0.03)


def test_a_batch_equals_its_members() -> None:
    missed, split, extra = np.array([0.0, 0.1, 0.5]), np.array([0.0, 0.3, 0.1]), np.array([0.0, 0.2, 1.5])
    batch = count_tables(missed, split, extra, 6, 15)
    assert batch.shape == (3, 7, 16)
    for i in range(3):
        alone = count_matrix(SignalErrors(missed[i], split[i], extra[i]), 6, 15)
        assert np.array_equal(batch[i], alone)


def test_perfect_counting_passes_only_the_amplified() -> None:
    perfect = CountErrors(SignalErrors(0, 0, 0), SignalErrors(0, 0, 0))
    assert pass_probability(2, 2, perfect, trial) == 0.0
    assert pass_probability(11, 5, perfect, trial) == 1.0


def test_a_colour_that_never_shows_leaves_nothing_to_score() -> None:
    blind = CountErrors(USUAL, SignalErrors(1.0, 0.0, 0.0))
    assert np.isnan(pass_probability(2, 2, blind, trial))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-0.1, 0, 0), "missed and split rates must lie in 0 to 1"),
        ((0, 1.1, 0), "must lie in 0 to 1"),
        ((0, 0, -1), "0 or more"),
        ((0, 0, np.inf), "0 or more"),
    ],
)
def test_impossible_rates_are_refused(values: tuple[float, float, float], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        SignalErrors(*values)


def test_rates_multiplied_stay_probabilities() -> None:
    worse = CountErrors(SignalErrors(0.05, 0.3, 0.03), SignalErrors(0.7, 0.0, 1.0)).times(2.0)
    assert worse == CountErrors(SignalErrors(0.10, 0.5, 0.06), SignalErrors(0.7, 0.0, 2.0))
    assert BOTH.times(1.0) == BOTH
