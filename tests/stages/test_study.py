"""Between patients: shares that name their population, spread between patients, figures withheld from few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.parameters import Summarise
from ctcfish.stages.study import study_measures
from ctcfish.stats.overdispersion import beta_binomial_rho, icc_oneway
from ctcfish.stats.proportions import clopper_pearson

EASY = Summarise(min_patients=2)


def by_rule(*rows: tuple[str, int, int, str], rule: str = "r") -> pd.DataFrame:
    """Patient, evaluable, amplified, eligible."""
    names = ("patient_id", "n_evaluable", "n_amplified", "eligible")
    frame = pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows])
    return tables.SENSITIVITY.check(frame.assign(rule=rule, n_ctc=frame["n_evaluable"] + 1))


def cohort(patients: int = 12, cells: int = 8, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Slides ``s0``, ``s1``, ... of as many patients, and their CTC with ratios that differ between patients."""
    rng = np.random.default_rng(seed)
    slides = pd.DataFrame({"slide_id": [f"s{i}" for i in range(patients)], "n_ctc": cells})
    slides["patient_id"] = [f"p{i}" for i in range(patients)]
    owner = np.repeat(np.arange(patients), cells)
    her2 = 2 + rng.poisson(np.exp(rng.normal(0, 1, patients))[owner])
    cep17 = rng.integers(1, 4, owner.size)
    frame = pd.DataFrame({"slide_id": [f"s{i}" for i in owner], "kind": "ctc", "reason": None})
    return slides, frame.assign(her2_count=her2, cep17_count=cep17, ratio=her2 / cep17)


def measured(table: pd.DataFrame, params: Summarise = EASY, **parts: pd.DataFrame) -> pd.DataFrame:
    slides, cells = cohort()
    given = {"slides": slides, "cells": cells} | parts
    return study_measures(table, given["slides"], given["cells"], params).set_index(["measure", "rule"])


def test_shares_carry_numerator_denominator_and_population() -> None:
    table = by_rule(("a", 10, 3, "yes"), ("b", 5, 0, "no"), ("c", 1, 1, "yes"), ("d", 0, 0, "not_evaluable"))
    found = measured(table)
    eligible = found.loc[("eligible_share", "r")]
    assert (eligible["numerator"], eligible["denominator"]) == (2, 3)
    assert eligible["population"] == "patients with at least one evaluable CTC"
    assert (eligible["low"], eligible["high"]) == pytest.approx(tuple(map(float, clopper_pearson(2, 3))))
    mixed = found.loc[("heterogeneous_share", "r")]
    assert (mixed["numerator"], mixed["denominator"]) == (1, 2)
    pooled = found.loc[("amplified_share", "r")]
    assert (pooled["numerator"], pooled["denominator"], pooled["value"]) == (4, 16, 0.25)
    assert found["denominator"].notna().all()


def test_fourteen_of_the_trials_118() -> None:
    rows = [(f"p{i:03}", 5, int(i < 14), "yes" if i < 14 else "no") for i in range(118)]
    found = measured(by_rule(*rows)).loc[("eligible_share", "r")]
    assert (round(100 * found["low"], 1), round(100 * found["high"], 1)) == (6.6, 19.1)


def test_the_spread_between_patients_is_that_of_the_statistics() -> None:
    rng = np.random.default_rng(3)
    n = rng.integers(4, 30, 40)
    k = rng.binomial(n, rng.beta(1, 4, 40))
    found = measured(by_rule(*[(f"p{i}", int(n[i]), int(k[i]), "no") for i in range(40)]))
    made = beta_binomial_rho(k, n)
    assert found.loc[("amplified_share_rho", "r"), ["value", "low", "high"]].tolist() == pytest.approx(
        [made.value, made.low, made.high]
    )
    pooled = found.loc[("amplified_share", "r")]
    low, high = clopper_pearson(k.sum(), n.sum())
    assert pooled["high"] - pooled["low"] > 1.3 * float(high - low)  # cells of a patient are no independent draws
    assert "bootstrap of 40 units" in pooled["method"]


def test_icc_of_ratio_and_copies_on_the_log_scale() -> None:
    slides, cells = cohort()
    found = measured(by_rule(("a", 1, 0, "no")), slides=slides, cells=cells)
    for name, column in (("log_ratio_icc", "ratio"), ("log_her2_icc", "her2_count"), ("log_cep17_icc", "cep17_count")):
        made = icc_oneway(np.log(cells[column]), cells["slide_id"])
        assert found.loc[(name, "counts"), "value"] == pytest.approx(made.value)
    assert found.loc[("log_her2_icc", "counts"), "value"] > 0.2 > found.loc[("log_cep17_icc", "counts"), "value"]


def test_two_slides_of_one_patient_are_one_patient_and_what_cannot_be_scored_is_left_out() -> None:
    slides, cells = cohort(patients=4)
    slides["patient_id"] = ["p", "p", "q", "r"]
    cells.loc[0, "reason"] = "OVERLAP"
    cells.loc[1, "kind"] = "wbc"
    slides.loc[3, "n_ctc"] = None
    found = measured(by_rule(("p", 1, 0, "no")), slides=slides, cells=cells).loc[("log_ratio_icc", "counts")]
    assert found["denominator"] == 2
    own = cells.iloc[2:24]
    made = icc_oneway(np.log(own["ratio"]), own["slide_id"].replace({"s1": "s0"}))
    assert found["value"] == pytest.approx(made.value)


def test_few_patients_are_withheld_with_the_number_needed() -> None:
    found = measured(by_rule(*[(f"p{i}", 9, i, "yes") for i in range(9)]), Summarise())
    rho = found.loc[("amplified_share_rho", "r")]
    assert np.isnan(rho["value"])
    assert rho["method"] == "withheld: 9 patients, 10 needed"
    pooled = found.loc[("amplified_share", "r")]
    assert pooled["value"] == 36 / 81
    assert pooled["method"] == "interval withheld: 9 patients, 10 needed"
    assert np.isnan(pooled["low"])
    slides, cells = cohort(patients=9)
    few = measured(by_rule(("a", 1, 0, "no")), Summarise(), slides=slides, cells=cells)
    assert np.isnan(few.loc[("log_ratio_icc", "counts"), "value"])


def test_no_amplified_ctc_has_a_share_and_no_resampled_interval() -> None:
    found = measured(by_rule(*[(f"p{i}", 9, 0, "no") for i in range(12)])).loc[("amplified_share", "r")]
    assert found["value"] == 0.0
    assert found["method"] == "no amplified CTC: no interval"


def test_every_rule_has_its_rows() -> None:
    table = pd.concat([by_rule(("a", 3, 1, "yes"), rule=name) for name in ("x", "y")])
    found = measured(table)
    measures = {"eligible_share", "heterogeneous_share", "amplified_share", "amplified_share_rho"}
    icc = {"log_ratio_icc", "log_her2_icc", "log_cep17_icc"}
    assert set(found.index) == {(m, r) for m in measures for r in "xy"} | {(m, "counts") for m in icc}


def test_no_patients_no_rows() -> None:
    slides, cells = cohort(patients=0)
    assert len(study_measures(tables.SENSITIVITY.empty(), slides, cells, EASY)) == 0
