"""One dye's signals seen in the other dye's channel: windows of it, and least squares of their faint images in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

Floats = NDArray[np.float64]

_MOST = 150  # signals of a field and direction: a few slides' worth tell the leak to a thousandth
_RANGE_UM = (0.7, 0.35)  # chromatic shift looked for, along z and in the plane
_REACH = (1.5, 2.5)  # windows reach so many widths beyond
_OWN_SNR, _MOST_OWN = 5.0, 4  # signals of the channel's own dye in a window
_SURROUND = 1.7
_RIDGE = 1e-9  # a plane has no depth
_CORE = 0.6  # of the noise that is left by the surround


@dataclass(frozen=True)
class Ghosts:
    """Windows of the other channel around N isolated signals of one dye.

    Attributes
    ----------
    photons : ndarray, (N,)
        Of the signal in its own channel.
    sigma_um : ndarray, (N, 2)
        Its width ``(z, xy)`` there.
    offset_px : ndarray, (N, 3)
        Its place from the window's middle pixel.
    window : ndarray of float32, (N, Z, Y, X)
        Photons of the other channel, less the light of that channel's own signals around the middle.
    seen : ndarray of bool, (N, Z)
        Planes of the window that the stack has.
    variance : ndarray, (N,)
        Of a pixel of the window's background, photons squared.
    step_um : ndarray, (3,)
    """

    photons: Floats
    sigma_um: Floats
    offset_px: Floats
    window: NDArray[np.float32]
    seen: NDArray[np.bool_]
    variance: Floats
    step_um: Floats

    def __len__(self) -> int:
        return len(self.photons)


def windows(
    stack: NDArray[np.generic],
    signals: tuple[Floats, Floats, Floats],
    own_sigma_um: tuple[float, float],
    step_um: Floats,
    camera: tuple[float, float, float],
) -> Ghosts:
    """Cut the other channel around isolated signals, and take out that channel's own signals.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of the other channel.
    signals : tuple of ndarray
        Positions (N, 3) in um, photons (N,) and widths (N, 2) in um of one dye's signals.
    own_sigma_um : tuple of float
        Width ``(z, xy)`` of the other channel's own signals.
    step_um : ndarray, (3,)
        Size of a voxel.
    camera : tuple of float
        Gain in ADU per photon, offset in ADU, read noise squared in photons squared.
    """
    position, photons, sigma = signals
    widest = np.median(sigma, axis=0) if len(sigma) else np.asarray(own_sigma_um)
    reach = [_RANGE_UM[k] + _REACH[k] * widest[k] for k in (0, 1, 1)]
    half = np.ceil(np.array(reach) / step_um).astype(int) * [len(stack) > 1, 1, 1]
    place = np.rint(position / step_um).astype(int)
    whole = ((place >= half) & (place < np.array(stack.shape) - half))[:, 1:].all(1)
    rows = np.flatnonzero(whole)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(_MOST, len(rows))).round().astype(int))]
    place, offset = place[rows], position[rows] / step_um - place[rows]
    wanted = [place[:, k, None] + np.arange(-half[k], half[k] + 1) for k in range(3)]
    planes = np.clip(wanted[0], 0, len(stack) - 1)
    cut = stack[planes[:, :, None, None], wanted[1][:, None, :, None], wanted[2][:, None, None, :]]
    gain, dark, read_variance = camera
    light = (cut.astype(np.float32) - np.float32(dark)) / np.float32(gain)
    variance = np.maximum(np.median(light.reshape(len(rows), light[0].size if len(rows) else 1), axis=1), 0.05)
    own_px = (own_sigma_um[0] / step_um[0], own_sigma_um[1] / step_um[1])
    cleaned = _without_own(light, own_px, np.asarray(_clear_um(own_sigma_um)) / step_um, variance + read_variance)
    return Ghosts(photons[rows], sigma[rows], offset, cleaned, planes == wanted[0], variance + read_variance, step_um)


def _clear_um(own_sigma_um: tuple[float, float]) -> tuple[float, float, float]:
    """Half axes of the middle in which light may be the other dye's."""
    z, plane = (_RANGE_UM[k] + own_sigma_um[k] for k in (0, 1))
    return z, plane, plane


def _without_own(
    light: NDArray[np.float32], sigma_px: tuple[float, float], clear_px: Floats, variance: Floats
) -> NDArray[np.float32]:
    """Take fitted signals around the middle out of each window."""
    if not len(light):
        return light
    narrow = (0.0, sigma_px[0] if light.shape[1] > 1 else 0.0, sigma_px[1], sigma_px[1])
    wide = (0.0, narrow[1], _SURROUND * sigma_px[1], _SURROUND * sigma_px[1])
    response = gaussian_filter(light, narrow) - gaussian_filter(light, wide)
    axial = 2.0 * np.sqrt(np.pi) * sigma_px[0] if light.shape[1] > 1 else 1.0
    noise = _CORE * np.sqrt(variance / (4.0 * np.pi * sigma_px[1] ** 2 * axial))
    peak = (response == maximum_filter(response, (1, 3, 3, 3))) & (response > _OWN_SNR * noise[:, None, None, None])
    middle = (np.array(light.shape[1:]) - 1) / 2
    away = ((np.indices(light.shape[1:]).transpose(1, 2, 3, 0) - middle) / np.maximum(clear_px, 1e-6)) ** 2
    peak &= away.sum(-1) > 1.0
    cleaned = light.copy()
    for row in np.flatnonzero(peak.any(axis=(1, 2, 3))).tolist():
        places = np.argwhere(peak[row])
        strongest = np.argsort(-response[row][peak[row]], kind="stable")[:_MOST_OWN]
        cleaned[row] -= _fitted(light[row], places[strongest], sigma_px, middle)
    return cleaned


