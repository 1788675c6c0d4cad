"""Error rates from simulated leukocytes of known rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, gamma

from ctcfish.errors import StatisticsError
from ctcfish.stats.error_rates import PARAMETERS, errors_of, fit_rates
from ctcfish.stats.rate_priors import BetaPrior, GammaPrior, RatePriors
from tests.closed_forms import most_likely_rates

TRUTH = np.array([0.05, 0.05, 0.03, 0.03, 0.02, 0.05, 0.05])


def leukocytes(n: int, rates: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    copies = np.where(rng.random(n) < rates[6], 4, 2)
    counts = []
    for first in (0, 3):
        seen = rng.binomial(copies, 1 - rates[first])
        counts.append(seen + rng.binomial(seen, rates[first + 1]) + rng.poisson(rates[first + 2], n))
    return counts[0], counts[1]


def surplus(rates: np.ndarray) -> np.ndarray:
    """Expected surplus of a 2/2 nucleus per colour: what three of two can tell."""
    return 2 * (1 - rates[..., [0, 3]]) * rates[..., [1, 4]] + rates[..., [2, 5]]


def test_many_leukocytes_recover_the_rates() -> None:
    fit = fit_rates(*leukocytes(20_000, TRUTH, np.random.default_rng(1)))
    found = np.array([fit.estimates[name].value for name in PARAMETERS])
    assert found[[0, 3, 6]] == pytest.approx(TRUTH[[0, 3, 6]], abs=0.006)
    assert surplus(found) == pytest.approx(surplus(TRUTH), abs=0.01)
    assert fit.n_nuclei == pytest.approx(19_900, abs=90)
    assert fit.effective_draws > 500


def test_flat_priors_leave_the_most_likely_rates() -> None:
    her2, cep17 = leukocytes(4000, TRUTH, np.random.default_rng(2))
    best = most_likely_rates(her2, cep17)
    assert best[[0, 3, 6]] == pytest.approx(TRUTH[[0, 3, 6]], abs=0.015)
    assert surplus(best) == pytest.approx(surplus(TRUTH), abs=0.02)
    flat = RatePriors(
        missed=(BetaPrior(1, 1), BetaPrior(1, 1)), split=(BetaPrior(1, 1), BetaPrior(1, 1)),
        extra=(GammaPrior(1, 1e-6), GammaPrior(1, 1e-6)), g2_fraction=BetaPrior(1, 1),
    )  # fmt: skip
    bayes = fit_rates(her2, cep17, flat)
    assert surplus(np.array([e.value for e in bayes.estimates.values()])) == pytest.approx(surplus(best), abs=0.01)


def test_perfect_counts_leave_only_low_rates() -> None:
    fit = fit_rates([2] * 50, [2] * 50)
    assert all(e.low < 0.01 and e.high < 0.12 for e in fit.estimates.values())


def test_credible_intervals_cover_truth_drawn_from_the_prior() -> None:
    rng = np.random.default_rng(11)
    priors = RatePriors()
    runs, covered, wide = 150, np.zeros(7), np.zeros(2)
    for _ in range(runs):
        missed, split = rng.beta(1, 19, 2), rng.beta(1, 19, 2)
        extra = rng.gamma(1.0, 1 / 30.0, 2)
        truth = np.array([missed[0], split[0], extra[0], missed[1], split[1], extra[1], rng.beta(1, 49)])
        fit = fit_rates(*leukocytes(80, truth, rng), priors)
        covered += [e.low <= t <= e.high for e, t in zip(fit.estimates.values(), truth, strict=True)]
        low, high = np.quantile(surplus(fit.draws), [0.025, 0.975], axis=0)
        wide += (low <= surplus(truth)) & (surplus(truth) <= high)
    assert np.all(np.abs(covered / runs - 0.95) < 0.045), covered / runs
    assert np.all(np.abs(wide / runs - 0.95) < 0.045), wide / runs


def test_rates_are_fitted_among_scored_nuclei() -> None:
    her2, cep17 = leukocytes(8000, np.array([0.25, 0.02, 0.01, 0.25, 0.02, 0.01, 0.02]), np.random.default_rng(4))
    conditioned = fit_rates(her2, cep17, minimum=1)
    full = fit_rates(her2, cep17, minimum=0)
    assert conditioned.n_nuclei < full.n_nuclei == 8000
    for fit in (conditioned, full):
        assert fit.errors.her2.missed == pytest.approx(0.25, abs=0.02)
        assert fit.errors.cep17.missed == pytest.approx(0.25, abs=0.02)


def test_no_leukocytes_give_back_the_prior() -> None:
    fit = fit_rates([], [])
    assert fit.n_nuclei == 0
    assert fit.errors.her2.missed == pytest.approx(0.05, abs=0.006)
    assert fit.errors.cep17.extra == pytest.approx(1 / 30, abs=0.005)
    assert fit.estimates["her2_split"].high == pytest.approx(beta.ppf(0.975, 1, 19), rel=0.15)
    assert fit.estimates["her2_extra"].high == pytest.approx(gamma.ppf(0.975, 1, scale=1 / 30), rel=0.15)


def test_the_prior_is_the_one_that_was_asked_for() -> None:
    wide = RatePriors(
        missed=(BetaPrior(2, 6), BetaPrior(2, 6)), split=(BetaPrior(2, 2), BetaPrior(2, 2)),
        extra=(GammaPrior(3, 6), GammaPrior(3, 6)), g2_fraction=BetaPrior(3, 3),
    )  # fmt: skip
    fit = fit_rates([], [], wide)
    for name, mean in (("her2_missed", 0.25), ("her2_split", 0.5), ("cep17_extra", 0.5), ("g2_fraction", 0.5)):
        assert fit.estimates[name].value == pytest.approx(mean, abs=0.03), name


def test_few_leukocytes_are_pulled_towards_the_history() -> None:
    counts = [2, 2, 2, 1, 1, 1, 2, 2], [2] * 8
    strong = RatePriors(missed=(BetaPrior(20, 980), BetaPrior(20, 980)))
    loose, pooled = fit_rates(*counts), fit_rates(*counts, strong)
    assert pooled.errors.her2.missed < 0.03 < loose.errors.her2.missed
    many = [c for c in counts[0] for _ in range(500)], [2] * 4000
    assert fit_rates(*many, strong).errors.her2.missed > 0.12


@pytest.mark.parametrize("share", [0.005, 0.02, 0.05])
def test_merged_nuclei_do_not_pass_for_extra_signals(share: float) -> None:
    rng = np.random.default_rng(13)
    her2, cep17 = leukocytes(2000, TRUTH, rng)
    merged = rng.random(2000) < share
    copies = rng.choice([6, 8, 10], merged.sum())
    her2[merged], cep17[merged] = rng.binomial(copies, 0.95), rng.binomial(copies, 0.97)
    found = np.array([e.value for e in fit_rates(her2, cep17).estimates.values()])
    assert found[[0, 3, 6]] == pytest.approx(TRUTH[[0, 3, 6]], abs=0.015)
    assert surplus(found) == pytest.approx(surplus(TRUTH), abs=0.03)


def test_same_seed_same_bytes() -> None:
    counts = leukocytes(100, TRUTH, np.random.default_rng(5))
    assert fit_rates(*counts).draws.tobytes() == fit_rates(*counts).draws.tobytes()
    assert fit_rates(*counts, seed=1).draws.tobytes() != fit_rates(*counts).draws.tobytes()


def test_more_confidence_is_wider() -> None:
    counts = leukocytes(100, TRUTH, np.random.default_rng(6))
    narrow, wide = fit_rates(*counts, confidence=0.8), fit_rates(*counts, confidence=0.99)
    for name in PARAMETERS:
        assert wide.estimates[name].low < narrow.estimates[name].low
        assert wide.estimates[name].high > narrow.estimates[name].high


def test_errors_of_keeps_the_order() -> None:
    errors = errors_of(TRUTH)
    assert (errors.her2.missed, errors.her2.extra, errors.cep17.split) == (0.05, 0.03, 0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_rates([2, 2], [2]), "2 HER2 and 1 CEP17 counts"),
        (lambda: fit_rates([2, -1], [2, 2]), "whole numbers"),
        (lambda: fit_rates([2], [2], confidence=95), "give 0.95 for 95 %"),
        (lambda: BetaPrior(0, 1), "Beta prior needs positive"),
        (lambda: GammaPrior(1, 0), "Gamma prior needs positive"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
