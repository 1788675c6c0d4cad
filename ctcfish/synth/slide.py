"""A simulated slide as a folder that can be scored, with its truth beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ctcfish.errors import UsageError
from ctcfish.synth.fish import Field, render_field
from ctcfish.synth.immuno import IfField, render_if
from ctcfish.synth.ometiff import OmeInfo, write_ome_tiff
from ctcfish.synth.population import field_origins_um, populate
from ctcfish.synth.spec import Camera, SlideSpec
from ctcfish.synth.truth import found_again, signal_fwhm_um, with_partners

CELL_COLUMNS = (
    "cell_id", "slide_id", "scene", "label", "kind", "z_um", "y_um", "x_um", "area_um2", "thickness_um",
    "her2_count", "cep17_count", "ratio", "call", "reason", "flags", "if_scene", "if_label", "if_y_um", "if_x_um",
    "cell", "copy_class", "true_her2", "true_cep17", "countable_her2", "countable_cep17", "true_call", "compact",
)  # fmt: skip
SPOT_COLUMNS = (
    "slide_id", "scene", "spot_id", "cell_id", "label", "probe", "z_um", "y_um", "x_um", "photons", "cluster", "status",
    "group", "size_um", "true_z_um", "true_y_um", "true_x_um", "cell",
)  # fmt: skip
IF_COLUMNS = (
    "slide_id", "if_scene", "if_label", "if_y_um", "if_x_um", "area_um2", "kind", "her2_protein_class",
    "cell", "copy_class", "in_fish", "her2_photons",
)  # fmt: skip
"""Columns of the truth's files: what the truth knows, however many columns the results have."""

Progress = Callable[[str, int, int], None]
"""Called with what was just written, how many scenes are done, and how many there are."""


def simulate_slide(spec: SlideSpec, out: Path, progress: Progress | None = None) -> Path:
    """Write one simulated slide.

    Parameters
    ----------
    spec : SlideSpec
    out : Path
        Study folder; the slide becomes ``out/<slide_id>``.
    progress : callable, optional
        Called as ``progress(scene, done, total)`` after each scene.

    Returns
    -------
    Path
        The slide's folder: ``if/scan.ome.tif``, ``fish/fieldNNN.ome.tif``, ``slide.toml``, and ``truth/`` with
        ``cells.csv``, ``spots.csv``, ``if_cells.csv`` and ``slide.json``.

    Raises
    ------
    UsageError
        The slide's folder exists.
    ConfigError
        The cells do not fit on the slide.
    """
    target = out / spec.slide_id
    if target.exists():
        raise UsageError(f"{target.name}: exists already in the output folder; choose another folder or slide_id.")
    cells = populate(spec)
    part = out / f".{spec.slide_id}.part"
    shutil.rmtree(part, ignore_errors=True)
    for name in ("fish", "truth") + (("if",) if spec.with_if else ()):
        (part / name).mkdir(parents=True)
    total = len(field_origins_um(spec.fish)) + spec.with_if
    seen = None
    if spec.with_if:
        seen = render_if(spec, cells)
        write_ome_tiff(part / "if" / f"{seen.scene}.ome.tif", seen.pixels, _if_info(spec, seen))
        _tell(progress, seen.scene, 1, total)
    tables = []
    for index in range(len(field_origins_um(spec.fish))):
        shot = render_field(spec, cells, index)
        write_ome_tiff(part / "fish" / f"{shot.scene}.ome.tif", shot.pixels, _fish_info(spec, shot))
        tables.append((shot.cells, shot.spots))
        _tell(progress, shot.scene, index + 1 + spec.with_if, total)
    _write_truth(part, spec, tables, seen)
    part.rename(target)
    return target


def _tell(progress: Progress | None, scene: str, done: int, total: int) -> None:
    if progress is not None:
        progress(scene, done, total)


def _camera(camera: Camera) -> dict[str, float]:
    return {k: float(v) for k, v in camera.model_dump(exclude={"bits"}).items()}


def _fish_info(spec: SlideSpec, shot: Field) -> OmeInfo:
    scan = spec.fish
    channels = list(zip(shot.channels, scan.emission_nm, strict=True))
    return OmeInfo(
        shot.scene, shot.voxel_um, channels, scan.na, scan.immersion_index, _camera(scan.camera), shot.origin_um
    )


def _if_info(spec: SlideSpec, seen: IfField) -> OmeInfo:
    scan = spec.immuno
    channels = list(zip(seen.channels, scan.emission_nm, strict=True))
    return OmeInfo(seen.scene, seen.voxel_um, channels, scan.na, 1.0, _camera(scan.camera), (0.0, 0.0))


def _write_truth(
    part: Path, spec: SlideSpec, tables: list[tuple[pd.DataFrame, pd.DataFrame]], seen: IfField | None
) -> None:
    cells = pd.concat([c for c, _ in tables], ignore_index=True)
    spots = pd.concat([s for _, s in tables], ignore_index=True)
    facts = {
        "specification": spec.model_dump(mode="json", by_alias=True),
        "signal_fwhm_um": {p: round(signal_fwhm_um(spec, k), 4) for k, p in enumerate(("HER2", "CEP17"))},
        "fields": {
            f"field{k + 1:03d}": {"origin_um": list(origin)} for k, origin in enumerate(field_origins_um(spec.fish))
        },
    }
    if seen is not None:
        cells = with_partners(cells, seen.cells)
        write_csv(found_again(seen.cells, cells)[list(IF_COLUMNS)], part / "truth" / "if_cells.csv")
        facts["if_to_slide_um"] = np.round(seen.to_fish, 9).tolist()
    write_csv(cells[list(CELL_COLUMNS)], part / "truth" / "cells.csv")
    write_csv(spots[list(SPOT_COLUMNS)], part / "truth" / "spots.csv")
    (part / "truth" / "slide.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    patient = spec.patient_id or spec.slide_id
    (part / "slide.toml").write_text(f'patient_id = "{patient}"\nblood_ml = "7.5"\n', encoding="utf-8")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a truth table: UTF-8, one header line, four decimals, empty where missing."""
    table.to_csv(path, index=False, float_format="%.4f", lineterminator="\n", encoding="utf-8")
