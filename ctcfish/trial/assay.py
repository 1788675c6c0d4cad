"""What the assay found: detection, technical failure, heterogeneity, reproducibility, FISH against protein."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from ctcfish.stats.agreement import clustered, cohen_kappa, percent_agreement, specific_agreement
from ctcfish.stats.bootstrap import BootstrapPlan, bootstrap_interval, near_one
from ctcfish.stats.checks import IntArray
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.heterogeneity import CapCategory, cap_2009
from ctcfish.stats.overdispersion import beta_binomial_rho
from ctcfish.stats.proportions import clopper_pearson, proportion
from ctcfish.stats.rank import mcnemar_exact, spearman_permutation
from ctcfish.trial.finding import Finding, Label, of_correlation, of_proportion, unknown
from ctcfish.trial.flow import Step, shares_of_populations
from ctcfish.trial.ranks import median_interval, superiority
from ctcfish.trial.subjects import CHARACTERISTICS, CLASSES, FAILURES, Study

READINGS = {
    "call": "Call",
    "evaluable": "Evaluable or not",
    "ratio class": "Class of the ratio",
    "her2": "HER2 count",
    "cep17": "CEP17 count",
    "ratio": "HER2/CEP17",
    "eligible": "Eligible or not",
}
AGREEMENT = (
    "percent agreement",
    "positive agreement",
    "negative agreement",
    "Cohen kappa",
    "Gwet AC1",
    "weighted kappa, quadratic",
    "percent equal",
    "ICC(2,1)",
    "Lin concordance",
)
SHARES = ("percent agreement", "positive agreement", "negative agreement", "percent equal")
_NO_SPREAD = "No interval: the readings do not differ, or too few patients do."
SPREAD = ("repeatability SD", "repeatability coefficient")
"""Figures of a reproducibility study that the trial reports; its own report has all."""


def detection(study: Study, steps: list[Step]) -> list[Finding]:
    """Return patients with amplified CTC over every population before, so that no denominator can hide."""
    found = []
    for share in shares_of_populations(steps, "with amplified CTC", study.protocol.confidence):
        label = Label(
            "detection", f"detected_of_{_key(share.population)}", f"Amplified CTC, of those {share.population}"
        )
        found.append(of_proportion(label, share))
    scored = study.subjects[study.subjects["scored"]]
    for cohort in study.protocol.cohorts:
        hits = int((scored["cohort"] == cohort.name).sum())
        share = proportion(hits, len(scored), "FISH evaluable patients", confidence=study.protocol.confidence)
        found.append(of_proportion(Label("detection", f"cohort_{cohort.name}", f"Cohort {cohort.name}"), share))
    guarded = int((scored["n_amplified_guarded"].fillna(0) >= study.protocol.least_amplified).sum())
    share = proportion(guarded, len(scored), "FISH evaluable patients", confidence=study.protocol.confidence)
    return [*found, of_proportion(Label("detection", "detected_guarded", "Amplified by the guarded rule"), share)]


def failure(study: Study) -> list[Finding]:
    """Return failed samples by code, and CTC that could not be evaluated with the interval of clustered cells."""
    s, level = study.subjects, study.protocol.confidence
    drawn = s[s["drawn"]]
    found = []
    for code, text in FAILURES.items():
        share = proportion(int((drawn["technical_code"] == code).sum()), len(drawn), "blood drawn", confidence=level)
        found.append(of_proportion(Label("failure", f"failed_{code}", f"{code}: {text}"), share))
    with_ctc = s[s["with_ctc"]]
    lost = int((with_ctc["attempted"] & ~with_ctc["scored"]).sum())
    attempted = int(with_ctc["attempted"].sum())
    share = proportion(lost, attempted, "FISH attempted", confidence=level)
    found.append(of_proportion(Label("failure", "failed_fish", "FISH attempted, no evaluable CTC"), share))
    cells = study.baseline
    if len(cells):
        own = (cells["call"] == "not_evaluable").groupby(cells["patient_id"]).agg(["sum", "size"])
        bad, size = (own[name].to_numpy(np.int64) for name in ("sum", "size"))
        label = Label("failure", "failed_cells", "CTC not evaluable (cells clustered by patient)")
        told = clustered_share(bad, size, level)
        found.append(Finding(label, told, "CTC of the baseline visit", len(cells), "share", int(bad.sum())))
    return found


def clustered_share(hits: IntArray, size: IntArray, level: float) -> Estimate:
    """Return the share of cells with the interval that resamples patients; of patients alone where it is 0 or 1.

    The interval is drawn for the greater of the share and what is left of it, on a scale made for shares near 1.
    """
    n, cells = hits.size, int(size.sum())
    if hits.sum() in (0, cells):
        value = float(hits.sum() > 0)
        low, high = (float(end) for end in clopper_pearson(int(value) * n, n, level))
        return Estimate(value, low, high, "Clopper-Pearson of the patients, who all agree", level)
    most = hits if 2 * hits.sum() > cells else size - hits
    plan = BootstrapPlan(confidence=level)
    found = bootstrap_interval(lambda rows: most[rows].sum(axis=1) / size[rows].sum(axis=1), n, near_one(cells), plan)
    low, high = (0.0 if found.low < 0 else found.low), found.high
    if most is hits:
        return Estimate(found.value, low, high, found.method, level)
    return Estimate(1 - found.value, 1 - high, 1 - low, found.method, level)


def heterogeneity(study: Study) -> list[Finding]:
    """Return how many positive patients are heterogeneous, how wide shares spread, and what goes with them."""
    positive = study.subjects[study.subjects["positive"]]
    level = study.protocol.confidence
    several = positive[positive["n_evaluable"] >= 2]
    mixed = int((several["n_amplified"] < several["n_evaluable"]).sum())
    population = "patients with amplified CTC and two evaluable CTC or more"
    share = proportion(mixed, len(several), population, confidence=level)
    found = [of_proportion(Label("heterogeneity", "heterogeneous", "Amplified and other CTC in one patient"), share)]
    above = [cap_2009(int(k), int(n)) for k, n in zip(several["n_amplified"], several["n_evaluable"], strict=True)]
    cap = proportion(above.count(CapCategory.HETEROGENEOUS), len(several), population, confidence=level)
    found.append(
        of_proportion(Label("heterogeneity", "cap_2009", "Heterogeneous after CAP 2009 (5 to under 50 %)"), cap)
    )
    found.append(_median_share(positive, level))
    scored = study.subjects[study.subjects["scored"]]
    k, n = (scored[name].to_numpy(float).astype(np.int64) for name in ("n_amplified", "n_evaluable"))
    rho = beta_binomial_rho(k, n, level)
    label = Label("heterogeneity", "overdispersion", "Spread of amplified shares between patients (beta-binomial rho)")
    found.append(Finding(label, rho, "FISH evaluable patients", len(scored), "rho"))
    return found + _characteristics(study, positive)


def _median_share(positive: pd.DataFrame, level: float) -> Finding:
    """Median amplified share with the interval of its order statistics (exact binomial)."""
    value, low, high = median_interval(positive["fraction"].to_numpy(float), level)
    label = Label("heterogeneity", "median_share", "Median amplified share of CTC")
    estimate = Estimate(value, low, high, "order statistics, exact binomial", level)
    return Finding(label, estimate, "patients with amplified CTC", len(positive), "share")


def _characteristics(study: Study, positive: pd.DataFrame) -> list[Finding]:
    plan, found = study.protocol.exploratory, []
    level, population = study.protocol.confidence, "patients with amplified CTC"
    for name, title in CHARACTERISTICS.items():
        own = positive[positive[name].notna() & positive["fraction"].notna()]
        pair = (own["fraction"].to_numpy(float), own[name].to_numpy(float))
        test = spearman_permutation(*pair, resamples=plan.permutations)
        label = Label("heterogeneity", f"share_by_{name}", f"Amplified share against {title}")
        found.append(of_correlation(label, test, f"{population} and known {title}", level))
    for name, (marked, title) in CLASSES.items():
        own = positive[positive[name].notna() & positive["fraction"].notna()]
        marks = (own[name] == marked).to_numpy()
        label = Label("heterogeneity", f"share_by_{name}", f"Higher amplified share, {title} (1/2: no difference)")
        some = f"{population}, told whether {title}"
        found.append(superiority(label, own["fraction"].to_numpy(float), marks, some, level))
    return found


def reproducibility(study: Study) -> list[Finding]:
    """Return agreement and repeatability of calls and counts, on CTC and on patients, as quality control found them.

    On all nuclei where its study knows no CTC; a single figure that says so where no study was given.
    """
    told = study.run.reproducibility
    told = told[(told["stratum"] == "all") & told["level"].isin(["cell", "patient"])]
    told = told.assign(plain=told["statistic"].astype(str).str.removesuffix(", log scale"))
    told = told[told["plain"].isin([*AGREEMENT, *SPREAD])]
    if (told["population"] == "CTC").any():
        told = told[(told["population"] == "CTC") | (told["level"] == "patient")]
    found = []
    for row in told.to_dict("records"):
        quantity, statistic, relation = (str(row[name]) for name in ("quantity", "statistic", "relation"))
        key = f"{quantity}_{statistic}_{row['level']}_{relation}"
        title = f"{READINGS.get(quantity, quantity)}: {statistic} (per {row['level']}, {relation.replace('_', ' ')})"
        value, low, high = (math.nan if pd.isna(row[name]) else float(row[name]) for name in ("value", "low", "high"))
        unit = "agreement" if row["plain"] in AGREEMENT else "spread"
        estimate = _of_share(statistic, Estimate(value, low, high, str(row["method"])))
        note = "" if not math.isnan(low) or "withheld" in estimate.method else _NO_SPREAD
        label = Label("reproducibility", key, title)
        found.append(Finding(label, estimate, str(row["population"]), int(row["n_items"]), unit, note=note))
    if not found:
        label = Label("reproducibility", "reproducibility", "Reproducibility of HER2 FISH on CTC")
        return [unknown(label, "readings", 0, "No reproducibility study was given (--qc).")]
    return found


def _of_share(statistic: str, estimate: Estimate) -> Estimate:
    """Agreements that are shares end at 0, whatever scale their limits were drawn on; a NaN stays."""
    return replace(estimate, low=max(estimate.low, 0.0)) if statistic in SHARES and estimate.low < 0 else estimate


def fish_against_protein(study: Study) -> list[Finding]:
    """Return agreement of the FISH call with high HER2 protein, per cell clustered by patient, and per patient."""
    cells = study.baseline
    pairs = cells[(cells["call"] != "not_evaluable") & cells["her2_protein_class"].notna()]
    level, population = study.protocol.confidence, "CTC with a FISH call and a HER2 protein class"
    if not len(pairs):
        label = Label("fish_if", "fish_if", "FISH against HER2 protein")
        return [unknown(label, population, 0, "No CTC has both a FISH call and a HER2 protein class.")]
    fish, protein = pairs["call"] == "amplified", pairs["her2_protein_class"] == "high"
    tables = _tables(fish, protein, pairs["patient_id"])
    statistics = {
        "kappa": ("Cohen's kappa", cohen_kappa),
        "positive": ("positive agreement", lambda t: specific_agreement(t, 1)),
        "negative": ("negative agreement", lambda t: specific_agreement(t, 0)),
        "overall": ("percent agreement", percent_agreement),
    }
    found = []
    for key, (title, statistic) in statistics.items():
        label = Label("fish_if", f"fish_if_{key}", f"Amplified against high protein per CTC: {title}")
        estimate = _of_share(title, clustered(tables, statistic, BootstrapPlan(confidence=level)))
        note = _NO_SPREAD if math.isnan(estimate.low) else ""
        some = f"{population} (clustered by patient)"
        found.append(Finding(label, estimate, some, len(pairs), "agreement", note=note))
    return found + _by_patient(fish, protein, pairs["patient_id"], level)


def _tables(fish: pd.Series, protein: pd.Series, patients: pd.Series) -> np.ndarray:
    """A 2 x 2 table per patient: rows FISH, columns protein."""
    code = 2 * fish.astype(int) + protein.astype(int)
    counts = pd.crosstab(patients, code).reindex(columns=range(4), fill_value=0)
    return np.asarray(counts.to_numpy(np.int64).reshape(-1, 2, 2))


def _by_patient(fish: pd.Series, protein: pd.Series, patients: pd.Series, level: float) -> list[Finding]:
    any_fish, any_protein = fish.groupby(patients).any(), protein.groupby(patients).any()
    population = "patients with such CTC"
    both = int((any_fish == any_protein).sum())
    share = proportion(both, len(any_fish), population, confidence=level)
    found = [
        of_proportion(Label("fish_if", "fish_if_patient", "Any amplified against any high CTC, per patient"), share)
    ]
    only_fish, only_protein = int((any_fish & ~any_protein).sum()), int((~any_fish & any_protein).sum())
    test = mcnemar_exact(only_fish, only_protein)
    split = proportion(only_fish, only_fish + only_protein, "patients on whom the two differ", confidence=level)
    label = Label("fish_if", "fish_if_mcnemar", "Positive by FISH alone (1/2: neither finds more patients)")
    estimate = Estimate(split.value, split.low, split.high, f"{split.method.title()}; {test.method}", level)
    n = split.denominator
    return [*found, Finding(label, estimate, split.population, n, "share", only_fish, p_value=test.p_value)]


def _key(text: str) -> str:
    return text.lower().replace(" ", "_")
