"""Nuclei drawn for training where the real set has few: crowded, overlapping, textured, among granules and haze."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = tuple[NDArray[np.float32], NDArray[np.int32]]


def draw_field(side: int, diameter_px: float, rng: np.random.Generator) -> Field:
    """Draw a field of nuclei with their outlines.

    Parameters
    ----------
    side : int
        Rows and columns.
    diameter_px : float
        Median diameter of a nucleus.
    rng : numpy.random.Generator
        All chance comes from here.

    Returns
    -------
    image : ndarray of float32, shape (side, side)
        Photons, with noise.
    labels : ndarray of int32, shape (side, side)
        Where nuclei lie over one another their brightness adds up, and the one drawn first keeps the ground.
    """
    labels = np.zeros((side, side), np.int32)
    light = np.zeros((side, side), np.float32)
    texture = _texture(side, diameter_px, rng)
    spread, overlap, company = rng.uniform(0.08, 0.3), rng.choice([0.02, 0.1, 0.3]), rng.uniform(0.2, 0.9)
    places: list[tuple[float, float, float]] = []
    wanted = int(rng.uniform(0.0, 0.75) * side**2 / diameter_px**2)
    for _ in range(3 * wanted):
        if len(places) >= wanted:
            break
        radius = 0.5 * diameter_px * float(np.exp(rng.normal(0.0, spread)))
        y, x = _place(side, radius, places, company, rng)
        mask = _shape((y, x), radius, side, rng)
        if mask.sum() < 20 or (labels[mask] > 0).mean() > overlap:
            continue
        places.append((y, x, radius))
        light[mask] += np.exp(rng.normal(0.0, 0.5)) * texture[mask]
        labels[mask & (labels == 0)] = len(places)
    return _photograph(light, diameter_px, rng), labels


def _texture(side: int, diameter_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    result = np.ones((side, side), np.float32)
    for part in (0.05, 0.12, 0.3):
        grain = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), part * diameter_px)
        result += rng.uniform(0.0, 0.25) * grain / grain.std()
    return np.clip(result, 0.15, 3.0)


def _place(
    side: int, radius: float, places: list[tuple[float, float, float]], company: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Choose a place anywhere, or beside a nucleus already there."""
    if not places or rng.random() > company:
        y, x = rng.uniform(0.0, side, 2)
        return float(y), float(x)
    near_y, near_x, near_radius = places[rng.integers(len(places))]
    angle, distance = rng.uniform(0.0, 2.0 * np.pi), (near_radius + radius) * rng.uniform(0.75, 1.05)
    return near_y + distance * np.sin(angle), near_x + distance * np.cos(angle)


def _shape(centre: tuple[float, float], radius: float, side: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw an ellipse with a wavy outline."""
    angles = np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)
    wave = sum(
        rng.uniform(0.0, 0.3) / order**1.5 * np.sin(order * angles + rng.uniform(0.0, 6.28)) for order in (2, 3, 4)
    )
    reach = radius * (1.0 + 0.7 * wave)
    flat, turn = rng.uniform(0.6, 1.0), rng.uniform(0.0, np.pi)
    u, v = reach * np.cos(angles) / np.sqrt(flat), reach * np.sin(angles) * np.sqrt(flat)
    y, x = centre[0] + u * np.sin(turn) + v * np.cos(turn), centre[1] + u * np.cos(turn) - v * np.sin(turn)
    canvas = np.zeros((side, side), np.uint8)
    cv2.fillPoly(canvas, [np.round(np.stack([x, y], axis=1) * 16).astype(np.int32)], 1, shift=4)
    return canvas.astype(bool)


def _photograph(light: NDArray[np.float32], diameter_px: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Blur, add haze, granules and background, and count photons."""
    sharp = cv2.GaussianBlur(light, (0, 0), diameter_px * rng.uniform(0.015, 0.06))
    image = sharp + rng.uniform(0.0, 0.3) * cv2.GaussianBlur(light, (0, 0), diameter_px * rng.uniform(0.2, 0.5))
    granules = np.zeros_like(light)
    for _ in range(rng.integers(0, 12)):
        y, x = rng.integers(0, light.shape[0], 2)
        granules[y, x] += rng.uniform(0.1, 0.8)
    width = diameter_px * rng.uniform(0.04, 0.12)
    image += cv2.GaussianBlur(granules, (0, 0), width) * np.float32(2.0 * np.pi * width**2)
    photons = np.exp(rng.uniform(np.log(15.0), np.log(500.0)))
    expected = photons * (image + rng.uniform(0.02, 0.3))
    counted = rng.poisson(np.maximum(expected, 0.0)) + rng.normal(0.0, 2.0, light.shape)
    return np.asarray(counted, np.float32)
