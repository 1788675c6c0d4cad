"""Firth's regressions against published fits, closed forms and a second way to the maximum."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import CoxPHFitter
from scipy import optimize, special

from ctcfish.errors import StatisticsError
from ctcfish.stats.firth import firth_cox, firth_logistic

# Heinze and Schemper 2002: 79 cases of endometrial cancer; neovasculation, pulsatility index, endometrium height, grade
ENDOMETRIAL = np.fromstring("""
0,13,1.64,0 0,16,2.26,0 0,8,3.14,0 0,34,2.68,0 0,20,1.28,0 0,5,2.31,0 0,17,1.8,0 0,10,1.68,0 0,26,1.56,0 0,17,2.31,0
0,8,2.01,0 0,7,1.89,0 0,20,3.15,0 0,10,1.23,0 0,18,1.27,0 0,16,1.76,0 0,18,2,0 0,8,2.64,1 0,29,0.88,1 0,12,1.27,1
0,20,1.37,1 1,38,0.97,1 1,22,1.14,1 1,7,0.88,1 1,25,0.91,1 1,15,0.58,1 0,7,0.97,1 0,28,1.5,0 0,11,1.33,0 0,19,2.37,0
0,10,1.82,0 0,10,3.13,0 0,18,1.31,0 0,14,1.92,0 0,21,1.64,0 0,11,2.01,0 0,17,1.88,0 0,25,1.93,0 0,16,2.11,0
0,19,1.29,0 0,15,1.72,0 0,33,0.75,0 0,24,1.92,0 0,48,1.84,1 0,12,1.11,1 0,19,1.61,1 0,2,1.18,1 1,22,1.44,1
1,40,1.18,1 1,5,0.93,1 1,0,1.17,1 0,21,1.19,1 0,15,1.06,1 0,29,2.02,0 0,15,2.29,0 0,12,2.33,0 0,3,2.9,0 0,20,1.7,0
0,23,1.41,0 0,12,2.25,0 0,22,1.54,0 0,42,1.97,0 0,15,1.75,0 0,13,2.16,0 0,14,2.57,0 0,19,1.37,0 0,12,3.61,0
0,13,2.04,0 0,10,2.17,0 0,12,1.69,1 1,49,0.27,1 0,6,1.84,1 0,5,1.3,1 0,17,0.96,1 1,11,1.01,1 1,21,0.98,1 0,5,0.35,1
1,19,1.02,1 0,33,0.85,1""".replace(",", " "), sep=" ").reshape(79, 4)  # fmt: skip

# Krall 1975, 65 patients with myeloma: months, death, log BUN, haemoglobin
MYELOMA = np.fromstring("""
1.25 1 2.2175 9.4 1.25 1 1.9395 12.0 2 1 1.5185 9.8 2 1 1.7482 11.3 2 1 1.3010 5.1 3 1 1.5441 6.7 5 1 2.2355 10.1
5 1 1.6812 6.5 6 1 1.3617 9.0 6 1 2.1139 10.2 6 1 1.1139 9.7 6 1 1.4150 10.4 7 1 1.9777 9.5 7 1 1.0414 5.1
7 1 1.1761 11.4 9 1 1.7243 8.2 11 1 1.1139 14.0 11 1 1.2304 12.0 11 1 1.3010 13.2 11 1 1.5682 7.5 11 1 1.0792 9.6
13 1 0.7782 5.5 14 1 1.3979 14.6 15 1 1.6021 10.6 16 1 1.3424 9.0 16 1 1.3222 8.8 17 1 1.2304 10.0 17 1 1.5911 11.2
18 1 1.4472 7.5 19 1 1.0792 14.4 19 1 1.2553 7.5 24 1 1.3010 14.6 25 1 1.0000 12.4 26 1 1.2304 11.2 32 1 1.3222 10.6
35 1 1.1139 7.0 37 1 1.6021 11.0 41 1 1.0000 10.2 41 1 1.1461 5.0 51 1 1.5682 7.7 52 1 1.0000 10.1 54 1 1.2553 9.0
58 1 1.2041 12.1 66 1 1.4472 6.6 67 1 1.3222 12.8 88 1 1.1761 10.6 89 1 1.3222 14.0 92 1 1.4314 11.0 4 0 1.9542 10.2
4 0 1.9243 10.0 7 0 1.1139 12.4 7 0 1.5315 10.2 8 0 1.0792 9.9 12 0 1.1461 11.6 11 0 1.6128 14.0 12 0 1.3979 8.8
13 0 1.6628 4.9 16 0 1.1461 13.0 19 0 1.3222 13.0 19 0 1.3222 10.8 28 0 1.2304 7.3 41 0 1.7559 12.8 53 0 1.1139 12.0
57 0 1.2553 12.5 77 0 1.0792 14.0""", sep=" ").reshape(65, 4)  # fmt: skip


def test_endometrial_cancer_as_published() -> None:
    # logistf (Heinze) on these data: coefficients, profile limits
    fit = firth_logistic(ENDOMETRIAL[:, :3], ENDOMETRIAL[:, 3])
    published = [
        (3.77455951, 1.0825371, 7.20928050),
        (2.92927330, 0.6097244, 7.85463171),
        (-0.03475175, -0.1244587, 0.04045547),
        (-2.60416387, -4.3651832, -1.23272106),
    ]
    for made, (value, low, high) in zip(fit.coefficients, published, strict=True):
        assert (made.value, made.low, made.high) == pytest.approx((value, low, high), abs=2e-6)
    assert fit.p_values[1] == pytest.approx(0.0091, abs=1e-4)


@pytest.mark.parametrize(("a", "b", "c", "d"), [(3, 7, 6, 4), (0, 5, 4, 3), (0, 8, 8, 0), (1, 0, 0, 1)])
def test_two_by_two_table_adds_a_half_to_each_cell(a: int, b: int, c: int, d: int) -> None:
    x = np.repeat([1.0, 1.0, 0.0, 0.0], [a, b, c, d])
    y = np.repeat([True, False, True, False], [a, b, c, d])
    fit = firth_logistic(x[:, None], y)
    expected = np.log((a + 0.5) * (d + 0.5) / ((b + 0.5) * (c + 0.5)))
    assert fit.coefficients[1].value == pytest.approx(expected, abs=1e-7)
    assert fit.coefficients[0].value == pytest.approx(np.log((c + 0.5) / (d + 0.5)), abs=1e-7)


def penalised(linear: np.ndarray, y: np.ndarray, design: np.ndarray) -> float:
    p = special.expit(linear)
    information = design.T @ (design * (p * (1 - p))[:, None])
    return float(np.where(y, np.log(p), np.log1p(-p)).sum() + 0.5 * np.log(np.linalg.det(information)))


def test_logistic_maximum_by_another_way() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    y = rng.random(40) < special.expit(0.3 + x @ [1.0, -0.7])
    design = np.column_stack([np.ones(40), x])
    found = optimize.minimize(
        lambda b: -penalised(design @ b, y, design), np.zeros(3), method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 5000},
    )  # fmt: skip
    fit = firth_logistic(x, y)
    assert [c.value for c in fit.coefficients] == pytest.approx(found.x, abs=1e-6)
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-9)


def test_logistic_interval_covers_with_few_patients() -> None:
    rng = np.random.default_rng(1)
    covered, runs = 0, 100
    for _ in range(runs):
        x = np.repeat([0.0, 1.0], 15)
        fit = firth_logistic(x[:, None], rng.random(30) < special.expit(-1 + 1.2 * x))
        covered += fit.coefficients[1].low <= 1.2 <= fit.coefficients[1].high
    assert 0.90 <= covered / runs <= 0.99


def cox_penalised(beta: np.ndarray, x: np.ndarray, time: np.ndarray, event: np.ndarray) -> float:
    total, information = 0.0, np.zeros((beta.size, beta.size))
    for i in np.flatnonzero(event):
        risk = x[time >= time[i]]
        weight = np.exp(risk @ beta)
        weight_sum = weight.sum()
        total += x[i] @ beta - np.log(weight_sum)
        mean = weight @ risk / weight_sum
        information += (risk.T * weight) @ risk / weight_sum - np.outer(mean, mean)
    return float(total + 0.5 * np.log(np.linalg.det(information)))


@pytest.fixture(scope="module")
def monotone() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Myeloma with a covariate that is 1 up to 65 months: the SAS/STAT example of a monotone likelihood."""
    time = MYELOMA[:, 0]
    return np.column_stack([MYELOMA[:, 2:], time <= 65]), time, MYELOMA[:, 1].astype(bool)


