"""How large nuclei are in an image of unknown pixel size, asked of the network itself."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.nets.architecture import NATIVE_DIAMETER_PX, NucleusNet
from ctcfish.nets.normalise import measure_range, normalise
from ctcfish.nets.predict import predict_labels

ZOOMS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125)
"""Native pixels per image pixel that are tried first: nuclei from 6 to 190 px wide."""

_WINDOW_PX = 288
_WINDOWS = 2
_TOLERANCE = 0.35


def resample(image: NDArray[np.generic], zoom: float) -> NDArray[np.float32]:
    """Resample an image: areas are averaged when it shrinks, pixels interpolated when it grows.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Any integer or float type.
    zoom : float
        Output pixels per input pixel.

    Returns
    -------
    ndarray of float32, shape (round(Y zoom), round(X zoom)), at least (1, 1)
    """
    size = tuple(max(1, round(side * zoom)) for side in image.shape[::-1])
    how = cv2.INTER_AREA if zoom < 1.0 else cv2.INTER_CUBIC
    return cv2.resize(np.asarray(image, np.float32), size, interpolation=how).astype(np.float32, copy=False)


def estimate_zoom(image: NDArray[np.generic], net: NucleusNet, device: str = "cpu") -> float:
    """Estimate the zoom that brings an image to the network's native scale.

    A few windows are segmented at scales an octave apart. A scale is the better, the more of the light lies in sure
    nuclei of about native width; the best one is then corrected by the median width found there.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Brightness.
    net : NucleusNet
        The network, on `device`.
    device : str
        `cpu`, `cuda` or `mps`.

    Returns
    -------
    float
        Native pixels per image pixel; 1 where no nucleus is found at any scale.
    """
    best, zoom = 0.0, 1.0
    for trial in ZOOMS:
        support, width = _try(image, trial, net, device)
        if support > best:
            best, zoom = support, trial * NATIVE_DIAMETER_PX / width
    if best == 0.0:
        return 1.0
    _, width = _try(image, zoom, net, device)
    return zoom * float(np.clip(NATIVE_DIAMETER_PX / width, 0.7, 1.4)) if width > 0.0 else zoom


def _try(image: NDArray[np.generic], zoom: float, net: NucleusNet, device: str) -> tuple[float, float]:
    """Return the share of the light that lies in sure nuclei of native width, and the median width, native pixels."""
    support, every_light = 0.0, 1e-9
    widths = [np.empty(0)]
    for window in _windows(image, zoom):
        small = resample(window, zoom)
        found = predict_labels(small, net, device)
        light = np.maximum(normalise(small, measure_range(small)), 0.0).ravel()
        area = np.bincount(found.labels.ravel(), minlength=1)[1:]
        inside = np.bincount(found.labels.ravel(), light, minlength=1)[1:]
        width = np.sqrt(area * (4.0 / np.pi))
        fit = np.exp(-0.5 * (np.log(width / NATIVE_DIAMETER_PX) / _TOLERANCE) ** 2)
        support += float((inside * found.score * fit).sum())
        every_light += float(light.sum())
        widths.append(width)
    every = np.concatenate(widths)
    return (support / every_light, float(np.median(every))) if every.size else (0.0, 0.0)


def _windows(image: NDArray[np.generic], zoom: float) -> list[NDArray[np.generic]]:
    """Cut the windows with the greatest spread of brightness from a fixed grid."""
    side = max(16, round(_WINDOW_PX / zoom))
    cut = [
        image[row : row + side, column : column + side]
        for row in range(0, max(1, image.shape[0] - side // 2), side)
        for column in range(0, max(1, image.shape[1] - side // 2), side)
    ]
    spread = [
        float(np.std(np.asarray(window[:: max(1, side // 64), :: max(1, side // 64)], np.float32))) for window in cut
    ]
    return [cut[index] for index in np.argsort(spread)[::-1][:_WINDOWS]]
