"""Scenes as OME-Zarr 0.5: an image pyramid with the nuclei as labels.

A run stores no full pixels. Given the study, an export copies them from the scans; without it the image is the
reduced view that the report shows (projected over z), and the labels still have their full resolution: both carry their
own pixel size and place, so that viewers lay them over one another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish import io
from ctcfish.config import Config, build
from ctcfish.errors import InputError
from ctcfish.export.pyramid import Image, write_image, write_nuclei
from ctcfish.export.scenes import StoredScene, scenes_of
from ctcfish.store.pictures import Picture, read_pictures
from ctcfish.store.runfiles import read_manifest
from ctcfish.types import Slide


def export_omezarr(run: Path, out: Path, study: Path | None = None) -> None:
    """Write ``out/<slide_id>/<modality>_<scene>.ome.zarr`` for every scene of a run.

    Parameters
    ----------
    run, out : Path
    study : Path or None
        The study, slide folder or image that was scored.

    Raises
    ------
    InputError
        The study lacks a slide or a scene of the run, or its scene has another shape.
    """
    source = None if study is None else Scans(study, build(read_manifest(run)["configuration"]))
    for scene in scenes_of(run):
        image = reduced_view(scene) if source is None else source.image(scene)
        target = out / scene.slide_id / f"{scene.stem}.ome.zarr"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(image, target)
        write_nuclei(scene.labels(), replace(image, voxel_um=scene.voxel_um, origin_um=(0.0, 0.0)), target)


@dataclass(frozen=True)
class _View:
    """A stored picture ``(C, Y, X)`` as pixels of one plane."""

    pixels: NDArray[Any]

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        return self.pixels[channel, None][planes, rows, columns]


def reduced_view(scene: StoredScene) -> Image:
    """The view of a scene that the run stored."""
    picture = stored_view(scene)
    c, y, x = picture.pixels.shape
    return Image(
        f"{scene.name} (reduced view)",
        _View(picture.pixels),
        (c, 1, y, x),
        picture.pixels.dtype,
        (0.0, picture.pixel_um, picture.pixel_um),
        picture.origin_um,
        picture.roles,
        limits(scene),
    )


def stored_view(scene: StoredScene) -> Picture:
    """The reduced view of a scene, projected over z."""
    return read_pictures(scene.folder / "pictures.zarr")[f"view/{scene.modality}/{scene.name}"]


def limits(scene: StoredScene) -> dict[str, tuple[float, float]]:
    """Range in which each role is shown first: 1 to 99.9 % of the reduced view."""
    picture = stored_view(scene)
    ranges = {}
    for role, plane in zip(picture.roles, picture.pixels, strict=True):
        low, high = (float(v) for v in np.percentile(plane, (1.0, 99.9)))
        ranges[role] = (low, max(high, low + 1.0))
    return ranges


class Scans:
    """The scans of a study, opened slide by slide as they were for the run.

    Parameters
    ----------
    study : Path
        A study, a slide folder, or one image.
    config : Config
        The run's, for the names of the stains.
    """

    def __init__(self, study: Path, config: Config) -> None:
        self._study, self._panel = study, config.panel
        self._refs = None if _is_image(study) else {ref.slide_id: ref for ref in io.study_slides(study)}

    def image(self, scene: StoredScene) -> Image:
        """Pixels of a scene.

        Raises
        ------
        InputError
            No such slide or scene, or one of another shape.
        """
        slide = self._open(scene)
        scenes = slide.if_scenes if scene.modality == "if" else slide.fish_scenes
        pixels = next((own.pixels for own in scenes if own.name == scene.name), None)
        if pixels is None or pixels.shape != scene.shape_czyx:
            what = f"{scene.modality.upper()} scene {scene.name}"
            seen = f"no {what}" if pixels is None else f"{what} of shape {pixels.shape}"
            wanted = f"the one that was scored, of shape {scene.shape_czyx}"
            raise InputError(f"slide {scene.slide_id}", seen, wanted, "Correct --study.")
        return Image(
            scene.name,
            pixels,
            scene.shape_czyx,
            pixels.dtype,
            scene.voxel_um,
            (0.0, 0.0),
            scene.channels,
            limits(scene),
        )

    def _open(self, scene: StoredScene) -> Slide:
        if self._refs is None:
            z_um, y_um, _ = scene.voxel_um
            roles = {role: f"#{channel}" for role, channel in scene.roles.items()}
            given = io.Overrides("if" if scene.modality == "if" else "fish", y_um, z_um or None, roles)
            return io.open_slide(self._study, given, self._panel)
        if scene.slide_id not in self._refs:
            wanted = "every slide of the run"
            raise InputError(self._study.name, f"no slide {scene.slide_id}", wanted, "Correct --study.")
        return io.open_ref(self._refs[scene.slide_id], self._panel)


def _is_image(study: Path) -> bool:
    return study.is_file() or (study / "zarr.json").is_file() or (study / ".zattrs").is_file()
