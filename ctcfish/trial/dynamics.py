"""CTC numbers and circulating tumour DNA before and during treatment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ctcfish.stats.checks import FloatArray
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.proportions import proportion
from ctcfish.stats.rank import spearman_permutation
from ctcfish.trial import library
from ctcfish.trial.finding import Finding, Label, of_correlation, of_proportion, unknown
from ctcfish.trial.ranks import median_interval, paired, superiority, swapped
from ctcfish.trial.subjects import Study


def ctc_course(study: Study) -> pd.DataFrame:
    """Return every CTC count of treated patients: ``patient_id, visit, day, ctc``, days from the first dose."""
    treated = study.treated.set_index("patient_id")
    visits = study.clinical.visits
    own = visits[visits["patient_id"].isin(treated.index) & visits["ctc_per_7_5_ml"].notna()]
    day = (own["visit_date"] - own["patient_id"].map(treated["first_dose_date"])).dt.days
    frame = own[["patient_id", "visit"]].assign(day=day, ctc=own["ctc_per_7_5_ml"].astype(float))
    return frame.sort_values(["patient_id", "day"], kind="stable").reset_index(drop=True)


def ctc_pairs(study: Study) -> pd.DataFrame:
    """Return ``patient_id, before, during, change`` of treated patients counted at both visits of the protocol.

    The change is relative to the count before; missing where that was 0.
    """
    rule, course = study.protocol.ctc_response, ctc_course(study)
    wide = course.pivot_table(index="patient_id", columns="visit", values="ctc", aggfunc="first")
    wide = wide.reindex(columns=[rule.baseline_visit, rule.on_treatment_visit]).dropna()
    wide.columns = pd.Index(["before", "during"])
    change = ((wide["during"] - wide["before"]) / wide["before"]).where(wide["before"] > 0)
    return wide.assign(change=change).reset_index()


def ctc_changes(study: Study) -> list[Finding]:
    """Return falls, favourable counts, the paired rank test and the ratio of counts with its model."""
    rule, level, pairs = study.protocol.ctc_response, study.protocol.confidence, ctc_pairs(study)
    population = f"treated patients counted at {rule.baseline_visit} and {rule.on_treatment_visit}"
    counted = pairs[pairs["before"] > 0]
    fell = int((counted["change"] <= -rule.fall_percent / 100).sum())
    title = f"CTC fall of {rule.fall_percent:g} % or more"
    some = f"{population}, with CTC before"
    found = [of_proportion(Label("ctc", "ctc_fall", title), proportion(fell, len(counted), some, confidence=level))]
    high = pairs[pairs["before"] >= rule.favourable_below]
    turned = int((high["during"] < rule.favourable_below).sum())
    some = f"{population}, with {rule.favourable_below} CTC or more before"
    label = Label("ctc", "ctc_favourable", f"Below {rule.favourable_below} CTC during treatment")
    found.append(of_proportion(label, proportion(turned, len(high), some, confidence=level)))
    found.append(_median_change(pairs, population, level))
    return [*found, _by_response(study, pairs, population), *_model(study, population)]


def _median_change(pairs: pd.DataFrame, population: str, level: float) -> Finding:
    label = Label("ctc", "ctc_change", "Median change of the CTC number")
    if not len(pairs):
        return unknown(label, population, 0, "Nobody was counted at both visits.")
    change = (pairs["during"] - pairs["before"]).to_numpy(float)
    test = paired(pairs["before"], pairs["during"])
    method = f"order statistics, exact binomial; {test.method}"
    estimate = _median(change, method, level)
    return Finding(label, estimate, population, len(pairs), "CTC", p_value=test.p_value)


def _median(change: FloatArray, method: str, level: float) -> Estimate:
    value, low, high = median_interval(change, level)
    return Estimate(value, low, high, method, level)


def _by_response(study: Study, pairs: pd.DataFrame, population: str) -> Finding:
    label = Label("ctc", "ctc_by_response", "Responders fall less (1/2: no difference)")
    told = study.treated.set_index("patient_id").get("responder", pd.Series(dtype=bool))
    own = pairs[pairs["change"].notna()]
    marks = own["patient_id"].map(told).to_numpy(bool)
    return superiority(label, own["change"].to_numpy(float), marks, population, study.protocol.confidence)


def _model(study: Study, population: str) -> list[Finding]:
    rule, course = study.protocol.ctc_response, ctc_course(study)
    label = Label("ctc", "ctc_ratio", f"CTC at {rule.on_treatment_visit} over before")
    own = course[course["visit"].isin([rule.baseline_visit, rule.on_treatment_visit])]
    during = (own["visit"] == rule.on_treatment_visit).to_numpy(float)
    patients = own["patient_id"].nunique()
    if not library.installed():
        return [unknown(label, population, patients, library.NEEDED)]
    if patients < 3 or not 0 < during.sum() < during.size or not own["ctc"].to_numpy(float)[during > 0].any():
        return [unknown(label, population, patients, "Fewer than three patients, or no CTC at one of the visits.")]
    groups = own["patient_id"].factorize()[0]
    estimate = library.count_ratio(own["ctc"].to_numpy(float), during, groups, study.protocol.confidence)
    pairs = ctc_pairs(study)
    p_value = swapped(pairs["before"], pairs["during"]).p_value
    return [Finding(label, estimate, "treated patients counted at either visit", patients, "ratio", p_value=p_value)]


def ctdna_pairs(study: Study) -> pd.DataFrame:
    """Return ``patient_id, marker, unit, before, during`` of treated patients, by the marker highest before.

    Before is the last sample up to the first dose, during the first one after it.
    """
    treated = study.treated.set_index("patient_id")
    own = study.clinical.ctdna
    own = own[own["patient_id"].isin(treated.index)]
    day = (own["sample_date"] - own["patient_id"].map(treated["first_dose_date"])).dt.days
    own = own.assign(day=day).sort_values(["patient_id", "marker", "day"], kind="stable")
    key = ["patient_id", "marker", "unit"]
    before = own[own["day"] <= 0].groupby(key)["value"].last().rename("before")
    during = own[own["day"] > 0].groupby(key)["value"].first().rename("during")
    both = before.to_frame().join(during, how="inner").reset_index()
    best = both.sort_values("before", ascending=False, kind="stable").drop_duplicates("patient_id")
    return best.sort_values("patient_id").reset_index(drop=True)


def ctdna(study: Study) -> list[Finding]:
    """Return ctDNA before and during treatment, against FISH and against response."""
    pairs, level = ctdna_pairs(study), study.protocol.confidence
    population = "treated patients with ctDNA before and during treatment"
    if not len(pairs):
        label = Label("ctdna", "ctdna", "ctDNA before and during treatment")
        return [unknown(label, population, 0, "Nobody has a sample before and one during treatment.")]
    subjects = study.treated.set_index("patient_id")
    change = (pairs["during"] - pairs["before"]).to_numpy(float)
    test = paired(pairs["before"], pairs["during"])
    method = f"order statistics, exact binomial; {test.method}"
    units = " or ".join(sorted(pairs["unit"].unique()))
    estimate = _median(change, method, level)
    label = Label("ctdna", "ctdna_change", "Median change of ctDNA")
    found = [Finding(label, estimate, population, len(pairs), units, p_value=test.p_value)]
    for column, title in (("fraction", "percentage of amplified CTC"), ("highest_ratio", "highest HER2/CEP17")):
        values = pairs["patient_id"].map(subjects[column]).to_numpy(float)
        known = ~np.isnan(values)
        told = spearman_permutation(
            pairs["before"].to_numpy(float)[known], values[known], study.protocol.exploratory.permutations
        )
        label = Label("ctdna", f"ctdna_by_{column}", f"ctDNA before treatment against {title}")
        found.append(of_correlation(label, told, population, level))
    label = Label("ctdna", "ctdna_by_response", "Responders' ctDNA falls less (1/2: no difference)")
    marks = pairs["patient_id"].map(subjects["responder"]).to_numpy(bool)
    return [*found, superiority(label, change, marks, population, level)]
