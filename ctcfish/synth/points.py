"""Light of the loci and of granules, each through its own point image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ctcfish.synth.loci import CEP17, HER2, Loci, joined, place_unspecific
from ctcfish.synth.optics import Lens, Profile, add_point, profile
from ctcfish.synth.population import Cell, error_ratio, generator
from ctcfish.synth.spec import FishScan, SlideSpec

_REACH_UM = 2.6
_SIZE_STEP_UM = 0.1


def lens_of(scan: FishScan, probe: int) -> Lens:
    """Lens and light of a probe."""
    return Lens(scan.na, scan.immersion_index, scan.emission_nm[probe + 1] / 1000.0)


def spot_profile(scan: FishScan, probe: int, size_um: float) -> Profile:
    """Image of a signal of the given size, sizes rounded to 0.1 um."""
    depth = scan.planes * scan.z_step_um + 3.0
    size = round(size_um / _SIZE_STEP_UM) * _SIZE_STEP_UM
    return profile(lens_of(scan, probe), size, (depth, _REACH_UM * 1.45), (0.05, 0.01))


def image_place_um(scan: FishScan, channel: NDArray[np.integer], zyx_um: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where places ``(N, 3)`` are imaged in their channels: in CEP17's they lie off by the chromatic shift."""
    return np.asarray(zyx_um - np.array(scan.chromatic_shift_um) * (channel == CEP17)[:, None])


def photograph_points(spec: SlideSpec, cells: Sequence[Cell], origin_um: tuple[float, float]) -> NDArray[np.float32]:
    """Light of loci, of stuck probe and of granules in the channels of HER2 and CEP17, ``(2, Z, Y, X)`` photons.

    Crosstalk is light of one dye in the other's band: it goes the other band's way, chromatic shift included.
    """
    scan, signals = spec.fish, spec.signals
    light = np.zeros((2, scan.planes, *scan.shape_px), np.float32)
    voxel = (scan.z_step_um, scan.pixel_um, scan.pixel_um)
    start = np.array([0.0, *origin_um])
    share = np.array([[1.0, signals.her2_in_cep17], [signals.cep17_in_her2, 1.0]])
    for cell in cells:
        loci = joined(cell.loci, stuck_probe(spec, cell))
        place = loci.zyx_um + np.array(cell.zyx_um)
        for channel in (HER2, CEP17):
            seen = (image_place_um(scan, np.full(len(place), channel), place) - start) / voxel
            photons = loci.photons * share[loci.probe, channel]
            for (z, y, x), probe, size, n in zip(
                seen.tolist(), loci.probe.tolist(), loci.size_um.tolist(), photons.tolist(), strict=True
            ):
                if n > 0:
                    add_point(light[channel], spot_profile(scan, probe, size), (z, y, x), n, voxel)
            for granule, by_channel, size in granules(spec, cell):
                z, y, x = ((image_place_um(scan, np.array([channel]), granule[None])[0] - start) / voxel).tolist()
                shape = spot_profile(scan, channel, size)
                add_point(light[channel], shape, (z, y, x), float(by_channel[channel]), voxel)
    return light


def stuck_probe(spec: SlideSpec, cell: Cell) -> Loci:
    """Probe that stuck in the nucleus where no locus is; the truth's tables do not list it."""
    rng = generator(spec, "unspecific", cell.number)
    rate = spec.nuisance.unspecific_per_nucleus * error_ratio(spec, cell.kind)
    her2, cep17 = rng.poisson(rate, 2).tolist()
    return place_unspecific(cell.shape, spec.signals, (her2, cep17), rng)


def granules(spec: SlideSpec, cell: Cell) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float]]:
    """Autofluorescent granules in and beside a nucleus: place ``(3,)``, photons by channel ``(2,)``, size."""
    rng = generator(spec, "granule", cell.number)
    result = []
    for _ in range(rng.poisson(spec.nuisance.granules_per_nucleus)):
        angle, share = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1.5))
        away = share * float(cell.shape.outline_um(angle))
        lift = rng.normal(0, cell.shape.thickness_um / 4)
        place = np.array(cell.zyx_um) + np.array([lift, away * np.sin(angle), away * np.cos(angle)])
        # the two colours of a granule are alike: a broad emission, not a dye
        photons = spec.signals.photons * np.exp(rng.normal(0.3, 0.5)) * np.exp(rng.normal(0, 0.2, 2))
        result.append((place, photons, float(rng.uniform(0.4, 1.2))))
    return result
