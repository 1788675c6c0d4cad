"""Prior and posterior of true copies: enumeration by hand, calibration on drawn truth, degenerate counts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import poisson

from ctcfish.errors import StatisticsError
from ctcfish.stats import count_posterior as cp
from ctcfish.stats import state_prior as sp
from ctcfish.stats.countmodel import CountErrors, SignalErrors
from tests.closed_forms import state_posterior

CUT = Fraction(11, 5)
ERRORS = CountErrors(SignalErrors(0.05, 0.05, 0.03), SignalErrors(0.05, 0.05, 0.03))
WEIGHTS = {
    "diploid": 0.6,
    "g2": 0.05,
    "gain": 0.1,
    "polysomy": 0.1,
    "monosomy": 0.03,
    "deletion": 0.02,
    "unusual": 0.01,
    "amplified": 0.09,
}


@pytest.fixture(scope="module")
def prior() -> sp.StatePrior:
    return sp.prior_of(WEIGHTS, sp.cell_classes(CUT))


def by_hand(prior: sp.StatePrior, her2: int, cep17: int) -> dict[tuple[int, int], float]:
    """Posterior by plain loops: every state, every number of misses, splits and extras."""

    def likelihood(true: int, count: int, e: SignalErrors) -> float:
        total = 0.0
        for seen in range(true + 1):
            for split in range(seen + 1):
                extra = count - seen - split
                if extra >= 0:
                    ways = np.prod(np.arange(true - seen + 1, true + 1)) if seen else 1
                    ways = ways / (np.prod(np.arange(1, seen - split + 1)) * np.prod(np.arange(1, split + 1)))
                    total += (
                        ways
                        * e.missed ** (true - seen)
                        * ((1 - e.missed) * (1 - e.split)) ** (seen - split)
                        * ((1 - e.missed) * e.split) ** split
                        * poisson.pmf(extra, e.extra)
                    )
        return float(total)

    weights: dict[tuple[int, int], float] = {}
    for group, weight in zip(prior.classes, prior.weights, strict=True):
        scale = weight / sum(state[2] for state in group.states)
        for h, c, share in group.states:
            if h <= 12 and c <= 8:
                value = scale * share * likelihood(h, her2, ERRORS.her2) * likelihood(c, cep17, ERRORS.cep17)
                weights[h, c] = weights.get((h, c), 0.0) + value
    total = sum(weights.values())
    return {state: weight / total for state, weight in weights.items()}


@pytest.mark.parametrize(("her2", "cep17"), [(2, 2), (3, 1), (4, 1), (5, 2), (4, 4), (3, 3)])
def test_posterior_equals_enumeration(prior: sp.StatePrior, her2: int, cep17: int) -> None:
    hand = by_hand(prior, her2, cep17)
    table = state_posterior(prior, ERRORS, her2, cep17)
    for (h, c), value in hand.items():
        assert table[h, c] == pytest.approx(value, abs=2e-6)  # states beyond 12/8 carry the rest
    reach = cp.reaching_probability(prior, ERRORS, cp.exact_weights([her2], [cep17]), CUT)[0]
    assert reach == pytest.approx(table[sp.reaching(CUT)].sum(), rel=1e-9)
    assert reach == pytest.approx(sum(v for (h, c), v in hand.items() if 5 * h >= 11 * c), abs=5e-6)


def test_three_against_one_is_mostly_a_missed_cep17(prior: sp.StatePrior) -> None:
    p31, p52, p104 = cp.reaching_probability(prior, ERRORS, cp.exact_weights([3, 5, 12], [1, 2, 2]), CUT)
    assert p31 < 0.6 < p52 < p104
    assert p104 > 0.99


def test_calibration_on_truth_drawn_from_the_prior(prior: sp.StatePrior) -> None:
    rng = np.random.default_rng(3)
    n = 60_000
    table = prior.table
    drawn = rng.choice(table.size, n, p=table.ravel() / table.sum())
    true_her2, true_cep17 = np.unravel_index(drawn, table.shape)
    counts = []
    for copies in (true_her2, true_cep17):
        seen = rng.binomial(copies, 0.95)
        counts.append(seen + rng.binomial(seen, 0.05) + rng.poisson(0.03, n))
    scored = (counts[0] > 0) & (counts[1] > 0)
    pairs, index = np.unique(np.stack([counts[0][scored], counts[1][scored]]), axis=1, return_inverse=True)
    p = cp.reaching_probability(prior, ERRORS, cp.exact_weights(*pairs), CUT)[index]
    truth = (5 * true_her2 >= 11 * true_cep17)[scored]
    for low, high in ((0, 0.02), (0.02, 0.2), (0.2, 0.6), (0.6, 0.95), (0.95, 1.01)):
        inside = (p >= low) & (p < high)
        assert inside.sum() > 100
        spread = np.sqrt((p[inside] * (1 - p[inside])).mean() / inside.sum())
        assert truth[inside].mean() == pytest.approx(p[inside].mean(), abs=4.5 * spread)


def test_likelihoods_carry_another_share(prior: sp.StatePrior) -> None:
    seen = cp.exact_weights([2, 3, 8], [2, 1, 2])
    inside, outside = cp.reaching_likelihoods(prior, ERRORS, seen, CUT)
    share = cp.prior_share(prior, CUT)
    assert 0.08 < share < 0.12
    again = share * inside / (share * inside + (1 - share) * outside)
    assert again == pytest.approx(cp.reaching_probability(prior, ERRORS, seen, CUT))
    tripled = sp.prior_of({**WEIGHTS, "amplified": 0.27}, sp.cell_classes(CUT))
    assert (cp.reaching_probability(tripled, ERRORS, seen, CUT) > again).all()


def test_uncertain_count_lies_between_its_ends(prior: sp.StatePrior) -> None:
    wide = cp.CountWeights(
        cp.interval_weights([6], [3], [9], cp.MAX_HER2_COUNT), cp.interval_weights([2], [2], [2], cp.MAX_CEP17_COUNT)
    )
    p = cp.reaching_probability(prior, ERRORS, wide, CUT)[0]
    low, sharp = cp.reaching_probability(prior, ERRORS, cp.exact_weights([3, 6], [2, 2]), CUT)
    assert low < p < sharp


def test_interval_weights() -> None:
    weights = cp.interval_weights([5, 7, 9], [5, 5, 9], [5, 7, 12], 20)
    assert weights.sum(axis=1) == pytest.approx(np.ones(3))
    assert weights[0, 5] == 1.0
    assert weights.argmax(axis=1).tolist() == [5, 7, 9]
    assert weights[1, 8:].sum() == 0.0
    assert weights[2, :9].sum() == 0.0
    assert weights[1, 5] / weights[1, 7] == pytest.approx(np.exp(-0.5 * 1.959964**2))


def test_counts_beyond_the_table_stand_at_its_end(prior: sp.StatePrior) -> None:
    seen = cp.exact_weights([500], [2])
    assert seen.her2[0, -1] == 1.0
    assert cp.reaching_probability(prior, ERRORS, seen, CUT)[0] == pytest.approx(1.0)


def test_signal_weights_are_poisson_binomial() -> None:
    assert cp.signal_weights([0.5, 0.5], 4) == pytest.approx([0.25, 0.5, 0.25, 0, 0])
    assert cp.signal_weights([1.0, 1.0, 0.9], 4) == pytest.approx([0, 0, 0.1, 0.9, 0])
    assert cp.signal_weights([], 3).tolist() == [1, 0, 0, 0]
    assert cp.signal_weights([1.0] * 6, 4).tolist() == [0, 0, 0, 0, 1]


def test_no_nuclei(prior: sp.StatePrior) -> None:
    none = cp.exact_weights([], [])
    assert cp.reaching_probability(prior, ERRORS, none, CUT).shape == (0,)


def test_impossible_counts_give_nan_not_a_call() -> None:
    perfect = CountErrors(SignalErrors(0, 0, 0), SignalErrors(0, 0, 0))
    diploid = sp.prior_of({"diploid": 1.0}, sp.cell_classes(CUT))
    seen = cp.exact_weights([3, 2], [2, 2])
    assert np.isnan(cp.reaching_probability(diploid, perfect, seen, CUT)).tolist() == [True, False]


def test_prior_tables(prior: sp.StatePrior) -> None:
    assert prior.table.sum() == pytest.approx(1.0)
    assert prior.class_tables().sum(axis=(1, 2)) == pytest.approx(list(WEIGHTS.values()))
    assert prior.table[:, 0].sum() == 0.0
    classes = sp.cell_classes(CUT)
    for name in ("diploid", "g2", "gain", "polysomy", "monosomy", "deletion"):
        assert not any(5 * h >= 11 * c for h, c, _ in classes[name].states), name
    assert all(5 * h >= 11 * c for h, c, _ in classes["amplified"].states)
    assert {(3, 2), (4, 2)} <= {state[:2] for state in classes["gain"].states}
    assert (4, 2) not in {state[:2] for state in sp.cell_classes(Fraction(2))["gain"].states}


def test_amplified_states_sit_where_amplified_cells_sit() -> None:
    group = sp.amplified_states(CUT, 0.6, {2: 0.5, 4: 0.5})
    mean = sum(h / c * share for h, c, share in group.states) / sum(share for *_, share in group.states)
    assert 2.6 < mean < 3.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sp.prior_of({"triploid": 1.0}, sp.cell_classes(CUT)), "no class is called triploid: use diploid"),
        (lambda: sp.prior_of({"diploid": 0.0}, sp.cell_classes(CUT)), "not all 0"),
        (lambda: sp.prior_of({"diploid": -1.0, "g2": 2.0}, sp.cell_classes(CUT)), "0 or more"),
        (lambda: sp.StatePrior((), ()), "0 classes"),
        (lambda: sp.StateClass("x", ()), "has no states"),
        (lambda: sp.StateClass("x", ((2, 0, 1.0),)), "lies beyond the table"),
        (lambda: sp.StateClass("x", ((61, 2, 1.0),)), "lies beyond the table"),
        (lambda: sp.StateClass("x", ((2, 2, 0.0),)), "give one above 0"),
        (lambda: sp.amplified_states(CUT, 0.0, {2: 1.0}), "must be above 0"),
        (lambda: cp.interval_weights([2], [3], [4], 9), "outside its interval"),
        (lambda: cp.CountWeights(np.ones((1, 3)), np.ones((1, 41))), "HER2 weights have shape"),
        (lambda: cp.CountWeights(np.ones((1, 91)), np.zeros((1, 41))), "CEP17 weights must be 0 or more"),
    ],
)
def test_refusals(make: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        make()  # type: ignore[operator]
