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

RATES = {"response rate": "responder", "disease control": "controlled"}
CUTS = ("2", "11/5", "5/2", "3")
"""Ratios at which all cells are called again; 11/5 is the trial's."""


def sensitivity(study: Study) -> pd.DataFrame:
    """Return every conclusion under every other choice, :data:`COLUMNS`."""
    rows = [*_thresholds(study), *_presets(study), *_missing(study), *_times(study)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _thresholds(study: Study) -> list[dict[str, object]]:
    """Every conclusion if cells, or patients, were called by another threshold."""
    cells, fewest = study.baseline, study.protocol.least_amplified
    counted = cells[(cells["call"] != "not_evaluable") & (cells["cep17_count"] > 0)]
    her2, cep17 = (counted[f"{p}_count"].to_numpy(float).astype(np.int64) for p in ("her2", "cep17"))
    hits = {f"ratio >= {float(Fraction(cut)):g}": (reaches(her2, cep17, Fraction(cut)), fewest) for cut in CUTS}
    own = {setting: (counted["patient_id"][marks], least) for setting, (marks, least) in hits.items()}
    own["guarded call"] = (cells.loc[cells["call_guarded"] == "amplified", "patient_id"], fewest)
    amplified = cells.loc[cells["call"] == "amplified", "patient_id"]
    own |= {f"{least} amplified CTC or more": (amplified, least) for least in (2, 3)}
    scored = study.subjects.loc[study.subjects["scored"], "patient_id"]
    rows = []
    for setting, (patients, least) in own.items():
        enough = patients.value_counts()
        positive = scored[scored.isin(enough[enough >= least].index)]
        rows += _under(study, ("threshold", setting), positive, (len(scored), "FISH evaluable patients"))
    return rows


def _presets(study: Study) -> list[dict[str, object]]:
    """Every conclusion by every preset the run was called with; the run pools all visits of a patient."""
    told = study.run.sensitivity
    scored = set(study.subjects.loc[study.subjects["scored"], "patient_id"])
    told = told[told["patient_id"].isin(scored)]
    rows = []
    for rule, own in told.groupby("rule", sort=True):
        seen = own[own["eligible"] != "not_evaluable"]
        positive = seen.loc[seen["eligible"] == "yes", "patient_id"]
        rows += _under(study, ("preset", str(rule)), positive, (len(seen), "FISH evaluable by this preset, all visits"))
    return rows


def _under(study: Study, choice: tuple[str, str], positive: pd.Series, of: tuple[int, str]) -> list[dict[str, object]]:
    """Every conclusion on those whom a rule finds positive; ``of`` is how many it could judge, and who they are."""
    level, treated = study.protocol.confidence, study.treated
    kept, population = treated[treated["patient_id"].isin(positive)], "treated and positive by this rule"
    rows = [_row("detection rate", *choice, proportion(len(positive), of[0], of[1], confidence=level))]
    for conclusion, column in RATES.items():
        hits = int(kept[column].sum()) if column in kept else 0
        rows.append(_row(conclusion, *choice, proportion(hits, len(kept), population, confidence=level)))
    if "pfs_days" in kept and len(kept):
        months = kept["pfs_days"].to_numpy(float) / DAYS_A_MONTH
        median = kaplan_meier(months, kept["pfs_event"].to_numpy(bool), level).median()
        rows.append(_time_row(choice, median, (len(kept), population)))
    return rows


def _missing(study: Study) -> list[dict[str, object]]:
    """Response and disease control if patients without evaluable assessment were left out, or had responded."""
    treated, level = study.treated, study.protocol.confidence
    if "responder" not in treated:
        return []
    rows = []
    seen = treated[treated["evaluable"]]
    for conclusion, column in RATES.items():
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
        rows.append(_time_row(("missing data", setting), median, (len(treated), "treated")))
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


def _time_row(choice: tuple[str, str], median: Estimate, of: tuple[int, str]) -> dict[str, object]:
    about: dict[str, object] = {"conclusion": "median PFS", "kind": choice[0], "setting": choice[1], "numerator": None}
    figures = {"n": of[0], "value": median.value, "low": median.low, "high": median.high}
    return about | figures | {"population": of[1], "unit": "months", "method": median.method}
