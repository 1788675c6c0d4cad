"""From tumour measurements to assessments, responses and times to progression and death, one row a treated patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ctcfish.trial.protocol import Response
from ctcfish.trial.read import Clinical
from ctcfish.trial.recist import (
    CONTROLLED,
    UNIT,
    Assessment,
    Best,
    BestRule,
    Lesion,
    TimePoint,
    best_response,
    time_points,
)
from ctcfish.trial.rules import MM

TOO_SMALL_MM = 5.0
"""Size of a target too small to measure (RECIST 1.1)."""

DAYS_A_MONTH = 30.4375

ASSESSMENTS = ["patient_id", "day", "sum_mm", "change", "target", "non_target", "new", "overall"]


@dataclass(frozen=True, slots=True)
class Course:
    """Days from the first dose; None where nothing happened or nothing is known.

    Attributes
    ----------
    last_seen, death, progression_stated, new_therapy : int or None
    """

    last_seen: int | None
    death: int | None
    progression_stated: int | None
    new_therapy: int | None


def responses(clinical: Clinical, rule: Response) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the responses of treated patients and every assessment of theirs.

    Parameters
    ----------
    clinical : Clinical
    rule : Response

    Returns
    -------
    patients : pandas.DataFrame
        A row per treated patient: ``patient_id, measurable, assessments, best, best_unconfirmed, responder, evaluable,
        controlled, best_change, response_day, pfs_days, pfs_event, pfs_left, pfs_right, os_days, os_event``.
    assessments : pandas.DataFrame
        :data:`ASSESSMENTS`, after the baseline.
    """
    treated = clinical.patients[clinical.patients["treated"] == "yes"]
    lesions = dict(tuple(_lesions(clinical.tumours).groupby("patient_id", sort=False)))
    survival = clinical.survival.set_index("patient_id")
    rows, seen = [], []
    for patient, start in zip(treated["patient_id"], treated["first_dose_date"], strict=True):
        visits = _assessments(lesions[patient], start) if patient in lesions else []
        points = time_points(visits)
        course = _course(survival, patient, start)
        rows.append({"patient_id": patient} | _patient(visits, points, course, rule))
        seen += [(patient, *_row(point)) for point in points]
    return pd.DataFrame(rows), pd.DataFrame(seen, columns=ASSESSMENTS)


def _lesions(tumours: pd.DataFrame) -> pd.DataFrame:
    """Sizes in hundredths of a millimetre; a status says what a missing diameter means."""
    stated = tumours["status"].map({"absent": 0.0, "too_small": TOO_SMALL_MM})
    mm = (tumours["diameter"] * tumours["unit"].map(MM)).fillna(stated)
    return tumours.assign(size=(mm * UNIT).round())


def _assessments(rows: pd.DataFrame, start: pd.Timestamp) -> list[Assessment]:
    """The last assessment up to the first dose, and every one after it."""
    visits = []
    for date, own in rows.groupby("assessment_date"):
        target, other = own[own["role"] == "target"], own[own["role"] == "non_target"]
        sizes = {
            name: Lesion(None if np.isnan(size) else int(size), node == "yes")
            for name, size, node in zip(target["lesion_id"], target["size"], target["node"], strict=True)
        }
        states = dict(zip(other["lesion_id"], other["status"].replace("too_small", "present"), strict=True))
        visits.append(Assessment(int((date - start).days), sizes, states, bool((own["role"] == "new").any())))
    before = [v for v in visits if v.day <= 0]
    return before[-1:] + [v for v in visits if v.day > 0] if before else []


def _course(survival: pd.DataFrame, patient: str, start: pd.Timestamp) -> Course:
    if patient not in survival.index:
        return Course(None, None, None, None)
    own = survival.loc[patient]
    days = [own[name] for name in ("last_contact_date", "death_date", "progression_date", "new_therapy_date")]
    return Course(*(None if pd.isna(day) else int((day - start).days) for day in days))


def _patient(visits: list[Assessment], points: list[TimePoint], course: Course, rule: Response) -> dict[str, Any]:
    best = best_response(points, _best_rule(rule), course.new_therapy)
    kept = [p for p in points if course.new_therapy is None or p.day <= course.new_therapy]
    before = [p for p in kept if best.progression_day is None or p.day <= best.progression_day]
    changes = [p.change for p in before if p.change is not None]
    return {
        "measurable": bool(visits and visits[0].targets),
        "assessments": len(points),
        "best": best.best,
        "best_unconfirmed": best.unconfirmed,
        "responder": best.best in ("CR", "PR"),
        "evaluable": best.best != "NE",
        "controlled": is_controlled(before, best, rule.disease_control_days),
        "best_change": min(changes, default=np.nan),
        "response_day": best.response_day,
        **_progression(before, best, course),
        "os_days": course.death if course.death is not None else course.last_seen,
        "os_event": course.death is not None,
    }


def _best_rule(rule: Response) -> BestRule:
    return BestRule(rule.confirm, rule.confirmation_days, rule.min_stable_days)


def is_controlled(points: list[TimePoint], best: Best, days: int) -> bool:
    """Return whether disease was controlled: a response as the protocol counts it, or no progression up to ``days``.

    The latter needs an assessment with controlled disease on that day or later, before any progression.
    """
    long = any(p.overall in CONTROLLED and p.day >= days for p in points)
    return best.best in ("CR", "PR") or long


def _progression(points: list[TimePoint], best: Best, course: Course) -> dict[str, Any]:
    """Time to progression or death, whichever is first, and the interval that holds it.

    Without either, and where another therapy began first, time ends at the last assessment that was evaluable (at the
    first dose if there was none). Progression lies between the last assessment without and the first one with it.
    """
    clear = max((p.day for p in points if p.overall not in ("PD", "NE")), default=0)
    ends = [d for d in (best.progression_day, course.progression_stated) if d is not None]
    progression = min(ends, default=None)
    therapy = course.new_therapy
    if therapy is not None and (progression is None or progression > therapy):
        progression = None
    death = course.death if therapy is None or course.death is None or course.death <= therapy else None
    if progression is None and death is None:
        return {"pfs_days": clear, "pfs_event": False, "pfs_left": clear, "pfs_right": np.inf}
    if progression is not None and (death is None or progression <= death):
        left = max((p.day for p in points if p.overall not in ("PD", "NE") and p.day < progression), default=0)
        return {"pfs_days": progression, "pfs_event": True, "pfs_left": left, "pfs_right": progression}
    return {"pfs_days": death, "pfs_event": True, "pfs_left": death, "pfs_right": death}


def _row(point: TimePoint) -> tuple[Any, ...]:
    total = np.nan if point.total is None else point.total / UNIT
    change = np.nan if point.change is None else point.change
    return point.day, total, change, point.target, point.other, point.new, point.overall
