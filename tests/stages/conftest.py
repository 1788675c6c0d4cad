"""Scenes of nuclei with known truth, simple enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Disc:
    """One round nucleus: place and radius in um, brightness over the background."""

    y: float
    x: float
    radius: float = 4.0
    brightness: float = 400.0


@dataclass(frozen=True)
class Drawing:
    """An image of discs and where they are."""

    image: NDArray[np.float32]
    labels: NDArray[np.int32]
    pixel_um: float


Draw = Callable[..., Drawing]


def draw_discs(
    discs: Sequence[Disc],
    side_um: float = 60.0,
    pixel_um: float = 0.2,
    noise: float = 5.0,
    background: float = 100.0,
) -> Drawing:
    """Discs on an even background, blurred by 0.25 um, with normal noise; where two meet their light adds up."""
    side = round(side_um / pixel_um)
    axis = np.arange(side) * pixel_um
    image = np.zeros((side, side))
    labels = np.zeros((side, side), np.int32)
    for number, disc in enumerate(discs, start=1):
        inside = (axis[:, None] - disc.y) ** 2 + (axis - disc.x) ** 2 <= disc.radius**2
        image += disc.brightness * inside
        labels[inside] = number
    light = gaussian_filter(image, 0.25 / pixel_um) + background
    noisy = light + np.random.default_rng(5).normal(0, noise, light.shape)
    return Drawing(noisy.astype(np.float32), labels, pixel_um)


def lattice(rows: int, columns: int, pitch_um: float = 14.0, radius: float = 4.0) -> list[Disc]:
    """Discs on a grid, none touching another or the border."""
    return [
        Disc(pitch_um * (i + 0.75), pitch_um * (j + 0.75), radius, 300.0 + 40.0 * ((3 * i + 5 * j) % 7))
        for i in range(rows)
        for j in range(columns)
    ]


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Draw discs: ``draw(discs, side_um=, pixel_um=, noise=, background=)``."""
    return draw_discs


@pytest.fixture(scope="session")
def disc() -> type[Disc]:
    """The disc's class."""
    return Disc


@pytest.fixture(scope="session")
def grid() -> Callable[..., list[Disc]]:
    """Discs on a grid: ``grid(rows, columns, pitch_um=, radius=)``."""
    return lattice
