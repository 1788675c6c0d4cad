from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Call, Summarise
from ctcfish.stages.call import call
from ctcfish.stages.specimen import specimen_class
from ctcfish.stages.summarise import summarise, summarise_patients
from ctcfish.types import ErrorRates, Relocation
from tests import make

RATES = make.rates()


def called(*counts: tuple[int | None, int | None], **columns: Any) -> pd.DataFrame:
    return tables.CELLS.check(call(make.cells(*counts, **columns), RATES, Call()))


def row_of(
    cells: pd.DataFrame, relocated: bool | None = True, rates: ErrorRates = RATES, **sheet: str
) -> dict[str, Any]:
    relocation = None if relocated is None else Relocation(cells, (), relocated, "")
    return summarise(make.slide(sheet=sheet), cells, make.model(), rates, relocation, Summarise())


def test_what_the_survey_doubts_stands_in_the_row() -> None:
    model = replace(make.model(), flags=SlideFlag.FEW_SIGNALS)
    relocation = Relocation(called(), (), True, "", SlideFlag.SCALE_MISMATCH)
    row = summarise(make.slide(), called((2, 2)), model, RATES, relocation, Summarise())
    assert {"FEW_SIGNALS", "SCALE_MISMATCH"} <= set(row["flags"].split("|"))


