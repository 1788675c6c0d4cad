"""One row a screened patient: what the run found at the baseline visit, how far she came, how she fared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ctcfish.trial.protocol import Protocol
from ctcfish.trial.read import Clinical
from ctcfish.trial.response import responses
from ctcfish.trial.run import Run

NOT_HYBRIDISED = ("S0", "S1", "S3")
"""Technical codes of samples on which FISH was never attempted."""

SAMPLE_CODES = {"no_tube": "S0", "late_tube": "S0", "enumeration_failed": "S1", "not_attempted": "S3"}

FAILURES = {
    "S0": "no or late tube",
    "S1": "enumeration failed",
    "S3": "FISH not attempted",
    "S4": "hybridisation failed",
    "S5": "no evaluable CTC",
    "RELOCATION": "scans could not be brought together",
}

CHARACTERISTICS = {
    "age_years": "age, years",
    "metastatic_sites": "metastatic sites",
    "prior_lines": "prior lines",
    "ecog": "ECOG",
    "ctc": "CTC per 7.5 mL",
}
CLASSES = {
    "er_status": ("positive", "oestrogen receptor positive"),
    "visceral": ("yes", "visceral metastases"),
}
"""Characteristics with two classes: which of them is marked, and how it is called."""


@dataclass(frozen=True, slots=True)
class Study:
    """Everything the endpoints are computed from.

    Attributes
    ----------
    subjects : pandas.DataFrame
        A row per screened patient.
    assessments : pandas.DataFrame
        Responses over time of treated patients.
    baseline : pandas.DataFrame
        CTC of the baseline visit with their ``patient_id``.
    clinical : Clinical
    run : Run
    protocol : Protocol
    """

    subjects: pd.DataFrame
    assessments: pd.DataFrame
    baseline: pd.DataFrame
    clinical: Clinical
    run: Run
    protocol: Protocol

    @property
    def treated(self) -> pd.DataFrame:
        """Subjects with at least one dose, in order of the first dose."""
        own = self.subjects[self.subjects["treated"]]
        return own.sort_values(["first_dose_date", "patient_id"], kind="stable").reset_index(drop=True)


def join(run: Run, clinical: Clinical, protocol: Protocol) -> Study:
    """Join run and clinical tables by patient.

    Only slides of the baseline visit decide eligibility (slides without a visit count as such); slides of later visits
    show the course.
    """
    slides = run.slides[run.slides["visit"].isna() | (run.slides["visit"] == protocol.baseline_visit)]
    owner = slides.set_index("slide_id")["patient_id"]
    baseline = run.ctc[run.ctc["slide_id"].isin(owner.index)]
    baseline = baseline.assign(patient_id=baseline["slide_id"].map(owner)).reset_index(drop=True)
    first = clinical.visits[clinical.visits["visit"] == protocol.baseline_visit].set_index("patient_id")
    subjects = clinical.patients.reset_index(drop=True).copy()
    subjects["drawn"] = subjects["blood_drawn"] == "yes"
    subjects["treated"] = subjects["treated"] == "yes"
    key = subjects["patient_id"]
    subjects = subjects.join(_counts(slides, baseline), on="patient_id")
    subjects["ctc"] = key.map(first["ctc_per_7_5_ml"]).astype("float64").fillna(subjects["slide_ctc"])
    status = key.map(first["sample_status"].map(SAMPLE_CODES))
    subjects["technical_code"] = status.where(status.notna(), subjects["technical_code"])
    subjects = _milestones(subjects, protocol)
    told, assessments = responses(clinical, protocol.response)
    if len(told):
        subjects = subjects.merge(told, on="patient_id", how="left")
        for name in ("measurable", "responder", "evaluable", "controlled", "pfs_event", "os_event"):
            subjects[name] = subjects[name].astype("boolean").fillna(value=False).astype(bool)
    return Study(subjects, assessments, baseline, clinical, run, protocol)


def _counts(slides: pd.DataFrame, ctc: pd.DataFrame) -> pd.DataFrame:
    """CTC of the baseline visit by patient, over her slides."""
    by = slides.groupby("patient_id")
    counts = by[["n_ctc", "n_evaluable", "n_amplified", "n_amplified_guarded"]].sum(min_count=1).astype("float64")
    counts = counts.rename(columns={"n_ctc": "slide_ctc"})
    # one slide that worked is enough; else the first failure
    worked = slides[slides["technical_code"].isna()].groupby("patient_id").size()
    counts["technical_code"] = by["technical_code"].first().where(~counts.index.isin(worked.index), None)
    amplified = ctc[ctc["call"] == "amplified"].groupby("patient_id")["ratio"]
    counts["highest_ratio"] = amplified.max()
    counts["mean_ratio"] = amplified.mean()
    return counts


def _milestones(subjects: pd.DataFrame, protocol: Protocol) -> pd.DataFrame:
    code = subjects["technical_code"]
    amplified = subjects["n_amplified"].fillna(0)
    has_slide = subjects["slide_ctc"].notna() | code.notna()
    enumerated = subjects["drawn"] & subjects["ctc"].notna() & ~code.isin(["S0", "S1"])
    with_ctc = enumerated & (subjects["ctc"] >= 1)
    attempted = with_ctc & has_slide & ~code.isin(NOT_HYBRIDISED)
    scored = attempted & (subjects["n_evaluable"].fillna(0) >= 1)
    positive = scored & (amplified >= protocol.least_amplified)
    cohort = pd.Series([protocol.cohort_of(int(n)) for n in amplified], index=subjects.index, dtype=object)
    share = (subjects["n_amplified"] / subjects["n_evaluable"]).where(subjects["n_evaluable"] > 0)
    return subjects.assign(
        enumerated=enumerated,
        with_ctc=with_ctc,
        attempted=attempted,
        scored=scored,
        positive=positive,
        cohort=cohort.where(positive, None),
        fraction=share.where(scored, np.nan),
    )
