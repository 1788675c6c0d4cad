"""From slides to patients: eligibility, and how much of it error alone would give.

A patient's cells are the evaluable CTC of all her slides with a trusted IF scan. Beside the preset's rule stands a
control: the posterior a cell must reach is raised until a patient with as many CTC, none of them amplified, is falsely
positive with at most ``max_false_patients``, even if her CTC err ``control_margin`` times as often as the leukocytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, cast

import numpy as np
import pandas as pd

from ctcfish import tables
from ctcfish.parameters import GUARDED, Call, FishRule, Summarise
from ctcfish.stages.calibrate import false_clusters_of
from ctcfish.stages.call import passes, states_of
from ctcfish.stats.estimate import Estimate, undefined
from ctcfish.stats.heterogeneity import (
    HeterogeneityPlan,
    cap_2009,
    heterogeneity,
    is_heterogeneous,
    least_cells,
)
from ctcfish.stats.patient_posterior import OperatingPoints, SharePrior, any_amplified, control_cut, operating_points
from ctcfish.stats.prevalence import corrected_prevalence
from ctcfish.stats.proportions import (
    IntervalMethod,
    at_least_by_error,
    cells_needed,
    clopper_pearson,
    negative_upper_bound,
    proportion,
)
from ctcfish.types import ErrorRates

HIGH_COHORT = 3
"""Amplified CTC from which a patient belongs to cohort HIGH (NCT01975142)."""

LOOKED_AT = (
    *("slide_id", "call", "call_guarded", "reason_guarded", "her2_count", "cep17_count"),
    *("p_amplified", "log10_bayes_factor"),
)
"""Columns of the CTC that patients are judged by."""

NOT_TRUSTED = "No slide has an IF scan that could be trusted: no cell is known to be a CTC."


def patients(
    slides: pd.DataFrame, cells: pd.DataFrame, rates: Mapping[str, ErrorRates], rule: Call, params: Summarise
) -> pd.DataFrame:
    """Join slides and visits by patient.

    Parameters
    ----------
    slides : pandas.DataFrame
        :data:`ctcfish.tables.SLIDES`.
    cells : pandas.DataFrame
        :data:`ctcfish.tables.CELLS` of these slides; only CTC are looked at.
    rates : mapping of str to ErrorRates
        By ``slide_id``.
    rule : Call
        By which the cells were called.
    params : Summarise

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.PATIENTS`, by patient.
    """
    points = cache(lambda slide: _points(rates[slide], rule, params.control_margin))
    ctc_of = _by_slide(cells[cells["kind"] == "ctc"])
    rows = []
    for patient, own in slides.groupby("patient_id", sort=True):
        mine = ctc_of(own.loc[own["n_ctc"].notna(), "slide_id"])
        rows.append({"patient_id": patient} | _patient(own, mine, points, params))
    return tables.PATIENTS.check(pd.DataFrame(rows)) if rows else tables.PATIENTS.empty()


def heterogeneity_table(slides: pd.DataFrame, cells: pd.DataFrame, params: Summarise) -> pd.DataFrame:
    """Heterogeneity between the evaluable CTC of each patient.

    Parameters
    ----------
    slides, cells : pandas.DataFrame
    params : Summarise

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.HETEROGENEITY`; every metric of every patient, withheld ones without a value.
    """
    plan = HeterogeneityPlan(minimum_cells=params.min_cells_heterogeneity)
    evaluable_of = _by_slide(cells[(cells["kind"] == "ctc") & (cells["call"] != "not_evaluable")])
    rows = []
    for patient, own in slides.groupby("patient_id", sort=True):
        mine = evaluable_of(own["slide_id"])
        counted = mine[(mine["her2_count"] > 0).fillna(value=False) & (mine["cep17_count"] > 0).fillna(value=False)]
        her2, cep17 = (counted[f"{probe}_count"].to_numpy(np.int64) for probe in ("her2", "cep17"))
        made = {name: (estimate, len(counted)) for name, estimate in heterogeneity(her2, cep17, plan).items()}
        made |= {name: (share, len(mine)) for name, share in _shares(mine["call"] == "amplified").items()}
        for metric, (estimate, n) in made.items():
            about = {"method": estimate.method, "n_cells": n, "n_needed": cells_for(metric, plan)}
            figures = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            rows.append({"patient_id": patient, "metric": metric} | about | figures)
    return tables.HETEROGENEITY.check(pd.DataFrame(rows)) if rows else tables.HETEROGENEITY.empty()


def _by_slide(ctc: pd.DataFrame) -> Callable[[Iterable[str]], pd.DataFrame]:
    """Rows of some slides in their order, found without looking through all of them for every patient."""
    looked_at = ctc[[*LOOKED_AT]]
    places = looked_at.groupby("slide_id").indices
    none = np.zeros(0, np.int64)

    def of(slides: Iterable[str]) -> pd.DataFrame:
        return looked_at.iloc[np.sort(np.concatenate([none, *(places.get(slide, none) for slide in slides)]))]

    return of


SHARES = ("amplified_share", "amplified_share_wilson", "not_amplified_share", "not_amplified_share_wilson")


def cells_for(metric: str, plan: HeterogeneityPlan) -> int:
    """Fewest cells for which a metric of :func:`heterogeneity_table` is given."""
    return 1 if metric in SHARES else least_cells(metric, plan)


def _shares(amplified: pd.Series) -> dict[str, Estimate]:
    """Share of CTC amplified and not, each with its exact interval and Wilson's."""
    k, n = int(amplified.sum()), len(amplified)
    if not n:
        return dict.fromkeys(SHARES, undefined("no cells"))
    sides = ((k, "clopper-pearson"), (k, "wilson"), (n - k, "clopper-pearson"), (n - k, "wilson"))
    found = [proportion(number, n, "evaluable CTC", cast(IntervalMethod, method)) for number, method in sides]
    made = [Estimate(own.value, own.low, own.high, own.method) for own in found]
    return dict(zip(SHARES, made, strict=True))


