"""Nuclei without a network: local threshold on the logarithm, distance transform, watershed, half-height outlines."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from ctcfish.parameters import ClassicalNuclei
from ctcfish.stages.surface import Floats, as_floats, background_surface, enlarge_surface, gaussian, noise_sd, reduce

Labels = NDArray[np.int32]

WORKING_UM = 0.4
"""Pixel to which finer images are reduced: a nucleus is then 15 to 25 pixels across."""

_NOISE_SIGMAS = 6.0
_LOCAL_SHARE = 0.85
_HALF_HEIGHT = 0.42
_COARSE_UM = 2.5


def classical_labels(image: Floats, pixel_um: float, params: ClassicalNuclei) -> Labels:
    """Find nuclei in an image of about `WORKING_UM` per pixel.

    Parameters
    ----------
    image : ndarray of float32, (Y, X)
    pixel_um : float
    params : ClassicalNuclei

    Returns
    -------
    ndarray of int32, (Y, X)
        Consecutive labels, 0 is background.
    """
    smooth = gaussian(image, params.smooth_um / pixel_um)
    factor = min(max(1, round(_COARSE_UM / pixel_um)), *image.shape)
    signal = smooth - enlarge_surface(background_surface(reduce(smooth, factor)), image.shape)
    foreground = _foreground(signal, smooth, pixel_um, params)
    if not foreground.any():
        return np.zeros(image.shape, np.int32)
    depth_px = cv2.distanceTransform(foreground.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = gaussian(as_floats(depth_px, image.shape), params.smooth_um / pixel_um) * np.float32(pixel_um)
    labels = split(distance, foreground, params.split_um)
    return _at_half_height(labels, signal)


def _foreground(signal: Floats, smooth: Floats, pixel_um: float, params: ClassicalNuclei) -> NDArray[np.bool_]:
    """Where the signal exceeds the noise, the whole image (Otsu on its logarithm) and its own surroundings."""
    noise = noise_sd(signal)
    top = float(np.quantile(signal, 0.998))
    if top <= _NOISE_SIGMAS * noise or top <= 0:
        return np.zeros(signal.shape, bool)
    compressed = np.log(np.maximum(signal, 0.0) + np.float32(0.05 * top))
    otsu = float(threshold_otsu(compressed))  # type: ignore[no-untyped-call]
    level = float(np.exp(otsu)) - 0.05 * top
    window = 2 * round(params.window_um / pixel_um / 2) + 1
    around = as_floats(cv2.blur(smooth, (window, window), borderType=cv2.BORDER_REFLECT), signal.shape)
    mask = (signal > max(level, _NOISE_SIGMAS * noise)) & (smooth > _LOCAL_SHARE * around)
    side = 2 * round(0.5 / pixel_um) + 1
    opened = cv2.morphologyEx(
        mask.astype(np.uint8), cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    )
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(opened.reshape(mask.shape))
    return filled


def split(distance: Floats, foreground: NDArray[np.bool_], depth: float) -> Labels:
    """Watershed of a smooth distance map whose basins are merged across necks shallower than `depth`.

    Equal to flooding from the h-maxima of the map, at a tenth of the cost of a morphological reconstruction.

    Parameters
    ----------
    distance : ndarray of float32, (Y, X)
    foreground : ndarray of bool, (Y, X)
    depth : float
        In the unit of `distance`.

    Returns
    -------
    ndarray of int32, (Y, X)
    """
    peaks = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)).reshape(distance.shape)) & foreground
    seeds, count = ndimage.label(peaks, structure=np.ones((3, 3), int))
    flooded = watershed(-distance, seeds, mask=foreground)  # type: ignore[no-untyped-call]
    basins = np.asarray(flooded, np.int32)
    height = np.zeros(count + 1, np.float32)
    np.maximum.at(height, seeds[peaks], distance[peaks])
    merged = _merge(height, *_saddles(basins, distance), depth)
    number = np.zeros(count + 1, np.int32)
    number[1:] = np.unique(merged[1:], return_inverse=True)[1] + 1
    return number[basins]


def _saddles(basins: NDArray[Any], distance: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Pairs of basins that meet, ``(P, 2)``, with the highest pass between them, highest first."""
    first, second, passes = [], [], []
    for one, two in (np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]):
        a, b = basins[one], basins[two]
        meet = (a != b) & (a > 0) & (b > 0)
        first.append(np.minimum(a[meet], b[meet]))
        second.append(np.maximum(a[meet], b[meet]))
        passes.append(np.minimum(distance[one][meet], distance[two][meet]))
    pairs = np.stack([np.concatenate(first), np.concatenate(second)], axis=1).astype(np.intp)
    height = np.concatenate(passes)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -height))
    return pairs[order], height[order]


def _merge(height: Floats, pairs: NDArray[np.intp], passes: Floats, depth: float) -> NDArray[np.intp]:
    """Each basin's representative: the lower peak joins the higher where it rises less than `depth` over the pass."""
    root = list(range(len(height)))
    peak = height.tolist()
    for (a, b), level in zip(pairs.tolist(), passes.tolist(), strict=True):
        low, high = _find(root, a), _find(root, b)
        if low == high:
            continue
        if peak[low] > peak[high]:
            low, high = high, low
        if peak[low] - level < depth:
            root[low] = high
    return np.array([_find(root, k) for k in range(len(root))], np.intp)


def _find(root: list[int], k: int) -> int:
    while root[k] != k:
        root[k] = root[root[k]]
        k = root[k]
    return k


def _at_half_height(labels: Labels, signal: Floats) -> Labels:
    """Shrink each nucleus to where it exceeds a share of its own brightness; blur and haze then move no outline."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    number, value = flat[inside], signal.ravel()[inside]
    count = np.bincount(number)
    order = np.lexsort((value, number))
    start = np.cumsum(count) - count
    upper = value[order][np.minimum(start + (0.75 * count).astype(np.intp), len(order) - 1)]
    result = np.where(signal > _HALF_HEIGHT * upper[labels], labels, 0)
    return result.astype(np.int32)
