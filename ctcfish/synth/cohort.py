"""A cohort of simulated patients: a study folder that a batch can score, with who is truly positive."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from ctcfish.errors import UsageError
from ctcfish.parameters import Parameters
from ctcfish.synth.population import populate
from ctcfish.synth.slide import Progress, simulate_slide
from ctcfish.synth.spec import AMPLIFIED, CopyClass, SlideSpec, parse_spec

SHEET, TRUTH = "study.csv", "truth.csv"


class CohortSpec(Parameters):
    """One slide per patient; CTC numbers are log-normal, amplified shares log-uniform in positive patients.

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
    slide: SlideSpec = Field(default=SlideSpec(), description="everything else of every slide")


def read_cohort(path: Path) -> CohortSpec:
    """Read a cohort's specification from TOML.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or a key or value is wrong.
    """
    return parse_spec(path, CohortSpec)


def patient_slides(cohort: CohortSpec) -> tuple[tuple[SlideSpec, float], ...]:
    """Slide of each patient and the share of its CTC that are amplified, 0 in a negative patient.

    A positive patient's slide may hold no amplified CTC: a share of few cells is often none of them.
    """
    slides = []
    for number in range(1, cohort.patients + 1):
        rng = np.random.default_rng([cohort.seed, number])
        n_ctc = min(cohort.ctc_max, round(cohort.ctc_median * float(np.exp(cohort.ctc_log_sd * rng.standard_normal()))))
        low, high = np.log(cohort.amplified_share)
        share = float(np.exp(rng.uniform(low, high))) if rng.random() < cohort.positive_share else 0.0
        population = cohort.slide.population.model_copy(
            update={"ctc": n_ctc, "ctc_mix": _mix(cohort.slide, n_ctc, int(rng.binomial(n_ctc, share)))}
        )
        patient = f"P{number:04d}"
        own = {"slide_id": f"{patient}-S1", "patient_id": patient, "seed": int(rng.integers(2**31))}
        slides.append((cohort.slide.model_copy(update=own | {"population": population}), share))
    return tuple(slides)


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
    """Write a study: a folder per slide, ``study.csv``, and ``truth.csv`` with a row per patient.

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
    slides = patient_slides(cohort)
    rows = []
    for done, (spec, share) in enumerate(slides, 1):
        simulate_slide(spec, part)
        rows.append(_patient_row(spec, share))
        if progress is not None:
            progress(spec.slide_id, done, len(slides))
    truth = pd.DataFrame(rows)
    truth[["slide_id", "patient_id"]].assign(blood_ml="7.5").to_csv(part / SHEET, index=False, lineterminator="\n")
    truth.to_csv(part / TRUTH, index=False, float_format="%.4f", lineterminator="\n")
    part.rename(out)
    return out


def _patient_row(spec: SlideSpec, share: float) -> dict[str, object]:
    ctc = [c for c in populate(spec) if c.kind == "ctc"]
    return {
        "slide_id": spec.slide_id,
        "patient_id": spec.patient_id,
        "amplified_share": share,
        "n_ctc": len(ctc),
        "n_amplified": sum(c.copy_class in AMPLIFIED for c in ctc),
    }
