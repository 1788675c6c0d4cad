"""From expected photons to the numbers a camera writes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ctcfish.synth.spec import Camera


def expose(expected: NDArray[np.float32], camera: Camera, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Photograph expected photons: shot noise, read noise, gain, offset, rounding, clipping.

    Parameters
    ----------
    expected : ndarray of float32, (...)
        Expected photons per pixel, not negative.
    camera : Camera
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of uint16, (...)
    """
    photons = rng.poisson(expected).astype(np.float32)
    photons += np.float32(camera.read_noise_photons) * rng.standard_normal(expected.shape, dtype=np.float32)
    adu = np.rint(photons * np.float32(camera.gain_adu_per_photon) + np.float32(camera.offset_adu))
    return np.clip(adu, 0, 2**camera.bits - 1).astype(np.uint16)


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
