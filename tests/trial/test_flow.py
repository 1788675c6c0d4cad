from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ctcfish.errors import InputError, StatisticsError
from ctcfish.stats.proportions import Proportion
from ctcfish.synth.trial_cohort import simulate_tables
from ctcfish.synth.trial_spec import TableCohort
from ctcfish.trial.flow import check_claim, deviations, flow, shares_of_populations
from ctcfish.trial.protocol import Claim, parse_protocol
from ctcfish.trial.read import read_clinical
from ctcfish.trial.run import Run, read_run
from ctcfish.trial.subjects import Study, join
from tests.make_trial import PROTOCOL, Rows, ctc, row, run_of, slide, study

PATIENTS = [
    # patient, drawn, treated, slide of hers, where she stops
    ("P1", "yes", "yes", slide("P1", 9, 8, 1), "response-evaluable"),
    ("P2", "yes", "yes", slide("P2", 30, 20, 5), "treated"),
    ("P3", "yes", "no", slide("P3", 12, 12, 2), "with amplified CTC"),
    ("P4", "yes", "no", slide("P4", 12, 12, 0), "FISH evaluable"),
    ("P5", "yes", "no", slide("P5", 4, 0, 0, technical_code="S5"), "FISH attempted"),
    ("P6", "yes", "no", slide("P6", 4, 0, 0, technical_code="S4"), "FISH attempted"),
    ("P7", "yes", "no", slide("P7", None, technical_code="S3"), "with at least one CTC"),
    ("P8", "yes", "no", slide("P8", 0, 0, 0, technical_code="S2"), "enumerated"),
    ("P9", "yes", "no", slide("P9", None, technical_code="S1"), "blood drawn"),
    ("Q1", "no", "no", None, "screened"),
    ("Q2", "yes", "no", None, "with at least one CTC"),
    ("Q3", "yes", "no", None, "blood drawn"),
]

STEPS = {
    "screened": 12,
    "blood drawn": 11,
    "enumerated": 9,
    "with at least one CTC": 8,
    "FISH attempted": 6,
    "FISH evaluable": 4,
    "with amplified CTC": 3,
    "treated": 2,
    "response-evaluable": 1,
}


def rows() -> Rows:
    own: Rows = {"patients": [], "visits": [], "tumours": []}
    for patient, drawn, treated, _, _ in PATIENTS:
        dose = "2015-01-20" if treated == "yes" else ""
        own["patients"].append(row("patients", patient, "2015-01-05", drawn, treated, dose))
    own["visits"] = [
        row("visits", "P7", "screening", "2015-01-05", 3),
        row("visits", "P9", "screening", "2015-01-05", "", "enumeration_failed"),
        row("visits", "Q2", "screening", "2015-01-05", 7),
        row("visits", "P4", "cycle_3", "2015-03-05", 0),
    ]
    for date, size in (("2015-01-15", 40), ("2015-03-05", 40)):
        own["tumours"].append(row("tumours", "P1", date, "T1", "target", "liver", "no", size, "mm", ""))
    return own


@pytest.fixture
def example(tmp_path: Path) -> Study:
    return study(tmp_path, rows(), run_of([s for *_, s, _ in PATIENTS if s is not None]))


def test_every_step_holds_who_it_should(example: Study) -> None:
    steps = flow(example)
    assert {step.name: step.n for step in steps} == STEPS
    order = list(STEPS)
    for name, n in STEPS.items():
        assert sum(order.index(stop) >= order.index(name) for *_, stop in PATIENTS) == n


def test_who_leaves_has_a_reason_and_nobody_is_lost(example: Study) -> None:
    steps = flow(example)
    for before, after in itertools.pairwise(steps):
        assert before.n - after.n == sum(n for _, n in after.left)
        assert after.share is not None
        assert (after.share.numerator, after.share.denominator) == (after.n, before.n)
        assert after.share.population == before.name
    reasons = {reason for step in steps for reason, _ in step.left}
    assert reasons == {
        "no blood drawn",
        "S1, enumeration failed",
        "no CTC count",
        "no CTC (a valid result)",
        "S3, FISH not attempted",
        "not scored",
        "S4, hybridisation failed",
        "S5, no evaluable CTC",
        "no amplified CTC",
        "reason not given",
        "no evaluable assessment",
    }


def test_cohorts_follow_the_number_of_amplified_cells(example: Study) -> None:
    cohort = example.subjects.set_index("patient_id")["cohort"]
    assert cohort[["P1", "P2", "P3"]].tolist() == ["LOW", "HIGH", "LOW"]
    assert cohort.drop(["P1", "P2", "P3"]).isna().all()
    assert example.treated["patient_id"].tolist() == ["P1", "P2"]


def test_only_the_baseline_visit_decides(tmp_path: Path) -> None:
    slides = [slide("P4", 12, 12, 0), slide("P4", 9, 9, 4, slide_id="P4-S2", visit="cycle_3")]
    found = study(tmp_path, rows(), run_of(slides, ctc("P4-S2", (9, 2)) + ctc("P4-S1", (2, 2))))
    own = found.subjects.set_index("patient_id").loc["P4"]
    assert (own["n_amplified"], own["positive"]) == (0, False)
    assert found.baseline["slide_id"].tolist() == ["P4-S1"]


def test_two_slides_of_a_visit_count_together(tmp_path: Path) -> None:
    slides = [slide("P4", 12, 10, 1), slide("P4", 9, 9, 2, slide_id="P4-S2", visit=None)]
    slides.append(slide("P4", None, slide_id="P4-S3", technical_code="S4"))
    own = study(tmp_path, rows(), run_of(slides)).subjects.set_index("patient_id").loc["P4"]
    assert (own["slide_ctc"], own["n_evaluable"], own["n_amplified"], own["cohort"]) == (21, 19, 3, "HIGH")
    assert own["fraction"] == pytest.approx(3 / 19)
    assert own["technical_code"] is None