def test_myeloma_as_published(monotone: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, time, event = monotone
    # SAS/STAT User's Guide, PROC PHREG, "Firth's Correction for Monotone Likelihood": penalised log-likelihood without
    # covariates -150.7361197494
    null = cox_penalised(np.zeros(3), x, time, event)
    assert null == pytest.approx(-150.7361197494, abs=1e-9)
    fit = firth_cox(x, time, event)
    assert fit.log_likelihood > null
    assert [round(c.value, 2) for c in fit.coefficients] == [1.72, -0.11, 3.82]
    assert [round(s, 2) for s in fit.standard_errors] == [0.58, 0.06, 1.56]


def test_cox_maximum_by_another_way(monotone: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    found = optimize.minimize(
        lambda b: -cox_penalised(b, *monotone), np.zeros(3), method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000},
    )  # fmt: skip
    fit = firth_cox(*monotone)
    assert [c.value for c in fit.coefficients] == pytest.approx(found.x, abs=1e-5)
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-7)


def test_profile_limits_end_where_the_likelihood_has_fallen(monotone: tuple[np.ndarray, ...]) -> None:
    x, time, event = monotone
    fit = firth_cox(x[:, :1], time, event)
    for end in (fit.coefficients[0].low, fit.coefficients[0].high):
        fall = fit.log_likelihood - cox_penalised(np.array([end]), x[:, :1], time, event)
        assert fall == pytest.approx(3.841459 / 2, abs=1e-5)


