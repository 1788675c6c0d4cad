"""Zones of crowded regions on a CPU: :func:`ctcfish.ops.zones.cropped` window by window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import entry, kernel, maker
from ctcfish.ops.compiled.lanes import padded
from ctcfish.ops.compiled.median import lower_median
from ctcfish.ops.compiled.vector import LANES, load, select, store
from ctcfish.ops.emitters import Crops, Frame
from ctcfish.ops.zones import LEAST_LEVEL, Owned, Reach, Windows, Zones

_Array = NDArray[Any]
_FAR = np.float32(1e30)


def cropped(windows: Windows, signals: Owned, frame: Frame, reach: Reach) -> tuple[Crops, Zones]:
    """Which pixels of every window are fitted, and why; see :func:`ctcfish.ops.zones.cropped`."""
    model, photons = frame.model, windows.photons.numpy()
    per_px = np.array([1.0 / model.sigma_z_px, 1.0 / model.sigma_xy_px, 1.0 / model.sigma_xy_px])
    limits = tuple(float(own) ** 2 for own in (reach.fit, reach.foreign, reach.add, reach.ring))
    weight, level = np.zeros(photons.shape, np.float32), np.zeros(len(photons), np.float32)
    allowed, ring = np.zeros(photons.shape, np.bool_), np.zeros(photons.shape, np.bool_)
    own, corner, position = (
        t.numpy().astype(np.float64) for t in (windows.own_px, windows.corner_px, signals.position_px)
    )
    points = (own, position, signals.region.numpy())
    seen = (windows.region.numpy(), corner, photons, windows.inside.numpy())
    _crop_all(frame.shape, points, seen, (per_px, limits), (weight, level, allowed, ring))
    crops = Crops(windows.photons + model.read_variance, torch.from_numpy(weight), torch.from_numpy(level))
    return crops, Zones(torch.from_numpy(allowed), torch.from_numpy(ring))


@kernel
def _near(place: _Array, corner: _Array, shape: tuple[int, int, int], far: _Array) -> bool:
    """Whether a place lies in a window or so far beside it."""
    near = True
    for a in range(3):
        if shape[a] > 1:
            near = near and -far[a] <= place[a] - corner[a] <= shape[a] - 1 + far[a]
    return near


@kernel
def _nearer(place: _Array, at: tuple[int, int], shape: tuple[int, int, int], per_px: _Array, out: _Array) -> None:
    """Lower the squared distances of a row of pixels, z and y of which are given, to those from a place, in widths."""
    across = ((at[1] - place[1]) * per_px[1]) ** 2
    if shape[0] > 1:
        across += ((at[0] - place[0]) * per_px[0]) ** 2
    for x in range(0, len(out) // 2, LANES):
        off = (load(out, len(out) // 2 + x) - place[2]) * per_px[2]
        square = off * off + across
        known = load(out, x)
        store(out, x, select(known, square, square, known))


@maker
def _crop(shape: tuple[int, int, int], places: Any, inside: _Array, limits: Any, masks: Any) -> None:
    """Weight, allowed and ring of one window."""
    (own, foreign), (per_px, (fit, apart, add, beside)), (weight, allowed, ring) = places, limits, masks
    width = padded(shape[2])
    from_own, from_foreign = np.zeros(2 * width, np.float32), np.zeros(2 * width, np.float32)
    for x in range(width):  # the second half holds the places of the pixels
        from_own[width + x], from_foreign[width + x] = x, x
    for row in range(shape[0] * shape[1]):
        at = (row // shape[1], row % shape[1])
        from_own[:width], from_foreign[:width] = _FAR, _FAR
        for k in range(len(own)):
            _nearer(own[k], at, shape, per_px, from_own)
        for k in range(len(foreign)):
            _nearer(foreign[k], at, shape, per_px, from_foreign)
        for x in range(shape[2]):
            v, mine, theirs = row * shape[2] + x, from_own[x], from_foreign[x]
            if inside[v] and mine <= fit and (theirs > apart or mine < theirs):
                weight[v], allowed[v], ring[v] = 1.0, mine <= add, mine > beside


@kernel
def _level(photons: _Array, ring: _Array, weight: _Array, room: _Array) -> float:
    """Median of every other pixel of the ring, else of all that count."""
    number = 0
    for v in range(0, len(photons), 2):
        if ring[v]:
            room[number], number = photons[v], number + 1
    for v in range(0, len(photons) if number == 0 else 0, 2):
        if weight[v] > 0.0:
            room[number], number = photons[v], number + 1
    return max(lower_median(room, number), LEAST_LEVEL) if number > 0 else 1.0


@entry
def _crop_all(shape: tuple[int, int, int], points: Any, seen: Any, limits: Any, out: Any) -> None:
    (own, position, owner), (region, corner, photons, inside) = points, seen
    weight, level, allowed, ring = out
    foreign, room = np.zeros((len(owner), 3)), np.zeros(photons.shape[1], np.float32)
    far = math.sqrt(limits[1][1]) / limits[0]
    for r in range(len(region)):
        beside = 0
        for p in range(len(owner)):
            if owner[p] != region[r] and _near(position[p], corner[r], shape, far):
                for a in range(3):
                    foreign[beside, a] = position[p, a] - corner[r, a]
                beside += 1
        _crop(shape, (own[r], foreign[:beside]), inside[r], limits, (weight[r], allowed[r], ring[r]))
        level[r] = _level(photons[r], ring[r], weight[r], room)