def slides(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {"patient_id": "p", "preset": "circe_tdm1", "n_nuclei": 100, "flags": "", "false_amplified_per_cell": 0.01}
    numbers = {"n_ctc": 0, "n_evaluable": 0, "n_amplified": 0, "n_amplified_guarded": 0}
    return tables.SLIDES.check(
        pd.DataFrame([base | numbers | {"slide_id": f"s{i}"} | row for i, row in enumerate(rows)])
    )


def patient(*rows: dict[str, Any], **params: Any) -> dict[str, Any]:
    table = summarise_patients(slides(*rows), Summarise(**params))
    assert len(table) == 1
    return dict(table.iloc[0])


def test_a_slide_counts_by_named_populations() -> None:
    cells = called((9, 2), (2, 2), (3, 1), (0, 2), kind=["ctc", "ctc", "ctc", "ctc"])
    row = row_of(pd.concat([cells, called((2, 2), (9, 2)).assign(kind=["wbc", "unknown"], cell_id=["s/f/8", "s/f/9"])]))
    assert (row["n_nuclei"], row["n_ctc"], row["n_evaluable"], row["n_leukocytes"]) == (6, 4, 3, 1)
    assert (row["n_amplified"], row["n_amplified_guarded"], row["n_uncertain"]) == (2, 1, 1)
    assert row["n_unknown_amplified"] == 1
    assert (row["her2_total"], row["cep17_total"]) == (14, 5)
    assert row["ratio_of_totals"] == 14 / 5
    assert row["mean_of_ratios"] == pytest.approx((4.5 + 1 + 3) / 3)
    assert row["technical_code"] is None


def test_the_ratio_of_totals_is_not_the_mean_of_ratios() -> None:
    row = row_of(called((10, 2), (2, 4)))
    assert row["ratio_of_totals"] == 2.0
    assert row["mean_of_ratios"] == 2.75


@pytest.mark.parametrize(
    ("cells", "relocated", "sheet", "code"),
    [
        (called((2, 2)), True, {}, None),
        (called(), True, {}, "S2"),
        (called((2, 0)), True, {}, "S5"),
        (called((2, 2), kind="unknown"), False, {}, "RELOCATION"),
        (called((2, 2), kind="unknown"), None, {}, None),
        (called(), True, {"sample_status": "no_tube"}, "S0"),
        (called(), True, {"sample_status": "late_tube"}, "S0"),
        (called(), True, {"sample_status": "enumeration_failed"}, "S1"),
        (called(), True, {"sample_status": "not_attempted"}, "S3"),
        (called(), False, {"sample_status": "no_tube"}, "S0"),
    ],
)
def test_the_first_step_that_failed_is_the_code(
    cells: pd.DataFrame, relocated: bool | None, sheet: dict[str, str], code: str | None
) -> None:
    assert row_of(cells, relocated, **sheet)["technical_code"] == code


def test_a_failed_hybridisation_is_s4_and_a_flag() -> None:
    failed = replace(RATES, flags=SlideFlag.HYBRIDISATION_FAILED)
    row = row_of(called((2, 2)), rates=failed)
    assert row["technical_code"] == "S4"
    assert "HYBRIDISATION_FAILED" in row["flags"]


def test_slide_flags_say_what_is_doubtful() -> None:
    assert row_of(called((2, 2), kind="unknown"), None)["flags"] == "NO_IF|UNCONTROLLED"
    assert "RELOCATION_FAILED" in row_of(called((2, 2), kind="unknown"), False)["flags"]
    assert "NO_CTC" in row_of(called((2, 2), kind="wbc"))["flags"]
    assert "NO_NUCLEI" in row_of(called())["flags"]
    assert "n_ctc" not in row_of(called((2, 2), kind="unknown"), None)


def test_one_amplified_ctc_makes_the_patient_eligible() -> None:
    found = patient({"n_ctc": 9, "n_evaluable": 9, "n_amplified": 1, "n_amplified_guarded": 1})
    assert (found["eligible"], found["eligible_guarded"], found["cohort"]) == ("yes", "yes", "LOW")
    assert found["fraction"] == pytest.approx(1 / 9)
    assert (found["fraction_low"], found["fraction_high"]) == pytest.approx((0.00281, 0.48250), abs=1e-4)
    assert np.isnan(found["fraction_upper_bound"])


@pytest.mark.parametrize(("amplified", "cohort"), [(0, None), (1, "LOW"), (2, "LOW"), (3, "HIGH"), (9, "HIGH")])
def test_cohorts(amplified: int, cohort: str | None) -> None:
    assert patient({"n_ctc": 20, "n_evaluable": 20, "n_amplified": amplified})["cohort"] == cohort


def test_error_alone_makes_patients_positive() -> None:
    """63 % of patients with 100 CTC at 1 % false calls a cell, 9.6 % with 10."""
    assert patient({"n_ctc": 100, "n_evaluable": 100})["p_positive_by_error"] == pytest.approx(0.634, abs=5e-4)
    assert patient({"n_ctc": 10, "n_evaluable": 10})["p_positive_by_error"] == pytest.approx(0.0956, abs=5e-5)


@pytest.mark.parametrize(("n", "bound"), [(3, 0.63), (20, 0.14)])
def test_a_negative_carries_its_upper_bound(n: int, bound: float) -> None:
    found = patient({"n_ctc": n, "n_evaluable": n})
    assert found["eligible"] == "no"
    assert found["fraction_upper_bound"] == pytest.approx(bound, abs=5e-3)


def test_slides_and_visits_of_a_patient_are_joined() -> None:
    found = patient({"n_ctc": 3, "n_evaluable": 2}, {"n_ctc": 5, "n_evaluable": 4, "n_amplified": 1})
    assert (found["n_slides"], found["n_ctc"], found["n_evaluable"], found["n_amplified"]) == (2, 8, 6, 1)
    two = summarise_patients(slides({"patient_id": "b"}, {"patient_id": "a"}), Summarise())
    assert two["patient_id"].tolist() == ["a", "b"]


def test_without_a_trusted_if_scan_nobody_is_eligible() -> None:
    found = patient({"n_ctc": None, "n_evaluable": None, "n_amplified": None})
    assert (found["eligible"], found["eligible_guarded"]) == ("not_evaluable", "not_evaluable")
    assert "No slide has an IF scan" in found["note"]
    mixed = patient({"n_ctc": None, "n_evaluable": None}, {"n_ctc": 2, "n_evaluable": 2})
    assert mixed["n_ctc"] == 2
    assert "1 slide(s) without a trusted IF scan" in mixed["note"]


def test_no_evaluable_ctc_is_no_negative() -> None:
    found = patient({"n_ctc": 4, "n_evaluable": 0})
    assert found["eligible"] == "not_evaluable"
    assert np.isnan(found["fraction"])
    assert "No CTC was found" in patient({})["note"]


def test_the_rule_for_two_ctc_and_half_of_them() -> None:
    rule = {"min_ctc": 2, "min_fraction": 0.5}
    assert patient({"n_ctc": 1, "n_evaluable": 1, "n_amplified": 1}, **rule)["eligible"] == "no"
    assert patient({"n_ctc": 2, "n_evaluable": 2, "n_amplified": 1}, **rule)["eligible"] == "yes"
    assert patient({"n_ctc": 5, "n_evaluable": 5, "n_amplified": 2}, **rule)["eligible"] == "no"


def test_uncertain_cells_are_named() -> None:
    assert (
        "2 CTC pass the hard rule"
        in patient({"n_ctc": 4, "n_evaluable": 4, "n_amplified": 2, "n_uncertain": 2})["note"]
    )
    assert "defaults" in patient({"n_ctc": 4, "n_evaluable": 4, "flags": "UNCONTROLLED"})["note"]


def test_no_slides_no_patients() -> None:
    assert len(summarise_patients(tables.SLIDES.empty(), Summarise())) == 0


def specimen(scheme: Any, her2: int, cep17: int, n: int = 20) -> str | None:
    """A specimen of n cells with the given totals."""
    counts = [(her2 // n + (i < her2 % n), cep17 // n + (i < cep17 % n)) for i in range(n)]
    return specimen_class(scheme, make.cells(*counts))


@pytest.mark.parametrize(
    ("scheme", "her2", "cep17", "expected"),
    [
        ("asco_cap_2007", 88, 40, "equivocal"),
        ("asco_cap_2007", 89, 40, "positive"),
        ("asco_cap_2007", 72, 40, "equivocal"),
        ("asco_cap_2007", 71, 40, "negative"),
        ("asco_cap_2013", 80, 40, "positive"),
        ("asco_cap_2013", 79, 40, "negative"),
        ("asco_cap_2013", 80, 41, "equivocal"),
        ("asco_cap_2013", 119, 60, "equivocal"),
        ("asco_cap_2013", 120, 61, "positive"),
        ("asco_cap_2018", 80, 40, "group 1"),
        ("asco_cap_2018", 79, 39, "group 2"),
        ("asco_cap_2018", 120, 61, "group 3"),
        ("asco_cap_2018", 119, 60, "group 4"),
        ("asco_cap_2018", 80, 41, "group 4"),
        ("asco_cap_2018", 79, 40, "group 5"),
    ],
)
def test_specimen_schemes_at_their_cuts(scheme: str, her2: int, cep17: int, expected: str) -> None:
    assert specimen(scheme, her2, cep17) == expected


@pytest.mark.parametrize(
    ("above", "n", "expected"),
    [
        (0, 20, "not heterogeneous"),
        (1, 20, "heterogeneous"),
        (9, 20, "heterogeneous"),
        (10, 20, "not heterogeneous"),
        (1, 21, "not heterogeneous"),
    ],
)
def test_cap_2009_heterogeneity(above: int, n: int, expected: str) -> None:
    assert specimen_class("cap_2009", make.cells(*[(9, 2)] * above, *[(2, 2)] * (n - above))) == expected


def test_under_20_nuclei_no_scheme_applies() -> None:
    assert specimen("asco_cap_2018", 190, 38, 19) == "not evaluable by asco_cap_2018 (under 20 nuclei)"
    assert specimen("none", 80, 40) is None
