"""What planes and outline tell of each nucleus: focal plane, thickness, sharpness of its border, brightness, shape."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ctcfish.stages.nuclei.contact import contacts, highest, lobe_light
from ctcfish.stages.nuclei.focus import View, smoothing_um
from ctcfish.stages.nuclei.regions import Labels, Values, quantiles, surroundings
from ctcfish.stages.nuclei.surface import Floats, above_background, as_floats, gaussian

_RIM_UM = 1.0
_CHROMATIN_UM = 1.2
_EDGE_PER_RADIUS = 0.17
_EDGE_PER_PIXEL = 0.7
_LEAST_RADIUS_UM = 3.6
_HAZE_UM = (1.2, 2.5)

IN_FOCUS = 0.62
"""Focus score from which a nucleus is in focus; simulated ones lie at 0.7 to 1."""

LOBED_SOLIDITY = 0.93
"""Below it an outline has lobes; whole nuclei lie at 0.95 to 0.98."""


@dataclass(frozen=True)
class Traits:
    """One value per nucleus, in the order of labels.

    Attributes
    ----------
    z_um : ndarray
        Sharpest plane.
    thickness_um : ndarray
        Width at half height of the sharpness along z; NaN where one plane was taken.
    edge_um : ndarray
        Width (standard deviation) of the blur that would give the step from haze to nucleus its slope.
    brightness : ndarray
        Upper quartile above the background, in the nucleus's own plane.
    focus : ndarray
        Sharpness of the border: 1 in focus, falling with the square of the blur.
    unevenness : ndarray
        Brightest over dimmest part inside the border, on the scale of 1 um.
    solidity : ndarray
        Area over area of the convex hull.
    contact : ndarray
        Light along the contact with a neighbour over the pair's own; 0 without neighbour.
    lobes : ndarray
        The same between the lobes of one outline.
    spread_um : ndarray
        Range of the sharpest plane along the border: two storeys in one outline.
    rise_um : ndarray
        Greatest distance of focal planes to a neighbour in contact, both in focus.
    """

    z_um: Values
    thickness_um: Values
    edge_um: Values
    brightness: Values
    focus: Values
    unevenness: Values
    solidity: Values
    contact: Values
    lobes: Values
    spread_um: Values
    rise_um: Values

    def rows(self, wanted: NDArray[Any]) -> Traits:
        """Select nuclei by mask or index."""
        return Traits(*(getattr(self, f.name)[wanted] for f in fields(self)))


def join(parts: list[Traits]) -> Traits:
    """Concatenate traits of several tiles."""
    return Traits(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Traits)))


def measure(view: View, labels: Labels) -> Traits:
    """Measure every nucleus of a reduced stack.

    Parameters
    ----------
    view : View
    labels : ndarray of int32, (Y, X)
        Consecutive from 1.

    Returns
    -------
    Traits
    """
    count, pixel_um = int(labels.max(initial=0)), view.pixel_um
    around = surroundings(labels)
    wide, ring = around.within(_RIM_UM / pixel_um), around.within(_HAZE_UM[1] / pixel_um, _HAZE_UM[0] / pixel_um)
    profile = np.stack([_sums(plane, wide, count) for plane in view.sharp])
    best, thickness = _along_z(profile, view.step_um)
    own = np.rint(best).astype(np.intp)
    near = around.within(_HAZE_UM[1] / pixel_um)
    signal = above_background(_in_own_plane(view.planes, near, own), pixel_um)
    flat = above_background(view.image, pixel_um)
    brightness, haze = quantiles(signal, labels, count, (0.75,))[0], quantiles(signal, ring, count, (0.25,))[0]
    steepest = quantiles(np.sqrt(_in_own_plane(view.sharp, near, own)), wide, count, (0.9,))[0]
    edge = _blur_um(np.maximum(brightness - haze, 0.0), steepest, pixel_um)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(np.float64) * pixel_um**2
    focus, solidity = _focus(edge, area, view.fine_um), _solidity(labels, count)
    depth = _depth_um(labels, pixel_um)
    pairs, light = contacts(flat, labels, around, pixel_um)
    return Traits(
        z_um=best * view.step_um,
        thickness_um=thickness,
        edge_um=edge,
        brightness=brightness,
        focus=focus,
        unevenness=_unevenness(signal, labels, depth, pixel_um),
        solidity=solidity,
        contact=highest(pairs, light, count),
        lobes=lobe_light(flat, labels, solidity < LOBED_SOLIDITY, pixel_um),
        spread_um=_spread(view, labels, depth),
        rise_um=highest(pairs, _rise(pairs, np.where(focus >= IN_FOCUS, best * view.step_um, np.nan)), count),
    )


def _blur_um(brightness: Values, steepest: Values, pixel_um: float) -> Values:
    """Standard deviation of the Gaussian that turns a step of this height into this slope, less our own smoothing."""
    total = pixel_um * brightness / (np.sqrt(2.0 * np.pi) * np.maximum(steepest, 1e-9))
    result: Values = np.sqrt(np.maximum(total**2 - smoothing_um(pixel_um) ** 2, 0.0))
    return result


def _focus(edge_um: Values, area_um2: Values, pixel_um: float) -> Values:
    """Expected over measured blur, squared.

    A border in focus slopes the more gently, the larger the nucleus and the coarser the pixels it was sampled with.
    """
    if len(area_um2) == 0:
        return np.zeros(0)
    radius = np.sqrt(area_um2 / np.pi)
    shape = _EDGE_PER_RADIUS * np.maximum(radius, max(_LEAST_RADIUS_UM, float(np.median(radius))))
    expected = np.hypot(shape, _EDGE_PER_PIXEL * pixel_um)
    return np.minimum(1.0, (expected / np.maximum(edge_um, 1e-9)) ** 2)


def _unevenness(signal: Floats, labels: Labels, depth_um: Floats, pixel_um: float) -> Values:
    """Ratio of the 95 % to the 10 % quantile inside the border; chromatin is smoothed away, the border kept out."""
    count = int(labels.max(initial=0))
    foreground = (labels > 0).astype(np.float32)
    sigma = _CHROMATIN_UM / pixel_um
    weight = np.maximum(gaussian(foreground, sigma), np.float32(0.05))
    smooth = as_floats(gaussian(signal * foreground, sigma) / weight, labels.shape)
    core = np.where(depth_um > _RIM_UM, labels, 0)
    low, high = quantiles(smooth, core, count, (0.1, 0.95))
    return np.where(low > 0, high / np.maximum(low, 1e-9), 1.0)


def _spread(view: View, labels: Labels, depth_um: Floats) -> Values:
    """Range of the sharpest plane along the border, without the outer sevenths."""
    count = int(labels.max(initial=0))
    rim = np.where(depth_um <= _RIM_UM, labels, 0)
    low, high = quantiles(view.plane, rim, count, (0.15, 0.85))
    return (high - low) * view.step_um


def _rise(pairs: NDArray[np.intp], z_um: Values) -> Values:
    """Distance of the focal planes of each pair; 0 where one of them is not known."""
    return np.nan_to_num(np.abs(z_um[pairs[:, 0] - 1] - z_um[pairs[:, 1] - 1]))


def _depth_um(labels: Labels, pixel_um: float) -> Floats:
    """Distance of each pixel to the background."""
    depth = cv2.distanceTransform((labels > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return as_floats(depth, labels.shape) * np.float32(pixel_um)


def _sums(plane: Floats, labels: Labels, count: int) -> Values:
    inside = np.flatnonzero(labels)
    total = np.bincount(labels.ravel()[inside], plane.ravel()[inside], count + 1)[1:]
    return total.astype(np.float64)


def _along_z(profile: Values, step_um: float) -> tuple[Values, Values]:
    """Sharpest plane (a fraction of planes, by a parabola) and width at half height of the sharpness, in um."""
    depth, count = profile.shape
    best = np.argmax(profile, axis=0)
    if depth < 3:
        return best.astype(np.float64), np.full(count, np.nan)
    middle = np.clip(best, 1, depth - 2)
    before, here, after = (profile[middle + k, np.arange(count)] for k in (-1, 0, 1))
    bend = before - 2.0 * here + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    exact = np.where(best == middle, middle + np.clip(shift, -0.5, 0.5), best)
    return exact, _width_at_half(profile, best) * step_um


def _width_at_half(profile: Values, best: NDArray[np.intp]) -> Values:
    """Planes between the crossings of half the peak nearest to it, interpolated; up to the stack's end without one."""
    depth, count = profile.shape
    column = np.arange(count)
    share = profile / np.maximum(profile[best, column], 1e-30)
    width = np.zeros(count)
    for step in (-1, 1):
        open_, last = np.ones(count, bool), np.ones(count)
        for away in range(1, depth + 1):
            at = best + step * away
            here = np.where((at >= 0) & (at < depth), share[np.clip(at, 0, depth - 1), column], 0.0)
            crossed = open_ & (here < 0.5)
            part = np.where(crossed, (last - 0.5) / np.maximum(last - here, 1e-9), 1.0)
            width += np.where(open_, part, 0.0)
            open_ &= ~crossed
            last = here
    return width


def _in_own_plane(planes: Floats, labels: Labels, own: NDArray[np.intp]) -> Floats:
    """Image in which every nucleus and its surroundings are shown in its own plane; the rest in the median one."""
    if len(planes) == 1:
        return as_floats(planes[0], labels.shape)
    common = int(np.median(own)) if len(own) else 0
    plane = np.concatenate([[common], own])[labels]
    return as_floats(np.take_along_axis(planes, plane[None], axis=0), labels.shape)


def _solidity(labels: Labels, count: int) -> Values:
    result = np.ones(count)
    for row, box in enumerate(ndimage.find_objects(labels, max_label=count)):
        if box is None:
            continue
        mask = (labels[box] == row + 1).astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        hull = cv2.convexHull(np.concatenate(outlines))
        # Pixels are squares: the hull of their centres misses half a pixel all around.
        around = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1.0
        result[row] = min(1.0, np.count_nonzero(mask) / around)
    return result
