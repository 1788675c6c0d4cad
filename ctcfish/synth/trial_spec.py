"""What a simulated cohort of tables is made of; the defaults hold the published margins of CirCe T-DM1."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ctcfish.parameters import Parameters


class TableCohort(Parameters):
    """A cohort without images: tables of a run and clinical tables.

    At 154 patients the margins are those of Jacot et al. 2019 exactly (150 enumerated, 118 with CTC, 14 with amplified
    CTC, 11 treated, 1 partial response); at other sizes they hold in proportion. What is not published is an assumption
    of this simulation: spread of CTC numbers, copies per cell, course, ctDNA, toxicity.

    Examples
    --------
    >>> TableCohort().patients
    154
    """

    level: Literal["tables"] = "tables"
    seed: int = Field(default=1, ge=0)
    patients: int = Field(default=154, ge=1, le=100_000)
    enumerated_share: float = Field(default=150 / 154, ge=0, le=1)
    ctc_share: float = Field(default=118 / 150, ge=0, le=1, description="of the enumerated")
    positive_share: float = Field(default=14 / 154, ge=0, le=1, description="of the screened, as found by the assay")
    treated_share: float = Field(default=11 / 14, ge=0, le=1, description="of those with amplified CTC")
    response_share: float = Field(default=1 / 11, ge=0, le=1, description="of the treated")
    amplified_median: float = Field(
        default=0.016, gt=0, lt=1, description="amplified share of a positive patient's CTC"
    )
    amplified_range: tuple[float, float] = (0.003, 0.353)
    ctc_log_mean: float = Field(default=2.09, description="with the spread below, 5 CTC or more in 57.3 % of patients")
    ctc_log_sd: float = Field(default=2.63, gt=0)
    ctc_max: int = Field(default=1000, ge=1)
    not_evaluable: float = Field(default=0.14, ge=0, lt=1, description="share of CTC")
    failed: float = Field(default=0.03, ge=0, lt=1, description="share of samples with CTC whose FISH failed")
    pfs_median_months: float = Field(default=4.8, gt=0)
    os_median_months: float = Field(default=9.5, gt=0)
    protein_agrees: float = Field(default=0.8, ge=0, le=1, description="amplified CTC with high HER2 protein")
    follow_up_days: int = Field(default=730, ge=84)

    @model_validator(mode="after")
    def _check(self) -> TableCohort:
        low, high = self.amplified_range
        if not 0 < low <= self.amplified_median <= high < 1:
            raise ValueError("amplified_range must hold amplified_median, within 0 to 1")
        if self.os_median_months <= self.pfs_median_months:
            raise ValueError("os_median_months must exceed pfs_median_months: death follows progression")
        return self
