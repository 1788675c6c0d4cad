from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ctcfish.errors import InputError
from ctcfish.trial.problems import Problem
from ctcfish.trial.read import check_clinical, read_clinical
from tests.make import run
from tests.make_trial import Rows, clean, row, write, write_one


def test_clean_tables_have_no_problem_and_their_types(tmp_path: Path) -> None:
    clinical, problems = check_clinical(write(tmp_path / "c", clean()))
    assert problems == []
    assert clinical.patients["first_dose_date"].tolist()[0] == pd.Timestamp(2015, 1, 20)
    assert clinical.patients["first_dose_date"].isna().tolist() == [False, True]
    assert clinical.visits["ctc_per_7_5_ml"].tolist() == [9, 2, 0]
    assert clinical.tumours["diameter"].dropna().tolist() == [40.0, 2.5, 25.0]
    assert clinical.visits["sample_status"].isna().tolist() == [False, False, True]
    assert len(clinical.given) == 6


def test_one_file_reads_as_the_folder_does(tmp_path: Path) -> None:
    folder, file = write(tmp_path / "c", clean()), write_one(tmp_path / "clinical.csv", clean())
    one, many = read_clinical(file), read_clinical(folder)
    for name in many.given:
        pd.testing.assert_frame_equal(
            getattr(one, name).reset_index(drop=True), getattr(many, name).reset_index(drop=True)
        )


def test_absent_tables_have_no_rows(tmp_path: Path) -> None:
    clinical = read_clinical(write(tmp_path / "c", {"patients": clean()["patients"]}))
    assert clinical.given == ("patients",)
    assert len(clinical.tumours) == 0
    assert "assessment_date" in clinical.tumours.columns


SPOILT: list[tuple[str, int, str, Any, str]] = [
    # table, index of the row, column, value, part of what is wanted
    ("patients", 1, "patient_id", "", "a value"),
    ("patients", 0, "screening_date", "2015-02-30", "a date that exists"),
    ("patients", 0, "screening_date", "05/01/2015", "a date that exists"),
    ("patients", 0, "screening_date", "0201-01-05", "a date that exists"),
    ("patients", 0, "screening_date", "2015-01-21", "not before the screening"),
    ("patients", 0, "blood_drawn", "perhaps", "one of ['yes', 'no']"),
    ("patients", 0, "blood_drawn", "", "a value"),
    ("patients", 0, "age_years", 17, "from 18 to 110"),
    ("patients", 0, "age_years", "51,5", "a whole number"),
    ("patients", 0, "age_years", 51.5, "a whole number"),
    ("patients", 0, "ecog", 5, "from 0 to 4"),
    ("patients", 0, "er_status", "3+", "one of"),
    ("patients", 1, "patient_id", "P1", "one row per ['patient_id']; the first is row 2"),
    ("patients", 1, "patient_id", "Marie Dupont", "a pseudonym"),
    ("patients", 1, "patient_id", "Dupont", "a pseudonym"),
    ("patients", 1, "patient_id", "20301517", "a pseudonym"),
    ("patients", 1, "patient_id", "1957-03-12", "a pseudonym"),
    ("patients", 1, "first_dose_date", "2015-03-01", "no date: treated is no"),
    ("patients", 0, "first_dose_date", "", "a date: treated is yes"),
    ("visits", 0, "visit_date", "2015-01-04", "not before the patient's screening"),
    ("visits", 1, "visit_date", "2015-09-02", "not after the patient's death"),
    ("visits", 1, "visit", "screening", "one row per ['patient_id', 'visit']"),
    ("visits", 0, "patient_id", "P9", "a patient of the table patients"),
    ("visits", 0, "ctc_per_7_5_ml", -1, "from 0 to"),
    ("visits", 0, "ctc_per_7_5_ml", "1.000", "found '1.000'"),
    ("visits", 0, "sample_status", "lost", "one of"),
    ("tumours", 4, "assessment_date", "2015-09-02", "not after the patient's death"),
    ("tumours", 0, "unit", "inch", "one of ['mm', 'cm']"),
    ("tumours", 0, "unit", "", "mm or cm"),
    ("tumours", 2, "diameter", 501, "from 0 to 500"),
    ("tumours", 2, "diameter", "", "a diameter or a status"),
    ("tumours", 1, "diameter", 12, "only targets are measured"),
    ("tumours", 3, "status", "", "a status of a non-target"),
    ("tumours", 0, "diameter", 9.9, "a measurable target at baseline"),
    ("tumours", 2, "role", "non_target", "the same at every assessment"),
    ("tumours", 2, "lesion_id", "T7", "it was not there before the first dose"),
    ("tumours", 1, "role", "new", "no new lesion up to the first dose"),
    ("ctdna", 0, "value", 101, "at most 100 percent"),
    ("ctdna", 0, "unit", "ppm", "one of"),
    ("ctdna", 0, "sample_date", "2015-01-01", "not before the patient's screening"),
    ("adverse_events", 0, "grade", 6, "a whole number from 1 to 5"),
    ("adverse_events", 0, "grade", 0, "a whole number from 1 to 5"),
    ("adverse_events", 0, "attribution", "maybe", "one of"),
    ("adverse_events", 0, "ctcae_version", "", "a value"),
    ("adverse_events", 0, "onset_date", "2016-01-01", "not after the patient's death"),
    ("survival", 0, "death_date", "", "a date: status is dead"),
    ("survival", 1, "death_date", "2015-08-01", "no date: status is alive"),
    ("survival", 0, "last_contact_date", "2015-09-02", "not after the death"),
    ("survival", 0, "death_date", "2015-01-19", "not before the first dose"),
    ("survival", 1, "last_contact_date", "2015-01-31", "not before the screening"),
    ("survival", 0, "progression_date", "2015-01-19", "not before the first dose"),
    ("survival", 0, "new_therapy_date", "2015-09-02", "not after the death"),
]


