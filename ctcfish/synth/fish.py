"""One field of the FISH scan: a z-stack of nuclei, HER2 and CEP17, with its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctcfish.synth.blur import photograph_layers
from ctcfish.synth.camera import add_hot_pixels, expose, shading
from ctcfish.synth.loci import CEP17, HER2
from ctcfish.synth.nucleus import chromatin, density, mask
from ctcfish.synth.optics import Lens, Profile, add_point, profile
from ctcfish.synth.population import Cell, field_origins_um, generator, populate
from ctcfish.synth.spec import FishScan, Signals, SlideSpec
from ctcfish.synth.truth import cell_rows, spot_rows

CHANNELS = ("DAPI", "HER2", "CEP17")
_ROLES = ("nucleus", "her2", "cep17")
_COARSE_UM = 0.2
_THICKNESS_UM = 4.0
"""Thickness at which a nucleus has its nominal brightness; a thicker one is brighter in widefield."""
_SPOT_REACH_UM = 2.6


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
    scan, rng = spec.fish, generator(spec, "field", index)
    origin = field_origins_um(scan)[index]
    scene = f"field{index + 1:03d}"
    seen = [c for c in cells if c.in_fish and _reaches(c, origin, scan)]
    labels, shown, areas = paint(seen, origin, scan)
    expected = _expected(spec, seen, origin, rng)
    for channel in expected:
        channel *= shading(scan.shape_px, scan.shading, rng)
    pixels = np.stack([expose(channel, scan.camera, rng) for channel in expected])
    pixels = add_hot_pixels(pixels, spec.nuisance.hot_pixels_per_megapixel, scan.camera, rng)
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


def _reaches(cell: Cell, origin: tuple[float, float], scan: FishScan, margin_um: float = 6.0) -> bool:
    reach = cell.shape.reach_um + margin_um
    return all(
        -reach < place - start < side * scan.pixel_um + reach
        for place, start, side in zip(cell.zyx_um[1:], origin, scan.shape_px, strict=True)
    )


def paint(
    cells: Sequence[Cell], origin: tuple[float, float], scan: FishScan
) -> tuple[NDArray[np.int32], list[Cell], list[float]]:
    """Label image, the cells that show in it (label = place in the list + 1), and each one's full area in um2."""
    labels = np.zeros(scan.shape_px, np.int32)
    shown, areas, outlines = [], [], []
    for cell in cells:
        rows, columns, dy, dx = _window(cell, origin, scan.pixel_um, scan.shape_px)
        inside = mask(cell.shape, dy, dx)
        if inside.any():
            shown.append(cell)
            areas.append(float(inside.sum()) * scan.pixel_um**2)
            outlines.append((rows, columns, inside))
    for index in sorted(range(len(shown)), key=lambda i: shown[i].zyx_um[0]):
        rows, columns, inside = outlines[index]
        labels[rows, columns][inside] = index + 1
    return labels, shown, areas


