"""The trial's report and everything beside it, on a cohort with exactly the published margins."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ctcfish.report.qc_page import A4_INCH, MARGIN
from ctcfish.report.trial import SUMMARY, p_text, plots_of, span, to_html, trial_page, value
from ctcfish.report.trial_checklists import GRRAS, REMARK, filled
from ctcfish.report.trial_export import DEFINE, FIELDS, exports
from ctcfish.report.trial_files import endpoints, write_trial
from ctcfish.synth.trial_cohort import simulate_tables
from ctcfish.synth.trial_spec import TableCohort
from ctcfish.trial.analysis import Analysis, analyse, run_trial
from ctcfish.trial.assay import reproducibility
from ctcfish.trial.dynamics import ctc_course
from ctcfish.trial.endpoints import ENDPOINTS
from ctcfish.trial.protocol import read_protocol
from ctcfish.trial.tables import REPRODUCIBILITY
from tests.conftest import REPOSITORY
from tests.make import run
from tests.make_trial import clean, row, run_of, slide, study

CIRCE = REPOSITORY / "configs" / "trial" / "circe.toml"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_tables(TableCohort(), tmp_path_factory.mktemp("trial") / "cohort")


@pytest.fixture(scope="module")
def analysis(cohort: Path) -> Analysis:
    return run_trial(cohort, cohort / "clinical", read_protocol(CIRCE))


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A trial that has screened one patient and treated nobody."""
    rows = {"patients": [clean()["patients"][1]]}
    return analyse(study(tmp_path_factory.mktemp("c"), rows, run_of([])))


PUBLISHED = [
    # key, numerator, denominator, per cent, interval in per cent
    (
        "detected_of_screened",
        14,
        154,
        "9.1 %",
        "5.1 to 14.8 %",
    ),
    (
        "detected_of_enumerated",
        14,
        150,
        "9.3 %",
        "5.2 to 15.2 %",
    ),
    (
        "detected_of_with_at_least_one_ctc",
        14,
        118,
        "11.9 %",
        "6.6 to 19.1 %",
    ),
    (
        "response_all",
        1,
        11,
        "9.1 %",
        "0.2 to 41.3 %",
    ),
]


@pytest.mark.parametrize(("key", "numerator", "n", "percent", "interval"), PUBLISHED)
def test_the_published_counts_give_the_known_figures(
    analysis: Analysis, key: str, numerator: int, n: int, percent: str, interval: str
) -> None:
    (found,) = (f for f in analysis.findings if f.label.key == key)
    assert (found.numerator, found.n) == (numerator, n)
    assert value(found.estimate.value, found.unit) == percent
    assert span(found.estimate.low, found.estimate.high, found.unit) == interval


FLOW = [
    # population, patients
    ("screened", 154),
    ("blood drawn", 154),
    ("enumerated", 150),
    ("with at least one CTC", 118),
    ("with amplified CTC", 14),
    ("treated", 11),
]


@pytest.mark.parametrize(("population", "n"), FLOW)
def test_the_flow_is_the_published_one(analysis: Analysis, population: str, n: int) -> None:
    assert {step.name: step.n for step in analysis.steps}[population] == n


@pytest.fixture(scope="module")
def html(written: Path) -> str:
    return (written / "report.html").read_text(encoding="utf-8")


def test_the_report_points_at_the_published_denominators(html: str) -> None:
    assert "78.7 % is 118/150 enumerated" in html
    assert "118/154 = 76.6 %" in html
    assert "14/118 = 11.9 %" in html
    assert "9.1 % is 14/154 screened" in html


def test_the_report_stands_alone_and_says_what_it_is(html: str) -> None:
    assert html.count("Research use only") >= 2
    assert "src=" not in html
    assert "http://www.w3.org" in html  # only in the pictures' own names
    assert "illustrative, not the trial" in html
    assert "Illustrative rates, not the trial" in html
    assert "mathdefault" not in html
    for about in ENDPOINTS.values():
        assert about.title in html


AGREED = {"level": "cell", "relation": "rescan", "population": "CTC", "stratum": "all", "quantity": "call"}
AGREED |= {"statistic": "Cohen kappa", "value": 0.83, "low": 0.37, "high": 0.93, "method": "bootstrap", "n_items": 57}


def test_every_endpoint_has_a_number_its_interval_its_population_and_a_picture(analysis: Analysis) -> None:
    told = REPRODUCIBILITY.check(pd.DataFrame([AGREED]))
    lab = reproducibility(replace(analysis.study, run=replace(analysis.study.run, reproducibility=told)))
    whole = replace(analysis, findings=(*analysis.findings, *lab))
    made = plots_of(whole)
    for key, about in ENDPOINTS.items():
        own = [f for f in whole.findings if f.label.endpoint == key]
        assert made[about.figure], key
        assert any(f.estimate.low <= f.estimate.value <= f.estimate.high and f.population for f in own), key
    assert not plots_of(analysis)["reproducibility"]  # none was given


