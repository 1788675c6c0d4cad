"""Stain left from the immunofluorescence scan: a haze around the nucleus, brighter than the nucleus's own light is."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.stages.signals.camera import Camera
from ctcfish.types import Nuclei

_BLOCK_UM = 0.4
_RING_UM = (0.8, 2.2)  # cytoplasm, from the nucleus's outline
_GLASS_UM, _FAR_UM = 3.5, 12.0  # glass begins so far from every nucleus; how far around one it is looked for
_LEAST_BLOCKS = 12
_SHARE = 0.55  # of the nucleus's own light: clean nuclei shine so far out less
_LEAST_PHOTONS = 3.0
_SIGMAS = 5.0


def residue(stack: NDArray[np.generic], nuclei: Nuclei, camera: Camera) -> NDArray[np.bool_]:
    """Nuclei whose surroundings shine in a probe's channel as a stained cytoplasm or membrane does.

    A clean nucleus shines by itself and its blur fades outwards: light in the ring around it over the glass is a small
    share of its own light over the glass. Stain lies around the nucleus, where the ring is as bright as the nucleus
    or brighter. The median over blocks of a ring passes over signals and scraps.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    nuclei : Nuclei
    camera : Camera

    Returns
    -------
    ndarray of bool, (N,)
        False where the surroundings are hidden by neighbours or the border.
    """
    result = np.zeros(len(nuclei), bool)
    factor = max(1, round(_BLOCK_UM / nuclei.pixel_um[0]))
    block_um = factor * nuclei.pixel_um[0]
    shape = (nuclei.shape_px[0] // factor, nuclei.shape_px[1] // factor)
    if not len(nuclei) or 0 in shape:
        return result
    middles = slice(factor // 2, None, factor)
    blocks = nuclei.paint(middles, middles)[: shape[0], : shape[1]]
    reach = int(np.ceil(_FAR_UM / block_um))
    around = nuclei.box_px // factor + np.array([-reach, -reach, reach + 1, reach + 1])
    around = np.clip(around, 0, np.array([*shape, *shape]))
    in_sight = np.flatnonzero(_glass(blocks, around) >= _LEAST_BLOCKS)  # which distances need not tell
    if not len(in_sight):
        return result
    light = _blocks(stack, factor, shape, camera)
    for row in in_sight.tolist():
        y0, x0, y1, x1 = around[row].tolist()
        crop = np.s_[y0:y1, x0:x1]
        result[row] = _stained(light[crop], blocks[crop], int(nuclei.label[row]), block_um)
    return result


def _glass(blocks: NDArray[np.int32], boxes: NDArray[np.int64]) -> NDArray[np.int32]:
    """Blocks of no nucleus inside each box (N, 4)."""
    total = cv2.integral((blocks == 0).astype(np.uint8))
    y0, x0, y1, x1 = boxes.T
    return np.asarray(total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0], np.int32)


def _blocks(stack: NDArray[np.generic], factor: int, shape: tuple[int, int], camera: Camera) -> NDArray[np.float32]:
    """Photons per pixel and plane, mean of three planes and of square blocks, ``(Y, X)``."""
    planes = np.unique(np.linspace(0.25, 0.75, 3) * (len(stack) - 1)).round().astype(int)
    total = np.zeros(shape, np.float32)
    for plane in planes.tolist():
        whole = stack[plane, : shape[0] * factor, : shape[1] * factor].astype(np.float32)
        total += cv2.resize(whole, shape[::-1], interpolation=cv2.INTER_AREA)
    mean = total / len(planes)
    return np.asarray((mean - camera.offset_adu) / camera.gain_adu_per_photon, np.float32)


def _stained(light: NDArray[np.float32], labels: NDArray[np.int32], label: int, block_um: float) -> bool:
    own = labels == label
    others = (labels > 0) & ~own
    from_own, from_others = (_away_um(mask, block_um) for mask in (own, others))
    ring = (from_own > _RING_UM[0]) & (from_own < _RING_UM[1]) & (from_others > _RING_UM[0])
    glass = (from_own > _GLASS_UM) & (from_others > _GLASS_UM)
    if min(int(own.sum()), int(ring.sum()), int(glass.sum())) < _LEAST_BLOCKS:
        return False
    inside, around, dark = (float(np.median(light[where])) for where in (own, ring, glass))
    scatter = 1.4826 * float(np.median(np.abs(light[glass] - dark)))
    error = scatter * (1.0 / int(ring.sum()) + 1.0 / int(glass.sum())) ** 0.5
    excess = around - dark
    return bool(excess > max(_SHARE * (inside - dark), _LEAST_PHOTONS, _SIGMAS * error))


def _away_um(mask: NDArray[np.bool_], block_um: float) -> NDArray[np.float32]:
    """Distance from the nearest block of the mask; far where it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.float32(_FAR_UM))
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away * np.float32(block_um), np.float32)