def _window(
    cell: Cell, origin: tuple[float, float], pixel_um: float, shape: tuple[int, ...]
) -> tuple[slice, slice, NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns around a cell, and each pixel's offset from its centre in um."""
    spans, offsets = [], []
    for place, start, side in zip(cell.zyx_um[1:], origin, shape, strict=True):
        middle, reach = (place - start) / pixel_um, cell.shape.reach_um / pixel_um + 1
        low, high = max(0, int(middle - reach)), min(side, int(middle + reach) + 2)
        spans.append(slice(low, max(low, high)))
        offsets.append((np.arange(low, max(low, high)) - middle) * pixel_um)
    dy, dx = np.broadcast_arrays(offsets[0][:, None], offsets[1])
    return spans[0], spans[1], dy, dx


def _expected(
    spec: SlideSpec, cells: Sequence[Cell], origin: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Photons expected in every channel and plane, ``(3, Z, Y, X)``, before shading."""
    scan, signals = spec.fish, spec.signals
    per_pixel = (scan.pixel_um / 0.1) ** 2
    body = _body(spec, cells, origin, rng)
    free, inside = signals.free_background_share, 1.0 - signals.free_background_share
    result = np.empty((3, *body.shape), np.float32)
    result[0] = body * np.float32(signals.nucleus_photons * per_pixel) + np.float32(0.02 * signals.nucleus_photons)
    level = signals.background_photons * per_pixel
    for channel in (1, 2):
        uneven = _uneven(scan.shape_px, scan.pixel_um, signals.background_relative_sd, rng)
        result[channel] = (body * np.float32(inside) + np.float32(free)) * (np.float32(level) * uneven)
    light = _points(spec, cells, origin, rng)
    result[1] += light[HER2] + np.float32(signals.cep17_in_her2) * light[CEP17]
    result[2] += light[CEP17] + np.float32(signals.her2_in_cep17) * light[HER2]
    return result


def _uneven(shape: tuple[int, int], pixel_um: float, sd: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Slow unevenness of mean 1, 15 um long."""
    step = max(1, round(2.0 / pixel_um))
    small = rng.standard_normal([-(-side // step) + 2 for side in shape])
    smooth = gaussian_filter(small, 15.0 / (2.355 * step * pixel_um), mode="reflect")
    field_ = cv2.resize(smooth.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(1.0 + field_ * np.float32(sd / max(float(smooth.std()), 1e-9)), 0.3, None).astype(np.float32)


def _body(
    spec: SlideSpec, cells: Sequence[Cell], origin: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """DNA seen through the lens, ``(Z, Y, X)``: about 1 in a nucleus of ordinary thickness."""
    scan = spec.fish
    factor = max(1, round(_COARSE_UM / scan.pixel_um))
    coarse_um = factor * scan.pixel_um
    pad = int(np.ceil(6.0 / coarse_um))
    shape = tuple(-(-side // factor) + 2 * pad for side in scan.shape_px)
    # a coarse pixel's centre is the mean of the fine ones it covers
    start = tuple(o - pad * coarse_um + (factor - 1) / 2 * scan.pixel_um for o in origin)
    planes = np.arange(scan.planes) * scan.z_step_um
    step = scan.z_step_um
    lowest = min((c.zyx_um[0] - c.shape.thickness_um for c in cells), default=0.0)
    highest = max((c.zyx_um[0] + c.shape.thickness_um for c in cells), default=0.0)
    layer_z = np.arange(int(np.floor(lowest / step)), int(np.ceil(highest / step)) + 1) * step
    layers = np.zeros((len(layer_z), shape[0], shape[1]), np.float32)
    for cell in cells:
        rows, columns, dy, dx = _window(cell, (start[0], start[1]), coarse_um, shape)
        layers[:, rows, columns] += density(cell.shape, layer_z - cell.zyx_um[0], dy, dx)
    layers *= chromatin(layers.shape, (step, coarse_um), rng)
    lens = _lens(scan, 0)
    image = photograph_layers(layers * np.float32(step / _THICKNESS_UM), layer_z, planes, lens, coarse_um)
    kept = image[:, pad:-pad, pad:-pad]
    wide = (kept.shape[2] * factor, kept.shape[1] * factor)
    fine = [cv2.resize(p, wide, interpolation=cv2.INTER_CUBIC)[: scan.shape_px[0], : scan.shape_px[1]] for p in kept]
    return np.maximum(np.stack(fine), 0)


def _lens(scan: FishScan, channel: int) -> Lens:
    role = _ROLES[channel]
    emission = {str(k): v for k, v in scan.emission_nm.items()}[role]
    return Lens(scan.na, scan.immersion_index, emission / 1000.0)


def spot_profile(scan: FishScan, probe: int, size_um: float) -> Profile:
    """Image of a signal of the given size, sizes rounded to 0.05 um."""
    depth = scan.planes * scan.z_step_um + 3.0
    return profile(_lens(scan, probe + 1), round(size_um * 20) / 20, (depth, _SPOT_REACH_UM * 1.5), (0.05, 0.01))


def image_place_um(scan: FishScan, probe: int, zyx_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a locus at the given place is imaged: CEP17 lies off by the chromatic shift."""
    return zyx_um - np.array(scan.chromatic_shift_um) * (probe == CEP17)


def _points(
    spec: SlideSpec, cells: Sequence[Cell], origin: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Light of loci and granules per dye, ``(2, Z, Y, X)``."""
    scan = spec.fish
    light = np.zeros((2, scan.planes, *scan.shape_px), np.float32)
    voxel = (scan.z_step_um, scan.pixel_um, scan.pixel_um)
    start = np.array([0.0, *origin])
    for cell in cells:
        loci = cell.loci
        for probe, place, photons, size in zip(loci.probe, loci.zyx_um, loci.photons, loci.size_um, strict=True):
            seen = image_place_um(scan, int(probe), place + np.array(cell.zyx_um)) - start
            z, y, x = (seen / np.array(voxel)).tolist()
            add_point(light[probe], spot_profile(scan, int(probe), float(size)), (z, y, x), float(photons), voxel)
    for place, photons, size in _granules(spec, cells, rng):
        z, y, x = ((place - start) / np.array(voxel)).tolist()
        for probe in (HER2, CEP17):
            shape = spot_profile(scan, probe, size)
            add_point(light[probe], shape, (z, y, x), float(photons[probe]), voxel)
    return light


def _granules(
    spec: SlideSpec, cells: Sequence[Cell], rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float]]:
    """Autofluorescent granules ``(place, photons by probe, size)`` in and beside the nuclei."""
    signals: Signals = spec.signals
    result = []
    for cell in cells:
        for _ in range(rng.poisson(spec.nuisance.granules_per_nucleus)):
            angle, share = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1.5))
            away = share * float(cell.shape.outline_um(angle))
            lift = rng.normal(0, cell.shape.thickness_um / 4)
            place = np.array(cell.zyx_um) + (lift, away * np.sin(angle), away * np.cos(angle))
            photons = signals.photons * np.exp(rng.normal(0.3, 0.5)) * np.exp(rng.normal(0, 0.2, 2))
            result.append((place, photons, float(rng.uniform(0.4, 1.2))))
    return result
