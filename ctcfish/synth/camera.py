"""From expected photons to the numbers a camera writes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctcfish.synth.spec import Camera

_FEW_PHOTONS = 12.0
"""Below, Poisson numbers are drawn one by one; above, by their quantile function, four times faster."""


def expose(expected: NDArray[np.float32], camera: Camera, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Photograph expected photons: shot noise, read noise, gain, offset, rounding, clipping.

    Parameters
    ----------
    expected : ndarray of float32, (Z, Y, X)
        Expected photons per pixel, not negative.
    camera : Camera
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of uint16, (Z, Y, X)
    """
    result = np.empty(expected.shape, np.uint16)
    for plane, image in enumerate(expected):
        photons = shot_noise(image, rng)
        photons += np.float32(camera.read_noise_photons) * rng.standard_normal(image.shape, dtype=np.float32)
        photons *= np.float32(camera.gain_adu_per_photon)
        photons += np.float32(camera.offset_adu)
        result[plane] = np.clip(np.rint(photons, out=photons), 0, 2**camera.bits - 1)
    return result


def shot_noise(expected: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Poisson numbers of the given means.

    From twelve photons up they are quantiles at normal deviates u by the Cornish-Fisher expansion
    ``m + u sqrt(m) + (u^2 - 1) / 6 + (u - u^3) / (72 sqrt(m))``, rounded: within a tenth of a photon of the exact
    quantile out to five standard deviations.

    Parameters
    ----------
    expected : ndarray of float32, (...)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, (...)
    """
    deviate = rng.standard_normal(expected.shape, dtype=np.float32)
    root = np.sqrt(expected)
    square = deviate * deviate
    result = expected + deviate * root + (square - np.float32(1)) / np.float32(6)
    result += deviate * (np.float32(1) - square) / (np.float32(72) * np.maximum(root, np.float32(0.1)))
    np.rint(result, out=result)
    few = expected < _FEW_PHOTONS
    if few.any():
        result[few] = rng.poisson(expected[few])
    return result


def add_hot_pixels(
    image: NDArray[np.uint16], per_megapixel: float, camera: Camera, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Add pixels that shine by themselves, the same ones in every plane and channel of one camera.

    Parameters
    ----------
    image : ndarray of uint16, (C, Z, Y, X)
    per_megapixel : float
    camera : Camera
    rng : numpy.random.Generator
    """
    n = rng.poisson(per_megapixel * image.shape[2] * image.shape[3] / 1e6)
    rows, columns = rng.integers(0, image.shape[2], n), rng.integers(0, image.shape[3], n)
    extra = rng.uniform(100.0, 700.0, n) * camera.gain_adu_per_photon
    flicker = rng.normal(1.0, 0.1, (*image.shape[:2], n))
    hot = image[:, :, rows, columns] + np.clip(extra * flicker, 0, None)
    result = image.copy()
    result[:, :, rows, columns] = np.clip(hot, 0, 2**camera.bits - 1).astype(np.uint16)
    return result


def shading(shape: tuple[int, int], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Illumination ``(Y, X)`` that falls off from a place near the middle by ``strength`` towards the corners."""
    middle = rng.uniform(0.4, 0.6, 2)
    y = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None] - middle[0]
    x = np.linspace(0, 1, shape[1], dtype=np.float32) - middle[1]
    return np.asarray(1.0 - strength * 2.0 * (y**2 + x**2), np.float32).clip(0.05, None)
