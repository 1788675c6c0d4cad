"""One slide scanned again and again: a study of precision with the same truth in every image."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from ctcfish.errors import UsageError
from ctcfish.parameters import Parameters
from ctcfish.synth.slide import Progress, simulate_slide
from ctcfish.synth.spec import SlideSpec, parse_spec

SHEET = "study.csv"


class ReplicateSpec(Parameters):
    """Days and scans a day of one slide; 5 by 5 is the layout of CLSI EP15.

    What differs between scans is a model of ordinary re-scanning, not measured on a microscope.

    Examples
    --------
    >>> [scan.slide_id for scan, _ in replicate_slides(ReplicateSpec(days=2, scans=1))]
    ['simulated-d1-s1', 'simulated-d2-s1']
    """

    seed: int = Field(default=1, ge=0)
    days: int = Field(default=5, ge=1, le=99)
    scans: int = Field(default=5, ge=1, le=99, description="scans a day")
    days_per_lot: int = Field(default=3, ge=1, description="days until the next lot")
    shift_sd_um: float = Field(default=2.0, ge=0, description="stage: where the slide is found again, y and x")
    defocus_sd_um: float = Field(default=0.2, ge=0, description="focus of a scan")
    scan_log_sd: float = Field(default=0.03, ge=0, description="brightness of all signals from scan to scan")
    day_log_sd: float = Field(default=0.05, ge=0, description="brightness of all signals from day to day")
    lot_log_sd: float = Field(default=0.10, ge=0, description="brightness of all signals from lot to lot")
    background_log_sd: float = Field(default=0.05, ge=0, description="background from scan to scan")
    slide: SlideSpec = Field(default=SlideSpec(), description="the slide itself")


def read_replicates(path: Path) -> ReplicateSpec:
    """Read a specification from TOML.

    Raises
    ------
    ConfigError
        The file cannot be read, is no TOML, or a key or value is wrong.
    """
    return parse_spec(path, ReplicateSpec)


def replicate_slides(spec: ReplicateSpec) -> tuple[tuple[SlideSpec, dict[str, str]], ...]:
    """Every scan as a slide of its own, with its row of the study sheet; the first is the one that others repeat."""
    found: list[tuple[SlideSpec, dict[str, str]]] = []
    for day in range(1, spec.days + 1):
        lot = 1 + (day - 1) // spec.days_per_lot
        of_day = spec.day_log_sd * _normal(spec, 1, day) + spec.lot_log_sd * _normal(spec, 2, lot)
        for scan in range(1, spec.scans + 1):
            number = len(found) + 1
            name = f"{spec.slide.slide_id}-d{day}-s{scan}"
            slide = scan_again(spec, name, number, of_day)
            row = {"slide_id": name, "patient_id": slide.patient_id, "blood_ml": "7.5", "day": str(day)}
            row |= {"probe_lot": f"L{lot}", "replicate_of": found[0][0].slide_id if found else ""}
            found.append((slide, row))
    return tuple(found)


def scan_again(spec: ReplicateSpec, name: str, number: int, of_day: float = 0.0) -> SlideSpec:
    """The slide as one scan sees it: its truth untouched, its light, place and focus a little off.

    Parameters
    ----------
    spec : ReplicateSpec
    name : str
        Name of the scan.
    number : int
        Which scan it is; each has noise of its own.
    of_day : float
        Logarithm of the day's brightness.
    """
    rng = np.random.default_rng([spec.seed, 3, number])
    bright, dim, focus, up, left = rng.standard_normal(5).tolist()
    signals, fish = spec.slide.signals, spec.slide.fish
    light = {
        "photons": signals.photons * float(np.exp(of_day + spec.scan_log_sd * bright)),
        "background_photons": signals.background_photons * float(np.exp(spec.background_log_sd * dim)),
    }
    place = {
        "scan": number,
        "shift_um": (fish.shift_um[0] + spec.shift_sd_um * up, fish.shift_um[1] + spec.shift_sd_um * left),
        "defocus_um": fish.defocus_um + spec.defocus_sd_um * focus,
    }
    parts = {"signals": signals.model_copy(update=light), "fish": fish.model_copy(update=place)}
    patient = spec.slide.patient_id or spec.slide.slide_id
    return spec.slide.model_copy(update={"slide_id": name, "patient_id": patient} | parts)


def _normal(spec: ReplicateSpec, stream: int, number: int) -> float:
    return float(np.random.default_rng([spec.seed, stream, number]).standard_normal())


def simulate_replicates(spec: ReplicateSpec, out: Path, progress: Progress | None = None) -> Path:
    """Write a study: a folder per scan, and ``study.csv`` that declares who repeats whom.

    Parameters
    ----------
    spec : ReplicateSpec
    out : Path
        Folder to make.
    progress : callable, optional
        Called as ``progress(slide_id, done, total)`` after each scan.

    Raises
    ------
    UsageError
        The folder exists.
    ConfigError
        The cells do not fit on the slide.
    """
    if out.exists():
        raise UsageError(f"{out.name}: exists already; choose another output folder.")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    scans = replicate_slides(spec)
    for done, (slide, row) in enumerate(scans, 1):
        simulate_slide(slide, part)
        if progress is not None:
            progress(row["slide_id"], done, len(scans))
    pd.DataFrame([row for _, row in scans]).to_csv(part / SHEET, index=False, lineterminator="\n")
    part.rename(out)
    return out
