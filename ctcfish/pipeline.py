"""The route: from a slide's pixels to its cells, calls and summary. Read this first.

Every step is a pure function of :mod:`ctcfish.stages`; this module only calls them in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish import tables
from ctcfish.conclude import conclude
from ctcfish.config import Config
from ctcfish.flags import SlideFlag, to_text
from ctcfish.gates import load_gates
from ctcfish.parameters import Detect, Survey
from ctcfish.stages.correct import Shading, correct
from ctcfish.stages.count import count, no_cells
from ctcfish.stages.detect import detect
from ctcfish.stages.identify import identify
from ctcfish.stages.immuno.chosen import mark_chosen
from ctcfish.stages.immuno.leukocytes import LeukocyteModel
from ctcfish.stages.immuno.markers import Projection, measure
from ctcfish.stages.nuclei.pixels import Channel
from ctcfish.stages.parts import Each, Part, join, parts, speakers
from ctcfish.stages.phenotype import phenotype
from ctcfish.stages.relocate import relocate
from ctcfish.stages.segment import segment
from ctcfish.stages.summarise import Subject
from ctcfish.stages.survey import FieldSurvey, SceneInfo, merge, survey
from ctcfish.types import Detections, Nuclei, Relocation, Scene, Slide, SlideModel, SlideResult

Progress = Callable[[str], None]
"""Told the name of each step as it begins."""

PROBE_ROLES = ("her2", "cep17")


def quiet(_: str) -> None:
    """No progress."""


def steps(slide: Slide) -> int:
    """How many times :func:`score` reports progress."""
    return len(slide.if_scenes) + 3 * len(slide.fish_scenes) + 2


@dataclass(frozen=True)
class _How:
    """What every step is given besides the slide."""

    config: Config
    device: str
    progress: Progress
    each: Each


def score(
    slide: Slide, config: Config, device: str = "cpu", progress: Progress = quiet, each: Each = map
) -> SlideResult:
    """Score one slide.

    Parameters
    ----------
    slide : Slide
    config : Config
    device : str
        Torch device.
    progress : callable
        Called with the name of each step.
    each : Each
        Does the parts of a scene that is too large for one task.

    Returns
    -------
    SlideResult
    """
    how = _How(config, device, progress, each)
    if_scan = _score_if(slide, how)
    fields = [_survey_scene(scene, how) for scene in slide.fish_scenes]
    model = merge([own for field in fields for own in field.surveys], config.survey, config.detect)
    counted = [_count_scene(slide, field, model, how) for field in fields]
    cells = pd.concat([own for own, _ in counted], ignore_index=True) if counted else no_cells()
    spots = tables.concatenate([own for _, own in counted], tables.SPOTS)
    progress("relocate")
    relocation = _relocate(slide, if_scan.cells, cells, config) if slide.if_scenes else None
    cells = identify(cells, if_scan.cells, relocation)
    progress("call")
    subject = _subject(slide, model, relocation)
    concluded = conclude(subject, cells, config)
    nuclei = {f"if/{name}": own for name, own in if_scan.nuclei.items()}
    nuclei |= {f"fish/{field.scene.name}": field.nuclei for field in fields}
    return SlideResult(
        slide_id=slide.slide_id,
        patient_id=slide.patient_id,
        visit=slide.visit,
        cells=concluded.cells,
        spots=spots,
        if_cells=if_scan.cells,
        nuclei=nuclei,
        summary=concluded.told
        | _seen(slide, model, relocation)
        | {
            "doubts": to_text([int(subject.flags)], SlideFlag)[0],
            "leukocytes": if_scan.leukocytes and if_scan.leukocytes.summary(),
            "shading": [own.summary() for own in if_scan.shading],
        },
        failure="RELOCATION" if relocation and not relocation.trusted else "",
    )


@dataclass(frozen=True)
class _IfScan:
    cells: pd.DataFrame
    nuclei: dict[str, Nuclei]
    leukocytes: LeukocyteModel | None
    shading: tuple[Shading, ...] = ()


@dataclass(frozen=True)
class _Field:
    scene: Scene
    nuclei: Nuclei
    parts: tuple[Part, ...]
    surveys: tuple[FieldSurvey, ...]


def _score_if(slide: Slide, how: _How) -> _IfScan:
    """Nuclei of the IF scan and what each is, judged by the slide's own leukocytes."""
    config = how.config
    outlines: dict[str, Nuclei] = {}
    measured: dict[str, pd.DataFrame] = {}
    for scene in slide.if_scenes:
        how.progress(f"IF {scene.name}")
        outlines[scene.name] = nuclei = _nuclei(scene, how)
        pixels = {role: Projection(scene, role) for role in scene.roles}
        measured[scene.name] = measure(pixels, nuclei, config.phenotype, how.each)
    if not measured:
        return _IfScan(tables.IF_CELLS.empty(), outlines, None)
    flat = correct(measured, {scene.name: scene.frame_um for scene in slide.if_scenes}, config.correct)
    seen = phenotype(flat.cells, config.phenotype, load_gates(config.phenotype.gates))
    cells = seen.cells.assign(slide_id=slide.slide_id)
    if slide.chosen_ctc is not None:
        cells = mark_chosen(cells, slide.chosen_ctc, config.phenotype)
    return _IfScan(tables.IF_CELLS.check(cells), outlines, seen.model, flat.shading)


