"""Pixel size guessed from the nuclei themselves, for images that come without one."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from ctcfish.parameters import ClassicalNuclei
from ctcfish.stages.nuclei.classical import WORKING_UM, classical_labels
from ctcfish.stages.nuclei.surface import Floats, gaussian, reduce

NUCLEUS_UM = 9.0
"""Width that the median nucleus is taken to have where no pixel size is given."""

_SMALLEST_UM, _LARGEST_UM = 0.02, 3.0
_ROUNDS = 2
_MAX_SIDE_PX = 2048


def estimate_pixel_um(image: NDArray[Any]) -> float:
    """Pixel size at which the median nucleus of an image is 9 um wide.

    A first guess comes from the mean depth of the foreground (a disc of radius R is R/3 deep on average); it is then
    improved by segmenting at the guessed scale and measuring what was found.

    Parameters
    ----------
    image : ndarray, (Y, X)
        Any integer or float type, finite.

    Returns
    -------
    float
        Micrometres; `WORKING_UM` where nothing stands out.
    """
    step: int = max(1, -(-max(image.shape) // _MAX_SIDE_PX))
    small = reduce(image, min(step, *image.shape))
    width = _first_width_px(small)
    if width <= 0:
        return WORKING_UM / step
    pixel_um = _bounded(NUCLEUS_UM / width)
    for _ in range(_ROUNDS):
        factor = min(max(1, round(WORKING_UM / pixel_um)), *small.shape)
        labels = classical_labels(reduce(small, factor), pixel_um * factor, ClassicalNuclei())
        area = np.bincount(labels.ravel())[1:].astype(np.float64)
        area = area[area > 0.05 * area.max(initial=0.0)]
        if len(area) == 0:
            break
        middle = _weighted_median(area)
        pixel_um = _bounded(NUCLEUS_UM / (2.0 * factor * math.sqrt(middle / math.pi)))
    return pixel_um / step


def _first_width_px(image: Floats) -> float:
    smooth = gaussian(image, 1.0)
    low, high = float(smooth.min()), float(np.quantile(smooth, 0.998))
    if high <= low:
        return 0.0
    compressed = np.log(np.clip((smooth - low) / (high - low), 0.0, 1.0) + np.float32(0.05))
    mask = compressed > float(threshold_otsu(compressed))  # type: ignore[no-untyped-call]
    depth = np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    inside = depth[depth > 1.5]
    return 6.0 * float(np.mean(inside)) if len(inside) else 0.0


def _weighted_median(area: NDArray[np.float64]) -> float:
    """Area of the nucleus in which the middle pixel of the foreground lies, halved towards the plain median."""
    ordered = np.sort(area)
    half = np.searchsorted(np.cumsum(ordered), ordered.sum() / 2.0)
    return math.sqrt(float(ordered[half]) * float(np.median(ordered)))


def _bounded(pixel_um: float) -> float:
    return float(min(max(pixel_um, _SMALLEST_UM), _LARGEST_UM))
