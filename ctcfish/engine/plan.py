"""What a batch would do, told before it does it: every slide opened, no pixel read."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from ctcfish.config import Config
from ctcfish.errors import CtcfishError
from ctcfish.io import Overrides, SlideRef, open_ref
from ctcfish.types import Scene, Slide

SECONDS_PER_MEGAVOXEL = 0.5
"""Time of one core per million voxels of all channels; an order of magnitude, not a measurement."""

BASE_GB = 0.9
"""Memory of a process that has scored a small slide."""

BYTES_PER_VOXEL = 4
"""Memory per voxel of what is held of the largest scene while it is scored."""

MOST_HELD = 150_000_000
"""Voxels held of a scene at once, whatever its size: a part of it, in three channels."""

RESULT_SHARE = 0.1
"""Size of the results relative to the pixels, labels, tables and pictures together; and at least a megabyte."""


@dataclass(frozen=True)
class SlidePlan:
    """What is known of a slide before it is scored.

    Attributes
    ----------
    slide_id : str
    if_scenes, fish_scenes : int
    voxels : int
        Of all scenes and channels.
    largest : int
        Of the largest scene.
    refused : str
        Why it would fail; empty if it would not.
    notes : tuple of str
    """

    slide_id: str
    if_scenes: int = 0
    fish_scenes: int = 0
    voxels: int = 0
    largest: int = 0
    refused: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchPlan:
    """What a batch would do.

    Attributes
    ----------
    slides : tuple of SlidePlan
    hours, ram_gb, disk_gb : float
        Time on the workers asked for, memory of the largest slide's process, size of the results. Estimates.
    free_gb : float
        Room on the disk of the results.
    """

    slides: tuple[SlidePlan, ...]
    hours: float
    ram_gb: float
    disk_gb: float
    free_gb: float

    @property
    def refused(self) -> tuple[SlidePlan, ...]:
        """Slides that would fail."""
        return tuple(slide for slide in self.slides if slide.refused)

    def told(self) -> dict[str, Any]:
        """In plain values."""
        return asdict(self)


def plan_of(refs: Sequence[SlideRef], config: Config, out: Path, workers: int) -> BatchPlan:
    """Open every slide of a study and estimate what scoring it takes.

    Parameters
    ----------
    refs : sequence of SlideRef
    config : Config
    out : Path
        Folder of the results; it need not exist.
    workers : int
    """
    owners: dict[Path, str] = {}
    slides = tuple(_slide_plan(ref, config, owners) for ref in refs)
    hours = sum(slide.voxels for slide in slides) / 1e6 * SECONDS_PER_MEGAVOXEL / 3600 / workers
    held = min(max((slide.largest for slide in slides), default=0), MOST_HELD)
    ram_gb = BASE_GB + BYTES_PER_VOXEL * held / 1e9
    disk_gb = sum(max(1e6, 2 * RESULT_SHARE * slide.voxels) for slide in slides) / 1e9
    there = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.is_dir())
    return BatchPlan(slides, hours, ram_gb, disk_gb, shutil.disk_usage(there).free / 1e9)


def plan_text(plan: BatchPlan) -> str:
    """The plan for people."""
    lines = []
    for slide in plan.slides:
        about = slide.refused or f"IF {slide.if_scenes}, FISH {slide.fish_scenes}, {slide.voxels / 1e6:.0f} megavoxels"
        lines.append(f"{'!' if slide.refused else ' '} {slide.slide_id}: {'; '.join((about, *slide.notes))}")
    good = len(plan.slides) - len(plan.refused)
    lines += [
        f"{good} of {len(plan.slides)} slides can be scored.",
        f"Estimates: {_time(plan.hours)}, {plan.ram_gb:.1f} GB of memory per worker, {plan.disk_gb:.2f} GB of results "
        f"({plan.free_gb:.0f} GB free).",
    ]
    if plan.disk_gb > plan.free_gb:
        lines.append("! The disk of the results is too small: make room, or give another --out.")
    return "\n".join(lines)


def _slide_plan(ref: SlideRef, config: Config, owners: dict[Path, str]) -> SlidePlan:
    try:
        slide = open_ref(ref, config.panel, Overrides())
    except CtcfishError as error:
        return SlidePlan(ref.slide_id, refused=str(error))
    sizes = [prod(scene.pixels.shape) for scene in slide.if_scenes + slide.fish_scenes]
    notes = [*_pairing(slide), *(note for scene in slide.fish_scenes for note in _channels(scene))]
    for file in slide.files:
        first = owners.setdefault(file.resolve(), ref.slide_id)
        if first != ref.slide_id:
            notes.append(f"{file.name} is slide {first}'s too")
    counts = len(slide.if_scenes), len(slide.fish_scenes)
    return SlidePlan(ref.slide_id, *counts, sum(sizes), max(sizes, default=0), "", tuple(notes))


def _pairing(slide: Slide) -> list[str]:
    lacking = [name for name, scenes in (("IF", slide.if_scenes), ("FISH", slide.fish_scenes)) if not scenes]
    return [f"no {name} scan" for name in lacking]


def _channels(scene: Scene) -> list[str]:
    lacking = [role for role in ("her2", "cep17") if role not in scene.roles]
    return [f"no {role.upper()} channel in {scene.name}" for role in lacking]


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
