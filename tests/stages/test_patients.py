from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import config, tables
from ctcfish.parameters import Call, Summarise
from ctcfish.stages.call import call
from ctcfish.stages.patients import eligible, heterogeneity_table, patients
from ctcfish.stages.sensitivity import by_rules, sensitivity
from ctcfish.types import ErrorRates
from tests import make

RATES = make.rates()
PARAMS = Summarise()
Counts = list[tuple[int, int]]


def table_of(
    slides: dict[str, Counts | None], **columns: Any
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, ErrorRates]]:
    """Slides and called CTC; None is a slide without a trusted IF scan. ``p/s`` names patient and slide."""
    rows, frames = [], []
    for name, counts in slides.items():
        patient, slide = name.split("/")
        row = {"slide_id": slide, "patient_id": patient, "preset": "circe_tdm1", "n_nuclei": 50, "flags": ""}
        rows.append(row | {"n_ctc": None if counts is None else len(counts), "false_amplified_per_cell": 0.01})
        own = make.cells(*(counts or [])).assign(slide_id=slide)
        own["cell_id"] = [f"{slide}/f/{i}" for i in range(len(own))]
        frames.append(tables.CELLS.check(call(own, RATES, Call())))
    cells = tables.concatenate(frames, tables.CELLS)
    return (
        tables.SLIDES.check(pd.DataFrame(rows).assign(**columns)),
        cells,
        {name.split("/")[1]: RATES for name in slides},
    )


def patient(counts: Counts | None, params: Summarise = PARAMS, **columns: Any) -> dict[str, Any]:
    found = patients(*table_of({"p/s": counts}, **columns), Call(), params)
    assert len(found) == 1
    return dict(found.iloc[0])


def test_one_amplified_ctc_makes_the_patient_eligible() -> None:
    found = patient([(12, 2)] + [(2, 2)] * 8)
    assert (found["eligible"], found["eligible_guarded"], found["cohort"]) == ("yes", "yes", "LOW")
    assert (found["n_ctc"], found["n_evaluable"], found["n_amplified"], found["n_amplified_guarded"]) == (9, 9, 1, 1)
    assert found["fraction"] == pytest.approx(1 / 9)
    assert (found["fraction_low"], found["fraction_high"]) == pytest.approx((0.00281, 0.48250), abs=1e-4)
    assert np.isnan(found["fraction_upper_bound"])
    assert found["heterogeneous"]


def test_a_patient_eligible_by_the_hard_rule_only() -> None:
    found = patient([(3, 1)] + [(2, 2)] * 8)
    assert (found["eligible"], found["eligible_guarded"], found["eligible_controlled"]) == ("yes", "no", "no")
    assert "1 CTC pass the hard rule and fail the guard" in found["note"]
    assert found["p_any_amplified"] < 0.5


@pytest.mark.parametrize(("amplified", "cohort"), [(0, None), (1, "LOW"), (2, "LOW"), (3, "HIGH"), (9, "HIGH")])
def test_cohorts(amplified: int, cohort: str | None) -> None:
    assert patient([(12, 2)] * amplified + [(2, 2)] * 10)["cohort"] == cohort


@pytest.mark.parametrize(("n", "chance"), [(10, 0.0956), (100, 0.6340)])
def test_error_alone_makes_patients_positive(n: int, chance: float) -> None:
    """9.6 % of patients with 10 CTC and 63 % with 100, at 1 % false calls a cell."""
    assert patient([(2, 2)] * n)["p_positive_by_error"] == pytest.approx(chance, abs=5e-5)


