"""Everything the trial asks of a run and its clinical tables, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ctcfish.trial.assay import detection, failure, fish_against_protein, heterogeneity, reproducibility
from ctcfish.trial.association import associations
from ctcfish.trial.decision import Decision, decide, inference
from ctcfish.trial.dynamics import ctc_changes, ctdna
from ctcfish.trial.efficacy import efficacy
from ctcfish.trial.finding import Finding, concluded
from ctcfish.trial.flow import Denominators, Step, check_claim, deviations, flow
from ctcfish.trial.operating import operating
from ctcfish.trial.protocol import Protocol
from ctcfish.trial.read import read_clinical
from ctcfish.trial.run import read_run
from ctcfish.trial.sensitivity import sensitivity
from ctcfish.trial.subjects import Study, join
from ctcfish.trial.toxicity import toxicity


@dataclass(frozen=True, slots=True)
class Analysis:
    """The trial's results.

    Attributes
    ----------
    study : Study
    steps : tuple of Step
        Flow of patients.
    claims : tuple of Denominators
        Published percentages against the data.
    deviations : tuple of str
        What contradicts the flow.
    findings : tuple of Finding
        Every endpoint's figures, adjusted, with their roles.
    decisions : tuple of Decision
        Standing of every cohort with a design.
    operating : pandas.DataFrame
        Operating characteristics by the error of the assay.
    sensitivity : pandas.DataFrame
        Every conclusion under other choices.
    """

    study: Study
    steps: tuple[Step, ...]
    claims: tuple[Denominators, ...]
    deviations: tuple[str, ...]
    findings: tuple[Finding, ...]
    decisions: tuple[Decision, ...]
    operating: pd.DataFrame
    sensitivity: pd.DataFrame


def run_trial(run: Path, clinical: Path, protocol: Protocol, reproducibility: Path | None = None) -> Analysis:
    """Read a run and clinical tables and compute every endpoint.

    Parameters
    ----------
    run : Path
        Folder of a run.
    clinical : Path
        Folder of clinical CSV files, or one file.
    protocol : Protocol
    reproducibility : Path, optional
        Folder of a reproducibility study.

    Raises
    ------
    InputError
        A table is absent or wrong; every problem of the clinical tables is listed and nothing is computed.
    StatisticsError
        A cohort's design does not exist.
    """
    tables = read_clinical(clinical)
    return analyse(join(read_run(run, reproducibility), tables, protocol))


def analyse(study: Study) -> Analysis:
    """Compute every endpoint of a joined study."""
    steps, decisions, level = flow(study), decide(study), study.protocol.confidence
    findings = [
        *efficacy(study),
        *inference(decisions),
        *detection(study, steps),
        *heterogeneity(study),
        *failure(study),
        *reproducibility(study),
        *fish_against_protein(study),
        *associations(study),
        *ctc_changes(study),
        *ctdna(study),
        *toxicity(study),
    ]
    return Analysis(
        study,
        tuple(steps),
        tuple(check_claim(claim, steps, level) for claim in study.protocol.claims),
        tuple(deviations(study)),
        tuple(concluded(findings, study.protocol.exploratory.minimum_patients)),
        tuple(decisions),
        operating(study),
        sensitivity(study),
    )
