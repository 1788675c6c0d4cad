"""A simulated slide without files: scenes whose pixels lie in memory, and the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.synth.fish import Field, render_field
from ctcfish.synth.immuno import IfField, render_if
from ctcfish.synth.population import field_origins_um, populate
from ctcfish.synth.spec import Camera, SlideSpec
from ctcfish.synth.truth import found_again, with_partners
from ctcfish.types import Optics, Scene, Slide

_FISH_ROLES = ("nucleus", "her2", "cep17")
_IF_ROLES = ("nucleus", "inclusion", "exclusion", "her2_protein")


@dataclass(frozen=True)
class ArrayPixels:
    """Pixels ``(C, Z, Y, X)`` that lie in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Size ``(C, Z, Y, X)``."""
        channels, planes, rows, columns = self.array.shape
        return channels, planes, rows, columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self.array.dtype

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Read ``(Z, Y, X)`` pixels of one channel."""
        return self.array[channel, planes, rows, columns]


@dataclass(frozen=True)
class Truth:
    """What is known of a simulated slide.

    Attributes
    ----------
    cells, spots : pandas.DataFrame
        Of all FISH fields; see :class:`ctcfish.synth.Field`.
    if_cells : pandas.DataFrame or None
        Of the IF scan; None without one.
    to_fish : ndarray of float64, (2, 3), or None
        IF um to um on the slide.
    labels : tuple of ndarray of int32
        Projected nuclei of each FISH field.
    """

    cells: pd.DataFrame
    spots: pd.DataFrame
    if_cells: pd.DataFrame | None
    to_fish: NDArray[np.float64] | None
    labels: tuple[NDArray[np.int32], ...]


def slide_in_memory(spec: SlideSpec) -> tuple[Slide, Truth]:
    """Simulate a slide that can be scored at once, and its truth.

    Raises
    ------
    ConfigError
        The cells do not fit on the slide.
    """
    cells = populate(spec)
    fields = [render_field(spec, cells, index) for index in range(len(field_origins_um(spec.fish)))]
    seen = render_if(spec, cells) if spec.with_if else None
    slide = Slide(
        slide_id=spec.slide_id,
        patient_id=spec.patient_id or spec.slide_id,
        visit="",
        if_scenes=() if seen is None else (if_scene(spec, seen),),
        fish_scenes=tuple(fish_scene(spec, shot) for shot in fields),
    )
    table = pd.concat([f.cells for f in fields], ignore_index=True)
    truth = Truth(
        cells=table if seen is None else with_partners(table, seen.cells),
        spots=pd.concat([f.spots for f in fields], ignore_index=True),
        if_cells=None if seen is None else found_again(seen.cells, table),
        to_fish=None if seen is None else seen.to_fish,
        labels=tuple(f.labels for f in fields),
    )
    return slide, truth


def fish_scene(spec: SlideSpec, shot: Field) -> Scene:
    """Scene of a simulated field, as if its file had been opened."""
    scan = spec.fish
    return Scene(
        name=shot.scene,
        modality="fish",
        pixels=ArrayPixels(shot.pixels),
        voxel_um=shot.voxel_um,
        roles={role: k for k, role in enumerate(_FISH_ROLES)},
        channel_names=shot.channels,
        optics=_optics(scan.na, _FISH_ROLES, scan.emission_nm, scan.camera),
        stage_um=shot.origin_um,
    )


def if_scene(spec: SlideSpec, seen: IfField) -> Scene:
    """Scene of a simulated IF scan, as if its file had been opened."""
    scan = spec.immuno
    return Scene(
        name=seen.scene,
        modality="if",
        pixels=ArrayPixels(seen.pixels),
        voxel_um=seen.voxel_um,
        roles={role: k for k, role in enumerate(_IF_ROLES)},
        channel_names=seen.channels,
        optics=_optics(scan.na, _IF_ROLES, scan.emission_nm, scan.camera),
        stage_um=(0.0, 0.0),
    )


def _optics(na: float, roles: Sequence[str], emission_nm: Sequence[float], camera: Camera) -> Optics:
    return Optics(
        na=na,
        emission_nm=dict(zip(roles, emission_nm, strict=True)),
        gain_adu_per_photon=camera.gain_adu_per_photon,
        offset_adu=camera.offset_adu,
    )
