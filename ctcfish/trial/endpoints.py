"""The trial's endpoints: role, picture, who is left out and how missing data are treated, stated once each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["primary", "secondary", "exploratory"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What stands at the head of an endpoint's table.

    Attributes
    ----------
    title : str
    role : {"primary", "secondary", "exploratory"}
    figure : str
        Name of the picture that shows it.
    excluded : str
        Who is not in the population, and why.
    missing : str
        How missing data were treated.
    multiplicity : str
    """

    title: str
    role: Role
    figure: str
    excluded: str
    missing: str
    multiplicity: str


_NO_TEST = "No test."
_HOLM = "P-values adjusted within this table after Holm."

ENDPOINTS: dict[str, Endpoint] = {
    "response": Endpoint(
        "Response rate (RECIST 1.1)",
        "primary",
        "waterfall",
        "Patients without a dose.",
        "A treated patient without an evaluable assessment stays in the denominator as a non-responder.",
        "Tested per cohort by its two-stage design alone; no adjustment between cohorts.",
    ),
    "disease_control": Endpoint(
        "Disease control rate",
        "secondary",
        "spider",
        "Patients without a dose.",
        "A treated patient without an evaluable assessment stays in the denominator as not controlled.",
        _NO_TEST,
    ),
    "pfs": Endpoint(
        "Progression-free survival",
        "secondary",
        "km_pfs",
        "Patients without a dose.",
        "Without progression or death: censored at the last evaluable assessment (at the first dose if there is none); "
        "another therapy before progression censors there.",
        _NO_TEST,
    ),
    "os": Endpoint(
        "Overall survival",
        "secondary",
        "km_os",
        "Patients without a dose, or without a row in the table survival.",
        "Alive: censored at the last contact.",
        _NO_TEST,
    ),
    "detection": Endpoint(
        "Detection rate of HER2-amplified CTC",
        "secondary",
        "detection",
        "By denominator: every population is named.",
        "Failed samples stay in the denominators before FISH and are left out of those after it.",
        _NO_TEST,
    ),
    "heterogeneity": Endpoint(
        "Heterogeneity between CTC",
        "secondary",
        "heterogeneity",
        "Patients without amplified CTC or with one evaluable CTC; in correlations, those without the characteristic.",
        "Complete cases per characteristic; nothing is imputed.",
        _HOLM,
    ),
    "failure": Endpoint(
        "Technical failure rate",
        "secondary",
        "failures",
        "Samples without blood; a sample without CTC is a valid result and no failure.",
        "A sample with CTC and no slide is told apart from a failed one.",
        _NO_TEST,
    ),
    "reproducibility": Endpoint(
        "Reproducibility of HER2 FISH on CTC",
        "secondary",
        "reproducibility",
        "As in the laboratory's quality control, from which these figures are read.",
        "As there.",
        _NO_TEST,
    ),
    "fish_if": Endpoint(
        "FISH against immunofluorescence",
        "secondary",
        "fish_if",
        "CTC without an evaluable FISH call or without a HER2 protein class.",
        "Complete pairs; cells are clustered by patient.",
        _HOLM,
    ),
    "efficacy": Endpoint(
        "Efficacy against amplification",
        "exploratory",
        "efficacy",
        "Patients without a dose; for a change in size, patients without a measured one.",
        "Complete cases; a treated patient without evaluable assessment is a non-responder.",
        _HOLM,
    ),
    "ctc": Endpoint(
        "CTC numbers during treatment",
        "secondary",
        "ctc_course",
        "Treated patients without a count at either visit.",
        "Complete pairs; the model uses every count there is.",
        _HOLM,
    ),
    "ctdna": Endpoint(
        "Circulating tumour DNA",
        "exploratory",
        "ctdna",
        "Treated patients without samples before and during treatment.",
        "Complete pairs; the first sample up to the first dose and the first one after it.",
        _HOLM,
    ),
    "toxicity": Endpoint(
        "Toxicity (CTCAE)",
        "secondary",
        "toxicity",
        "Patients without a dose; events before the first dose.",
        "The worst grade of a patient and term counts; a patient without events has had none.",
        _NO_TEST,
    ),
}