@pytest.mark.parametrize(
    ("rule", "n", "chance"),
    [
        ({}, 2, 1 - 0.99**2),
        ({"min_amplified": 2}, 10, 1 - 0.99**10 - 10 * 0.01 * 0.99**9),
        ({"min_amplified": 3}, 2, 0.0),
        ({"min_ctc": 2, "min_fraction": 0.5}, 2, 1 - 0.99**2),
        ({"min_ctc": 2, "min_fraction": 0.5}, 3, 3 * 0.01**2 * 0.99 + 0.01**3),
        ({"min_ctc": 2, "min_fraction": 0.5}, 1, 0.0),
    ],
)
def test_error_alone_must_meet_the_whole_rule_for_patients(rule: dict[str, Any], n: int, chance: float) -> None:
    found = patient([(2, 2)] * n, Summarise(**rule))["p_positive_by_error"]
    assert found == pytest.approx(chance, abs=1e-12)


def test_the_margin_of_the_control_is_a_parameter() -> None:
    cells = [(2, 2)] * 100
    plain, worse = (patient(cells, Summarise(control_margin=margin)) for margin in (1.0, 2.0))
    assert plain["controlled_cut"] < worse["controlled_cut"]
    assert plain["sensitivity_controlled"] >= worse["sensitivity_controlled"] > 0.4
    for column in ("fraction_corrected_high", "p_any_amplified", "p_positive_by_error"):
        assert plain[column] == worse[column]


@pytest.mark.parametrize(("n", "bound"), [(3, 0.63), (20, 0.14)])
def test_a_negative_carries_its_upper_bound(n: int, bound: float) -> None:
    found = patient([(2, 2)] * n)
    assert found["eligible"] == "no"
    assert found["fraction_upper_bound"] == pytest.approx(bound, abs=5e-3)
    assert not found["heterogeneous"]


@pytest.mark.parametrize(("share", "needed"), [(0.003, 998), (0.016, 186), (0.05, 59), (0.10, 29), (0.353, 7)])
def test_how_many_ctc_would_have_been_needed(share: float, needed: int) -> None:
    assert patient([(2, 2)], Summarise(share_of_interest=share))["ctc_needed"] == needed


def test_the_control_rises_with_the_number_of_cells() -> None:
    found = {n: patient([(2, 2)] * n) for n in (1, 10, 100)}
    cuts = [found[n]["controlled_cut"] for n in (1, 10, 100)]
    assert cuts[0] < cuts[1] < cuts[2]
    costs = [found[n]["sensitivity_controlled"] for n in (1, 10, 100)]
    assert costs[0] >= costs[1] >= costs[2] > 0.4


def test_the_control_keeps_its_promise_in_a_simulation() -> None:
    """Second path: patients of 60 diploid cells with the slide's errors, counted signal by signal."""
    rng = np.random.default_rng(3)
    n_patients, n_cells, errors = 100, 60, RATES.errors
    slides: dict[str, Counts | None] = {}
    for k in range(n_patients):
        counts = []
        for rate in (errors.her2, errors.cep17):
            lost, split = rng.random((n_cells, 2)) < rate.missed, rng.random((n_cells, 2)) < rate.split
            counts.append((~lost * (1 + split)).sum(axis=1) + rng.poisson(rate.extra, n_cells))
        slides[f"p{k}/s{k}"] = [(int(h), int(c)) for h, c in zip(*counts, strict=True)]
    found = patients(*table_of(slides), Call(), Summarise())
    assert len(found) == n_patients
    hard = (found["eligible"] == "yes").mean()
    controlled = (found["eligible_controlled"] == "yes").mean()
    assert hard > 0.3
    assert controlled <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_patients)


def test_the_posterior_of_the_patient_grows_with_the_evidence() -> None:
    none, weak, strong = (
        patient(c)["p_any_amplified"] for c in ([(2, 2)] * 20, [(5, 2)] + [(2, 2)] * 19, [(14, 2)] + [(2, 2)] * 19)
    )
    assert none < weak < strong
    assert none < 0.05
    assert strong > 0.95


def test_the_corrected_fraction_takes_false_calls_off() -> None:
    found = patient([(12, 2)] * 10 + [(2, 2)] * 10)
    assert found["fraction_corrected_low"] < found["fraction_corrected"] < found["fraction_corrected_high"]
    assert patient([(2, 2)] * 20)["fraction_corrected"] == 0.0


