"""Background and uneven illumination removed, for segmentation and for marker intensities; never for photon counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.parameters import Correct
from ctcfish.stages.nuclei.surface import CELL_PX, background_surface, enlarge_surface, reduce, shading_surface


def correct(pixels: NDArray[Any], pixel_um: float, params: Correct) -> NDArray[np.float32]:
    """Subtract the background and divide by the shading, both estimated from the image itself.

    The background is a smooth surface through a low quantile of neighbourhoods of ``params.background_um``; in a stack
    each plane has its own. The shading is one quadratic surface for all planes, fitted to the logarithm of the
    brightness of what stands out of the background, and drawn towards even illumination where little stands out.

    Parameters
    ----------
    pixels : ndarray, (Y, X) or (Z, Y, X)
        Any integer or float type, finite.
    pixel_um : float
    params : Correct

    Returns
    -------
    ndarray of float32, shape of `pixels`
        Brightness above background.
    """
    stack = pixels[None] if pixels.ndim == 2 else pixels
    result = np.empty(stack.shape, np.float32)
    if result.size == 0:
        return result.reshape(pixels.shape)
    factor = min(max(1, round(params.background_um / CELL_PX / 2.0 / pixel_um)), *stack.shape[1:])
    coarse = np.stack([reduce(plane, factor) for plane in stack])
    surfaces = np.stack([background_surface(plane) for plane in coarse])
    shading = shading_surface(np.max(coarse - surfaces, axis=0))
    flat = None if shading is None else enlarge_surface(shading, stack.shape[1:])
    for plane, surface, target in zip(stack, surfaces, result, strict=True):
        np.subtract(plane, enlarge_surface(surface, plane.shape), out=target, casting="unsafe")
        if flat is not None:
            target /= flat
    return result.reshape(pixels.shape)