def _fitted(
    light: NDArray[np.float32], places: NDArray[np.int64], sigma_px: tuple[float, float], middle: Floats
) -> NDArray[np.float32]:
    """Light of signals at the places, fitted to first order off them, beside a background and one in the middle."""
    shape, size = light.shape, light.size
    offsets = np.concatenate([places, middle[None]]).astype(np.float64)
    z, y, x = (_side(offsets[:, k], sigma_px[min(k, 1)], shape[k])[:, _PARTS[:, k]] for k in range(3))
    parts = np.einsum("nkz,nky,nkx->nkzyx", z, y, x, optimize=True).reshape(len(offsets), -1, size)
    design = np.concatenate([*parts[:, :4], parts[0, 4:]]).T
    normal = design.T @ design + _RIDGE * np.eye(design.shape[1])
    solved = np.linalg.solve(normal, design.T @ light.ravel())
    own = 4 * len(places)
    return np.asarray((design[:, :own] @ solved[:own]).reshape(shape), np.float32)


@dataclass(frozen=True)
class Images:
    """Least squares of the faint image in each window at one shift.

    Attributes
    ----------
    light : ndarray, (N,)
        Its photons.
    error : ndarray, (N,)
        Standard error of the photons.
    moved : ndarray, (N, 3)
        Photons times its way, um, from where it was looked for.
    moved_error : ndarray, (N, 3)
    """

    light: Floats
    error: Floats
    moved: Floats
    moved_error: Floats


def measure(ghosts: Ghosts, shift_um: Floats, sigma_um: Floats) -> Images:
    """Fit level, slopes, curvatures and one image of the dye's own width at the shifted place.

    Parameters
    ----------
    ghosts : Ghosts
    shift_um : ndarray, (3,)
        From the signal's place to its image in the other channel.
    sigma_um : ndarray, (2,)
        Width ``(z, xy)`` of the dye's signals.
    """
    count, shape = len(ghosts), ghosts.window.shape[1:]
    if not count:
        return Images(np.zeros(0), np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)))
    centre = (np.array(shape) - 1) / 2 + ghosts.offset_px + shift_um / ghosts.step_um
    sides = [_side(centre[:, k], float(sigma_um[min(k, 1)] / ghosts.step_um[k]), shape[k]) for k in range(3)]
    seen = [sides[0] * ghosts.seen[:, None], sides[1], sides[2]]
    grams = [one @ two.transpose(0, 2, 1) for one, two in zip(seen, sides, strict=True)]
    normal = np.prod([gram[:, kind][:, :, kind] for gram, kind in zip(grams, _PARTS.T, strict=True)], axis=0)
    inverse = np.linalg.inv(normal + _RIDGE * np.eye(len(_PARTS)))
    along_x = ghosts.window.reshape(count, -1, shape[2]) @ sides[2].transpose(0, 2, 1)
    along_y = sides[1][:, None] @ along_x.reshape(count, shape[0], shape[1], -1)
    along_z = seen[0] @ along_y.reshape(count, shape[0], -1)
    z, y, x = _PARTS.T
    held = along_z.reshape(count, _KINDS, _KINDS, _KINDS)[:, z, y, x]
    solved = (inverse @ held[:, :, None])[:, :4, 0]
    error = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2)[:, :4] * ghosts.variance[:, None])
    return Images(solved[:, 0], error[:, 0], solved[:, 1:] * ghosts.step_um, error[:, 1:] * ghosts.step_um)


_KINDS = 5
_IMAGE = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]  # and its derivatives by its centre
_LEVEL = [(2, 2, 2), (3, 2, 2), (2, 3, 2), (2, 2, 3), (4, 2, 2), (2, 4, 2), (2, 2, 4)]  # level, slopes, curvatures
_PARTS = np.array(_IMAGE + _LEVEL)
"""Functions of z, y and x whose product is a part of the model; sums over a window are products of sums along it."""


def _side(centre_px: Floats, sigma_px: float, length: int) -> Floats:
    """Functions along one axis, ``(N, 5, length)``: bell, its derivative by the centre, and powers 0, 1 and 2."""
    if length == 1:
        return np.tile([[1.0], [0.0], [1.0], [0.0], [0.0]], (len(centre_px), 1, 1))
    away = (np.arange(length) - centre_px[:, None]) / sigma_px
    bell = np.exp(-0.5 * away**2) / (np.sqrt(2.0 * np.pi) * sigma_px)
    way = np.broadcast_to(np.linspace(-1.0, 1.0, length), bell.shape)
    return np.stack([bell, bell * away / sigma_px, np.ones_like(bell), way, way**2], axis=1)
