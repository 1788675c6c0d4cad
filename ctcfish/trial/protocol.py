"""What a protocol must state before anything is computed; what it does not state has no default here."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from ctcfish.config import read_toml
from ctcfish.errors import ConfigError
from ctcfish.parameters import Parameters


class Claim(Parameters):
    """A percentage published somewhere, to be held against the denominators of the data."""

    text: str = Field(min_length=1)
    numerator: int = Field(ge=0)
    percent: str = Field(pattern=r"^\d{1,3}(\.\d+)?$", description="as printed: 9.0 is not 9")
    counted: str = Field(min_length=1, description="step of the flow that the numerator counts")
    population: str = Field(min_length=1, description="step of the flow that the publication names as denominator")


class Response(Parameters):
    """Response by RECIST 1.1."""

    assessment_weeks: int = Field(gt=0, description="weeks between assessments")
    confirm: bool = Field(description="whether only confirmed responses count")
    confirmation_days: int = Field(default=28, ge=1, description="RECIST 1.1: at least four weeks")
    min_stable_days: int = Field(ge=0, description="earliest day at which stable disease counts as such")
    disease_control_days: int = Field(ge=0, description="day up to which disease must be controlled without response")


class CtcResponse(Parameters):
    """What counts as a response of the CTC number during treatment."""

    baseline_visit: str = Field(min_length=1)
    on_treatment_visit: str = Field(min_length=1)
    fall_percent: float = Field(gt=0, le=100, description="fall from baseline that counts as a response")
    favourable_below: int = Field(ge=1, description="CTC per 7.5 mL below which a count is favourable")


class Design(Parameters):
    """Two-stage design of a cohort."""

    p0: float = Field(gt=0, lt=1)
    p1: float = Field(gt=0, lt=1)
    alpha: float = Field(gt=0, lt=1)
    beta: float = Field(gt=0, lt=1)
    choice: Literal["optimal", "minimax"] = "optimal"
    first_look: int | None = Field(
        default=None, ge=1, description="patients of the first stage where the trial fixes it"
    )
    largest: int = Field(default=60, ge=2, le=120)
    prior_a: float = Field(default=1.0, gt=0, description="Beta prior of the monitoring beside the design")
    prior_b: float = Field(default=1.0, gt=0)


class Cohort(Parameters):
    """Patients of a cohort: at least and at most so many amplified CTC at the baseline visit."""

    name: str = Field(min_length=1)
    least: int = Field(ge=1)
    most: int | None = Field(default=None, ge=1)
    design: Design | None = None


class Separate(Parameters):
    """Cohorts run side by side, each by its own design."""

    kind: Literal["separate"] = "separate"


class OpenAfter(Parameters):
    """One cohort opens only once another has passed its first stage."""

    kind: Literal["open_after"] = "open_after"
    first: str
    then: str


class MergeIfSlow(Parameters):
    """All cohorts count as one, under its own design, if one has too few patients after so many were screened."""

    kind: Literal["merge_if_slow"] = "merge_if_slow"
    screened: int = Field(ge=1)
    fewer_than: int = Field(ge=1)
    design: Design


Adaptive = Annotated[Separate | OpenAfter | MergeIfSlow, Field(discriminator="kind")]


class Operating(Parameters):
    """What the simulated trials assume of patients and assay."""

    trials: int = Field(default=2000, ge=100)
    screened: int = Field(ge=1, description="patients screened before a trial gives up")
    response_true: float = Field(ge=0, le=1, description="response rate of patients with amplified CTC")
    response_false: float = Field(ge=0, le=1, description="response rate of patients eligible by error alone")
    positive_share: float = Field(ge=0, le=1, description="screened patients with amplified CTC in the blood")
    cell_error: tuple[float, ...] = (0.0, 0.001, 0.01)
    sensitivity: float = Field(default=1.0, gt=0, le=1, description="probability that an amplified CTC is called")
    seed: int = Field(default=1, ge=0)


class Exploratory(Parameters):
    """When a figure is called exploratory."""

    minimum_patients: int = Field(default=30, ge=3, description="fewer: exploratory whatever its role")
    permutations: int = Field(default=9999, ge=99)


class Protocol(Parameters):
    """A trial's protocol.

    ``illustrative`` names, as ``section.key``, what is an assumption of whoever wrote the file and not the trial's own.
    """

    name: str
    version: str
    source: str
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    baseline_visit: str = Field(min_length=1, description="visit at which eligibility is decided")
    response: Response
    ctc_response: CtcResponse
    cohorts: tuple[Cohort, ...] = Field(min_length=1)
    adaptive: Adaptive = Separate()
    operating: Operating | None = None
    exploratory: Exploratory = Exploratory()
    claims: tuple[Claim, ...] = ()
    illustrative: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Protocol:
        names = [cohort.name for cohort in self.cohorts]
        if len(set(names)) < len(names):
            raise ValueError(f"cohorts {names}: each name once")
        spans = sorted((c.least, c.most if c.most is not None else 10**9, c.name) for c in self.cohorts)
        for (_, most, name), (least, _, following) in itertools.pairwise(spans):
            if most >= least:
                raise ValueError(f"cohorts {name} and {following} overlap: a patient belongs to one")
        if isinstance(self.adaptive, OpenAfter) and not {self.adaptive.first, self.adaptive.then} <= set(names):
            raise ValueError(f"adaptive names cohorts other than {names}")
        tree = self.model_dump(mode="json")
        unknown = [key for key in self.illustrative if not _exists(tree, key)]
        if unknown:
            raise ValueError(f"illustrative names {unknown}, which this protocol does not hold")
        return self

    def cohort_of(self, amplified: int) -> str | None:
        """Return the cohort of a patient with so many amplified CTC; None for too few."""
        for cohort in self.cohorts:
            if cohort.least <= amplified and (cohort.most is None or amplified <= cohort.most):
                return cohort.name
        return None

    @property
    def least_amplified(self) -> int:
        """Fewest amplified CTC of any cohort."""
        return min(cohort.least for cohort in self.cohorts)


def _exists(tree: Any, key: str) -> bool:
    for part in key.split("."):
        if isinstance(tree, list):
            tree = next((item for item in tree if item.get("name") == part), None)
        else:
            tree = tree.get(part) if isinstance(tree, dict) else None
        if tree is None:
            return False
    return True


def read_protocol(path: Path) -> Protocol:
    """Read a protocol from TOML.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or a key or value is wrong or missing.
    """
    return parse_protocol(read_toml(path), path.name)


def parse_protocol(tree: dict[str, Any], name: str) -> Protocol:
    """Return the protocol a tree of keys states.

    Raises
    ------
    ConfigError
        A key or value is wrong or missing; there is no default for what only the trial can state.
    """
    try:
        return Protocol.model_validate(tree)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'protocol'}: {item['msg']}" for item in error.errors()
        )
        raise ConfigError(f"protocol {name}: {wrong}. 'ctcfish trial template' writes one to start from.") from None