def test_every_figure_has_an_interval_or_says_why_not(analysis: Analysis) -> None:
    for finding in analysis.findings:
        estimate = finding.estimate
        if math.isnan(estimate.low):
            assert finding.note or math.isnan(estimate.value), finding.label.key
        assert finding.population
        assert estimate.method


def test_every_section_of_the_page_has_a_title(analysis: Analysis) -> None:
    page = trial_page(analysis, plots_of(analysis))
    titles = [section.title for section in page.sections]
    assert len(set(titles)) == len(titles)
    assert {"Summary", "Flow of patients", "REMARK", "GRRAS"} <= set(titles)
    assert "Two-stage design, cohort LOW" in titles
    assert "Sensitivity: response rate" in titles
    for section in page.sections:
        for grid in section.grids:
            assert all(len(line) == len(grid.header) for line in grid.rows)


def test_the_first_page_holds_what_a_reader_looks_for(analysis: Analysis) -> None:
    page = trial_page(analysis, plots_of(analysis))
    assert len(page.sections[0].grids[0].rows) == len(SUMMARY)
    keys = {f.label.key for f in analysis.findings}
    assert set(SUMMARY) <= keys


def test_the_patients_are_described(analysis: Analysis) -> None:
    page = trial_page(analysis, plots_of(analysis))
    (section,) = (s for s in page.sections if s.title == "Characteristics of patients")
    (grid,) = section.grids
    assert grid.header == ("characteristic", "screened (n = 154)", "with amplified CTC (n = 14)", "treated (n = 11)")
    rows = {row[0]: row[1:] for row in grid.rows}
    ages = analysis.study.subjects["age_years"].astype(float)
    assert rows["age, years"][0] == f"{ages.median():g} ({ages.min():g} to {ages.max():g})"
    assert rows["CTC per 7.5 mL"][0].endswith("(known of 150)")
    assert rows["visceral metastases"][2].endswith("/11")


def test_the_flow_table_names_what_each_share_is_of(analysis: Analysis) -> None:
    page = trial_page(analysis, plots_of(analysis))
    (section,) = (s for s in page.sections if s.title == "Flow of patients")
    rows = {row[0]: row[1:] for row in section.grids[0].rows}
    assert rows["screened"][0] == "154"
    assert rows["with at least one CTC"][:3] == ("118/150 enumerated", "78.7 %", "71.2 to 84.9 %")
    assert rows["enumerated"][3] == "S1, enumeration failed: 4"


def test_ratios_have_a_picture_beside_the_scatter(analysis: Analysis) -> None:
    titles = [plot.title for plot in plots_of(analysis)["efficacy"]]
    assert titles == ["Progression-free time against amplification", "Odds and hazards against amplification"]


def test_no_picture_loses_a_word_at_its_border(analysis: Analysis) -> None:
    """Labels, keys and legends of every picture lie within its frame."""
    for section in trial_page(analysis, plots_of(analysis)).sections:
        for plot in section.plots:
            figure = Figure(figsize=(A4_INCH[0] - 2 * MARGIN, plot.height_inch))
            canvas = FigureCanvasAgg(figure)
            plot.place(figure, 0.0, 0.0)
            (axes,) = figure.axes
            box = axes.get_tightbbox(canvas.get_renderer())
            assert box is not None
            low, high = box.get_points()
            assert (low >= -1).all(), (plot.title, low)
            assert (high <= figure.bbox.get_points()[1] + 1).all(), (plot.title, high)


def test_nobody_treated_has_a_report(nobody: Analysis, tmp_path: Path) -> None:
    write_trial(nobody, tmp_path / "trial")
    html = (tmp_path / "trial" / "report.html").read_text(encoding="utf-8")
    assert "Nobody was treated in this population." in html
    assert "The protocol states no plan" in html


WRITTEN = [
    "report.html",
    "report.pdf",
    "endpoints.json",
    "endpoints.csv",
    "operating.csv",
    "sensitivity.csv",
    "characteristics.csv",
    "remark.csv",
    "grras.csv",
    "redcap.csv",
    "redcap_dictionary.csv",
    "adsl.csv",
    "adrs.csv",
    "adtte.csv",
    "adae.csv",
    "adlb.csv",
    "define.csv",
    "figures/flow.svg",
    "figures/waterfall.svg",
    "figures/spider.svg",
    "figures/km_pfs.svg",
    "figures/km_os.svg",
    "figures/detection.svg",
    "figures/heterogeneity.svg",
    "figures/failures.svg",
    "figures/fish_if.svg",
    "figures/efficacy.svg",
    "figures/ctc_course.svg",
    "figures/ctdna.svg",
    "figures/toxicity.svg",
]