def _nuclei(scene: Scene, how: _How) -> Nuclei:
    return segment(Channel(scene, "nucleus"), scene.voxel_um, how.config.segment, how.device, how.each)


def _survey_scene(scene: Scene, how: _How) -> _Field:
    """Nuclei of a FISH scene and what it says of the slide's light."""
    how.progress(f"nuclei {scene.name}")
    nuclei = _nuclei(scene, how)
    cut = tuple(parts(nuclei, scene.pixels.shape[1]))
    how.progress(f"survey {scene.name}")
    told = speakers(cut)
    share = -(-how.config.survey.max_nuclei_per_scene // len(told))
    params = how.config.survey.model_copy(update={"max_nuclei_per_scene": share})
    surveys = how.each(partial(_survey_part, scene, params, how.config.detect, how.device), told)
    return _Field(scene, nuclei, cut, tuple(surveys))


def _survey_part(scene: Scene, params: Survey, camera: Detect, device: str, part: Part) -> FieldSurvey:
    own, info = part.nuclei.rows(part.own), SceneInfo(scene.voxel_um, scene.optics)
    return survey(_probe_pixels(scene, part), own, info, params, camera, device)


def _count_scene(slide: Slide, field: _Field, model: SlideModel, how: _How) -> tuple[pd.DataFrame, pd.DataFrame]:
    how.progress(f"signals {field.scene.name}")
    found = list(how.each(partial(_detect_part, field.scene, model, how.config.detect, how.device), field.parts))
    joined = join(field.parts, found, field.nuclei)
    return count(field.nuclei, joined, model, how.config.count, (slide.slide_id, field.scene.name))


def _detect_part(scene: Scene, model: SlideModel, params: Detect, device: str, part: Part) -> Detections:
    return detect(_probe_pixels(scene, part), part.nuclei, scene.voxel_um, model, params, device)


def _probe_pixels(scene: Scene, part: Part) -> dict[str, NDArray[Any]]:
    return {role: scene.read(role, part.rows, part.columns) for role in PROBE_ROLES if role in scene.roles}


def _relocate(slide: Slide, if_cells: pd.DataFrame, cells: pd.DataFrame, config: Config) -> Relocation:
    points = if_cells.rename(columns={"if_y_um": "y_um", "if_x_um": "x_um"})
    if not slide.fish_scenes:
        keys = points[["if_scene", "if_label"]]
        return Relocation(
            keys.assign(scene=None, label=None, residual_um=np.nan, probability=np.nan), (), True, "No FISH scan."
        )
    stage_um = {scene.name: scene.stage_um for scene in slide.fish_scenes if scene.stage_um is not None}
    return relocate(points, cells, config.relocate, stage_um)


def _subject(slide: Slide, model: SlideModel, relocation: Relocation | None) -> Subject:
    bits = slide.flags | model.flags | (relocation.flags if relocation is not None else SlideFlag(0))
    relocated = relocation.trusted if relocation is not None else None
    named = (slide.slide_id, slide.patient_id, slide.visit)
    return Subject(*named, bits, bool(slide.fish_scenes), relocated, slide.sheet)


def _seen(slide: Slide, model: SlideModel, relocation: Relocation | None) -> dict[str, Any]:
    """What ``slide.json`` carries of the pixels; no rule changes it."""
    return {
        "note": "" if slide.if_scenes else _without_if(slide),
        "scenes": scene_summaries(slide),
        "model": asdict(model) | {"flags": to_text([int(model.flags)], SlideFlag)[0]},
        "relocation": relocation
        and {"trusted": relocation.trusted, "evidence": relocation.evidence, "transforms": list(relocation.transforms)},
    }


def _without_if(slide: Slide) -> str:
    said = "No IF scan: every nucleus is of unknown kind and makes no patient eligible."
    unused = 0 if slide.chosen_ctc is None else len(slide.chosen_ctc)
    return f"{said} The {unused} cells of ctc.csv are CTC of no IF scan and were not used." if unused else said


def scene_summaries(slide: Slide) -> list[dict[str, Any]]:
    """What ``slide.json`` says of each scene."""
    return [_scene_summary(scene) for scene in slide.if_scenes + slide.fish_scenes]


def _scene_summary(scene: Scene) -> dict[str, Any]:
    return {
        "scene": scene.name,
        "modality": scene.modality,
        "shape_czyx": scene.pixels.shape,
        "voxel_um": scene.voxel_um,
        "roles": dict(scene.roles),
        "channel_names": scene.channel_names,
        "optics": asdict(scene.optics),
        "origin": dict(scene.origin),
    }