def test_what_contradicts_the_flow_is_told(tmp_path: Path) -> None:
    found = study(tmp_path, rows(), run_of([slide("P1", 9, 8, 1), slide("P2", 5, 5, 0), slide("Z1", 5, 5, 1)]))
    said = deviations(found)
    assert said[0].endswith("by this run: P2")
    assert said[1].startswith("1 patients of the run")
    assert said[1].endswith("Z1")


def test_a_later_slide_without_its_visit_is_told(tmp_path: Path) -> None:
    """P3's slide of cycle 3 has no row in the table of visits, P4's has; one without a visit is the baseline's."""
    slides = [slide(patient, 9, 9, 4, visit="cycle_3") for patient in ("P3", "P4", "Z1")]
    slides.append(slide("P3", 2, 2, 0, slide_id="P3-S2", visit=None))
    said = deviations(study(tmp_path, rows(), run_of(slides)))
    assert said[-1].startswith("1 later visits of the run stand in no row of the table visits")
    assert said[-1].endswith(": P3 cycle_3")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The abstract's counts entered as data: a simulated cohort with exactly its margins."""
    out = tmp_path_factory.mktemp("trial") / "cohort"
    simulate_tables(TableCohort(), out)
    return join(read_run(out), read_clinical(out / "clinical"), parse_protocol(PROTOCOL, "test.toml"))


CLAIMS = [
    # percent, numerator, what it counts, denominator named, what the sentence must say, whether it agrees
    ("78.7", 118, "with at least one CTC", "screened", "118/154 = 76.6 %; 78.7 % is 118/150 enumerated", False),
    ("78.7", 118, "with at least one CTC", "enumerated", "118/150 = 78.7 %; it agrees", True),
    ("76.6", 118, "with at least one CTC", "screened", "118/154 = 76.6 %; it agrees", True),
    ("9.1", 14, "with amplified CTC", "with at least one CTC", "14/118 = 11.9 %; 9.1 % is 14/154 screened", False),
    ("11.9", 14, "with amplified CTC", "with at least one CTC", "14/118 = 11.9 %; it agrees", True),
    ("9.3", 14, "with amplified CTC", "enumerated", "14/150 = 9.3 %; it agrees", True),
    ("9.0", 14, "with amplified CTC", "screened", "9.0 % is no population of these data", False),
    ("9.1", 13, "with amplified CTC", "screened", "nothing to compare", False),
    ("9.1", 14, "with amplified CTC", "cured", "nothing to compare", False),
]


@pytest.mark.parametrize(("percent", "numerator", "counted", "named", "said", "agrees"), CLAIMS)
def test_the_abstract_is_held_against_its_own_denominators(
    published: Study, percent: str, numerator: int, counted: str, named: str, said: str, agrees: bool
) -> None:
    claim = Claim(text="x", numerator=numerator, percent=percent, counted=counted, population=named)
    found = check_claim(claim, flow(published), 0.95)
    assert said in str(found)
    assert found.agrees is agrees


def test_every_denominator_of_the_detection_rate_is_shown(published: Study) -> None:
    shares = shares_of_populations(flow(published), "with amplified CTC", 0.95)
    told = {share.population: f"{100 * share.value:.1f}" for share in shares}
    assert told["screened"] == "9.1"
    assert told["with at least one CTC"] == "11.9"
    with_ctc = next(s for s in shares if s.population == "with at least one CTC")
    assert (round(with_ctc.low, 3), round(with_ctc.high, 3)) == (0.066, 0.191)  # 14/118: 6.6 to 19.1 %


def test_a_proportion_without_population_or_method_cannot_be_made() -> None:
    with pytest.raises(StatisticsError, match="no population"):
        Proportion(14, 118, " ", "exact", 0.06, 0.2)
    with pytest.raises(StatisticsError, match="no method"):
        Proportion(14, 118, "patients", "", 0.06, 0.2)
    with pytest.raises(TypeError):
        Proportion(14, 118)  # type: ignore[call-arg]


def test_a_run_is_read_from_its_folders(tmp_path: Path, published: Study) -> None:
    simulate_tables(TableCohort(patients=30), tmp_path / "one")
    whole = read_run(tmp_path / "one")
    text = (tmp_path / "one" / "cells.csv").read_text(encoding="utf-8").splitlines()
    for slide_id in whole.slides["slide_id"]:
        own = [line for line in text[1:] if line.startswith(f"{slide_id}/")]
        (tmp_path / "one" / slide_id).mkdir()
        (tmp_path / "one" / slide_id / "cells.csv").write_text("\n".join([text[0], *own]), encoding="utf-8")
    (tmp_path / "one" / "cells.csv").unlink()
    parts = read_run(tmp_path / "one")
    assert parts.ctc["cell_id"].tolist() == whole.ctc["cell_id"].tolist()
    (tmp_path / "one" / slide_id / "cells.csv").unlink()
    with pytest.raises(InputError, match=f"no cells.csv of slides \\['{slide_id}'\\]"):
        read_run(tmp_path / "one")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no slides\.csv; needed the folder of a run"):
        read_run(tmp_path)


def test_a_run_has_no_reproducibility_of_its_own(published: Study) -> None:
    assert isinstance(published.run, Run)
    assert len(published.run.reproducibility) == 0
    assert "quantity" in published.run.reproducibility.columns
