"""Technical failure: who reached which step, and why CTC were not evaluable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ctcfish import tables
from ctcfish.qc.failures import cells_of, reasons, samples, steps, technical_failure
from ctcfish.report.qc_page import Page, to_html
from ctcfish.report.qc_run import failure_sections
from tests import make
from tests.qc.conftest import Scorer
from tests.qc.conftest import cells_of as made

CODES = ["S0"] * 2 + ["S1"] + ["S3"] * 3 + ["ERROR"] + ["RELOCATION"] + ["S4"] * 2 + ["S2"] * 4 + ["S5"] + [""] * 10


def found(codes: list[str] = CODES, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"slide_id": [f"s{k}" for k in range(len(codes))], "code": codes})
    return frame.assign(**({"operator": None, "scanner": None, "probe_lot": None} | columns))


def test_a_failure_upstream_is_in_no_denominator_downstream() -> None:
    told = steps(found()).set_index("code")
    assert told["reached"].to_dict() == {
        "S0": 25, "S1": 23, "S3": 22, "ERROR": 19, "RELOCATION": 18, "S4": 17, "S2": 15, "S5": 11
    }  # fmt: skip
    assert told["failed"].to_dict() == {
        "S0": 2, "S1": 1, "S3": 3, "ERROR": 1, "RELOCATION": 1, "S4": 2, "S2": 0, "S5": 1
    }  # fmt: skip
    assert told.loc["S5", "passed"] == 10
    assert told.loc["S4", "population"] == "samples whose scans agree"
    assert told.loc["S3", "share"] == 3 / 22
    assert told.loc["S3", "low"] == pytest.approx(stats.beta.ppf(0.025, 3, 20))
    assert told.loc["S3", "high"] == pytest.approx(stats.beta.ppf(0.975, 4, 19))


def test_no_ctc_is_a_result_and_leaves_the_way() -> None:
    told = steps(found(["S2", "S2", ""])).set_index("code")
    assert told.loc["S2", ["reached", "failed", "passed"]].tolist() == [3, 0, 1]
    assert told.loc["S5", "reached"] == 1
    assert reasons(found(["S2"]), pd.DataFrame(columns=["slide_id", "reason"])).empty


@pytest.mark.parametrize("codes", [[], ["S0"], [""]])
def test_runs_of_none_or_one(codes: list[str]) -> None:
    told = steps(found(codes))
    assert len(told) == 8
    assert told["reached"].iloc[0] == len(codes)
    assert told["passed"].iloc[-1] == codes.count("")
    assert told["share"].isna().sum() == (told["reached"] == 0).sum()


def test_reasons_are_ranked_within_operator_scanner_and_lot() -> None:
    samples_ = found(["S4", "S4", "S3", "", "S0"], operator=["A", "A", "B", "B", None], probe_lot="L1")
    cells = pd.DataFrame({"slide_id": ["s3"] * 5 + ["s0"], "reason": ["LOST", "LOST", "OVERLAP", "", None, "NO_HER2"]})
    table = reasons(samples_, cells)
    everyone = table[(table["level"] == "sample") & (table["factor"] == "all")].set_index("reason")
    told = table.set_index(["level", "factor", "value", "reason"]).sort_index()
    assert everyone.index.tolist() == ["S4", "S0", "S3"]
    assert everyone["failed"].tolist() == [2, 1, 1]
    assert everyone["reached"].tolist() == [3, 5, 4]  # S0 is taken off before S3, and both before S4
    assert everyone["cumulative"].tolist() == [0.5, 0.75, 1.0]
    assert told.loc[("sample", "operator", "A", "S4"), ["failed", "reached"]].tolist() == [2, 2]
    assert told.loc[("sample", "operator", "not stated", "S0"), "share"] == 1.0
    ctc = told.loc[("CTC", "all", "all")]
    assert ctc.loc["LOST", ["failed", "reached", "share"]].tolist() == [2, 6, 2 / 6]
    assert ctc["population"].unique().tolist() == ["CTC of samples that reached their cells"]
    assert ("CTC", "operator", "B", "OVERLAP") in told.index


def write_run(run: Path, rows: list[dict[str, object]], refused: list[str]) -> None:
    run.mkdir(parents=True, exist_ok=True)
    common = {"preset": "circe_tdm1", "n_nuclei": 5, "n_leukocytes": 0, "n_unknown_amplified": 0, "flags": ""}
    slides = [{"patient_id": row["slide_id"]} | common | row for row in rows]
    tables.SLIDES.check(pd.DataFrame(slides)).to_csv(run / "slides.csv", index=False)
    failed = [{"slide_id": name, "cause": "InputError", "message": "no"} for name in refused]
    columns = pd.DataFrame(failed, columns=tables.FAILURES.names)
    columns.to_csv(run / "failures.csv", index=False)


def test_samples_of_a_run(tmp_path: Path, scored: Scorer, places: Callable[[int], np.ndarray]) -> None:
    run = tmp_path / "run"
    scored(run, "007", made("007", [2, -1, -1], [2, -1, -1], places(3), ["ctc", "ctc", "wbc"]))
    scored(run, "moved", made("moved", [-1], [-1], places(1)))
    rows: list[dict[str, object]] = [{"slide_id": "007", "operator": "A"}]
    rows += [{"slide_id": "moved", "technical_code": "RELOCATION"}, {"slide_id": "late", "technical_code": "S0"}]
    rows += [{"slide_id": "again", "replicate_of": "007"}, {"slide_id": "line", "control": "negative"}]
    write_run(run, rows, ["broken", "moved"])
    own = samples(run)
    assert own.set_index("slide_id")["code"].to_dict() == {
        "007": "",
        "moved": "RELOCATION",
        "late": "S0",
        "broken": "ERROR",
    }
    assert cells_of(run, own)["reason"].tolist() == ["", "OUT_OF_FOCUS"]  # the leukocyte and the lost slide are out
    told = technical_failure(run)
    assert told["steps"]["reached"].iloc[0] == 4
    of_ctc = told["reasons"][told["reasons"]["level"] == "CTC"]
    assert of_ctc[["factor", "value", "reason", "failed", "reached"]].iloc[0].tolist() == [
        "all",
        "all",
        "OUT_OF_FOCUS",
        1,
        2,
    ]


def test_a_sample_without_images_has_its_row(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "study.csv").write_text("slide_id,sample_status,operator\nX,no_tube,A\nY,not_attempted,B\nZ,,C\n")
    assert make.run("batch", study, "--out", tmp_path / "run") == 4  # Z has no image and no reason for that
    own = samples(tmp_path / "run").set_index("slide_id")
    assert own["code"].to_dict() == {"X": "S0", "Y": "S3", "Z": "ERROR"}
    assert own.loc["X", "operator"] == "A"


def test_the_sections_name_numerator_denominator_and_population() -> None:
    told = steps(found())
    cells = pd.DataFrame({"slide_id": ["s24", "s24"], "reason": ["LOST", ""]})
    html = to_html(Page("t", "o", tuple(failure_sections(told, reasons(found(operator="A"), cells)))))
    assert "2/25 = 8.0 % (1.0 to 26.0)" in html
    assert "samples whose scans agree" in html
    assert "4 leave with a valid result" in html
    assert "1/2 CTC of samples that reached their cells" in html
    assert html.count("<svg") == 3