@pytest.mark.parametrize(("table", "index", "column", "value", "wanted"), SPOILT)
def test_a_spoilt_value_is_told_with_its_row(
    tmp_path: Path, table: str, index: int, column: str, value: Any, wanted: str
) -> None:
    rows = clean()
    rows[table][index][column] = value
    _, problems = check_clinical(write(tmp_path / "c", rows))
    own = [p for p in problems if p.file == f"{table}.csv" and wanted in str(p)]
    assert own, problems
    assert index + 2 in {p.row for p in own}


def test_every_problem_is_told_at_once_in_order(tmp_path: Path) -> None:
    rows = clean()
    for table, index, column, value in (
        ("visits", 0, "visit_date", "2014-12-31"),
        ("tumours", 4, "assessment_date", "2016-04-14"),
        ("patients", 1, "screening_date", "2015-13-01"),
        ("tumours", 2, "unit", "in"),
        ("adverse_events", 0, "grade", 6),
    ):
        rows[table][index][column] = value
    rows["patients"].append(dict(rows["patients"][0]))
    _, problems = check_clinical(write(tmp_path / "c", rows))
    places = {(p.file, p.row, p.column) for p in problems}
    assert places >= {
        ("visits.csv", 2, "visit_date"),
        ("tumours.csv", 6, "assessment_date"),
        ("patients.csv", 3, "screening_date"),
        ("patients.csv", 4, "patient_id"),
        ("tumours.csv", 4, "unit"),
        ("adverse_events.csv", 2, "grade"),
    }
    assert problems == sorted(problems, key=Problem.order)
    with pytest.raises(InputError, match=rf"{len(problems)} problems:(.|\n)*nothing was computed"):
        read_clinical(tmp_path / "c")


@pytest.mark.parametrize(
    ("column", "what"),
    [
        ("name", "a name"),
        ("Patient Name", "a name"),
        ("patientSurname", "a name"),
        ("initials", "a name"),
        ("Nom", "a name"),
        ("DOB", "a date of birth"),
        ("date_of_birth", "a date of birth"),
        ("birthdate", "a date of birth"),
        ("date_naissance", "a date of birth"),
        ("MRN", "a hospital number"),
        ("hospital_number", "a hospital number"),
        ("IPP", "a hospital number"),
        ("hospitalid2", "a hospital number"),
        ("email", "an address"),
        ("organism", ""),
        ("denominator", ""),
        ("renamed", ""),
    ],
)
def test_columns_that_identify_are_refused(tmp_path: Path, column: str, what: str) -> None:
    rows = clean()
    rows["patients"][0][column] = "x"
    _, problems = check_clinical(write(tmp_path / "c", rows))
    (problem,) = problems
    assert (problem.row, problem.column) == (1, column)
    assert (f"no column that looks like {what}" if what else "only ['patient_id'") in problem.wanted


