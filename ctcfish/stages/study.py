"""What holds between the patients of a study: shares that name their population, and how far patients differ.

A patient's CTC are no independent draws: the spread between patients is measured (beta-binomial correlation of the
amplified share, intraclass correlation of copies), and the pooled share's interval resamples patients, not cells.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ctcfish import tables
from ctcfish.parameters import Summarise
from ctcfish.stats.bootstrap import LOG, bootstrap_interval
from ctcfish.stats.checks import IntArray
from ctcfish.stats.estimate import Estimate, undefined
from ctcfish.stats.overdispersion import beta_binomial_rho, icc_oneway
from ctcfish.stats.proportions import proportion

COUNTS = "counts"
"""Stands for the rule where calls play no part."""

PATIENTS = "patients with at least one evaluable CTC"
CTC = "evaluable CTC of all patients"


def study_measures(
    sensitivity: pd.DataFrame, slides: pd.DataFrame, cells: pd.DataFrame, params: Summarise
) -> pd.DataFrame:
    """Shares over patients by every rule, and what is between patients.

    Parameters
    ----------
    sensitivity : pandas.DataFrame
        :data:`ctcfish.tables.SENSITIVITY`.
    slides, cells : pandas.DataFrame
        Patients of the slides; only CTC with both colours are looked at.
    params : Summarise

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.STUDY_MEASURES`; no rows without patients.
    """
    rows: list[dict[str, Any]] = []
    for rule, own in sensitivity.groupby("rule", sort=False):
        rows += [row | {"rule": rule} for row in _by_rule(own[own["n_evaluable"] > 0], params.min_patients)]
    if len(sensitivity):
        rows += [row | {"rule": COUNTS} for row in _between(slides, cells, params.min_patients)]
    return tables.STUDY_MEASURES.check(pd.DataFrame(rows)) if rows else tables.STUDY_MEASURES.empty()


def _by_rule(patients: pd.DataFrame, least: int) -> list[dict[str, Any]]:
    """Eligible, heterogeneous and pooled shares, and their correlation within patients, by one rule."""
    k, n = (patients[name].to_numpy(np.int64) for name in ("n_amplified", "n_evaluable"))
    several = n >= 2
    eligible = int((patients["eligible"] == "yes").sum())
    return [
        _share("eligible_share", eligible, len(n), PATIENTS),
        _share("heterogeneous_share", int(((k > 0) & (k < n)).sum()), int(several.sum()), "patients with two or more"),
        _told("amplified_share", _pooled(k, n, least), CTC) | {"numerator": int(k.sum()), "denominator": int(n.sum())},
        _told("amplified_share_rho", _rho(k, n, least), PATIENTS) | {"denominator": len(n)},
    ]


def _pooled(k: IntArray, n: IntArray, least: int) -> Estimate:
    """Amplified over evaluable CTC; the interval resamples patients."""
    if len(n) < least or not k.any():
        return _bare(float(k.sum() / n.sum()) if n.any() else math.nan, len(n), least)
    return bootstrap_interval(lambda index: k[index].sum(axis=1) / n[index].sum(axis=1), len(n), LOG)


def _rho(k: IntArray, n: IntArray, least: int) -> Estimate:
    return _withheld(len(n), least) if len(n) < least else beta_binomial_rho(k, n)


def _between(slides: pd.DataFrame, cells: pd.DataFrame, least: int) -> list[dict[str, Any]]:
    """Intraclass correlation of ratio and copies of the CTC that can be scored, on the log scale."""
    trusted = slides[slides["n_ctc"].notna()]
    owner = dict(zip(trusted["slide_id"], trusted["patient_id"], strict=True))
    scored = (cells["kind"] == "ctc") & cells["slide_id"].isin(owner) & cells["ratio"].gt(0) & cells["reason"].isna()
    own = cells[scored.fillna(value=False)]
    patient = own["slide_id"].map(owner).to_numpy()
    number = len(np.unique(patient.astype(str)))
    values = {"log_ratio_icc": own["ratio"], "log_her2_icc": own["her2_count"], "log_cep17_icc": own["cep17_count"]}
    rows = []
    for name, column in values.items():
        made = _withheld(number, least) if number < least else icc_oneway(np.log(column.to_numpy(float)), patient)
        rows.append(_told(name, made, PATIENTS) | {"denominator": number})
    return rows


def _share(measure: str, numerator: int, denominator: int, population: str) -> dict[str, Any]:
    made = proportion(numerator, denominator, population)
    figures = {"value": made.value, "low": made.low, "high": made.high, "method": made.method}
    return {"measure": measure, "numerator": numerator, "denominator": denominator, "population": population} | figures


def _told(measure: str, made: Estimate, population: str) -> dict[str, Any]:
    figures = {"value": made.value, "low": made.low, "high": made.high, "method": made.method}
    return {"measure": measure, "population": population} | figures


def _withheld(found: int, least: int) -> Estimate:
    return undefined(f"withheld: {found} patients, {least} needed")


def _bare(value: float, found: int, least: int) -> Estimate:
    why = f"interval withheld: {found} patients, {least} needed" if found < least else "no amplified CTC: no interval"
    return Estimate(value, math.nan, math.nan, why)