@pytest.fixture(scope="module")
def written(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "trial"
    assert run("trial", "run", cohort, "--clinical", cohort / "clinical", "--protocol", CIRCE, "--out", out) == 0
    return out


@pytest.mark.parametrize("name", WRITTEN)
def test_one_command_writes_it(written: Path, name: str) -> None:
    assert (written / name).stat().st_size > 100


def test_the_same_tables_give_the_same_bytes(written: Path, analysis: Analysis, tmp_path: Path) -> None:
    write_trial(analysis, tmp_path / "again")
    names = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert names == sorted(p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file())
    for name in names:
        assert (written / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_report_is_made_again_by_its_kind(cohort: Path, written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(cohort, copy)
    told = ("report", copy, "--kind", "trial", "--clinical", copy / "clinical", "--protocol", CIRCE)
    (copy / "trial").mkdir()
    (copy / "trial" / "old.txt").write_text("left by an older report", encoding="utf-8")
    assert run(*told) == 0
    assert (copy / "trial" / "endpoints.json").read_bytes() == (written / "endpoints.json").read_bytes()
    assert not (copy / "trial" / "old.txt").exists()


@pytest.mark.parametrize("given", [(), ("--clinical", "clinical"), ("--protocol", "circe.toml")])
def test_the_kind_trial_asks_for_what_it_needs(
    cohort: Path, given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", cohort, "--kind", "trial", *given) == 2
    assert "give --clinical and --protocol" in capsys.readouterr().err


def test_an_existing_folder_is_left_alone(written: Path, cohort: Path) -> None:
    before = (written / "endpoints.json").read_bytes()
    told = ("trial", "run", cohort, "--clinical", cohort / "clinical", "--protocol", CIRCE, "--out", written)
    assert run(*told) == 2
    assert (written / "endpoints.json").read_bytes() == before


def test_nonsense_writes_nothing(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "clinical"
    bad.mkdir()
    for path in (cohort / "clinical").glob("*.csv"):
        (bad / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    events = pd.read_csv(bad / "adverse_events.csv", dtype=str)
    events.loc[0, "grade"] = "6"
    events.to_csv(bad / "adverse_events.csv", index=False)
    told = ("trial", "run", cohort, "--clinical", bad, "--protocol", CIRCE, "--out", tmp_path / "out")
    assert run(*told) == 3
    assert "adverse_events.csv, row 2, column grade: found '6'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def told(written: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((written / "endpoints.json").read_text(encoding="utf-8"))
    return loaded


def test_the_endpoints_are_read_by_machines(told: dict[str, Any], analysis: Analysis) -> None:
    assert set(told["endpoints"]) == set(ENDPOINTS)
    rows = [row for about in told["endpoints"].values() for row in about["figures"]]
    assert len(rows) == len(analysis.findings)
    assert len({row["key"] for row in rows}) == len(rows)
    for key in ("population", "n", "value", "low", "high", "method", "role", "numerator", "excluded", "missing"):
        assert all(key in row for row in rows)
    assert told["notice"].startswith("Research use only")
    assert [c["agrees"] for c in told["published"]] == [False, False]
    assert told["protocol"]["illustrative"]
    assert [d["cohort"] for d in told["designs"]] == ["LOW", "HIGH"]
    assert all(d["illustrative"] for d in told["designs"])


def test_the_csv_says_the_same(written: Path, told: dict[str, Any]) -> None:
    table = pd.read_csv(written / "endpoints.csv").set_index("key")
    for about in told["endpoints"].values():
        for line in about["figures"]:
            if line["value"] is not None:
                assert table.loc[line["key"], "value"] == pytest.approx(line["value"])
            assert table.loc[line["key"], "n"] == line["n"]


def test_plain_values_are_plain(analysis: Analysis) -> None:
    flow = endpoints(analysis)["flow"]
    assert flow[0]["share"] is None
    assert flow[3]["share"]["numerator"] == 118
    assert flow[3]["left"] == {"no CTC (a valid result)": 32}


def test_redcap_has_a_row_per_patient_and_a_dictionary(written: Path) -> None:
    table = pd.read_csv(written / "redcap.csv")
    said = pd.read_csv(written / "redcap_dictionary.csv")
    assert len(table) == 154
    assert table.columns.tolist() == [field for field, *_ in FIELDS] == said["Variable / Field Name"].tolist()
    yes_no = said.loc[said["Field Type"] == "yesno", "Variable / Field Name"]
    assert table[yes_no.tolist()].stack().isin([0, 1]).all()
    assert table["treated"].sum() == 11
    assert table["responder"].notna().sum() == 11
    assert table["record_id"].is_unique


@pytest.mark.parametrize("name", DEFINE)
def test_tables_for_analysis_have_their_documented_columns(analysis: Analysis, name: str) -> None:
    made = exports(analysis)
    assert made[name].columns.tolist() == list(DEFINE[name])
    own = made["define"][made["define"]["table"] == name]
    assert own["column"].tolist() == list(DEFINE[name])
    assert own["meaning"].str.len().gt(3).all()


def test_tables_for_analysis_hold_the_patients(analysis: Analysis) -> None:
    made = exports(analysis)
    assert len(made["adsl"]) == 154
    assert (made["adsl"]["SAFFL"] == "Y").sum() == 11
    assert (made["adsl"]["ENRLFL"] == "Y").sum() == 14
    assert made["adtte"]["PARAMCD"].value_counts().to_dict() == {"PFS": 11, "OS": 11}
    assert (made["adrs"]["PARAMCD"] == "BOR").sum() == 11
    assert (made["adrs"]["PARAMCD"] == "OVRLRESP").sum() == len(analysis.study.assessments)
    pfs = made["adtte"][made["adtte"]["PARAMCD"] == "PFS"]
    assert ((pfs["CNSR"] == 0).to_numpy() == analysis.study.treated["pfs_event"].to_numpy()).all()
    assert set(made["adae"]["USUBJID"]) <= set(made["adsl"]["USUBJID"])


def test_numbers_over_time_are_those_of_the_course(analysis: Analysis) -> None:
    table, course = exports(analysis)["adlb"], ctc_course(analysis.study)
    for code, column in (("CTC", "ctc"), ("CTCEVAL", "n_evaluable"), ("CTCAMP", "n_amplified")):
        own = table[table["PARAMCD"] == code]
        assert own["AVAL"].tolist() == course[column].dropna().tolist()
    assert not table["AVAL"].isna().any()


def test_no_date_leaves_the_trial(written: Path) -> None:
    """Dates may identify: exports hold days from the first dose."""
    for path in written.glob("*.csv"):
        assert not pd.read_csv(path, dtype=str).stack().astype(str).str.fullmatch(r"\d{4}-\d{2}-\d{2}").any(), path.name


@pytest.mark.parametrize(("name", "items"), [("REMARK", REMARK), ("GRRAS", GRRAS)])
def test_checklists_are_whole_and_filled(analysis: Analysis, name: str, items: Any) -> None:
    rows = filled(analysis)[name]
    assert [int(number) for number, _, _ in rows] == list(range(1, len(items) + 1))
    assert len(rows) == {"REMARK": 20, "GRRAS": 15}[name]
    assert all(asked and answer and "{" not in answer for _, asked, answer in rows)


@pytest.mark.parametrize(
    ("number", "unit", "printed"),
    [
        (0.0909, "share", "9.1 %"),
        (math.nan, "share", "–"),
        (math.inf, "months", "not reached"),
        (4.8123, "months", "4.81 months"),
        (2034.2, "odds ratio", "2,034"),
        (-12345.0, "CTC", "-12,345 CTC"),
        (1.0519, "hazard ratio", "1.05"),
        (-241.0, "CTC", "-241 CTC"),
        (0.5, "rho", "0.5"),
    ],
)
def test_figures_are_printed_so(number: float, unit: str, printed: str) -> None:
    assert value(number, unit) == printed


@pytest.mark.parametrize(
    ("low", "high", "unit", "printed"),
    [
        (0.0023, 0.4128, "share", "0.2 to 41.3 %"),
        (2.53, 11.04, "months", "2.53 to 11 months"),
        (4.44, math.inf, "months", "4.44 months to not reached"),
        (-math.inf, math.inf, "share", "unbounded"),
        (math.nan, 1.0, "share", ""),
        (0.5, 1.5, "hazard ratio", "0.5 to 1.5"),
        (-241.0, 64.0, "CTC", "-241 to 64 CTC"),
    ],
)
def test_intervals_name_their_unit_once(low: float, high: float, unit: str, printed: str) -> None:
    assert span(low, high, unit) == printed


@pytest.mark.parametrize(("p", "printed"), [(math.nan, ""), (0.0004, "< 0.001"), (0.0425, "0.043"), (1.0, "1.000")])
def test_p_values_are_printed_so(p: float, printed: str) -> None:
    assert p_text(p) == printed


def test_a_patient_of_another_trial_is_told(cohort: Path, tmp_path: Path) -> None:
    rows = {"patients": [row("patients", "P0001", "2015-01-05", "yes", "no", "")]}
    found = analyse(study(tmp_path, rows, run_of([slide("Z1", 3, 3, 1)])))
    html = to_html(trial_page(found, plots_of(found)), lambda plot: "")
    assert "1 patients of the run stand in no clinical table" in html
