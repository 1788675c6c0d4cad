"""From cells to the patient: brute-force integrals, simulated patients, the raised bar."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, stats

from ctcfish.errors import StatisticsError
from ctcfish.stats.count_posterior import (
    MAX_CEP17_COUNT,
    MAX_HER2_COUNT,
    CountWeights,
    exact_weights,
    interval_weights,
    reaching_likelihoods,
    reaching_probability,
)
from ctcfish.stats.countmodel import CountErrors, SignalErrors, joint_pmf, pass_probability
from ctcfish.stats.false_clusters import FalseClusters, doubted
from ctcfish.stats.patient_posterior import SharePrior, any_amplified, control_cut, operating_points
from ctcfish.stats.proportions import any_by_error
from ctcfish.stats.ratio_rule import reaches
from ctcfish.stats.state_prior import cell_classes, prior_of

CUT = Fraction(11, 5)
ERRORS = CountErrors(SignalErrors(0.05, 0.05, 0.03), SignalErrors(0.05, 0.05, 0.03))
PRIOR = prior_of({"diploid": 0.8, "g2": 0.05, "gain": 0.03, "polysomy": 0.05, "amplified": 0.07}, cell_classes(CUT))
DIPLOID = prior_of({"diploid": 0.93, "amplified": 0.07}, cell_classes(CUT))
SHARE = SharePrior(absent=0.8, a=0.5, b=4.0)


def rule(her2: np.ndarray, cep17: np.ndarray) -> np.ndarray:
    return reaches(her2, cep17, CUT)


@pytest.mark.parametrize("n", [1, 3, 20])
def test_any_amplified_equals_numerical_integration(n: int) -> None:
    rng = np.random.default_rng(n)
    inside, outside = rng.random(n), rng.random(n)
    density = stats.beta(SHARE.a, SHARE.b).pdf
    mixed = integrate.quad(lambda f: density(f) * np.prod(f * inside + (1 - f) * outside), 0, 1, limit=400, epsabs=0)[0]
    clean = integrate.quad(lambda f: density(f) * (1 - f) ** n, 0, 1, limit=400, epsabs=0)[0]
    none = np.prod(outside) * (SHARE.absent + (1 - SHARE.absent) * clean)
    expected = 1 - none / (SHARE.absent * np.prod(outside) + (1 - SHARE.absent) * mixed)
    assert any_amplified(inside, outside, SHARE) == pytest.approx(expected, abs=1e-6)


def test_one_cell_is_plain_bayes() -> None:
    share = (1 - SHARE.absent) * SHARE.a / (SHARE.a + SHARE.b)
    assert any_amplified([0.3], [0.02], SHARE) == pytest.approx(share * 0.3 / (share * 0.3 + (1 - share) * 0.02))


def test_a_hundred_plain_cells_speak_against_not_for() -> None:
    seen = exact_weights([2] * 100, [2] * 100)
    naive = any_by_error(np.full(100, 0.01))
    inside, outside = reaching_likelihoods(PRIOR, ERRORS, seen, CUT)
    assert naive > 0.6
    assert any_amplified(inside, outside, SHARE) < 0.01


def test_edges() -> None:
    assert any_amplified([], [], SHARE) == 0.0
    assert any_amplified([1.0], [0.0], SHARE) == 1.0
    assert any_amplified([1.0, 0.5], [0.0, 0.5], SHARE) == 1.0
    assert any_amplified([0.0, 0.0], [1.0, 1.0], SHARE) == 0.0
    assert any_amplified([0.5], [0.5], SharePrior(1.0, 1, 1)) == 0.0
    assert any_amplified([1e-200] * 300, [1e-199] * 300, SHARE) < 0.2


def test_thousands_of_cells_are_still_summed() -> None:
    inside, outside = np.full(5000, 0.1), np.full(5000, 0.9)
    assert any_amplified(inside, outside, SHARE) < 0.02
    inside[:3], outside[:3] = 0.9, 1e-6
    assert any_amplified(inside, outside, SHARE) > 0.99


def test_posterior_of_simulated_patients_is_calibrated() -> None:
    rng = np.random.default_rng(12)
    amplified = np.array([(h, c) for h, c, _ in cell_classes(CUT)["amplified"].states])
    share = np.array([s for *_, s in cell_classes(CUT)["amplified"].states])
    runs, n = 3000, 15
    f = np.where(rng.random(runs) < SHARE.absent, 0.0, rng.beta(SHARE.a, SHARE.b, runs))
    is_amplified = rng.random((runs, n)) < f[:, None]
    drawn = amplified[rng.choice(len(share), (runs, n), p=share / share.sum())]
    true = np.where(is_amplified[..., None], drawn, 2)
    seen = rng.binomial(true, 0.95)
    counts = (seen + rng.binomial(seen, 0.05) + rng.poisson(0.03, seen.shape)).reshape(-1, 2)
    pairs, index = np.unique(counts, axis=0, return_inverse=True)
    inside, outside = reaching_likelihoods(DIPLOID, ERRORS, exact_weights(pairs[:, 0], pairs[:, 1]), CUT)
    index = index.reshape(runs, n)
    p = np.array([any_amplified(inside[row], outside[row], SHARE) for row in index])
    truth = is_amplified.any(axis=1)
    for low, high in ((0, 0.05), (0.05, 0.5), (0.5, 1.01)):
        inside_bin = (p >= low) & (p < high)
        assert inside_bin.sum() >= 25
        spread = np.sqrt((p[inside_bin] * (1 - p[inside_bin])).mean() / inside_bin.sum())
        assert truth[inside_bin].mean() == pytest.approx(p[inside_bin].mean(), abs=4 * spread + 0.005)


def test_lowest_bar_is_the_rule_itself() -> None:
    points = operating_points(DIPLOID, ERRORS, CUT, rule)
    assert points.false_call[-1] == pytest.approx(pass_probability(2, 2, ERRORS, rule), rel=1e-9)
    assert (np.diff(points.posterior) < 0).all()
    assert (np.diff(points.false_call) >= 0).all()
    assert (np.diff(points.sensitivity) >= 0).all()


@pytest.mark.parametrize("cells", [1, 10, 100])
def test_control_holds_patients_to_five_per_cent(cells: int) -> None:
    control = control_cut(operating_points(PRIOR, ERRORS, CUT, rule), cells)
    assert control.patient_false_positive <= 0.05
    assert control.patient_false_positive == pytest.approx(1 - (1 - control.false_call) ** cells)
    assert control.sensitivity > 0.4


@pytest.mark.parametrize("cells", [1, 10, 100])
def test_the_bar_and_the_posterior_of_a_cell_agree(cells: int) -> None:
    control = control_cut(operating_points(PRIOR, ERRORS, CUT, rule), cells)
    her2, cep17 = (grid.ravel() for grid in np.meshgrid(np.arange(1, 41), np.arange(1, 21), indexing="ij"))
    posterior = reaching_probability(PRIOR, ERRORS, exact_weights(her2, cep17), CUT)
    called = (posterior >= control.posterior_cut) & rule(her2, cep17)
    rate = false = 0.0
    for group, weight in zip(PRIOR.classes, PRIOR.weights, strict=True):
        total = sum(state[2] for state in group.states)
        for h, c, share in group.states:
            if 5 * h < 11 * c:
                pmf = np.zeros((41, 21))
                joint = joint_pmf(h, c, ERRORS)[:41, :21]
                pmf[: joint.shape[0], : joint.shape[1]] = joint
                rate += weight * share / total * pmf[1:, 1:].sum()
                false += weight * share / total * pmf[her2, cep17][called].sum()
    assert false / rate == pytest.approx(control.false_call, rel=1e-6)


def test_control_costs_more_with_more_cells() -> None:
    points = operating_points(PRIOR, ERRORS, CUT, rule)
    bars = [control_cut(points, n) for n in (1, 10, 100, 200)]
    assert all(a.posterior_cut <= b.posterior_cut for a, b in itertools.pairwise(bars))
    assert all(a.sensitivity >= b.sensitivity for a, b in itertools.pairwise(bars))


def test_control_holds_in_simulated_patients() -> None:
    rng = np.random.default_rng(9)
    control = control_cut(operating_points(DIPLOID, ERRORS, CUT, rule), 100)
    seen = rng.binomial(2, 0.95, (2000, 130, 2))
    counts = seen + rng.binomial(seen, 0.05) + rng.poisson(0.03, seen.shape)
    pairs, index = np.unique(counts.reshape(-1, 2), axis=0, return_inverse=True)
    p = reaching_probability(DIPLOID, ERRORS, exact_weights(pairs[:, 0], pairs[:, 1]), CUT)
    called = ((p >= control.posterior_cut) & rule(pairs[:, 0], pairs[:, 1]) & (pairs > 0).all(axis=1))[index]
    scored = (counts > 0).all(axis=2)
    first = scored & (np.cumsum(scored, axis=1) <= 100)
    positive = (called.reshape(2000, 130) & first).any(axis=1).mean()
    assert positive == pytest.approx(control.patient_false_positive, abs=0.015)
    assert positive <= 0.06


def test_with_a_margin_the_control_holds_for_cells_that_err_twice_as_often() -> None:
    """Second path: false calls of a diploid cell by its own probability table, under the doubled rates."""
    points = operating_points(DIPLOID, ERRORS, CUT, rule, 2.0)
    plain = operating_points(DIPLOID, ERRORS, CUT, rule)
    doubled = CountErrors(SignalErrors(0.10, 0.10, 0.06), SignalErrors(0.10, 0.10, 0.06))
    assert points.false_call[-1] == pytest.approx(pass_probability(2, 2, doubled, rule), rel=1e-9)
    assert points.posterior.tolist() == plain.posterior.tolist()
    assert points.sensitivity.tolist() == plain.sensitivity.tolist()
    control = control_cut(points, 100)

    def called(her2: np.ndarray, cep17: np.ndarray) -> np.ndarray:
        p = reaching_probability(DIPLOID, ERRORS, exact_weights(her2.ravel(), cep17.ravel()), CUT)
        return rule(her2, cep17) & (p.reshape(her2.shape) >= control.posterior_cut)

    worse = pass_probability(2, 2, doubled, called)
    assert worse == pytest.approx(control.false_call, rel=1e-6)
    assert 1 - (1 - worse) ** 100 <= 0.05
    assert control.posterior_cut >= control_cut(plain, 100).posterior_cut


def test_false_clusters_raise_the_bar_and_the_control_holds_where_cells_show_them() -> None:
    """Second path: diploid cells drawn signal by signal, of which a share shows one signal as a cluster."""
    false = FalseClusters(0.02, 7.0)
    points = operating_points(DIPLOID, ERRORS, CUT, rule, false=false)
    assert points.false_call[-1] > operating_points(DIPLOID, ERRORS, CUT, rule).false_call[-1] + 0.015
    control = control_cut(points, 100)
    rng = np.random.default_rng(4)
    n = 200_000
    seen = rng.binomial(np.where(np.arange(2) == 0, 1, 2), 0.95, (n, 2))
    lone, green = (seen + rng.binomial(seen, 0.05) + rng.poisson(0.03, seen.shape)).T
    size = 3 + rng.negative_binomial(2, 1 / 3, n)
    kept = (green > 0) & (green < 9) & (lone < 8) & (size < 41)
    lone, green, size = lone[kept], green[kept], size[kept]
    reach = np.maximum(np.round(0.2 * size).astype(int), 1)
    total = lone + size
    weights = interval_weights(total, np.maximum(total - reach, lone), total + reach, MAX_HER2_COUNT)
    two = CountWeights(doubted(weights, lone, size, false), interval_weights(green, green, green, MAX_CEP17_COUNT))
    called = (reaching_probability(DIPLOID, ERRORS, two, CUT) >= control.posterior_cut) & rule(total, green)
    assert 0.02 * called.mean() == pytest.approx(control.false_call, abs=1e-4)
    assert 1 - (1 - 0.02 * called.mean()) ** 100 <= 0.055


def test_no_false_cluster_changes_nothing() -> None:
    none = operating_points(PRIOR, ERRORS, CUT, rule)
    never = operating_points(PRIOR, ERRORS, CUT, rule, false=FalseClusters(0.0, 7.0))
    assert never.false_call[-1] == pytest.approx(none.false_call[-1], rel=1e-12)
    assert never.sensitivity[-1] == pytest.approx(none.sensitivity[-1], rel=1e-12)
    assert control_cut(never, 50).false_call == pytest.approx(control_cut(none, 50).false_call, rel=1e-9)


def test_a_margin_of_one_changes_nothing() -> None:
    one, none = (operating_points(PRIOR, ERRORS, CUT, rule, *margin) for margin in ((1.0,), ()))
    assert one.false_call.tolist() == none.false_call.tolist()


def test_no_bar_is_high_enough() -> None:
    blur = CountErrors(SignalErrors(0.4, 0.4, 2.0), SignalErrors(0.4, 0.4, 2.0))
    control = control_cut(operating_points(PRIOR, blur, CUT, rule), 100, level=1e-40)
    assert control.posterior_cut > 1.0
    assert (control.sensitivity, control.patient_false_positive) == (0.0, 0.0)


def test_no_cells_need_no_bar() -> None:
    points = operating_points(PRIOR, ERRORS, CUT, rule)
    assert control_cut(points, 0).sensitivity == points.sensitivity[-1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SharePrior(1.2, 1, 1), "must lie in 0 to 1"),
        (lambda: SharePrior(0.5, 0, 1), "positive Beta parameters"),
        (lambda: any_amplified([0.0], [0.0], SHARE), "not both 0"),
        (lambda: any_amplified([-0.1], [0.2], SHARE), "two likelihoods of 0 or more"),
        (lambda: any_amplified([0.1, 0.2], [0.2], SHARE), "two likelihoods"),
        (lambda: control_cut(operating_points(DIPLOID, ERRORS, CUT, rule), 3, 5), "between 0 and 1"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
