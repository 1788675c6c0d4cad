from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Call, Summarise
from ctcfish.stages.call import call
from ctcfish.stages.specimen import specimen_class
from ctcfish.stages.summarise import summarise
from ctcfish.types import ErrorRates
from tests import make

RATES = make.rates()


def called(*counts: tuple[int | None, int | None], **columns: Any) -> pd.DataFrame:
    return tables.CELLS.check(call(make.cells(*counts, **columns), RATES, Call()))


def row_of(
    cells: pd.DataFrame, relocated: bool | None = True, rates: ErrorRates = RATES, **sheet: str
) -> dict[str, Any]:
    return summarise(make.subject(relocated=relocated, sheet=sheet), cells, rates, Summarise())


def test_what_the_survey_doubts_stands_in_the_row() -> None:
    seen = make.subject(flags=SlideFlag.FEW_SIGNALS | SlideFlag.SCALE_MISMATCH)
    row = summarise(seen, called((2, 2)), RATES, Summarise())
    assert {"FEW_SIGNALS", "SCALE_MISMATCH"} <= set(row["flags"].split("|"))


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


@pytest.mark.parametrize(("her2", "flagged"), [(15, False), (16, True)])
def test_an_image_full_of_signals_is_out_of_range(her2: int, flagged: bool) -> None:
    assert ("OUT_OF_RANGE" in row_of(called(*[(her2, 2)] * 5))["flags"]) == flagged


@pytest.mark.parametrize(("blood_ml", "expected"), [("7.5", 2.0), ("15", 1.0), ("3.75", 4.0), ("", None)])
def test_ctc_are_given_per_tube_of_blood(blood_ml: str, expected: float | None) -> None:
    assert row_of(called((2, 2), (2, 2)), blood_ml=blood_ml)["ctc_per_7_5_ml"] == expected


@pytest.mark.parametrize("blood_ml", ["0", "-1", "much", "7,5"])
def test_a_volume_that_is_none_is_refused(blood_ml: str) -> None:
    with pytest.raises(InputError, match="needed a volume in mL, above 0"):
        row_of(called((2, 2)), blood_ml=blood_ml)


def test_a_slide_without_fish_was_not_attempted() -> None:
    row = summarise(make.subject(scanned=False), called(), RATES, Summarise())
    assert row["technical_code"] == "S3"
    assert "NO_NUCLEI" not in row["flags"]


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
