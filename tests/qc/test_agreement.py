"""Agreement of readings: worked examples, degenerate studies, simulated studies whose truth is recovered."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from ctcfish.qc import tables as declared
from ctcfish.qc.agreement import Wide, eligibility, near_cut, statistics, widen
from ctcfish.stats.bootstrap import BootstrapPlan
from tests import closed_forms as forms

PLAN = BootstrapPlan(resamples=200)
CUT = Fraction(11, 5)
CALLS = np.array(["not_amplified", "amplified", "not_evaluable"])


def wide_of(her2: object, cep17: object, patients: object = None) -> Wide:
    """Readings from counts; -1 is not evaluable, -9 not read."""
    h, c = np.asarray(her2), np.asarray(cep17)
    call = np.where(h == -9, -1, np.where((h < 0) | (c <= 0), 2, 5 * h >= 11 * c)).astype(np.int64)
    told = (h >= 0) & (c >= 0)
    names = np.asarray(patients if patients is not None else ["p"] * len(h), dtype=object)
    values = [np.where(told, table, np.nan).astype(float) for table in (h, c)]
    ratio = np.where(told & (c > 0), h / np.maximum(c, 1), np.nan)
    return Wide(names, call, *values, ratio)


def figures(wide: Wide) -> pd.DataFrame:
    return pd.DataFrame(statistics(wide, PLAN)).set_index(["quantity", "statistic"])


def test_low_prevalence_shows_why_positive_agreement_is_the_honest_one() -> None:
    """1000 cells, 984 agreed: percent agreement 98.4 %, kappa 0.66, AC1 0.98, positive agreement 0.67."""
    first = [1] * 16 + [1] * 8 + [0] * 8 + [0] * 968
    later = [1] * 16 + [0] * 8 + [1] * 8 + [0] * 968
    her2 = np.where(np.stack([first, later], axis=1) == 1, 9, 2)
    found = figures(wide_of(her2, np.full((1000, 2), 2), [f"p{k % 50}" for k in range(1000)]))["value"]
    assert found["call", "percent agreement"] == pytest.approx(0.984)
    assert found["call", "positive agreement"] == pytest.approx(0.667, abs=0.001)
    assert found["call", "Cohen kappa"] == pytest.approx(0.66, abs=0.005)
    assert found["call", "Gwet AC1"] == pytest.approx(0.98, abs=0.005)


def test_kappas_equal_those_of_statsmodels() -> None:
    rng = np.random.default_rng(0)
    her2 = np.where(rng.random((60, 3)) < 0.3, 9, 2)
    found = figures(wide_of(her2[:, :2], np.full((60, 2), 2)))["value"]
    calls = (her2 > 5).astype(int)
    table = np.zeros((2, 2))
    np.add.at(table, (calls[:, 0], calls[:, 1]), 1)
    assert found["call", "Cohen kappa"] == pytest.approx(cohens_kappa(table, return_results=False))
    three = figures(wide_of(her2, np.full((60, 3), 2)))["value"]
    counts = np.stack([(calls == k).sum(axis=1) for k in (0, 1)], axis=1)
    assert three["call", "Fleiss kappa"] == pytest.approx(fleiss_kappa(counts))
    classes = np.digitize(her2[:, :2] / 2, [1.8, 2.2])
    ordered = np.zeros((3, 3))
    np.add.at(ordered, (classes[:, 0], classes[:, 1]), 1)
    expected = cohens_kappa(ordered, wt="quadratic", return_results=False)
    assert found["ratio class", "weighted kappa, quadratic"] == pytest.approx(expected)


def test_all_agree() -> None:
    her2 = np.array([[2, 2], [9, 9]] * 10)
    found = figures(wide_of(her2, np.full((20, 2), 2)))
    share = found.loc[("call", "percent agreement")]
    assert (share["value"], share["numerator"], share["n_items"]) == (1.0, 20, 20)
    assert share["method"] == "Clopper-Pearson of the units"
    assert share["low"] == pytest.approx(0.025 ** (1 / 20))
    assert found.loc[("call", "Cohen kappa"), "value"] == 1.0
    assert np.isnan(found.loc[("call", "Cohen kappa"), "low"])
    assert found.loc[("her2", "ICC(2,1)"), "value"] == 1.0
    assert found.loc[("ratio", "Bland-Altman bias, log scale"), "value"] == 1.0


def test_figures_of_a_rare_category_have_no_interval() -> None:
    def of(amplified: int, disagreed: int) -> pd.DataFrame:
        first = [9] * (amplified + disagreed) + [2] * (40 - amplified - disagreed)
        later = [9] * amplified + [2] * (40 - amplified)
        return figures(wide_of(np.stack([first, later], axis=1), np.full((40, 2), 2)))

    hang_on_it = [
        ("call", name) for name in ("positive agreement", "Cohen kappa", "Fleiss kappa", "Krippendorff alpha")
    ]
    rare, enough = of(4, 2), of(6, 2)
    for name in hang_on_it:
        assert rare.loc[name, "method"] == "interval withheld: fewer than 5 units agree on a category"
        assert np.isnan(rare.loc[name, ["low", "high"]].astype(float)).all()
        assert enough.loc[name, "low"] < enough.loc[name, "value"] < enough.loc[name, "high"]
    for name in ("percent agreement", "negative agreement", "Gwet AC1"):
        assert np.isfinite(rare.loc[("call", name), "low"])
    assert rare.loc[("ratio class", "weighted kappa, linear"), "method"].startswith("interval withheld")


def test_ratios_are_compared_as_logarithms_and_taken_back() -> None:
    rng = np.random.default_rng(3)
    ratio = rng.lognormal(0.5, 0.4, (40, 1)) * rng.lognormal(0, 0.1, (40, 2)) * [1.0, 1.2]
    none = np.full(ratio.shape, np.nan)
    names = np.array([f"p{k}" for k in range(40)], dtype=object)
    found = figures(Wide(names, np.full(ratio.shape, -1), none, none, ratio))
    logs = np.log(ratio)
    gap = logs[:, 1] - logs[:, 0]
    told = {name: found.loc[("ratio", f"{name}, log scale"), "value"] for name in (
        "Bland-Altman bias", "Bland-Altman upper limit", "ICC(2,1)", "Lin concordance", "repeatability coefficient",
    )}  # fmt: skip
    assert told["Bland-Altman bias"] == pytest.approx(np.exp(gap.mean()))
    assert told["Bland-Altman upper limit"] == pytest.approx(np.exp(gap.mean() + 1.959964 * gap.std(ddof=1)))
    assert told["ICC(2,1)"] == pytest.approx(forms.icc_agreement(logs))
    assert told["Lin concordance"] == pytest.approx(forms.concordance(*logs.T))
    assert told["repeatability coefficient"] == pytest.approx(np.exp(forms.repeatability_coefficient(logs)))
    assert found.loc[("ratio", "Bland-Altman bias, log scale"), "method"] == "jackknife of 40 units, identity scale"


def test_one_category_one_cell_and_nothing_evaluable() -> None:
    alike = figures(wide_of([[2, 2]] * 5, [[2, 2]] * 5))["value"]
    assert np.isnan(alike["call", "Cohen kappa"])
    assert np.isnan(alike["call", "positive agreement"])
    assert alike["call", "negative agreement"] == 1.0
    assert alike["call", "Gwet AC1"] == 1.0
    single = figures(wide_of([[2, 9]], [[2, 2]]))
    assert single.loc[("call", "percent agreement"), "value"] == 0.0
    assert ("her2", "ICC(2,1)") not in single.index
    nothing = figures(wide_of([[-1, -1]] * 4, [[-1, -1]] * 4))
    assert np.isnan(nothing.loc[("call", "percent agreement"), "value"])
    assert nothing.loc[("call", "percent agreement"), "n_items"] == 0
    assert nothing.loc[("evaluable", "percent agreement"), "value"] == 1.0


def test_missing_readings_are_left_out_and_counted() -> None:
    found = figures(wide_of([[2, -9], [9, 9], [2, 2], [9, -1]], [[2, -9], [2, 2], [2, 2], [2, -1]]))
    assert found.loc[("call", "percent agreement"), "n_items"] == 2
    assert found.loc[("evaluable", "percent agreement"), ["numerator", "n_items"]].tolist() == [2, 3]


def test_ties_in_every_count_are_no_accident() -> None:
    found = figures(wide_of([[2, 2], [2, 3], [2, 2], [2, 4]], [[2, 2]] * 4))["value"]
    assert np.isnan(found["cep17", "Lin concordance"])
    assert np.isnan(found["her2", "Passing-Bablok slope"])
    assert found["her2", "percent equal"] == 0.5


def test_a_resample_without_a_line_is_no_accident() -> None:
    """Four patients, of whom a resample may hold one alone, whose two cells lie on a line of slope -1."""
    her2 = [[2, 3], [3, 2], [2, 2], [5, 6], [4, 4], [9, 8], [7, 7], [12, 13]]
    found = figures(wide_of(her2, [[2, 2]] * 8, [f"p{k // 2}" for k in range(8)])).loc[("her2", "Passing-Bablok slope")]
    assert found["low"] <= found["value"] <= found["high"]


def test_units_are_patients_where_there_are_several() -> None:
    her2, cep17 = np.array([[2, 2], [9, 9], [2, 9], [9, 9]] * 6), np.full((24, 2), 2)
    of_one, of_six = (figures(wide_of(her2, cep17, names)) for names in (None, [f"p{k // 4}" for k in range(24)]))
    assert of_one["unit"].unique().tolist() == ["cell"]
    assert of_one.loc[("call", "Cohen kappa"), "n_units"] == 24
    assert of_six["unit"].unique().tolist() == ["patient"]
    assert of_six.loc[("call", "Cohen kappa"), "n_units"] == 6
    np.testing.assert_allclose(of_one["value"], of_six["value"])


@pytest.mark.parametrize(
    ("her2", "cep17", "near"),
    [
        (2, 2, False),  # 3/2 and 2/1 stay below
        (3, 2, True),  # 3/1 passes
        (4, 2, True),  # 5/2 passes
        (5, 2, True),  # 4/2 fails
        (9, 2, False),  # 9/3 still passes
        (4, 3, False),  # 4/2 = 2.0
        (2, 1, True),
        (12, 5, True),  # 11/5 passes, 12/6 fails
    ],
)
def test_near_is_one_signal_from_the_cut(her2: int, cep17: int, near: bool) -> None:
    assert near_cut(wide_of([[her2, her2]], [[cep17, cep17]]), CUT).tolist() == [near]


def test_a_cell_is_near_if_any_reading_is() -> None:
    assert near_cut(wide_of([[2, 3], [2, -1]], [[2, 2], [2, -1]]), CUT).tolist() == [True, False]


def test_readings_become_columns_by_their_order_in_each_group() -> None:
    def row(group: str, item: str, reading: str, her2: int) -> dict[str, object]:
        keys = {"group": group, "patient_id": f"p{group}", "item": item, "cell_id": item, "reading": reading}
        call = "amplified" if her2 > 4 else "not_amplified"
        return keys | {"relation": "first", "kind": "ctc", "her2": her2, "cep17": 2, "ratio": her2 / 2, "call": call}

    table = pd.DataFrame(
        [row("a", "a1", "r/a", 2), row("a", "a2", "r/a", 9), row("b", "b1", "r/b", 3), row("a", "a2", "s/a", 8)]
    )
    wide = widen(declared.READINGS.check(table))
    assert wide.patient.tolist() == ["pa", "pa", "pb"]
    assert wide.call.tolist() == [[0, -1], [1, 1], [0, -1]]
    np.testing.assert_array_equal(wide.her2, [[2, np.nan], [9, 8], [3, np.nan]])


def test_eligibility_leaves_out_who_cannot_be_judged() -> None:
    found = pd.DataFrame(eligibility(np.array([[1, 1], [0, 0], [0, 1], [2, 0], [1, -1]]), PLAN)).set_index("statistic")
    assert set(found["quantity"]) == {"eligible"}
    assert found.loc["percent agreement", ["numerator", "n_items"]].tolist() == [2, 3]
    assert found.loc["positive agreement", "value"] == pytest.approx(2 / 3)


def test_known_kappa_is_covered() -> None:
    """60 patients; readers err independently, so agreement and kappa follow from the error. 95 % promised."""
    prevalence, error, n = 0.3, 0.08, 100
    right = (1 - error) ** 2 + error**2
    marginal = prevalence * (1 - error) + (1 - prevalence) * error
    chance = marginal**2 + (1 - marginal) ** 2
    truth = {"Cohen kappa": (right - chance) / (1 - chance), "percent agreement": right}
    covered, rng = dict.fromkeys(truth, 0), np.random.default_rng(8)
    for _ in range(n):
        calls = (rng.random((60, 1)) < prevalence) ^ (rng.random((60, 2)) < error)
        found = pd.DataFrame(eligibility(calls.astype(np.int64), PLAN)).set_index("statistic")
        for statistic, value in truth.items():
            covered[statistic] += found.loc[statistic, "low"] <= value <= found.loc[statistic, "high"]
    assert all(0.89 * n <= hits <= n for hits in covered.values()), covered
