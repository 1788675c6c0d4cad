"""Out-of-focus light of extended objects: each layer spread to each plane by the transfer function of its defocus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from ctcfish.synth.optics import Lens, point_image, profile

_REACH_UM = 18.0


def photograph_layers(
    layers: NDArray[np.float32],
    layer_z_um: NDArray[np.floating],
    plane_z_um: NDArray[np.floating],
    lens: Lens,
    pixel_um: float,
) -> NDArray[np.float32]:
    """Widefield image of a stack of layers of dye.

    Parameters
    ----------
    layers : ndarray of float32, (L, Y, X)
        Dye per layer.
    layer_z_um : ndarray, (L,)
    plane_z_um : ndarray, (P,)
        Focal planes.
    lens : Lens
    pixel_um : float
        Pixel of the layers.

    Returns
    -------
    ndarray of float32, (P, Y, X)
        Sum over layers of the layer convolved with the plane's point image; light is conserved but at the borders,
        where what lies outside is taken for empty.
    """
    pad = int(np.ceil(8.0 / pixel_um))
    shape = tuple(next_fast_len(side + pad, real=True) for side in layers.shape[1:])
    spectra = rfft2(layers, s=shape, workers=1)
    defocus = np.round(np.abs(plane_z_um[:, None] - layer_z_um), 4)
    known, which = np.unique(defocus, return_inverse=True)
    which = which.reshape(defocus.shape)
    transfer = _transfer(lens, known, (shape[0], shape[1]), pixel_um)
    result = np.empty((len(plane_z_um), *layers.shape[1:]), np.float32)
    filled = np.flatnonzero(layers.any(axis=(1, 2)))
    for plane in range(len(plane_z_um)):
        total = np.zeros(spectra.shape[1:], np.complex64)
        for layer in filled:
            total += spectra[layer] * transfer[which[plane, layer]]
        image = irfft2(total, s=shape, workers=1)
        result[plane] = image[: layers.shape[1], : layers.shape[2]]
    return np.maximum(result, 0.0, out=result)


def _transfer(
    lens: Lens, defocus_um: NDArray[np.floating], shape: tuple[int, int], pixel_um: float
) -> NDArray[np.float32]:
    """Transfer functions ``(D, Y, X // 2 + 1)`` of a pixel full of dye; real, since its image is symmetric."""
    light = profile(lens, 0.0, (float(defocus_um.max()) + 0.4, _REACH_UM), (0.2, 0.05))
    # one quadrant is computed, and mirrored about the first pixel
    rows, columns = (np.minimum(np.arange(side), side - np.arange(side)) for side in shape)
    quadrant = (int(rows.max()) + 1, int(columns.max()) + 1)
    low, share = point_image(light, (0.0, 0.0), quadrant, pixel_um)
    result = np.empty((len(defocus_um), shape[0], shape[1] // 2 + 1), np.float32)
    for row, values in enumerate(light.at_defocus(defocus_um)):
        lower = values[low]
        corner = (lower + (values[low + 1] - lower) * share).mean(axis=0)
        image = corner[np.ix_(rows, columns)]
        result[row] = rfft2(image / image.sum(), workers=1).real
    return result
