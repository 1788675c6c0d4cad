"""What clinical tables must say together: known patients, dates in order, lesions that can be what they are called."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ctcfish.trial.problems import Problem, at_rows

Frames = Mapping[str, pd.DataFrame]

MEASURABLE_MM, MEASURABLE_NODE_MM = 10.0, 15.0
MOST_TARGETS, MOST_PER_ORGAN = 5, 2
MM = {"mm": 1.0, "cm": 10.0}


def across(frames: Frames, files: Mapping[str, str]) -> list[Problem]:
    """Return every contradiction within and between typed tables.

    Parameters
    ----------
    frames : mapping of str to pandas.DataFrame
        Typed tables by name, indexed by line.
    files : mapping of str to str
        File of each table that was given.
    """
    patients = frames["patients"]
    problems = _patients(patients, files["patients"])
    known = patients[patients["patient_id"].notna()].drop_duplicates("patient_id").set_index("patient_id")
    death = frames["survival"].dropna(subset=["patient_id"]).drop_duplicates("patient_id").set_index("patient_id")
    for name, file in files.items():
        if name == "patients":
            continue
        frame = frames[name]
        strangers = frame.loc[frame["patient_id"].notna() & ~frame["patient_id"].isin(known.index), "patient_id"]
        problems += at_rows(file, strangers, "patient_id", "a patient of the table patients")
        problems += _in_order(name, frame, file, known, death["death_date"])
    if "survival" in files:
        problems += _survival(frames["survival"], files["survival"], known)
    if "tumours" in files:
        problems += _tumours(frames["tumours"], files["tumours"], known)
    if "adverse_events" in files:
        problems += _fatal(frames["adverse_events"], files["adverse_events"], death["status"])
    if "ctdna" in files:
        share = frames["ctdna"]
        over = share.loc[(share["unit"] == "percent") & (share["value"] > 100), "value"]
        problems += at_rows(files["ctdna"], over, "value", "at most 100 percent")
    return problems


_DATED = {"visits": "visit_date", "tumours": "assessment_date", "ctdna": "sample_date", "adverse_events": "onset_date"}
_SCREENED_FIRST = ("visits", "ctdna", "adverse_events")  # imaging may be older than the screening


def _patients(frame: pd.DataFrame, file: str) -> list[Problem]:
    given, dose = frame["treated"], frame["first_dose_date"]
    early = dose[dose < frame["screening_date"]]
    return [
        *at_rows(
            file, frame.loc[(given == "yes") & dose.isna(), "treated"], "first_dose_date", "a date: treated is yes"
        ),
        *at_rows(file, dose[(given == "no") & dose.notna()], "first_dose_date", "no date: treated is no"),
        *at_rows(file, early, "first_dose_date", "a day not before the screening"),
    ]


def _in_order(name: str, frame: pd.DataFrame, file: str, known: pd.DataFrame, death: pd.Series) -> list[Problem]:
    column = _DATED.get(name)
    if column is None:
        return []
    days, owner = frame[column], frame["patient_id"]
    after = days[days > owner.map(death)]
    problems = at_rows(file, after, column, "a day not after the patient's death")
    if name in _SCREENED_FIRST:
        before = days[days < owner.map(known["screening_date"])]
        problems += at_rows(file, before, column, "a day not before the patient's screening")
    return problems


def _survival(frame: pd.DataFrame, file: str, known: pd.DataFrame) -> list[Problem]:
    dead, death, last = frame["status"] == "dead", frame["death_date"], frame["last_contact_date"]
    screened, dose = (frame["patient_id"].map(known[c]) for c in ("screening_date", "first_dose_date"))
    problems = [
        *at_rows(file, frame.loc[dead & death.isna(), "status"], "death_date", "a date: status is dead"),
        *at_rows(file, death[(frame["status"] == "alive") & death.notna()], "death_date", "no date: status is alive"),
        *at_rows(file, last[last > death], "last_contact_date", "a day not after the death"),
        *at_rows(file, last[last < screened], "last_contact_date", "a day not before the screening"),
        *at_rows(file, death[death < screened], "death_date", "a day not before the screening"),
        *at_rows(file, death[death < dose], "death_date", "a day not before the first dose"),
    ]
    for column in ("progression_date", "new_therapy_date"):
        problems += at_rows(file, frame.loc[frame[column] < dose, column], column, "a day not before the first dose")
        problems += at_rows(file, frame.loc[frame[column] > death, column], column, "a day not after the death")
    return problems


def _fatal(frame: pd.DataFrame, file: str, status: pd.Series) -> list[Problem]:
    alive = frame.loc[(frame["grade"] == 5) & (frame["patient_id"].map(status) != "dead"), "grade"]
    return at_rows(file, alive, "grade", "grade 5 only where the table survival says dead")


def _tumours(frame: pd.DataFrame, file: str, known: pd.DataFrame) -> list[Problem]:
    target, size = frame["role"] == "target", frame["diameter"]
    unsaid = target & size.isna() & frame["status"].isna()
    problems = [
        *at_rows(file, size[size.notna() & frame["unit"].isna()], "unit", "mm or cm beside a diameter"),
        *at_rows(file, frame.loc[unsaid, "role"], "diameter", "a diameter or a status of a target"),
        *at_rows(file, size[~target & size.notna()], "diameter", "no diameter: only targets are measured"),
    ]
    unstated = frame.loc[(frame["role"] == "non_target") & frame["status"].isna(), "role"]
    problems += at_rows(file, unstated, "status", "a status of a non-target lesion")
    wrong = frame.loc[target & (frame["status"] == "progression"), "status"]
    problems += at_rows(file, wrong, "status", "a diameter: progression of a target is computed, not stated")
    for column in ("role", "node", "organ"):
        first = frame.groupby(["patient_id", "lesion_id"])[column].transform("first")
        changed = frame.loc[frame[column].notna() & (frame[column] != first), column]
        problems += at_rows(file, changed, column, "the same at every assessment of the lesion")
    return problems + _baseline(frame, file, known["first_dose_date"])


def _baseline(frame: pd.DataFrame, file: str, dose: pd.Series) -> list[Problem]:
    """Problems of the baseline: RECIST 1.1 (Eisenhauer 2009) says what a target may be and how many there may be."""
    start, day = frame["patient_id"].map(dose), frame["assessment_date"]
    before = frame[day <= start]
    problems = at_rows(file, before.loc[before["role"] == "new", "role"], "role", "no new lesion up to the first dose")
    last = before.groupby("patient_id")["assessment_date"].transform("max")
    base = before[before["assessment_date"] == last]
    targets = base[base["role"] == "target"]
    mm = targets["diameter"] * targets["unit"].map(MM)
    bar = targets["node"].map({"yes": MEASURABLE_NODE_MM, "no": MEASURABLE_MM})
    wanted = f"a measurable target at baseline: {MEASURABLE_MM:g} mm, a node {MEASURABLE_NODE_MM:g} mm short axis"
    problems += at_rows(file, targets.loc[~(mm >= bar), "lesion_id"], "diameter", wanted)
    rank = targets.groupby("patient_id").cumcount()
    problems += at_rows(file, targets.loc[rank >= MOST_TARGETS, "lesion_id"], "role", f"at most {MOST_TARGETS} targets")
    rank = targets.groupby(["patient_id", "organ"]).cumcount()
    many = targets.loc[rank >= MOST_PER_ORGAN, "lesion_id"]
    problems += at_rows(file, many, "organ", f"at most {MOST_PER_ORGAN} targets per organ")
    pair = ["patient_id", "lesion_id"]
    seen = pd.MultiIndex.from_frame(frame[pair]).isin(pd.MultiIndex.from_frame(base[pair]))
    late = frame.loc[(day > start) & (frame["role"] != "new") & ~seen, "lesion_id"]
    return problems + at_rows(
        file, late, "role", "new, or the lesion at baseline: it was not there before the first dose"
    )
