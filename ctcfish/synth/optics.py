"""Widefield image of a point, from the pupil: scalar diffraction with defocus, blurred by the point's own size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive, j0

_BALL_SIGMA = 1.0 / (2.0 * np.sqrt(5.0))
"""Standard deviation per axis of a uniform ball, over its diameter."""
_PUPIL_SAMPLES = 800
_GAUSS_POINT = 0.5 / np.sqrt(3.0)
"""Place of the two Gauss-Legendre points on a pixel, from its centre."""


@dataclass(frozen=True)
class Lens:
    """What makes the image of a point.

    Attributes
    ----------
    na : float
    index : float
        Refractive index of the immersion.
    emission_um : float
    """

    na: float
    index: float
    emission_um: float


@dataclass(frozen=True)
class Profile:
    """Light per area around a point, by defocus and distance; all of a plane's light sums to 1.

    Attributes
    ----------
    values : ndarray of float32, (D, R)
        Per square micrometre.
    z_step_um, r_step_um : float
        Steps of defocus (from 0) and of distance (from 0).
    """

    values: NDArray[np.float32]
    z_step_um: float
    r_step_um: float

    def at_defocus(self, defocus_um: NDArray[np.floating]) -> NDArray[np.float32]:
        """Profiles ``(P, R)`` at the given defocus ``(P,)``, linear between steps, the last one beyond."""
        place = np.minimum(np.abs(defocus_um) / self.z_step_um, len(self.values) - 1.001)
        low = place.astype(int)
        share = (place - low).astype(np.float32)[:, None]
        between: NDArray[np.float32] = self.values[low] * (1 - share) + self.values[low + 1] * share
        return between


@lru_cache(maxsize=64)
def profile(lens: Lens, size_um: float, reach_um: tuple[float, float], steps_um: tuple[float, float]) -> Profile:
    """Image of a small ball of evenly spread dye.

    Parameters
    ----------
    lens : Lens
    size_um : float
        Diameter of the ball; 0 is a point.
    reach_um : tuple of float
        Largest defocus and distance.
    steps_um : tuple of float
        Steps of defocus and distance.

    Returns
    -------
    Profile
        ``h(r, z) = int_0^1 exp(i k n z cos(t)) J0(k NA p r) p dp`` with ``n sin(t) = NA p`` (Born & Wolf, 8.8, with
        the exact defocus phase), squared; by Parseval each plane holds ``pi / (k NA)^2``, which is divided out. The
        ball is replaced by the Gaussian of its variance, whose convolution with a radial function is exact:
        ``int f(q) q exp(-(r^2 + q^2) / 2s^2) I0(r q / s^2) / s^2 dq``.
    """
    defocus = np.arange(0.0, reach_um[0] + 2 * steps_um[0], steps_um[0])
    distance = np.arange(0.0, reach_um[1] + 2 * steps_um[1], steps_um[1])
    wave = 2.0 * np.pi / lens.emission_um
    pupil = (np.arange(_PUPIL_SAMPLES) + 0.5) / _PUPIL_SAMPLES
    cosine = np.sqrt(1.0 - (lens.na / lens.index * pupil) ** 2)
    phase = np.exp(1j * wave * lens.index * defocus[:, None] * (cosine - 1.0)) * pupil / _PUPIL_SAMPLES
    bessel = j0(wave * lens.na * pupil[:, None] * distance)
    light = np.abs(phase @ bessel) ** 2 * (wave * lens.na) ** 2 / np.pi
    if size_um > 0:
        sigma = size_um * _BALL_SIGMA
        light = _blur_defocus(light, sigma / steps_um[0]) @ _radial_blur(distance, sigma)
    return Profile(light.astype(np.float32), *steps_um)


def _radial_blur(distance_um: NDArray[np.float64], sigma_um: float) -> NDArray[np.float64]:
    scaled = distance_um / sigma_um
    kernel = np.exp(-0.5 * (scaled[:, None] - scaled) ** 2) * ive(0, scaled[:, None] * scaled)
    weights = kernel * scaled[:, None] * (scaled[1] - scaled[0])
    return np.asarray(weights / weights.sum(axis=0))


def _blur_defocus(light: NDArray[np.float64], sigma_steps: float) -> NDArray[np.float64]:
    reach = int(np.ceil(4 * sigma_steps))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_steps) ** 2)
    weights /= weights.sum()
    ends = np.concatenate([light[reach:0:-1], light, np.repeat(light[-1:], reach, axis=0)])
    result = np.zeros_like(light)
    for shift, weight in enumerate(weights):
        result += weight * ends[shift : shift + len(light)]
    return result


def fwhm_um(lens: Lens, size_um: float) -> float:
    """Width at half height of a focused signal.

    Examples
    --------
    >>> round(fwhm_um(Lens(1.4, 1.518, 0.588), 0.0), 3)
    0.216
    """
    focused = profile(lens, size_um, (2.0, 3.0), (0.05, 0.005)).values[0].astype(float)
    half = int(np.flatnonzero(focused < focused[0] / 2)[0])
    above, below = focused[half - 1], focused[half]
    return float(2 * 0.005 * (half - 1 + (above - focused[0] / 2) / (above - below)))


def point_image(
    shape: Profile, centre_px: tuple[float, float], side_px: tuple[int, int], pixel_um: float
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Where on the profile each pixel of a crop lies, at four Gauss-Legendre points a pixel.

    Parameters
    ----------
    shape : Profile
    centre_px : tuple of float
        Centre ``(y, x)`` in the crop's pixels.
    side_px : tuple of int
        Rows and columns of the crop.
    pixel_um : float

    Returns
    -------
    low : ndarray of int, (4, rows, columns)
        Step of the profile below the point's distance.
    share : ndarray of float32, (4, rows, columns)
        Weight of the next step.
    """
    last = shape.values.shape[1] - 1.001
    places = []
    for row_shift in (-_GAUSS_POINT, _GAUSS_POINT):
        y = (np.arange(side_px[0]) - centre_px[0] + row_shift) * pixel_um
        for column_shift in (-_GAUSS_POINT, _GAUSS_POINT):
            x = (np.arange(side_px[1]) - centre_px[1] + column_shift) * pixel_um
            places.append(np.minimum(np.hypot(y[:, None], x) / shape.r_step_um, last))
    place = np.stack(places)
    low = place.astype(np.intp)
    return low, (place - low).astype(np.float32)


