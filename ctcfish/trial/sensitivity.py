"""How much each conclusion hangs on the preset, the threshold and the treatment of missing data."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd

from ctcfish.stats.estimate import Estimate
from ctcfish.stats.proportions import Proportion, proportion
from ctcfish.stats.ratio_rule import reaches
from ctcfish.stats.survival import kaplan_meier
from ctcfish.trial.response import DAYS_A_MONTH
from ctcfish.trial.subjects import Study

COLUMNS = ["conclusion", "kind", "setting", "numerator", "n", "value", "low", "high", "population", "unit", "method"]

CUTS = ("2", "11/5", "5/2", "3")
"""Ratios at which all cells are called again; 11/5 is the trial's."""


def sensitivity(study: Study) -> pd.DataFrame:
    """Return every conclusion under every other choice, :data:`COLUMNS`."""
    rows = [*_thresholds(study), *_presets(study), *_missing(study), *_times(study)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _thresholds(study: Study) -> list[dict[str, object]]:
    """Detection rate and response rate if cells, or patients, were called by another threshold."""
    cells = study.baseline
    counted = cells[(cells["call"] != "not_evaluable") & (cells["cep17_count"] > 0)]
    her2, cep17 = (counted[f"{p}_count"].to_numpy(float).astype(np.int64) for p in ("her2", "cep17"))
    rows = []
    for cut in CUTS:
        hits = counted["patient_id"][reaches(her2, cep17, Fraction(cut))].value_counts()
        rows += _under(study, "threshold", f"ratio >= {float(Fraction(cut)):g}", hits, study.protocol.least_amplified)
    guarded = cells[cells["call_guarded"] == "amplified"]["patient_id"].value_counts()
    rows += _under(study, "threshold", "guarded call", guarded, study.protocol.least_amplified)
    own = cells[cells["call"] == "amplified"]["patient_id"].value_counts()
    for least in (2, 3):
        rows += _under(study, "threshold", f"{least} amplified CTC or more", own, least)
    return rows


def _under(study: Study, kind: str, setting: str, hits: pd.Series, least: int) -> list[dict[str, object]]:
    s, level = study.subjects, study.protocol.confidence
    positive = s["scored"] & (s["patient_id"].map(hits).fillna(0) >= least)
    detected = proportion(int(positive.sum()), int(s["scored"].sum()), "FISH evaluable patients", confidence=level)
    kept = s["treated"] & positive
    answered = int((kept & s.get("responder", False)).sum())
    responded = proportion(answered, int(kept.sum()), "treated and positive by this rule", confidence=level)
    return [_row("detection rate", kind, setting, detected), _row("response rate", kind, setting, responded)]


def _presets(study: Study) -> list[dict[str, object]]:
    """Detection rate by every preset the run was called with; the run pools all visits of a patient."""
    told = study.run.sensitivity
    scored = set(study.subjects.loc[study.subjects["scored"], "patient_id"])
    told = told[told["patient_id"].isin(scored)]
    rows = []
    for rule, own in told.groupby("rule", sort=True):
        seen = own[own["eligible"] != "not_evaluable"]
        share = proportion(
            int((seen["eligible"] == "yes").sum()),
            len(seen),
            "FISH evaluable by this preset, all visits",
            confidence=study.protocol.confidence,
        )
        rows.append(_row("detection rate", "preset", str(rule), share))
    return rows


def _missing(study: Study) -> list[dict[str, object]]:
    """Response and disease control if patients without evaluable assessment were left out, or had responded."""
    treated, level = study.treated, study.protocol.confidence
    if "responder" not in treated:
        return []
    rows = []
    seen = treated[treated["evaluable"]]
    for conclusion, column in (("response rate", "responder"), ("disease control", "controlled")):
        worst, n = int(treated[column].sum()), len(treated)
        without = int((~treated["evaluable"]).sum())
        for setting, k, size, population in (
            ("not evaluable: counted as failures", worst, n, "treated"),
            ("not evaluable: left out", int(seen[column].sum()), len(seen), "response-evaluable"),
            ("not evaluable: counted as successes", worst + without, n, "treated"),
        ):
            share = proportion(k, size, population, confidence=level)
            rows.append(_row(conclusion, "missing data", setting, share))
    loose = int(treated["best_unconfirmed"].isin(["CR", "PR"]).sum())
    share = proportion(loose, len(treated), "treated", confidence=level)
    return [*rows, _row("response rate", "definition", "without confirmation", share)]


def _times(study: Study) -> list[dict[str, object]]:
    """Median progression-free survival under other datings of progression and of withdrawal."""
    treated = study.treated
    if "pfs_days" not in treated or not len(treated):
        return []
    days, event = treated["pfs_days"].to_numpy(float), treated["pfs_event"].to_numpy(bool)
    left = treated["pfs_left"].to_numpy(float)
    settings = {
        "as the protocol says": (days, event),
        "progression dated at the last clear assessment": (np.where(event, left, days), event),
        "progression dated midway": (np.where(event, (left + days) / 2, days), event),
        "end of assessments counted as progression": (days, np.ones_like(event)),
    }
    rows = []
    for setting, (time, seen) in settings.items():
        median = kaplan_meier(time / DAYS_A_MONTH, seen, study.protocol.confidence).median()
        rows.append(_time_row(setting, median, len(treated)))
    return rows


def _row(conclusion: str, kind: str, setting: str, share: Proportion) -> dict[str, object]:
    return {
        "conclusion": conclusion,
        "kind": kind,
        "setting": setting,
        "numerator": share.numerator,
        "n": share.denominator,
        "value": share.value,
        "low": share.low,
        "high": share.high,
        "population": share.population,
        "unit": "share",
        "method": share.method.title(),
    }


def _time_row(setting: str, median: Estimate, n: int) -> dict[str, object]:
    about: dict[str, object] = {
        "conclusion": "median PFS",
        "kind": "missing data",
        "setting": setting,
        "numerator": None,
        "n": n,
    }
    figures = {"value": median.value, "low": median.low, "high": median.high}
    return about | figures | {"population": "treated", "unit": "months", "method": median.method}