def test_identity_hides_in_one_file_no_better(tmp_path: Path) -> None:
    path = write_one(tmp_path / "clinical.csv", clean())
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0] + ",surname", *(line + ",x" for line in lines[1:])]), encoding="utf-8")
    with pytest.raises(InputError, match="looks like a name"):
        read_clinical(path)


def targets(n: int, organ: str = "") -> Rows:
    rows = clean()
    rows["tumours"] = [
        row("tumours", "P1", "2015-01-15", f"T{i}", "target", organ or f"organ{i // 2}", "no", 20, "mm", "")
        for i in range(n)
    ]
    return rows


@pytest.mark.parametrize(("n", "organ", "wanted"), [(5, "", ""), (6, "", "at most 5 targets"), (2, "liver", "")])
def test_targets_at_baseline_are_counted(tmp_path: Path, n: int, organ: str, wanted: str) -> None:
    _, problems = check_clinical(write(tmp_path / "c", targets(n, organ)))
    assert [wanted in p.wanted for p in problems] == ([True] if wanted else [])


def test_three_targets_in_an_organ_are_one_too_many(tmp_path: Path) -> None:
    _, problems = check_clinical(write(tmp_path / "c", targets(3, "liver")))
    assert [(p.row, p.column) for p in problems] == [(4, "organ")]


@pytest.mark.parametrize(("mm", "fine"), [(14.9, False), (15, True)])
def test_a_node_is_measurable_from_15_mm(tmp_path: Path, mm: float, fine: bool) -> None:
    rows = targets(1)
    rows["tumours"][0] |= {"node": "yes", "diameter": mm}
    assert (not check_clinical(write(tmp_path / "c", rows))[1]) is fine


def test_a_fatal_event_needs_a_death(tmp_path: Path) -> None:
    rows = clean()
    rows["adverse_events"][0]["grade"] = 5
    assert not check_clinical(write(tmp_path / "c", rows))[1]
    rows["survival"][0] |= {"status": "alive", "death_date": ""}
    assert "grade 5 only where" in str(check_clinical(write(tmp_path / "c", rows))[1][0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("a,b\n1,2,3\n1,2,3,4,5\n", "cannot be read"),
        ("patient_id,screening_date\nP1,2015-01-01\n", "no column 'table'"),
        ("table,patient_id\nlabs,P1\n", "found 'labs'; needed one of"),
    ],
)
def test_what_is_no_clinical_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_clinical(path)


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table patients; needed a folder with"):
        read_clinical(tmp_path)


def test_semicolons_and_blank_lines_are_read(tmp_path: Path) -> None:
    text = "patient_id;screening_date;blood_drawn;treated\n\nP1;2015-01-01;yes;no\n"
    (tmp_path / "patients.csv").write_text(text, encoding="utf-8")
    assert read_clinical(tmp_path).patients.index.tolist() == [3]


def test_the_template_is_a_clinical_folder_with_a_dictionary(tmp_path: Path) -> None:
    assert run("trial", "template", "--out", tmp_path / "t") == 0
    clinical, problems = check_clinical(tmp_path / "t")
    assert problems == []
    assert len(clinical.given) == 6
    said = pd.read_csv(tmp_path / "t" / "data_dictionary.csv")
    assert set(said["table"]) == set(clinical.given)
    assert said.set_index(["table", "column"]).loc[("adverse_events", "grade"), "range"] == "1 to 5"
    assert run("trial", "template", "--out", tmp_path / "t") == 2


def test_the_check_ends_with_3_and_lists_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = clean()
    assert run("trial", "check", "--clinical", write(tmp_path / "c", rows)) == 0
    rows["adverse_events"][0] |= {"grade": 6, "ctcae_version": "6"}
    assert run("trial", "check", "--clinical", write(tmp_path / "c", rows)) == 3
    said = capsys.readouterr().err
    assert "row 2, column grade: found '6'" in said
    assert "column ctcae_version" in said
