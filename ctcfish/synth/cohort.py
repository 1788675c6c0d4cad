"""A cohort of simulated patients at one visit or several: a study folder to score, with who is truly positive."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from ctcfish.errors import UsageError
from ctcfish.parameters import Parameters
from ctcfish.synth.population import populate
from ctcfish.synth.replicates import SHEET, ReplicateSpec, scan_again
from ctcfish.synth.slide import Progress, simulate_slide
from ctcfish.synth.spec import AMPLIFIED, CopyClass, SlideSpec, parse_spec

TRUTH = "truth.csv"


class CohortSpec(Parameters):
    """A slide per patient and visit; CTC numbers are log-normal, amplified shares log-uniform in positive patients.

    A later visit has other cells and its own number of CTC; the patient's share of amplified ones stays.

    Examples
    --------
    >>> CohortSpec(patients=3).patients
    3
    """

    seed: int = Field(default=1, ge=0)
    patients: int = Field(default=10, ge=1, le=9999)
    positive_share: float = Field(default=0.12, ge=0, le=1, description="patients with amplified CTC at all")
    amplified_share: tuple[float, float] = Field(
        default=(0.016, 0.353), description="range of the amplified share of a positive patient's CTC"
    )
    ctc_median: float = Field(default=6.0, gt=0)
    ctc_log_sd: float = Field(default=1.0, ge=0)
    ctc_max: int = Field(default=40, ge=0)
    visits: tuple[str, ...] = Field(default=("screening",), min_length=1, description="visits with a slide, in order")
    later_ctc_median: float = Field(default=0.6, gt=0, description="CTC of a later visit over those of the first one")
    later_ctc_log_sd: float = Field(default=0.7, ge=0)
    rescans: int = Field(default=0, ge=0, description="patients whose first slide is scanned a second time")
    slide: SlideSpec = Field(default=SlideSpec(), description="everything else of every slide")


@dataclass(frozen=True, slots=True)
class CohortSlide:
    """A slide of the cohort.

    Attributes
    ----------
    spec : SlideSpec
    visit : str
    amplified_share : float
        Chance of each CTC of this patient to be amplified; 0 in a negative patient.
    replicate_of : str
        Slide of which this is another scan; empty for none.
    """

    spec: SlideSpec
    visit: str
    amplified_share: float
    replicate_of: str = ""


def read_cohort(path: Path) -> CohortSpec:
    """Read a cohort's specification from TOML.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or a key or value is wrong.
    """
    return parse_spec(path, CohortSpec)


def cohort_slides(cohort: CohortSpec) -> tuple[CohortSlide, ...]:
    """Slides of each patient, by patient and visit, the re-scans last.

    A positive patient's slide may hold no amplified CTC: a share of few cells is often none of them.
    """
    slides = [slide for number in range(1, cohort.patients + 1) for slide in _patient(cohort, number)]
    again = [_rescanned(slide, cohort.seed) for slide in slides[:: len(cohort.visits)][: cohort.rescans]]
    return (*slides, *again)


def _patient(cohort: CohortSpec, number: int) -> list[CohortSlide]:
    rng = np.random.default_rng([cohort.seed, number])
    n_ctc = cohort.ctc_median * float(np.exp(cohort.ctc_log_sd * rng.standard_normal()))
    low, high = np.log(cohort.amplified_share)
    share = float(np.exp(rng.uniform(low, high))) if rng.random() < cohort.positive_share else 0.0
    slides = []
    for rank, visit in enumerate(cohort.visits, start=1):
        kept = 1.0 if rank == 1 else cohort.later_ctc_median * np.exp(cohort.later_ctc_log_sd * rng.standard_normal())
        n = min(cohort.ctc_max, round(n_ctc * float(kept)))
        mix = _mix(cohort.slide, n, int(rng.binomial(n, share)))
        population = cohort.slide.population.model_copy(update={"ctc": n, "ctc_mix": mix})
        own = {"slide_id": f"P{number:04d}-S{rank}", "patient_id": f"P{number:04d}", "seed": int(rng.integers(2**31))}
        spec = cohort.slide.model_copy(update=own | {"population": population})
        slides.append(CohortSlide(spec, visit, share))
    return slides


def _rescanned(slide: CohortSlide, seed: int) -> CohortSlide:
    name = slide.spec.slide_id
    spec = scan_again(ReplicateSpec(seed=seed + slide.spec.seed, slide=slide.spec), f"{name}-R2", 2)
    return CohortSlide(spec, slide.visit, slide.amplified_share, name)


def _mix(slide: SlideSpec, n_ctc: int, n_amplified: int) -> dict[CopyClass, float]:
    """Mix of classes of which exactly so many of the CTC are amplified, each kind in its own proportions."""
    mix = slide.population.ctc_mix
    parts: dict[CopyClass, float] = {}
    for amplified, n in ((True, n_amplified), (False, n_ctc - n_amplified)):
        own = {c: share for c, share in mix.items() if (c in AMPLIFIED) == amplified and share > 0}
        own = own or {"amplified_dispersed" if amplified else "diploid": 1.0}
        # whole cells, so that rounding cannot move one across the border
        order = sorted(own, key=lambda c: -own[c])
        for rank in range(n):
            chosen = max(order, key=lambda c: own[c] / sum(own.values()) * (rank + 1) - parts.get(c, 0.0))
            parts[chosen] = parts.get(chosen, 0.0) + 1.0
    return parts


def simulate_cohort(cohort: CohortSpec, out: Path, progress: Progress | None = None) -> Path:
    """Write a study: a folder per slide, ``study.csv``, and ``truth.csv`` with a row per slide.

    Parameters
    ----------
    cohort : CohortSpec
    out : Path
        Folder to make.
    progress : callable, optional
        Called as ``progress(slide_id, done, total)`` after each slide.

    Raises
    ------
    UsageError
        The folder exists.
    ConfigError
        Some patient's cells do not fit on a slide.
    """
    if out.exists():
        raise UsageError(f"{out.name}: exists already; choose another output folder.")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    slides = cohort_slides(cohort)
    for done, slide in enumerate(slides, 1):
        simulate_slide(slide.spec, part)
        if progress is not None:
            progress(slide.spec.slide_id, done, len(slides))
    truth = pd.DataFrame([_row(slide) for slide in slides])
    sheet = truth[["slide_id", "patient_id", "visit"]].assign(
        blood_ml="7.5", replicate_of=[slide.replicate_of for slide in slides]
    )
    sheet.to_csv(part / SHEET, index=False, lineterminator="\n")
    truth.to_csv(part / TRUTH, index=False, float_format="%.4f", lineterminator="\n")
    part.rename(out)
    return out


def _row(slide: CohortSlide) -> dict[str, object]:
    ctc = [c for c in populate(slide.spec) if c.kind == "ctc"]
    return {
        "slide_id": slide.spec.slide_id,
        "patient_id": slide.spec.patient_id,
        "visit": slide.visit,
        "amplified_share": slide.amplified_share,
        "n_ctc": len(ctc),
        "n_amplified": sum(c.copy_class in AMPLIFIED for c in ctc),
    }