def eligible(amplified: int, evaluable: int, params: Summarise) -> str:
    """Whether the rule for patients is met: ``yes``, ``no``, or ``not_evaluable`` without evaluable CTC."""
    if not evaluable:
        return "not_evaluable"
    enough = evaluable >= params.min_ctc and amplified >= params.min_fraction * evaluable
    return "yes" if amplified >= params.min_amplified and enough else "no"


@dataclass(frozen=True)
class _Points:
    """What a bar on the posterior costs on a slide: as its leukocytes say, and with a margin for its CTC."""

    plain: OperatingPoints
    worse: OperatingPoints


def _points(rates: ErrorRates, rule: Call, margin: float) -> _Points:
    """For a protein rule, of the trial's own rule."""
    hard = rule.rule if isinstance(rule.rule, FishRule) else GUARDED
    cut = Fraction(hard.cut)
    states = states_of(rule.prior, cut)
    false = false_clusters_of(rates, "her2")
    each = (
        operating_points(states, rates.errors, cut, lambda her2, cep17: passes(her2, cep17, hard), times, false)
        for times in (1.0, margin)
    )
    return _Points(*each)


def _patient(
    slides: pd.DataFrame, ctc: pd.DataFrame, points: Callable[[str], _Points], params: Summarise
) -> dict[str, Any]:
    row: dict[str, Any] = {"n_slides": len(slides)}
    trusted = slides[slides["n_ctc"].notna()]
    if not len(trusted):
        none = dict.fromkeys(("eligible", "eligible_guarded", "eligible_controlled"), "not_evaluable")
        return row | none | {"note": NOT_TRUSTED}
    evaluable = ctc[ctc["call"] != "not_evaluable"]
    amplified, n = int((evaluable["call"] == "amplified").sum()), len(evaluable)
    guarded = int((ctc["call_guarded"] == "amplified").sum())
    row |= {"n_ctc": len(ctc), "n_evaluable": n, "n_amplified": amplified, "n_amplified_guarded": guarded}
    row["eligible"], row["eligible_guarded"] = eligible(amplified, n, params), eligible(guarded, n, params)
    if amplified:
        row["cohort"] = "HIGH" if amplified >= HIGH_COHORT else "LOW"
    category = cap_2009(int((5 * evaluable["her2_count"] > 11 * evaluable["cep17_count"]).sum()), n)
    row["cap_2009"] = category.name.lower() if category is not None else None
    row["heterogeneous"] = is_heterogeneous(amplified, n) if n else None
    row["ctc_needed"] = cells_needed(params.share_of_interest)
    row |= (
        _fraction(amplified, n)
        | _by_error(trusted, evaluable, params)
        | _controlled(trusted, evaluable, points, params)
    )
    return row | {"note": _note(trusted, ctc, len(slides) - len(trusted))}


