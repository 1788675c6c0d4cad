"""The two colours against each other: light that leaks from one channel into the other, and the shift between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.field import Isolated
from ctcfish.types import Probe

_TOGETHER_UM = 0.5
DIRECTIONS: tuple[tuple[Probe, Probe], ...] = (("HER2", "CEP17"), ("CEP17", "HER2"))
_FEW_PAIRS = 12
_MOST_LEAK = 0.5


@dataclass(frozen=True)
class Pairs:
    """Signals measured in both channels.

    Attributes
    ----------
    share : mapping of str to ndarray, (N,)
        ``"HER2>CEP17"``: light at the place of each HER2 signal in the CEP17 channel over its own, and the reverse.
    offset_um : ndarray, (M, 3)
        HER2 minus CEP17 position of objects bright in both.
    """

    share: Mapping[str, NDArray[np.float64]]
    offset_um: NDArray[np.float64]


def pair(
    stacks: Mapping[Probe, NDArray[np.generic]],
    isolated: Mapping[Probe, Isolated],
    voxel_um: tuple[float, float, float],
    camera: Camera,
) -> Pairs:
    """Measure isolated signals of each probe in the other channel."""
    if len(stacks) < 2:
        return Pairs({}, np.empty((0, 3)))
    offset = _offsets(isolated["HER2"], isolated["CEP17"])
    share = {f"{a}>{b}": _share(stacks[b], isolated[a], voxel_um, camera) for a, b in DIRECTIONS}
    return Pairs(share, offset)


def _offsets(her2: Isolated, cep17: Isolated) -> NDArray[np.float64]:
    if not len(her2.photons) or not len(cep17.photons):
        return np.empty((0, 3))
    distance, partner = cKDTree(cep17.position_um[:, 1:]).query(her2.position_um[:, 1:])
    close = distance < _TOGETHER_UM
    return np.asarray(her2.position_um[close] - cep17.position_um[partner[close]])


def _share(
    other: NDArray[np.generic], signals: Isolated, voxel_um: tuple[float, float, float], camera: Camera
) -> NDArray[np.float64]:
    """Excess light of a 3x3 core over its ring in the other channel, over the same share of the signal's own light."""
    step = np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])
    place = np.rint(signals.position_um / step).astype(int)
    ring = 6
    keep = ((place[:, 1:] >= ring) & (place[:, 1:] < np.array(other.shape[1:]) - ring)).all(1)
    place = np.clip(place[keep], 0, np.array(other.shape) - 1)
    if not len(place):
        return np.empty(0)
    reach = np.arange(-ring, ring + 1)
    window = other[place[:, 0, None, None], place[:, 1, None, None] + reach[:, None], place[:, 2, None, None] + reach]
    window = window.astype(np.float64) / camera.gain_adu_per_photon
    core = window[:, ring - 1 : ring + 2, ring - 1 : ring + 2].sum((1, 2))
    edge = np.concatenate([window[:, 0], window[:, -1], window[:, :, 0], window[:, :, -1]], 1)
    excess = core - 9 * np.median(edge, 1)
    lateral = signals.sigma_um[keep, 1] / step[1]
    caught = 9 / (2 * np.pi * lateral**2 + 9)
    axial = step[0] / (np.sqrt(2 * np.pi) * signals.sigma_um[keep, 0]) if len(other) > 1 else 1.0
    return np.asarray(excess / (signals.photons[keep] * caught * np.minimum(axial, 1.0)))


def merge_pairs(parts: Sequence[Pairs]) -> tuple[dict[str, float], tuple[float, float, float]]:
    """Crosstalk of the slide, and the shift to add to CEP17 positions; zero where too few objects tell."""
    crosstalk = {}
    for key in sorted({k for p in parts for k in p.share}):
        share = np.concatenate([p.share.get(key, np.empty(0)) for p in parts])
        share = share[share < _MOST_LEAK]  # above: granules, and the other dye's own signals seen here
        crosstalk[key] = float(np.clip(np.median(share), 0.0, 1.0)) if len(share) >= _FEW_PAIRS else 0.0
    offset = np.concatenate([np.empty((0, 3)), *(p.offset_um for p in parts)])
    if len(offset) < _FEW_PAIRS:
        return crosstalk, (0.0, 0.0, 0.0)
    z, y, x = np.median(offset, axis=0).tolist()
    return crosstalk, (z, y, x)