def test_many_events_leave_cox_as_it_is() -> None:
    import pandas as pd

    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 2))
    time = rng.exponential(np.exp(-x @ [0.5, -0.3]))
    fit = firth_cox(x, time, np.ones(400))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "t": time, "e": 1})
    plain = CoxPHFitter().fit(frame, "t", "e").params_.to_numpy()
    assert [c.value for c in fit.coefficients] == pytest.approx(plain, abs=0.01)


def test_units_do_not_matter() -> None:
    x, y = ENDOMETRIAL[:, 1:3], ENDOMETRIAL[:, 3]
    first, second = firth_logistic(x, y), firth_logistic(x * [1000.0, 0.001], y)
    assert second.coefficients[1].value == pytest.approx(first.coefficients[1].value / 1000, rel=1e-6)
    assert second.coefficients[2].low == pytest.approx(first.coefficients[2].low * 1000, rel=1e-5)
    assert second.p_values == pytest.approx(first.p_values, abs=1e-7)


def test_one_responder_among_eleven() -> None:
    amplified_share = np.array([0.3, 0.5, 1, 1.2, 1.6, 2, 5, 8, 11.1, 20, 35.3])
    fit = firth_logistic(amplified_share[:, None], amplified_share == 11.1)
    made = fit.coefficients[1]
    assert np.isfinite([made.value, made.low, made.high]).all()
    assert made.low < 0 < made.high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: firth_logistic([[1.0], [1.0], [1.0]], [1, 0, 1]), "leave out what is constant or repeats"),
        (
            lambda: firth_logistic([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]], [1, 0, 1]),
            "leave out what is constant or repeats",
        ),
        (lambda: firth_logistic([[1.0], [np.nan]], [1, 0]), "missing or infinite"),
        (lambda: firth_logistic([[1.0], [2.0]], [1, np.nan]), "outcomes must be yes or no"),
        (lambda: firth_logistic([[1.0], [2.0]], [1]), "2 rows of covariates for 1 subjects"),
        (lambda: firth_cox([[1.0], [2.0]], [1, 2], [0, 0]), "needs at least one event"),
        (lambda: firth_cox([[1.0], [1.0]], [1, 2], [1, 1]), "leave out what is constant"),
        (lambda: firth_cox([[1.0], [2.0]], [-1, 2], [1, 1]), "check the dates"),
    ],
)
def test_refusals(call: object, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("scale", [1.0, 0.1, 10.0, 1000.0])
def test_one_responder_with_the_highest_value_has_an_interval(scale: float) -> None:
    """Separation with one responder of eleven: two maxima of the profile, whose limits must still bracket."""
    shares = [0.08, 0.0392, 2.0, 0.0353, 0.1705, 0.1775, 0.625, 0.045, 1.0, 0.9333, 0.1282]
    outcome = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    fit = firth_logistic(scale * np.array(shares)[:, None], outcome)
    slope = fit.coefficients[1]
    assert slope.value * scale == pytest.approx(2.42998663, rel=1e-4)
    assert slope.low * scale == pytest.approx(0.07406, rel=1e-3)
    assert slope.high * scale == pytest.approx(7.59903, rel=1e-3)
    assert fit.coefficients[0].low < fit.coefficients[0].value < fit.coefficients[0].high


@pytest.mark.parametrize(
    "values",
    [
        [4.333333, 9.0, 12.5, 19.0, 5.0, 11.0],
        [1.0, 1.584963, 0.0, 0.0, 1.0, 0.0],
        [6.666667, 6.0, 5.0, 3.333333, 5.0, 2.5],
    ],
)
def test_one_responder_of_six_at_the_edge_is_no_error(values: list[float]) -> None:
    """So few subjects that the profile runs out of information: limits may be infinite, never crossed."""
    fit = firth_logistic(np.array(values)[:, None], [1, 0, 0, 0, 0, 0])
    for coefficient, p_value in zip(fit.coefficients, fit.p_values, strict=True):
        assert coefficient.low < coefficient.value < coefficient.high
        assert 0 < p_value <= 1
