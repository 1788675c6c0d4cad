"""One field of the FISH scan: a z-stack of nuclei, HER2 and CEP17, with its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctcfish.synth.body import paint, photograph_nuclei, reaches
from ctcfish.synth.camera import add_hot_pixels, expose, shading
from ctcfish.synth.loci import CEP17, HER2
from ctcfish.synth.points import photograph_points
from ctcfish.synth.population import Cell, Scrap, field_origins_um, generator, populate, scan_noise, scraps_of
from ctcfish.synth.residue import photograph_residue
from ctcfish.synth.spec import SlideSpec
from ctcfish.synth.truth import cell_rows, spot_rows

CHANNELS = ("DAPI", "HER2", "CEP17")
_UNEVEN_UM = 15.0
_DAPI_HAZE = 0.02
"""Light of the nucleus channel where no nucleus is, over a nucleus's."""


@dataclass(frozen=True)
class Field:
    """One simulated field with its truth.

    Attributes
    ----------
    scene : str
    pixels : ndarray of uint16, (C, Z, Y, X)
    voxel_um : tuple of float
        ``(z, y, x)``.
    channels : tuple of str
    labels : ndarray of int32, (Y, X)
        Projected nuclei; where two lie over one another the upper one holds the ground.
    cells : pandas.DataFrame
        One row per nucleus of the field: the columns of ``cells`` and the truth's own.
    spots : pandas.DataFrame
        One row per locus in the field: the columns of ``spots`` and the truth's own.
    origin_um : tuple of float
        ``(y, x)`` of the first pixel on the slide.
    """

    scene: str
    pixels: NDArray[np.uint16]
    voxel_um: tuple[float, float, float]
    channels: tuple[str, ...]
    labels: NDArray[np.int32]
    cells: pd.DataFrame
    spots: pd.DataFrame
    origin_um: tuple[float, float]


def field(spec: SlideSpec, index: int = 0) -> Field:
    """Simulate one field of a slide in memory.

    Parameters
    ----------
    spec : SlideSpec
    index : int
        Which field, row by row.

    Raises
    ------
    ConfigError
        The cells do not fit on the slide.

    Examples
    --------
    >>> from ctcfish.synth.spec import FishScan, Population, SlideSpec
    >>> tiny = FishScan(shape_px=(200, 200), planes=5)
    >>> seen = field(SlideSpec(fish=tiny, population=Population(ctc=1, leukocytes=2, touching_pairs=0)))
    >>> seen.pixels.shape, len(seen.cells)
    ((3, 5, 200, 200), 3)
    """
    return render_field(spec, populate(spec), index)


def render_field(spec: SlideSpec, cells: Sequence[Cell], index: int) -> Field:
    """Photograph one field of a slide whose cells are known."""
    scan, rng = spec.fish, scan_noise(spec, index)
    origin = field_origins_um(scan)[index]
    scene = f"field{index + 1:03d}"
    seen = [c for c in cells if c.in_fish and reaches(c.zyx_um[1:], c.shape.reach_um, origin, scan)]
    scraps = [s for s in scraps_of(spec) if reaches(s.zyx_um[1:], s.shape.reach_um, origin, scan)]
    labels, shown, areas = paint(seen, origin, scan)
    light = _expected(spec, (seen, scraps), origin, index)
    for channel in range(len(CHANNELS)):
        light[channel] *= shading(scan.shape_px, scan.shading, generator(spec, "shading", channel))
    pixels = np.stack([expose(channel, scan.camera, rng) for channel in light])
    # lamp and sensor are the same in every field
    pixels = add_hot_pixels(pixels, spec.nuisance.hot_pixels_per_megapixel, scan.camera, generator(spec, "camera"))
    spots = spot_rows(spec, scene, shown, origin)
    return Field(
        scene=scene,
        pixels=pixels,
        voxel_um=(scan.z_step_um, scan.pixel_um, scan.pixel_um),
        channels=CHANNELS,
        labels=labels,
        cells=cell_rows(spec, scene, shown, (labels, areas, origin), spots),
        spots=spots,
        origin_um=origin,
    )


def _expected(
    spec: SlideSpec, bodies: tuple[Sequence[Cell], Sequence[Scrap]], origin_um: tuple[float, float], index: int
) -> NDArray[np.float32]:
    """Photons expected in every channel and plane, ``(3, Z, Y, X)``, before shading."""
    scan, signals = spec.fish, spec.signals
    cells, scraps = bodies
    rng = generator(spec, "background", index)
    per_pixel = np.float32((scan.pixel_um / 0.1) ** 2)
    body = photograph_nuclei(spec, cells, scraps, origin_um)
    light = photograph_points(spec, cells, origin_um)
    result = np.empty((3, *body.shape), np.float32)
    free = np.float32(signals.free_background_share)
    for probe in (HER2, CEP17):
        channel = np.multiply(body, np.float32(1) - free, out=result[probe + 1])
        channel += free
        channel *= np.float32(signals.background_photons) * per_pixel * _uneven(spec, rng)
        channel += light[probe]
    if spec.nuisance.if_residue_photons > 0:
        residue = photograph_residue(spec, cells, origin_um)
        result[1:] += np.float32(spec.nuisance.if_residue_photons) * per_pixel * residue
    np.multiply(body, np.float32(signals.nucleus_photons) * per_pixel, out=result[0])
    result[0] += np.float32(_DAPI_HAZE * signals.nucleus_photons) * per_pixel
    return result


def _uneven(spec: SlideSpec, rng: np.random.Generator) -> NDArray[np.float32]:
    """Slow unevenness ``(Y, X)`` of the background, of mean 1."""
    scan = spec.fish
    step = max(1, round(2.0 / scan.pixel_um))
    small = rng.standard_normal([-(-side // step) + 2 for side in scan.shape_px])
    smooth = gaussian_filter(small, _UNEVEN_UM / (2.355 * step * scan.pixel_um), mode="reflect")
    smooth *= spec.signals.background_relative_sd / max(float(smooth.std()), 1e-9)
    wide = cv2.resize(smooth, scan.shape_px[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(1.0 + wide, 0.3, None), np.float32)
