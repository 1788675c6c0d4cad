"""REMARK and GRRAS, filled where the data allow; what only the authors can say is left to them."""

from __future__ import annotations

from ctcfish.trial.analysis import Analysis
from ctcfish.trial.subjects import CHARACTERISTICS, CLASSES

AUTHORS = "to be stated by the authors"

REMARK = (
    ("1", "Marker, objectives, hypotheses", "HER2 amplification of CTC by FISH; objectives as in the protocol {name}."),
    ("2", "Patients: source, criteria", "{screened} screened; {treated} treated. Criteria: " + AUTHORS + "."),
    ("3", "Treatments", AUTHORS),
    (
        "4",
        "Specimens, controls",
        "Blood, enumerated CTC; leukocytes of each slide as control. Storage: " + AUTHORS + ".",
    ),
    ("5", "Assay, blinding", "Presets, weights and versions stand in the run's manifest. Blinding: " + AUTHORS + "."),
    (
        "6",
        "Period, selection, follow-up",
        "Median follow-up stands in the tables of survival. Selection: flow diagram.",
    ),
    ("7", "Endpoints defined", "Each table states endpoint, population, rule for missing data and method."),
    ("8", "Candidate variables", "{characteristics}."),
    ("9", "Sample size", "{design}"),
    ("10", "Statistical methods", "Named with each figure; missing data stated with each table."),
    ("11", "Cut-points", "Amplified: HER2/CEP17 >= 2.2 by the run's preset; other cuts under sensitivity."),
    ("12", "Flow of patients", "{flow}."),
    ("13", "Characteristics", "Table of the characteristics of screened, positive and treated patients."),
    ("14", "Marker against standard variables", "Heterogeneity: amplified share against {characteristics}."),
    ("15", "Univariable analyses", "Efficacy against amplification, with Kaplan-Meier curves of all treated."),
    ("16", "Multivariable analyses", "None: too few events for more than one variable."),
    ("17", "Estimates with intervals", "Every figure has one, or says why not."),
    ("18", "Further investigations", "Sensitivity to threshold, preset and missing data; operating characteristics."),
    ("19", "Interpretation, limits", AUTHORS),
    ("20", "Implications", AUTHORS),
)
"""Recommendations for tumour marker prognostic studies (McShane 2005), in short words of our own."""

GRRAS = (
    ("1", "Reliability or agreement in the title", AUTHORS),
    ("2", "Device and measure described", "HER2 and CEP17 signals per CTC, ratio and call, by ctcfish."),
    ("3", "Subjects of interest", "CTC of screened patients."),
    ("4", "Raters of interest", "The program; FISH against immunofluorescence of the same CTC."),
    ("5", "What is known, rationale", AUTHORS),
    ("6", "Sample size chosen how", AUTHORS),
    ("7", "Sampling of subjects and raters", "All CTC with both readings, {cells} cells of {patients} patients."),
    ("8", "Measurement process", "Stated in the run's manifest and configuration."),
    ("9", "Independence of measurements", "Cells are clustered by patient; intervals resample patients."),
    ("10", "Statistical analysis", "Kappa, positive and negative agreement; readings: {readings}."),
    ("11", "Numbers of raters, subjects, replicates", "{cells} cells, {patients} patients; readings: {readings}."),
    ("12", "Characteristics of the sample", AUTHORS),
    ("13", "Estimates with uncertainty", "Every figure has an interval, or says why not."),
    ("14", "Practical relevance", AUTHORS),
    ("15", "Detailed results", "endpoints.csv and endpoints.json."),
)
"""Guidelines for reporting reliability and agreement studies (Kottner 2011), in short words of our own."""


LISTS = {
    "REMARK": "Recommendations for tumour marker prognostic studies (McShane 2005), as far as the data can fill them.",
    "GRRAS": "Guidelines for reporting reliability and agreement (Kottner 2011), as far as the data can fill them.",
}


def filled(analysis: Analysis) -> dict[str, list[tuple[str, str, str]]]:
    """Return item, question and answer of both lists."""
    study, steps = analysis.study, {step.name: step.n for step in analysis.steps}
    designs = [
        f"{d.cohort}: {d.plan.chosen.design.n} patients{', illustrative' if d.illustrative else ''}"
        for d in analysis.decisions
    ]
    paired = study.baseline[(study.baseline["call"] != "not_evaluable") & study.baseline["her2_protein_class"].notna()]
    known = {
        "name": study.protocol.name,
        "screened": str(steps["screened"]),
        "treated": str(len(study.treated)),
        "characteristics": "; ".join([*CHARACTERISTICS.values(), *(title for _, title in CLASSES.values())]),
        "design": "; ".join(designs) or "No design in the protocol.",
        "flow": ", ".join(f"{n} {name}" for name, n in steps.items()),
        "cells": str(len(paired)),
        "patients": str(paired["patient_id"].nunique()),
        "readings": "read from the quality control" if len(study.run.reproducibility) else "none were given",
    }
    lists = {"REMARK": REMARK, "GRRAS": GRRAS}
    return {name: [(n, asked, told.format(**known)) for n, asked, told in items] for name, items in lists.items()}
