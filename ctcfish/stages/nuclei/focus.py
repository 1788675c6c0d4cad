"""What the planes of a stack tell: a projection that shows each place in focus, and each nucleus's own plane."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.stages.nuclei.surface import Floats, as_floats, gaussian, reduce

_PLACE_UM = 2.0
_DEPTH_UM = 1.2
_SLOPE_UM = 0.5


@dataclass(frozen=True)
class View:
    """A stack at the scale at which nuclei are looked for.

    Attributes
    ----------
    planes, sharp : ndarray of float32, (Z, Y, X)
        Reduced planes and their :func:`sharpness`.
    plane : ndarray of float32, (Y, X)
        Index of the sharpest plane around each place.
    image : ndarray of float32, (Y, X)
        Projection that shows each place in focus.
    pixel_um, step_um : float
    fine_um : float
        Pixel of the stack before it was reduced.
    """

    planes: Floats
    sharp: Floats
    plane: Floats
    image: Floats
    pixel_um: float
    step_um: float
    fine_um: float


def view(stack: Iterable[NDArray[Any]], factor: int, pixel_um: float, step_um: float) -> View:
    """Reduce a stack and project it.

    Parameters
    ----------
    stack : iterable of ndarray, (Z, Y, X)
        Planes of any integer or float type; one after the other, so that only what is reduced is held.
    factor : int
        Pixels averaged along y and x.
    pixel_um, step_um : float
        Of the stack.

    Returns
    -------
    View
    """
    planes = np.stack([reduce(plane, factor) for plane in stack])
    coarse_um = pixel_um * factor
    sharp = sharpness(planes, coarse_um)
    plane = sharpest_plane(sharp, coarse_um)
    return View(planes, sharp, plane, project(planes, plane, coarse_um, step_um), coarse_um, step_um, pixel_um)


def smoothing_um(pixel_um: float) -> float:
    """Standard deviation of the Gaussian under which slopes are taken."""
    return max(_SLOPE_UM, 0.5 * pixel_um)


def sharpness(planes: Floats, pixel_um: float) -> Floats:
    """Squared gradient of each plane, under a Gaussian of 0.5 um.

    Parameters
    ----------
    planes : ndarray of float32, (Z, Y, X)
    pixel_um : float

    Returns
    -------
    ndarray of float32, (Z, Y, X)
    """
    result = np.empty_like(planes)
    for plane, target in zip(planes, result, strict=True):
        smooth = gaussian(plane, smoothing_um(pixel_um) / pixel_um)
        down = as_floats(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125), plane.shape)
        along = as_floats(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), plane.shape)
        np.add(down * down, along * along, out=target)
    return result


def sharpest_plane(sharp: Floats, pixel_um: float) -> Floats:
    """Index of the sharpest plane around each place.

    Parameters
    ----------
    sharp : ndarray of float32, (Z, Y, X)
        See :func:`sharpness`.
    pixel_um : float

    Returns
    -------
    ndarray of float32, (Y, X)
        The lowest of several that are equally sharp.
    """
    plane = np.zeros(sharp.shape[1:], np.float32)
    if len(sharp) == 1:
        return plane
    highest = gaussian(sharp[0], _PLACE_UM / pixel_um)
    for z in range(1, len(sharp)):
        local = gaussian(sharp[z], _PLACE_UM / pixel_um)
        np.copyto(plane, np.float32(z), where=local > highest)
        np.maximum(highest, local, out=highest)
    return plane


def project(planes: Floats, plane: Floats, pixel_um: float, step_um: float) -> Floats:
    """Mean of the planes near the sharpest one of each place.

    Parameters
    ----------
    planes : ndarray of float32, (Z, Y, X)
    plane : ndarray of float32, (Y, X)
        See :func:`sharpest_plane`.
    pixel_um, step_um : float

    Returns
    -------
    ndarray of float32, (Y, X)
    """
    if len(planes) == 1:
        return as_floats(planes[0], planes.shape[1:])
    best = gaussian(plane, _PLACE_UM / 2.0 / pixel_um)
    total, weight = np.zeros_like(best), np.zeros_like(best)
    for z, image in enumerate(planes):
        share = np.exp(-0.5 * ((z - best) * np.float32(step_um / _DEPTH_UM)) ** 2)
        total += share * image
        weight += share
    return as_floats(total / np.maximum(weight, np.float32(1e-12)), best.shape)
