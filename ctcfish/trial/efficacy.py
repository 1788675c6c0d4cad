"""Response, disease control, progression-free and overall survival of the treated."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from ctcfish.stats.estimate import Estimate, undefined
from ctcfish.stats.proportions import proportion
from ctcfish.stats.survival import IntervalCurve, KaplanMeier, kaplan_meier, turnbull
from ctcfish.trial.finding import Finding, Label, of_proportion, unknown
from ctcfish.trial.response import DAYS_A_MONTH
from ctcfish.trial.subjects import Study

BEST = {
    "CR": "complete response (CR)",
    "PR": "partial response (PR)",
    "SD": "stable disease (SD)",
    "NON_CR_NON_PD": "neither complete response nor progression, nothing to measure (non-CR/non-PD)",
    "PD": "progressive disease (PD)",
    "NE": "not evaluable (NE)",
}
ANSWERED = ("CR", "PR")
PLANNED = 4
"""Planned assessments at which the share in response is reported."""
LANDMARK_MONTHS = 6.0


def efficacy(study: Study) -> list[Finding]:
    """Return response rate, best responses, disease control and both survivals."""
    treated = study.treated
    return [*_response(study, treated), *_control(study, treated), *survival(study, "pfs"), *survival(study, "os")]


def _response(study: Study, treated: pd.DataFrame) -> list[Finding]:
    level, confirm = study.protocol.confidence, study.protocol.response.confirm
    groups = {"all": ("treated patients", treated)}
    for cohort in study.protocol.cohorts:
        groups[cohort.name] = (f"treated patients of cohort {cohort.name}", treated[treated["cohort"] == cohort.name])
    kind = "confirmed " if confirm else ""
    found = []
    for key, (population, own) in groups.items():
        share = proportion(_sum(own, "responder"), len(own), population, confidence=level)
        label = Label("response", f"response_{key}", f"Objective response, {kind}CR or PR ({key})")
        found.append(of_proportion(label, share, "" if len(own) else "Nobody was treated in this population."))
    evaluable = treated[_marks(treated, "evaluable")]
    share = proportion(_sum(evaluable, "responder"), len(evaluable), "response-evaluable patients", confidence=level)
    beside = [of_proportion(Label("response", "response_evaluable", f"Objective response, {kind}evaluable"), share)]
    hits = {"response_unconfirmed": ("Response, confirmed or not", _best(treated, "best_unconfirmed").isin(ANSWERED))}
    hits |= _at_assessments(study, treated)
    hits |= {f"best_{code}": (f"Best: {title}", _best(treated, "best") == code) for code, title in BEST.items()}
    for key, (title, marks) in hits.items():
        share = proportion(int(marks.sum()), len(treated), "treated patients", confidence=level)
        beside.append(of_proportion(Label("response", key, title), share))
    return [*found, *(replace(finding, role="secondary") for finding in beside)]


def _at_assessments(study: Study, treated: pd.DataFrame) -> dict[str, tuple[str, pd.Series]]:
    """Who is in response at each of the first planned assessments: the nearest one within half an interval."""
    weeks, seen = study.protocol.response.assessment_weeks, study.assessments
    planned = (seen["day"].astype(float) / (7 * weeks)).round()
    found = {}
    for number in range(1, PLANNED + 1):
        here = set(seen.loc[(planned == number) & seen["overall"].isin(ANSWERED), "patient_id"])
        title = f"In response at the assessment of week {number * weeks}"
        found[f"response_week_{number * weeks}"] = (title, treated["patient_id"].isin(here))
    return found


def _control(study: Study, treated: pd.DataFrame) -> list[Finding]:
    days = study.protocol.response.disease_control_days
    share = proportion(
        _sum(treated, "controlled"), len(treated), "treated patients", confidence=study.protocol.confidence
    )
    title = f"Disease control: response, or no progression up to day {days}"
    return [of_proportion(Label("disease_control", "disease_control", title), share)]


def survival(study: Study, name: str) -> list[Finding]:
    """Return median and landmark of a time by Kaplan-Meier; for ``pfs`` the interval-censored median beside them."""
    curve = curve_of(study, name)
    n = int(curve.durations.size)
    events = int(curve.events.sum())
    title = {"pfs": "progression-free survival", "os": "overall survival"}[name]
    told = f"{events} events among {n} patients."
    population = "treated patients with follow-up"
    median = curve.median() if n else undefined("Kaplan-Meier median", curve.confidence)
    at = curve.at(LANDMARK_MONTHS)
    note = told if not math.isnan(median.value) else f"{told} The median was not reached."
    found = [
        Finding(Label(name, f"{name}_median", f"Median {title}"), median, population, n, "months", note=note),
        Finding(Label(name, f"{name}_6_months", f"{title.capitalize()} at 6 months"), at, population, n, "share"),
        _follow_up(study, name, population),
    ]
    return [*found, *_interval_censored(study)] if name == "pfs" else found


def curve_of(study: Study, name: str) -> KaplanMeier:
    """Return the Kaplan-Meier curve of ``pfs`` or ``os`` in months."""
    months, events = _times(study, name)
    return kaplan_meier(months, events, study.protocol.confidence)


def interval_curve(study: Study) -> IntervalCurve:
    """Return Turnbull's curve of progression-free survival in months: events lie between two assessments."""
    treated = study.treated
    left, right = (_column(treated, name) / DAYS_A_MONTH for name in ("pfs_left", "pfs_right"))
    return turnbull(left, right)


def _times(study: Study, name: str) -> tuple[np.ndarray, np.ndarray]:
    treated = study.treated
    days, events = _column(treated, f"{name}_days"), _marks(treated, f"{name}_event").to_numpy(bool)
    known = ~np.isnan(days)
    return days[known] / DAYS_A_MONTH, events[known]


def _follow_up(study: Study, name: str, population: str) -> Finding:
    months, events = _times(study, name)
    label = Label(name, f"{name}_follow_up", "Median follow-up (reverse Kaplan-Meier)")
    if not months.size:
        return unknown(label, population, 0, "Nobody was followed up.")
    median = kaplan_meier(months, ~events, study.protocol.confidence).median()
    if not median.is_defined:
        return unknown(label, population, int(months.size), "Too few are censored: the median is not reached.")
    return Finding(label, median, population, int(months.size), "months")


def _interval_censored(study: Study) -> list[Finding]:
    curve, n = interval_curve(study), len(study.treated)
    low, high = curve.median_bounds()
    middle = (low + high) / 2 if math.isfinite(high) else math.nan
    method = "Turnbull; the interval holds the median of the estimated curve, it is no confidence interval"
    label = Label("pfs", "pfs_median_interval", "Median progression-free survival, between assessments")
    estimate = Estimate(middle, low, high, method, study.protocol.confidence)
    return [Finding(label, estimate, "treated patients", n, "months")]


def _column(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(dtype=float, na_value=np.nan) if name in frame else np.zeros(0)


def _marks(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name].astype(bool) if name in frame else pd.Series(data=False, index=frame.index)


def _sum(frame: pd.DataFrame, name: str) -> int:
    return int(_marks(frame, name).sum())


def _best(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name] if name in frame else pd.Series("NE", index=frame.index)
