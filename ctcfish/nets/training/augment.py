"""What a slide can do to a picture of nuclei, done at random to a normalised crop."""

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def spoil(image: Image, labels: NDArray[np.int32], rng: np.random.Generator) -> Image:
    """Return the crop as another slide, microscope or camera would have shown it.

    Parameters
    ----------
    image : ndarray of float32, shape (Y, X)
        Normalised brightness: black 0, bright nuclei about 1.
    labels : ndarray of int32, shape (Y, X)
        Its nuclei.
    rng : numpy.random.Generator
        All chance comes from here.

    Returns
    -------
    ndarray of float32, shape (Y, X)
    """
    steps = (
        (0.25, lambda x: _uneven_nuclei(x, labels, rng)),
        (0.50, lambda x: _gamma(x, rng)),
        (0.15, lambda x: _debris(x, rng)),
        (0.30, lambda x: _shade(x, rng)),
        (0.20, lambda x: _haze(x, rng)),
        (0.30, lambda x: cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 2.2))),
        (0.06, lambda x: np.minimum(x, np.float32(rng.uniform(0.4, 0.9)))),
        (0.45, lambda x: _noise(x, rng)),
        (0.10, lambda x: _quantise(x, rng)),
        (0.80, lambda x: x * np.float32(np.exp(rng.uniform(-0.45, 0.45))) + np.float32(rng.normal(0.0, 0.05))),
        (0.03, lambda x: np.float32(1.0) - x),
    )
    for chance, step in steps:
        if rng.random() < chance:
            image = np.asarray(step(image), np.float32)
    return image


def _smooth_field(shape: tuple[int, ...], nodes: int, rng: np.random.Generator) -> Image:
    """Draw a smooth random field in about [-1, 1] from a few nodes."""
    coarse = rng.uniform(-1.0, 1.0, (nodes, nodes)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)


def _uneven_nuclei(image: Image, labels: NDArray[np.int32], rng: np.random.Generator) -> Image:
    gain = np.exp(rng.normal(0.0, 0.4, int(labels.max()) + 1)).astype(np.float32)
    gain[0] = 1.0
    return image * cv2.GaussianBlur(gain[labels], (0, 0), 1.0)


def _gamma(image: Image, rng: np.random.Generator) -> Image:
    power = np.exp(rng.uniform(-0.7, 0.6))
    return (np.sign(image) * np.abs(image) ** np.float32(power)).astype(np.float32, copy=False)


def _debris(image: Image, rng: np.random.Generator) -> Image:
    result = np.zeros_like(image)
    for _ in range(rng.integers(1, 6)):
        centre = tuple(int(rng.integers(0, side)) for side in image.shape[::-1])
        axes = (int(rng.integers(1, 6)), int(rng.integers(1, 5)))
        cv2.ellipse(result, centre, axes, rng.uniform(0, 180), 0, 360, float(rng.uniform(0.2, 1.5)), -1)
    return image + cv2.GaussianBlur(result, (0, 0), rng.uniform(0.6, 2.5))


def _shade(image: Image, rng: np.random.Generator) -> Image:
    return image * (1.0 + np.float32(rng.uniform(0.1, 0.5)) * _smooth_field(image.shape, 2, rng))


def _haze(image: Image, rng: np.random.Generator) -> Image:
    if rng.random() < 0.5:
        glow = cv2.GaussianBlur(np.maximum(image, 0.0), (0, 0), rng.uniform(5.0, 14.0))
        return image + np.float32(rng.uniform(0.1, 0.6)) * glow
    return image + np.float32(rng.uniform(0.05, 0.3)) * (1.0 + _smooth_field(image.shape, 3, rng))


def _noise(image: Image, rng: np.random.Generator) -> Image:
    sigma = 0.15 * rng.random() ** 2
    photon = 0.2 * rng.random() ** 2
    noise = rng.standard_normal(image.shape, np.float32)
    if rng.random() < 0.4:
        soft = rng.uniform(0.5, 1.0)
        noise = cv2.GaussianBlur(noise, (0, 0), soft) * np.float32(2.0 * soft)
    spread = np.sqrt(np.float32(sigma**2) + np.float32(photon**2) * np.maximum(image, 0.0))
    return np.asarray(image + noise * spread, np.float32)


def _quantise(image: Image, rng: np.random.Generator) -> Image:
    levels = np.float32(rng.integers(8, 64))
    return (np.round(image * levels) / levels).astype(np.float32, copy=False)