def test_slides_and_visits_of_a_patient_are_joined() -> None:
    found = patients(
        *table_of({"b/1": [(2, 2)] * 3, "a/2": [(2, 2)] * 2, "b/3": [(12, 2), (2, 2)]}), Call(), Summarise()
    )
    assert found["patient_id"].tolist() == ["a", "b"]
    assert found["n_slides"].tolist() == [1, 2]
    assert found["n_ctc"].tolist() == [2, 5]
    assert found["eligible"].tolist() == ["no", "yes"]


def test_a_patient_among_others_is_what_she_is_alone() -> None:
    """Slides of several patients lie in any order, and some have no CTC at all."""
    hers: dict[str, Counts | None] = {"p/a": [(12, 2), (2, 2)], "p/d": [(2, 2)] * 9}
    others: dict[str, Counts | None] = {"q/c": [(20, 2)] * 3, "r/b": [], "s/e": None}
    order = ["q/c", "p/a", "s/e", "p/d", "r/b"]
    mixed = table_of({name: (hers | others)[name] for name in order})
    for made in (
        lambda slides, cells, rates: patients(slides, cells, rates, Call(), PARAMS),
        lambda slides, cells, _: heterogeneity_table(slides, cells, PARAMS),
    ):
        found = made(*mixed)
        own = found[found["patient_id"] == "p"].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, made(*table_of(hers)))
    assert patients(*mixed, Call(), PARAMS)["n_ctc"].tolist()[:2] == [11, 3]


def test_without_a_trusted_if_scan_nobody_is_eligible() -> None:
    found = patient(None)
    assert (found["eligible"], found["eligible_guarded"], found["eligible_controlled"]) == ("not_evaluable",) * 3
    assert "No slide has an IF scan" in found["note"]
    mixed = patients(*table_of({"p/1": None, "p/2": [(2, 2)]}), Call(), Summarise())
    assert mixed["n_ctc"].tolist() == [1]
    assert "1 slide(s) without a trusted IF scan" in mixed["note"][0]


def test_no_evaluable_ctc_is_no_negative() -> None:
    found = patient([(2, 0)] * 4)
    assert found["eligible"] == found["eligible_controlled"] == "not_evaluable"
    assert np.isnan(found["fraction"])
    assert found["n_ctc"] == 4
    assert "No CTC was found" in patient([])["note"]


@pytest.mark.parametrize(
    ("amplified", "evaluable", "expected"),
    [(0, 0, "not_evaluable"), (0, 5, "no"), (1, 1, "no"), (1, 2, "yes"), (2, 5, "no"), (3, 6, "yes")],
)
def test_two_ctc_and_half_of_them(amplified: int, evaluable: int, expected: str) -> None:
    assert eligible(amplified, evaluable, Summarise(min_ctc=2, min_fraction=0.5)) == expected


def test_defaults_are_named() -> None:
    assert "defaults" in patient([(2, 2)], flags="UNCONTROLLED")["note"]


def test_no_slides_no_patients() -> None:
    assert len(patients(tables.SLIDES.empty(), tables.CELLS.empty(), {}, Call(), Summarise())) == 0
    assert len(heterogeneity_table(tables.SLIDES.empty(), tables.CELLS.empty(), Summarise())) == 0
    assert len(sensitivity(tables.SLIDES.empty(), {}, config.rules())) == 0


def test_heterogeneity_is_withheld_from_few_cells() -> None:
    slides, cells, _ = table_of({"p/s": [(2, 2)] * 6 + [(12, 2)] * 6, "q/t": [(2, 2)] * 3})
    table = heterogeneity_table(slides, cells, Summarise())
    assert set(table["patient_id"]) == {"p", "q"}
    assert table.groupby("patient_id")["metric"].nunique().nunique() == 1
    p, q = (table[table["patient_id"] == name].set_index("metric") for name in ("p", "q"))
    assert p.loc["her2_hill_0", "value"] == 2
    assert p.loc["her2_simpson", "value"] == pytest.approx(1 - 2 * 30 / (12 * 11))
    assert q.loc[~q.index.str.contains("share"), "value"].isna().all()
    assert q["method"].str.startswith("withheld: 3 cells, 10 needed").sum() >= 10


