"""Clinical tables of simulated patients: visits, lesions over time, ctDNA, adverse events, survival."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize

from ctcfish.synth.trial_run import VISIT, Screened
from ctcfish.synth.trial_spec import TableCohort

DAYS_A_MONTH = 30.4375
ASSESSED_EVERY = 42
FIRST_DAY = pd.Timestamp(2013, 10, 1)
LATER_VISITS = {"cycle_2": 21, "cycle_3": 42}
ORGANS = ("liver", "lung", "lymph node", "bone")
TERMS = ("Fatigue", "Nausea", "Platelet count decreased", "Aspartate aminotransferase increased", "Anemia", "Epistaxis")
GRADES = (0.45, 0.35, 0.16, 0.04)
ATTRIBUTIONS = ("unrelated", "unlikely", "possible", "probable", "definite")


@dataclass(frozen=True, slots=True)
class Treated:
    """One treated patient: when she progresses and dies, in days from the first dose, if nothing censors her."""

    patient_id: str
    start: pd.Timestamp
    responder: bool
    progression: int
    death: int
    end: int
    ctc: int


Scanned = Set[tuple[str, str]]
"""Patient and visit of every slide of a run."""


def clinical_tables(cohort: TableCohort, people: Screened, scanned: Scanned = frozenset()) -> dict[str, pd.DataFrame]:
    """Return every clinical table as texts and numbers, dates as ISO text.

    Parameters
    ----------
    cohort : TableCohort
    people : Screened
    scanned : set of (str, str)
        Patients and visits whose count is the run's: the table of visits leaves it out, and nobody dies before.
    """
    rng = np.random.default_rng([cohort.seed, 3])
    n = people.patient_id.size
    screening = FIRST_DAY + pd.to_timedelta(np.sort(rng.integers(0, 900, n)), unit="D")
    dose = screening + pd.to_timedelta(rng.integers(14, 29, n), unit="D")
    treated = [_treated(cohort, people, i, dose[i], rng) for i in np.flatnonzero(people.treated).tolist()]
    treated = [_alive_when_scanned(person, scanned) for person in treated]
    frames = {"patients": _patients(people, screening, dose, rng), "visits": _visits(people, screening, treated, rng)}
    frames["visits"] = _left_to_the_run(frames["visits"], people, screening, scanned)
    frames["tumours"] = pd.DataFrame([row for person in treated for row in _lesions(person, rng)], columns=_TUMOURS)
    frames["ctdna"] = pd.DataFrame([row for person in treated for row in _ctdna(person, rng)], columns=_CTDNA)
    frames["adverse_events"] = pd.DataFrame(
        [row for person in treated for row in _events(person, rng)], columns=_EVENTS
    )
    frames["survival"] = pd.DataFrame([_survival(person) for person in treated], columns=_SURVIVAL)
    return frames


_TUMOURS = ["patient_id", "assessment_date", "lesion_id", "role", "organ", "node", "diameter", "unit", "status"]
_CTDNA = ["patient_id", "sample_date", "visit", "marker", "value", "unit"]
_EVENTS = ["patient_id", "onset_date", "term", "grade", "attribution", "ctcae_version", "serious"]
_SURVIVAL = ["patient_id", "status", "last_contact_date", "death_date", "progression_date", "new_therapy_date"]


def after_progression(pfs_median: float, os_median: float) -> float:
    """Return the mean time from progression to death that gives the median survival, both times exponential."""
    a = pfs_median / np.log(2)

    def surviving(b: float) -> float:
        return float((a * np.exp(-os_median / a) - b * np.exp(-os_median / b)) / (a - b)) - 0.5

    return float(optimize.brentq(surviving, 1e-3 * a, 20 * os_median + a * 1.001))


def _treated(cohort: TableCohort, people: Screened, i: int, start: pd.Timestamp, rng: np.random.Generator) -> Treated:
    medians = (cohort.pfs_median_months * DAYS_A_MONTH, cohort.os_median_months * DAYS_A_MONTH)
    progression = max(8, round(rng.exponential(medians[0] / np.log(2))))
    if people.responder[i]:
        progression += 4 * ASSESSED_EVERY  # time to respond and to be confirmed
    death = progression + 5 + round(rng.exponential(after_progression(*medians)))
    lost = rng.random() < 0.05
    end = int(rng.integers(60, cohort.follow_up_days)) if lost else cohort.follow_up_days
    name, responder = str(people.patient_id[i]), bool(people.responder[i])
    return Treated(name, start, responder, progression, death, end, int(people.ctc[i]))


def _alive_when_scanned(person: Treated, scanned: Scanned) -> Treated:
    last = max((day for visit, day in LATER_VISITS.items() if (person.patient_id, visit) in scanned), default=0)
    return replace(person, death=max(person.death, last + 1), end=max(person.end, last + 1))


def _left_to_the_run(visits: pd.DataFrame, people: Screened, screening: Any, scanned: Scanned) -> pd.DataFrame:
    """The table without the counts of scanned visits, and with a row for each scanned visit of the untreated."""
    known = set(zip(visits["patient_id"], visits["visit"], strict=True))
    start = dict(zip(people.patient_id, screening, strict=True))
    rows = [
        (patient, visit, f"{start[patient] + pd.Timedelta(days=28 + LATER_VISITS[visit]):%Y-%m-%d}", None, "ok")
        for patient, visit in sorted(scanned - known)
        if visit in LATER_VISITS and patient in start
    ]
    more = pd.DataFrame(rows, columns=visits.columns).astype({"ctc_per_7_5_ml": "Int64"})
    whole = pd.concat([visits, more], ignore_index=True) if rows else visits
    own = pd.Series(
        [key in scanned for key in zip(whole["patient_id"], whole["visit"], strict=True)], index=whole.index
    )
    counted = own & (whole["sample_status"] == "ok")
    return whole.assign(ctc_per_7_5_ml=whole["ctc_per_7_5_ml"].astype("Int64").mask(counted))


def _patients(people: Screened, screening: Any, dose: Any, rng: np.random.Generator) -> pd.DataFrame:
    n = people.patient_id.size
    positive = people.amplified > 0
    return pd.DataFrame(
        {
            "patient_id": people.patient_id,
            "screening_date": _iso(screening),
            "blood_drawn": "yes",
            "treated": np.where(people.treated, "yes", "no"),
            "first_dose_date": np.where(people.treated, _iso(dose), ""),
            "age_years": np.clip(np.rint(rng.normal(58, 11, n)), 28, 90).astype(int),
            "er_status": np.where(rng.random(n) < 0.78, "positive", "negative"),
            "visceral": np.where(rng.random(n) < 0.65, "yes", "no"),
            "metastatic_sites": 1 + rng.binomial(4, 0.3, n),
            "prior_lines": 1 + rng.binomial(6, 0.3, n),
            "ecog": rng.choice([0, 1, 2], n, p=[0.4, 0.45, 0.15]),
            "not_treated_reason": np.where(positive & ~people.treated, "not eligible for another reason", ""),
        }
    )


def _visits(people: Screened, screening: Any, treated: list[Treated], rng: np.random.Generator) -> pd.DataFrame:
    first = pd.DataFrame(
        {
            "patient_id": people.patient_id,
            "visit": VISIT,
            "visit_date": _iso(screening),
            "ctc_per_7_5_ml": pd.Series(people.ctc).where(people.enumerated).astype("Int64"),
            "sample_status": np.where(people.enumerated, "ok", "enumeration_failed"),
        }
    )
    rows = []
    for person in treated:
        for visit, day in LATER_VISITS.items():
            if day < min(person.death, person.end):
                shift = -1.2 if person.responder else -0.5 if person.progression > 2 * ASSESSED_EVERY else 0.3
                ctc = int(rng.poisson(person.ctc * np.exp(rng.normal(shift, 0.7))))
                rows.append((person.patient_id, visit, _day(person, day), ctc, "ok"))
    return pd.concat([first, pd.DataFrame(rows, columns=first.columns)], ignore_index=True) if rows else first


def _lesions(person: Treated, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Measurements every six weeks up to progression, death or the end of follow-up."""
    n = int(rng.integers(1, 5))
    organs = rng.permutation(ORGANS)[:n]
    sizes = np.where(organs == "lymph node", rng.uniform(18, 40, n), rng.uniform(12, 60, n))
    target = 0.5 if person.responder else float(rng.uniform(0.75, 1.08))
    rows: list[tuple[Any, ...]] = []
    last = min(person.death, person.end)
    for day in (-int(rng.integers(1, 8)), *range(ASSESSED_EVERY, last, ASSESSED_EVERY)):
        progressed = day >= person.progression
        share = 1.0 if day <= 0 else 1.5 if progressed else 1 + (target - 1) * min(1.0, day / ASSESSED_EVERY)
        for i, organ in enumerate(organs.tolist()):
            size, node = round(float(sizes[i]) * share, 1), "yes" if organ == "lymph node" else "no"
            rows.append((person.patient_id, _day(person, day), f"T{i + 1}", "target", organ, node, size, "mm", ""))
        if progressed:
            break
    return rows


