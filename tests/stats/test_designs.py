"""Simon's designs against his published table, brute force and simulation."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.stats import binom

from ctcfish.errors import StatisticsError
from ctcfish.stats import designs as ds
from tests import closed_forms as forms


@pytest.mark.parametrize(
    ("p0", "p1", "optimal", "minimax"),
    [  # Simon 1989, alpha .05, beta .20
        (0.10, 0.30, "1/10, 5/29", "1/15, 5/25"),
        (0.05, 0.25, "0/9, 2/17", "0/12, 2/16"),
        (0.20, 0.40, "3/13, 12/43", "4/18, 10/33"),
    ],
)
def test_published_table(p0: float, p1: float, optimal: str, minimax: str) -> None:
    found = ds.all_designs(ds.Hypotheses(p0, p1, 0.05, 0.20))
    assert str(ds.optimal(found).design) == optimal
    assert str(ds.minimax(found).design) == minimax


def test_published_figures_of_one_design() -> None:
    # Simon 1989: 1/10, 5/29 expects 15.0 patients at p0 and stops early with 0.74
    figures = ds.optimal(ds.all_designs(ds.Hypotheses(0.1, 0.3, 0.05, 0.2)))
    assert (round(figures.expected, 1), round(figures.stop_early, 2)) == (15.0, 0.74)
    assert figures.type_one <= 0.05
    assert figures.power >= 0.8


def test_all_designs_to_sixty_are_quick() -> None:
    start = time.perf_counter()
    found = ds.all_designs(ds.Hypotheses(0.2, 0.4, 0.05, 0.20), 60)
    assert time.perf_counter() - start < 10
    assert len(found) > 1000


def test_brute_force_over_every_boundary() -> None:
    hypotheses = ds.Hypotheses(0.1, 0.4, 0.1, 0.2)
    best = {}
    for n in range(2, 14):
        for n1 in range(1, n):
            for r1 in range(n1):
                for r in range(r1, n):
                    design = ds.TwoStage(r1, n1, r, n)
                    if forms.acceptance(design, 0.1) <= 0.1 and forms.acceptance(design, 0.4) >= 0.8:
                        expected = forms.expected_size(design, 0.1)
                        best[n, n1] = min(best.get((n, n1), np.inf), expected)
    found = {(d.design.n, d.design.n1): d.expected for d in ds.all_designs(hypotheses, 13)}
    assert found == pytest.approx(best)


def test_figures_equal_the_single_functions() -> None:
    for figures in ds.all_designs(ds.Hypotheses(0.1, 0.3, 0.05, 0.2), 30):
        assert figures.type_one == pytest.approx(forms.acceptance(figures.design, 0.1))
        assert figures.power == pytest.approx(forms.acceptance(figures.design, 0.3))
        assert figures.stop_early == pytest.approx(forms.early_stop(figures.design, 0.1))
        assert figures.expected == pytest.approx(forms.expected_size(figures.design, 0.1))


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3, 0.6])
def test_enumeration_equals_simulation(rate: float) -> None:
    rng = np.random.default_rng(0)
    design = ds.TwoStage(1, 10, 5, 29)
    first, second = rng.binomial(10, rate, 200_000), rng.binomial(19, rate, 200_000)
    went_on = (first > 1) & (first + second > 5)
    assert forms.acceptance(design, rate) == pytest.approx(went_on.mean(), abs=0.005)
    assert forms.expected_size(design, rate) == pytest.approx(np.where(first > 1, 29, 10).mean(), abs=0.1)


def test_admissible_designs_run_from_minimax_to_optimal() -> None:
    found = ds.all_designs(ds.Hypotheses(0.1, 0.3, 0.05, 0.2))
    hull = ds.admissible(found)
    assert hull[0] == ds.minimax(found)
    assert hull[-1] == ds.optimal(found)
    for weight in np.linspace(0, 1, 101):
        best = min(weight * d.design.n + (1 - weight) * d.expected for d in found)
        assert min(weight * d.design.n + (1 - weight) * d.expected for d in hull) == pytest.approx(best)


def test_a_first_look_after_fourteen_can_be_picked() -> None:
    found = [d for d in ds.all_designs(ds.Hypotheses(0.1, 0.3, 0.05, 0.2)) if d.design.n1 == 14]
    assert ds.optimal(found).design.n1 == 14


def test_one_stage_alone_is_binomial() -> None:
    design = ds.TwoStage(0, 5, 0, 6)
    assert forms.acceptance(design, 0.2) == pytest.approx(binom.sf(0, 5, 0.2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ds.Hypotheses(0.3, 0.1, 0.05, 0.2), "0 < p0 < p1 < 1"),
        (lambda: ds.Hypotheses(0.1, 0.3, 5, 0.2), "between 0 and 1"),
        (lambda: ds.TwoStage(3, 3, 5, 9), "is no design"),
        (lambda: ds.TwoStage(1, 10, 5, 10), "is no design"),
        (lambda: ds.all_designs(ds.Hypotheses(0.1, 0.3, 0.05, 0.2), 1), "at least 2 patients"),
        (lambda: ds.optimal(ds.all_designs(ds.Hypotheses(0.1, 0.12, 0.05, 0.2), 20)), "no design keeps alpha and beta"),
        (lambda: ds.minimax([]), "no design keeps"),
        (lambda: ds.admissible([]), "no design keeps"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]
