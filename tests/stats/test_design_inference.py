"""Inference after two stages: exact unbiasedness and coverage by enumeration of all outcomes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom, binom

from ctcfish.errors import StatisticsError
from ctcfish.stats import design_inference as di
from ctcfish.stats.designs import TwoStage
from ctcfish.stats.proportions import clopper_pearson
from ctcfish.stats.rate_priors import BetaPrior
from tests.closed_forms import acceptance

DESIGN = TwoStage(1, 10, 5, 29)
FLAT = BetaPrior(1, 1)


def outcomes(design: TwoStage, rate: float) -> list[tuple[di.Outcome, float]]:
    """Every outcome with its probability, by plain enumeration of both stages."""
    chance: dict[tuple[int, int], float] = {}
    for x1 in range(design.n1 + 1):
        p1 = float(binom.pmf(x1, design.n1, rate))
        if x1 <= design.r1:
            chance[1, x1] = p1
            continue
        for x2 in range(design.n - design.n1 + 1):
            key = (2, x1 + x2)
            chance[key] = chance.get(key, 0.0) + p1 * float(binom.pmf(x2, design.n - design.n1, rate))
    return [(di.Outcome(design, *key), p) for key, p in chance.items()]


@pytest.mark.parametrize("design", [DESIGN, TwoStage(0, 9, 2, 17), TwoStage(4, 18, 10, 33)])
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.9])
def test_umvue_is_unbiased_and_the_naive_is_not(design: TwoStage, rate: float) -> None:
    pairs = outcomes(design, rate)
    assert sum(p for _, p in pairs) == pytest.approx(1)
    assert sum(p * di.umvue(o) for o, p in pairs) == pytest.approx(rate, abs=1e-12)
    assert sum(p * o.naive for o, p in pairs) < rate


@pytest.mark.parametrize("rate", np.linspace(0.02, 0.95, 20))
def test_stagewise_interval_covers(rate: float) -> None:
    pairs = outcomes(DESIGN, float(rate))
    covered = sum(p for o, p in pairs if (m := di.stagewise_interval(o)).low <= rate <= m.high)
    assert covered >= 0.95


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_median_estimate_is_too_high_in_at_most_half_of_the_trials(rate: float) -> None:
    pairs = outcomes(DESIGN, rate)
    too_high = sum(p for o, p in pairs if di.median_unbiased(o) > rate + 1e-9)
    assert too_high <= 0.5
    # and one outcome lower would be too often: what is lost is the step of a discrete scale
    ordered = sorted(pairs, key=lambda pair: (pair[0].stage, pair[0].responses))
    first = next(i for i, (o, _) in enumerate(ordered) if di.median_unbiased(o) > rate + 1e-9)
    assert too_high + ordered[first - 1][1] >= 0.5 - 1e-9


def test_estimates_rise_with_the_outcome() -> None:
    ordered = [di.Outcome(DESIGN, 1, 0), di.Outcome(DESIGN, 1, 1), *(di.Outcome(DESIGN, 2, s) for s in range(2, 30))]
    for f in (di.median_unbiased, lambda o: di.stagewise_interval(o).low, lambda o: di.stagewise_interval(o).high):
        assert (np.diff([f(o) for o in ordered]) >= -1e-12).all()
    assert (np.diff([di.umvue(o) for o in ordered[2:]]) > 0).all()


def test_p_value_at_the_boundary_is_the_type_one_error() -> None:
    first_success = di.Outcome(DESIGN, 2, 6)
    assert di.p_value(first_success, 0.1) == pytest.approx(acceptance(DESIGN, 0.1))
    assert first_success.goes_on
    assert not di.Outcome(DESIGN, 2, 5).goes_on
    assert not di.Outcome(DESIGN, 1, 1).goes_on


def test_limits_invert_the_p_value() -> None:
    outcome = di.Outcome(DESIGN, 2, 7)
    made = di.stagewise_interval(outcome)
    assert di.p_value(outcome, made.low) == pytest.approx(0.025)
    assert di.p_value(di.Outcome(DESIGN, 2, 8), made.high) == pytest.approx(0.975)
    assert di.p_value(outcome, di.median_unbiased(outcome)) == pytest.approx(0.5)


def test_stopped_at_once_with_none() -> None:
    made = di.stagewise_interval(di.Outcome(DESIGN, 1, 0))
    assert (made.value, made.low) == (0.0, 0.0)
    # none of ten at the first stage is the lowest outcome: its upper limit is the exact one of 0/10
    assert made.high == pytest.approx(float(clopper_pearson(0, 10)[1]))
    assert di.median_unbiased(di.Outcome(DESIGN, 1, 0)) == 0.0


def test_everybody_responds() -> None:
    made = di.stagewise_interval(di.Outcome(DESIGN, 2, 29))
    assert (made.value, made.high) == (1.0, 1.0)
    assert made.low == pytest.approx(0.025 ** (1 / 29))


def test_predictive_probability_by_enumeration() -> None:
    expected = sum(betabinom.pmf(y, 19, 1 + 2, 1 + 8) for y in range(20) if 2 + y >= 6)
    assert di.predictive_probability(2, 10, 29, 6, FLAT) == pytest.approx(expected)


def test_predictive_probability_at_the_edges() -> None:
    assert di.predictive_probability(6, 29, 29, 6, FLAT) == 1.0
    assert di.predictive_probability(5, 29, 29, 6, FLAT) == 0.0
    assert di.predictive_probability(7, 10, 29, 6, FLAT) == 1.0
    assert di.predictive_probability(0, 28, 29, 6, FLAT) == 0.0
    assert di.predictive_probability(0, 0, 1, 1, FLAT) == pytest.approx(0.5)


def test_posterior_above() -> None:
    rng = np.random.default_rng(0)
    assert di.posterior_above(0.1, 1, 11, FLAT) == pytest.approx((rng.beta(2, 11, 400_000) > 0.1).mean(), abs=0.004)
    assert di.posterior_above(0.5, 0, 0, FLAT) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: di.Outcome(DESIGN, 1, 2), "cannot be under 1/10, 5/29: stage 1 ends with 0 to 1"),
        (lambda: di.Outcome(DESIGN, 2, 1), "stage 2 with 2 to 29"),
        (lambda: di.Outcome(DESIGN, 3, 5), "at stage 3 cannot be"),
        (lambda: di.predictive_probability(3, 2, 29, 6, FLAT), "counts must rise"),
        (lambda: di.posterior_above(0.1, 3, 2, FLAT), "counts must rise"),
        (lambda: di.stagewise_interval(di.Outcome(DESIGN, 1, 0), 95), "give 0.95 for 95 %"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