def add_point(
    stack: NDArray[np.float32], shape: Profile, zyx_px: tuple[float, float, float], photons: float, voxel_um: VoxelUm
) -> None:
    """Add the image of one point to a stack, in place.

    Parameters
    ----------
    stack : ndarray of float32, (Z, Y, X)
        Expected photons.
    shape : Profile
    zyx_px : tuple of float
        Place in pixels of the stack; it may lie outside.
    photons : float
        Light of the point in one plane.
    voxel_um : tuple of float
        ``(z, y, x)``; square pixels.
    """
    z, y, x = zyx_px
    pixel = voxel_um[1]
    reach = int(shape.values.shape[1] * shape.r_step_um / pixel / np.sqrt(2.0))
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    bottom, right = min(stack.shape[1], round(y) + reach + 1), min(stack.shape[2], round(x) + reach + 1)
    if bottom <= top or right <= left:
        return
    low, share = point_image(shape, (y - top, x - left), (bottom - top, right - left), pixel)
    profiles = shape.at_defocus((np.arange(float(stack.shape[0])) - z) * voxel_um[0])
    lower, upper = profiles[:, low], profiles[:, low + 1]
    light = (lower + (upper - lower) * share).mean(axis=1)
    stack[:, top:bottom, left:right] += light * np.float32(photons * pixel**2)


VoxelUm = tuple[float, float, float]
