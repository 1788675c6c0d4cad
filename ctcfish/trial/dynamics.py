"""CTC numbers and circulating tumour DNA before and during treatment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ctcfish.errors import StatisticsError
from ctcfish.stats.bootstrap import BootstrapPlan
from ctcfish.stats.count_ratio import ratio_of_counts
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.proportions import proportion
from ctcfish.stats.rank import spearman_permutation
from ctcfish.trial.finding import Finding, Label, of_correlation, of_proportion, unknown
from ctcfish.trial.ranks import median_interval, paired, superiority, swapped
from ctcfish.trial.subjects import SAMPLE_CODES, Study


def ctc_course(study: Study) -> pd.DataFrame:
    """Return treated patients at their visits: ``patient_id, visit, day, ctc, n_evaluable, n_amplified``.

    Days are from the first dose, missing where the table of visits has no such row. The count is the clinical table's;
    where it gives none and no failure, that of the visit's slides.
    """
    treated = study.treated.set_index("patient_id")
    slides = study.run.slides.assign(visit=study.run.slides["visit"].fillna(study.protocol.baseline_visit))
    key = ["patient_id", "visit"]
    scored = slides.groupby(key)[["n_ctc", "n_evaluable", "n_amplified"]].sum(min_count=1).astype("float64")
    whole = study.clinical.visits.merge(scored.reset_index(), how="outer", on=key)
    own = whole[whole["patient_id"].isin(treated.index)]
    counted = own["n_ctc"].mask(own["sample_status"].isin(list(SAMPLE_CODES)))
    own = own.assign(
        day=(own["visit_date"] - own["patient_id"].map(treated["first_dose_date"])).dt.days,
        ctc=own["ctc_per_7_5_ml"].astype("float64").fillna(counted),
    )
    known = own[own["ctc"].notna() | own["n_evaluable"].notna()]
    shown = known[["patient_id", "visit", "day", "ctc", "n_evaluable", "n_amplified"]]
    return shown.sort_values(["patient_id", "day", "visit"], kind="stable").reset_index(drop=True)


def ctc_pairs(study: Study) -> pd.DataFrame:
    """Return ``patient_id, before, during, change`` of treated patients counted at both visits of the protocol.

    The change is relative to the count before; missing where that was 0.
    """
    wide = _at_both_visits(study, "ctc").dropna()
    change = ((wide["during"] - wide["before"]) / wide["before"]).where(wide["before"] > 0)
    return wide.assign(change=change).reset_index()


def amplified_pairs(study: Study) -> pd.DataFrame:
    """Return ``patient_id, before, during, share_before, share_during``: amplified CTC and their share.

    Of treated patients with evaluable CTC on slides of both visits of the protocol.
    """
    evaluable = _at_both_visits(study, "n_evaluable")
    evaluable = evaluable[(evaluable > 0).all(axis=1)]
    amplified = _at_both_visits(study, "n_amplified").reindex(evaluable.index)
    return amplified.join((amplified / evaluable).add_prefix("share_")).reset_index()


def _at_both_visits(study: Study, column: str) -> pd.DataFrame:
    """A row a patient: columns ``before`` and ``during``, missing where nothing is known."""
    rule = study.protocol.ctc_response
    wide = ctc_course(study).pivot_table(index="patient_id", columns="visit", values=column, aggfunc="first")
    wide = wide.reindex(columns=[rule.baseline_visit, rule.on_treatment_visit])
    wide.columns = pd.Index(["before", "during"])
    return wide


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
    label = Label("ctc", "ctc_change", "Median change of the CTC number")
    found.append(_median_change(label, pairs[["before", "during"]], population, "CTC", level))
    found += [_by_response(study, pairs, population), _model(study, population)]
    scored = amplified_pairs(study)
    some = f"treated patients with evaluable CTC on slides of {rule.baseline_visit} and {rule.on_treatment_visit}"
    label = Label("ctc", "amplified_change", "Median change of the number of amplified CTC")
    found.append(_median_change(label, scored[["before", "during"]], some, "CTC", level))
    label = Label("ctc", "amplified_share_change", "Median change of the amplified share of CTC")
    return [*found, _median_change(label, scored[["share_before", "share_during"]], some, "share", level)]


def _median_change(label: Label, pairs: pd.DataFrame, population: str, unit: str, level: float) -> Finding:
    """Median of the second column less the first, with the signed-rank test."""
    if not len(pairs):
        return unknown(label, population, 0, "Nobody is known at both visits.")
    before, during = (pairs[name].to_numpy(float) for name in pairs)
    test = paired(before, during)
    value, low, high = median_interval(during - before, level)
    estimate = Estimate(value, low, high, f"order statistics, exact binomial; {test.method}", level)
    return Finding(label, estimate, population, len(pairs), unit, p_value=test.p_value)


def _by_response(study: Study, pairs: pd.DataFrame, population: str) -> Finding:
    label = Label("ctc", "ctc_by_response", "Responders fall less (1/2: no difference)")
    told = study.treated.set_index("patient_id").get("responder", pd.Series(dtype=bool))
    own = pairs[pairs["change"].notna()]
    marks = own["patient_id"].map(told).to_numpy(bool)
    return superiority(label, own["change"].to_numpy(float), marks, population, study.protocol.confidence)


def _model(study: Study, population: str) -> Finding:
    rule = study.protocol.ctc_response
    label = Label("ctc", "ctc_ratio", f"CTC at {rule.on_treatment_visit} over before")
    counts = _at_both_visits(study, "ctc").dropna(how="all")
    try:
        plan = BootstrapPlan(confidence=study.protocol.confidence)
        estimate = ratio_of_counts(counts["before"], counts["during"], plan)
    except StatisticsError as error:
        return unknown(label, population, len(counts), str(error))
    pairs = counts.dropna()
    test = swapped(pairs["before"], pairs["during"])
    estimate = replace(estimate, method=f"{estimate.method}; p by {test.method}")
    some = "treated patients counted at either visit"
    return Finding(label, estimate, some, len(counts), "ratio", p_value=test.p_value)


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
    units = " or ".join(sorted(pairs["unit"].unique()))
    label = Label("ctdna", "ctdna_change", "Median change of ctDNA")
    found = [_median_change(label, pairs[["before", "during"]], population, units, level)]
    measured = {
        "ctdna": ("ctDNA before treatment", pairs["before"].to_numpy(float)),
        "ctdna_change": ("Change of ctDNA", change),
    }
    for key, (told, values) in measured.items():
        for column, title in (("fraction", "percentage of amplified CTC"), ("highest_ratio", "highest HER2/CEP17")):
            fish = pairs["patient_id"].map(subjects[column]).to_numpy(float)
            known = ~np.isnan(fish)
            test = spearman_permutation(values[known], fish[known], study.protocol.exploratory.permutations)
            label = Label("ctdna", f"{key}_by_{column}", f"{told} against {title}")
            found.append(of_correlation(label, test, population, level))
    label = Label("ctdna", "ctdna_by_response", "Responders' ctDNA falls less (1/2: no difference)")
    marks = pairs["patient_id"].map(subjects["responder"]).to_numpy(bool)
    return [*found, superiority(label, change, marks, population, level)]