def test_amplified_shares_have_both_intervals_and_say_from_how_many_cells_they_are_given() -> None:
    slides, cells, _ = table_of({"p/s": [(12, 2)] + [(2, 2)] * 10, "q/t": []})
    table = heterogeneity_table(slides, cells, Summarise()).set_index(["patient_id", "metric"])
    exact, score = (table.loc[("p", f"amplified_share{end}")] for end in ("", "_wilson"))
    assert exact["value"] == score["value"] == 1 / 11
    assert [round(100 * exact[end], 1) for end in ("low", "high")] == [0.2, 41.3]
    assert [round(100 * score[end], 1) for end in ("low", "high")] == [1.6, 37.7]
    other = table.loc[("p", "not_amplified_share")]
    assert (other["low"], other["high"]) == pytest.approx((1 - exact["high"], 1 - exact["low"]))
    assert np.isnan(table.loc[("q", "amplified_share"), "value"])
    needed = table.loc["p"]["n_needed"]
    assert (needed["amplified_share"], needed["her2_gini"], needed["ratio_ashman_d"]) == (1, 10, 30)


@pytest.mark.parametrize(
    ("amplified", "plain", "category"),
    [(0, 20, "not_amplified"), (1, 20, "not_amplified"), (1, 19, "heterogeneous"), (9, 10, "heterogeneous"),
     (10, 10, "amplified"), (0, 0, None)],
)  # fmt: skip
def test_category_of_cap_2009(amplified: int, plain: int, category: str | None) -> None:
    assert patient([(12, 2)] * amplified + [(2, 2)] * plain)["cap_2009"] == category


def by_slide(cells: pd.DataFrame, rates: dict[str, Any]) -> dict[str, Any]:
    return {slide: by_rules(cells[cells["slide_id"] == slide], own, config.rules()) for slide, own in rates.items()}


def test_a_patients_slides_are_added_up_and_only_ctc_are_counted() -> None:
    slides, cells, rates = table_of({"p/s": [(12, 2)], "p/t": [(12, 2), (2, 2)]})
    whites = make.cells(*[(12, 2)] * 7, kind="wbc").assign(slide_id="s", cell_id=[f"s/w/{k}" for k in range(7)])
    counted = by_slide(pd.concat([cells, whites], ignore_index=True), rates)
    assert counted["s"]["circe_tdm1"] == {"n_ctc": 1, "n_evaluable": 1, "n_amplified": 1}
    table = sensitivity(slides, counted, config.rules()).set_index("rule")
    assert table.loc["circe_tdm1", ["n_ctc", "n_evaluable", "n_amplified"]].tolist() == [3, 3, 2]
    assert set(table.index) == set(config.rules())


def test_every_rule_is_tried_on_every_patient() -> None:
    slides, cells, rates = table_of({"p/s": [(4, 2)] + [(2, 2)] * 4, "q/t": [(2, 2)] * 3, "r/u": None})
    table = sensitivity(slides, by_slide(cells, rates), config.rules())
    assert len(table) == 2 * len(config.rules())
    verdict = table.set_index(["patient_id", "rule"])["eligible"]
    assert verdict["p", "circe_tdm1"] == "no"
    assert verdict["p", "meng_2004"] == "yes"
    assert verdict["p", "asco_cap_2018"] == "yes"
    assert verdict["p", "guarded 2.0"] == "no"
    assert verdict["p", "if_detect"] == "not_evaluable"
    assert set(verdict["q"][["circe_tdm1", "meng_2004"]]) == {"no"}
