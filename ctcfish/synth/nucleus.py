"""The shape of a nucleus: a wavy ellipse, flattened by cytospin, with chromatin texture and nucleoli."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Shape:
    """Outline and thickness of a nucleus.

    Attributes
    ----------
    radius_um : float
        Radius of the circle of like area.
    aspect : float
        Long over short axis.
    angle_rad : float
        Of the long axis, from x towards y.
    waves : ndarray of float64, (4, 2)
        Amplitude and phase of the outline's harmonics 2 to 5, relative to the radius.
    thickness_um : float
        In the middle.
    nucleoli : ndarray of float64, (N, 4)
        Place ``(z, y, x)`` in units of the half axes and radius in um.
    brightness : float
        DNA density over an ordinary nucleus's.
    balls : ndarray of float64, (N, 4)
        Fragments of an apoptotic nucleus, ``(z, y, x, radius)`` in um from its centre; none in a living one.
    """

    radius_um: float
    aspect: float
    angle_rad: float
    waves: NDArray[np.float64]
    thickness_um: float
    nucleoli: NDArray[np.float64]
    balls: NDArray[np.float64]
    brightness: float = 1.0

    @property
    def reach_um(self) -> float:
        """Distance from the centre beyond which nothing of the nucleus lies."""
        own = self.radius_um * np.sqrt(self.aspect) * (1.0 + float(np.abs(self.waves[:, 0]).sum()))
        return float(max(own, (np.hypot(self.balls[:, 1], self.balls[:, 2]) + self.balls[:, 3]).max(initial=0.0)))

    def outline_um(self, angle: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Distance from centre to outline in the given directions (from x towards y)."""
        return self._outline_um(np.exp(1j * (np.asarray(angle) - self.angle_rad)))

    def _outline_um(self, direction: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Outline in directions given as ``exp(i t)`` from the long axis: harmonics are its powers."""
        ellipse = 1.0 / np.sqrt(direction.real**2 / self.aspect + direction.imag**2 * self.aspect)
        wave, power = np.ones(direction.shape), direction
        for amplitude, phase in self.waves:
            power = power * direction
            wave = wave + amplitude * (power.real * np.cos(phase) + power.imag * np.sin(phase))
        return np.asarray(self.radius_um * ellipse * wave)

    def depth(self, dy_um: NDArray[np.float64], dx_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance from the centre over the outline's distance: below 1 inside."""
        distance = np.hypot(dy_um, dx_um)
        direction = (dx_um + 1j * dy_um) / np.maximum(distance, 1e-9) * np.exp(-1j * self.angle_rad)
        # at the very centre there is no direction, and the depth is 0 in any
        return np.asarray(distance / self._outline_um(np.where(distance > 0, direction, 1.0)))

    def half_thickness_um(self, depth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Half the thickness where :meth:`depth` is given; flat-topped, 0 outside."""
        return np.asarray(0.5 * self.thickness_um * np.clip(1.0 - depth**2.5, 0.0, None) ** 0.5)


def draw_shape(diameter_um: float, thickness_share: float, lobed: bool, rng: np.random.Generator) -> Shape:
    """Draw an intact nucleus.

    Parameters
    ----------
    diameter_um : float
    thickness_share : float
        Thickness over diameter.
    lobed : bool
        Kidney-shaped or lobed, as monocytes and granulocytes have them.
    rng : numpy.random.Generator
    """
    sizes = np.array([0.16, 0.12, 0.05, 0.03]) if lobed else np.array([0.03, 0.025, 0.018, 0.012])
    waves = np.stack([sizes * rng.uniform(0.4, 1.2, 4), rng.uniform(0, 2 * np.pi, 4)], axis=1)
    n = int(rng.integers(0, 4)) if diameter_um > 7.5 else int(rng.integers(0, 2))
    place = 0.6 * rng.uniform(0, 1, (n, 1)) ** (1 / 3) * _directions(n, rng)
    nucleoli = np.concatenate([place, rng.uniform(0.3, 0.75, (n, 1)) * diameter_um / 9.0], axis=1)
    return Shape(
        radius_um=diameter_um / 2,
        aspect=float(rng.uniform(1.02, 1.28)),
        angle_rad=float(rng.uniform(0, np.pi)),
        waves=waves,
        thickness_um=diameter_um * thickness_share * float(rng.uniform(0.85, 1.15)),
        nucleoli=nucleoli,
        balls=np.zeros((0, 4)),
    )


def apoptotic(shape: Shape, rng: np.random.Generator) -> Shape:
    """Turn a nucleus into condensed fragments that fill part of where it lay."""
    n = int(rng.integers(3, 8))
    away = _directions(n, rng) * np.array([0.25, 1.0, 1.0]) * shape.radius_um * rng.uniform(0.1, 0.75, (n, 1))
    balls = np.concatenate([away, rng.uniform(0.16, 0.38, (n, 1)) * shape.radius_um], axis=1)
    return replace(shape, nucleoli=np.zeros((0, 4)), balls=balls)


def _directions(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    arrows = rng.standard_normal((n, 3))
    return np.asarray(arrows / np.linalg.norm(arrows, axis=1, keepdims=True))


def mask(shape: Shape, dy_um: NDArray[np.float64], dx_um: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Projection of the nucleus at the given offsets from its centre."""
    if len(shape.balls):
        away = np.hypot(dy_um[..., None] - shape.balls[:, 1], dx_um[..., None] - shape.balls[:, 2])
        return np.asarray((away <= shape.balls[:, 3]).any(axis=-1))
    return np.asarray(shape.depth(dy_um, dx_um) <= 1.0)


def density(
    shape: Shape, dz_um: NDArray[np.float64], dy_um: NDArray[np.float64], dx_um: NDArray[np.float64]
) -> NDArray[np.float32]:
    """DNA density of the nucleus, without texture.

    Parameters
    ----------
    shape : Shape
    dz_um : ndarray, (Z,)
        Planes, from the centre, evenly spaced.
    dy_um, dx_um : ndarray, (Y, X)
        Offsets from the centre.

    Returns
    -------
    ndarray of float32, (Z, Y, X)
        1 in chromatin; at surfaces the covered share of the plane's slab.
    """
    slab = float(dz_um[1] - dz_um[0]) if len(dz_um) > 1 else 1.0
    if len(shape.balls):
        result = np.zeros((len(dz_um), *dy_um.shape))
        for z, y, x, radius in shape.balls:
            flat = np.clip(radius**2 - (dy_um - y) ** 2 - (dx_um - x) ** 2, 0, None) ** 0.5
            result = np.maximum(result, 2.6 * _covered(dz_um - z, flat, slab))
        return np.asarray(result * shape.brightness, np.float32)
    depth = shape.depth(dy_um, dx_um)
    result = _covered(dz_um, shape.half_thickness_um(depth), slab)
    result *= 0.85 + 0.15 * np.clip(depth, 0, 1) ** 4
    for z, y, x, radius in shape.nucleoli:
        away = (
            (dz_um[:, None, None] - z * shape.thickness_um / 2) ** 2
            + (dy_um - y * shape.radius_um) ** 2
            + (dx_um - x * shape.radius_um) ** 2
        )
        result *= 1.0 - 0.7 * np.exp(-((away / radius**2) ** 2))
    return np.asarray(result * shape.brightness, np.float32)


def _covered(dz_um: NDArray[np.float64], half_um: NDArray[np.float64], slab_um: float) -> NDArray[np.float64]:
    """Share of each plane's slab that lies between ``-half`` and ``half``."""
    planes = dz_um[:, None, None]
    upper, lower = np.minimum(planes + slab_um / 2, half_um), np.maximum(planes - slab_um / 2, -half_um)
    return np.asarray(np.clip(upper - lower, 0, None) / slab_um)


def chromatin(
    shape: tuple[int, int, int], pixel_um: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Texture ``(Z, Y, X)`` of mean 1 that multiplies the density: fine grains on coarse clumps.

    Parameters
    ----------
    shape : tuple of int
    pixel_um : tuple of float
        Plane step and pixel.
    rng : numpy.random.Generator
    """
    total = np.zeros(shape, np.float32)
    for grain_um, weight in ((0.22, 0.16), (0.6, 0.16)):
        sigma = (max(grain_um / pixel_um[0], 0.3), grain_um / pixel_um[1], grain_um / pixel_um[1])
        noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, truncate=3.0)
        total += np.float32(weight / noise.std()) * noise
    return np.asarray(np.clip(1.0 + total, 0.2, 2.5), np.float32)