def _ctdna(person: Treated, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    base = min(90.0, float(np.exp(rng.normal(0.5, 1.2))))
    rows = [(person.patient_id, _day(person, 0), VISIT, "PIK3CA", round(base, 3), "percent")]
    if min(person.death, person.end) > LATER_VISITS["cycle_3"]:
        later = min(90.0, base * float(np.exp(rng.normal(-1.5 if person.responder else -0.2, 0.8))))
        day = _day(person, LATER_VISITS["cycle_3"])
        rows.append((person.patient_id, day, "cycle_3", "PIK3CA", round(later, 3), "percent"))
    return rows


def _events(person: Treated, rng: np.random.Generator) -> list[tuple[Any, ...]]:
    rows = []
    for term in rng.permutation(TERMS)[: int(rng.integers(0, 5))].tolist():
        day = int(rng.integers(1, max(2, min(person.death, person.end, 120))))
        grade = int(rng.choice([1, 2, 3, 4], p=GRADES))
        cause, serious = str(rng.choice(ATTRIBUTIONS)), "yes" if grade >= 4 else "no"
        rows.append((person.patient_id, _day(person, day), term, grade, cause, "4.03", serious))
    return rows


def _survival(person: Treated) -> tuple[Any, ...]:
    if person.death <= person.end:
        day = _day(person, person.death)
        return person.patient_id, "dead", day, day, "", ""
    return person.patient_id, "alive", _day(person, person.end), "", "", ""


def _day(person: Treated, day: int) -> str:
    return f"{person.start + pd.Timedelta(days=day):%Y-%m-%d}"


def _iso(dates: Any) -> NDArray[Any]:
    return np.asarray(dates.strftime("%Y-%m-%d"), dtype=object)