def _fraction(amplified: int, n: int) -> dict[str, float]:
    if not n:
        return {}
    low, high = clopper_pearson(amplified, n)
    values = {"fraction": amplified / n, "fraction_low": float(low), "fraction_high": float(high)}
    return values if amplified else values | {"fraction_upper_bound": float(negative_upper_bound(n))}


def _by_error(trusted: pd.DataFrame, evaluable: pd.DataFrame, params: Summarise) -> dict[str, float | None]:
    """What error alone does to a patient with as many cells, by each slide's own rate and the rule for patients."""
    per_slide = trusted.set_index("slide_id")["false_amplified_per_cell"]
    each = evaluable["slide_id"].map(per_slide).to_numpy(float)
    least = max(params.min_amplified, math.ceil(Fraction(str(params.min_fraction)) * len(each)))
    enough = len(each) >= params.min_ctc
    chance = at_least_by_error(each, least) if enough and np.isfinite(each).all() else 0.0
    return {"p_positive_by_error": max(chance, 0.0) if np.isfinite(each).all() else None}


def _controlled(
    trusted: pd.DataFrame, evaluable: pd.DataFrame, points: Callable[[str], _Points], params: Summarise
) -> dict[str, Any]:
    """Control of the patient's error, its cost, and the posterior of the patient."""
    n = len(evaluable)
    if not n:
        return {"eligible_controlled": "not_evaluable"}
    worst = max((points(slide) for slide in trusted["slide_id"]), key=lambda own: float(own.worse.false_call[-1]))
    control = control_cut(worst.worse, n, params.max_false_patients)
    called = evaluable[(evaluable["call"] == "amplified") & (evaluable["p_amplified"] >= control.posterior_cut)]
    factor = np.clip(evaluable["log10_bayes_factor"].dropna().to_numpy(float), -30, 30)
    prior = SharePrior(params.absent, params.share_a, params.share_b)
    sensitivity, false_call = float(worst.plain.sensitivity[-1]), float(worst.plain.false_call[-1])
    share = corrected_prevalence(int((evaluable["call"] == "amplified").sum()), n, false_call, sensitivity)
    return {
        "p_any_amplified": any_amplified(10.0**factor, np.ones(len(factor)), prior),
        "controlled_cut": control.posterior_cut,
        "n_amplified_controlled": len(called),
        "eligible_controlled": eligible(len(called), n, params),
        "sensitivity_controlled": control.sensitivity,
        "fraction_corrected": share.value,
        "fraction_corrected_low": share.low,
        "fraction_corrected_high": share.high,
    }


def _note(trusted: pd.DataFrame, ctc: pd.DataFrame, untrusted: int) -> str:
    parts = []
    if untrusted:
        parts.append(f"{untrusted} slide(s) without a trusted IF scan are left out.")
    if not len(ctc):
        parts.append("No CTC was found: a valid result that says nothing of HER2.")
    uncertain = int((ctc["reason_guarded"] == "UNCERTAIN").sum())
    if uncertain:
        parts.append(f"{uncertain} CTC pass the hard rule and fail the guard (UNCERTAIN).")
    if trusted["flags"].str.contains("UNCONTROLLED").any():
        parts.append("Error rates rest on defaults or the laboratory's history: too few leukocytes.")
    return " ".join(parts)
