"""Nuclei without a network: local threshold on the logarithm, distance transform, watershed, half-height outlines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from ctcfish.parameters import ClassicalNuclei
from ctcfish.stages.nuclei.regions import Labels, quantiles
from ctcfish.stages.nuclei.surface import Floats, above_background, as_floats, gaussian, noise_sd
from ctcfish.stages.nuclei.watersheds import split

WORKING_UM = 0.4
"""Pixel to which finer images are reduced: a nucleus is then 15 to 25 pixels across."""

_NOISE_SIGMAS = 6.0
_LOCAL_SHARE = 0.85
_HALF_HEIGHT = 0.42


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
    signal = above_background(smooth, pixel_um)
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
    rounding = 1e-5 * float(np.abs(smooth).max())
    if top <= max(_NOISE_SIGMAS * noise, rounding):
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


def _at_half_height(labels: Labels, signal: Floats) -> Labels:
    """Shrink each nucleus to where it exceeds a share of its own brightness; blur and haze then move no outline."""
    count = int(labels.max(initial=0))
    upper = np.append(0.0, quantiles(signal, labels, count, (0.75,))[0]).astype(np.float32)
    result = np.where(signal > _HALF_HEIGHT * upper[labels], labels, 0)
    return result.astype(np.int32)
