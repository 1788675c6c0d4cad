"""Batches of crowded regions on a CPU: :func:`ctcfish.ops.resolve.grow` and ``settle`` by compiled kernels.

Same signatures, same algorithm; a test holds that both ways agree.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.ops.compiled import growth as kernels
from ctcfish.ops.compiled.background import Sums, Waves
from ctcfish.ops.compiled.growth import Limits, Tried, Where
from ctcfish.ops.compiled.kernel import entry, maker
from ctcfish.ops.compiled.lanes import edges_of, padded
from ctcfish.ops.compiled.region import COUNTS, DATA, Known, Profiles, Region, Rows, Shared, State, Work, copied, sized
from ctcfish.ops.compiled.vector import LANES
from ctcfish.ops.cores import share_out
from ctcfish.ops.emitters import FAINTEST, PIXEL_VARIANCE, Crops, Emitters, Frame
from ctcfish.ops.psf import pixel_profile
from ctcfish.ops.resolve import Growth, Path
from ctcfish.ops.zones import Zones

_Array = NDArray[Any]
_SHARES = 8  # for each core: one region takes as long as thirty others
_BLUR_REACH = 4.0  # widths; farther out nothing is left in the precision of the pixels


def grow(frame: Frame, crops: Crops, start: Emitters, zones: Zones, growth: Growth) -> Path:
    """Add emitters to every region; see :func:`ctcfish.ops.resolve.grow`."""
    limits = Limits(growth.most_emitters, growth.patience, growth.first_steps, growth.steps, growth.drops)
    number = start.used.sum(1).long().numpy()
    tried = _nothing_tried(len(number), limits.most, len(frame.series.orders))
    state = tuple(_doubles(v) for v in (start.places, start.log_photons, start.log_widths, start.background))
    masks = (zones.allowed.numpy(), zones.ring.numpy())
    shared, pixels, blur = _shared(frame), _pixels(crops), _blur(frame)

    def grow_some(first: int, last: int) -> None:
        seen, where, begin, out = (
            tuple(values[first:last] for values in every) for every in (pixels, masks, (number, *state), tried)
        )
        _grow_all(shared, seen, (*where, *blur), (limits, begin[0], begin[1:]), Tried(*out))

    share_out(grow_some, len(number), _SHARES)
    return Path(*(torch.from_numpy(values).to(start.places) for values in tried))


def settle(frame: Frame, crops: Crops, path: Path, number: Tensor, growth: Growth) -> Emitters:
    """State with ``number`` (R,) emitters, refined to rest; see :func:`ctcfish.ops.resolve.settle`."""
    tried = Tried(*(getattr(path, name).numpy() for name in Tried._fields))
    chosen = np.zeros(len(number), np.int64)
    state = State(*(np.zeros(getattr(tried, name)[:, 0].shape) for name in State._fields))
    wanted = (number.numpy(), growth.last_steps, chosen)
    _settle_all(_shared(frame), _pixels(crops), wanted, state, tried)
    most = int(chosen.max())
    used = np.arange(most) < chosen[:, None]
    places, log_photons, log_widths, background = (torch.from_numpy(values).to(path.places) for values in state)
    here = torch.from_numpy(used).to(path.places)
    return Emitters(places[:, :most], log_photons[:, :most], log_widths[:, :most], here, background)


def _doubles(values: Tensor) -> _Array:
    return np.ascontiguousarray(values.numpy(), np.float64)


def _shared(frame: Frame) -> Shared:
    """What the kernels must know of a frame."""
    model = frame.model
    widths = np.array([model.sigma_z_px, model.sigma_xy_px, model.sigma_xy_px])
    parts = np.array(model.image) * np.array([1.0, model.sigma_z_px, model.sigma_xy_px, model.sigma_z_px])
    known = Known(
        math.log(model.median_photons),
        model.log_sigma,
        model.mean_photons,
        model.read_variance,
        math.log(model.median_photons) - FAINTEST * model.log_sigma,
        math.log(model.room(frame.axes)),
    )
    sharpness = 0.5 / (widths**2 + PIXEL_VARIANCE)
    return Shared(frame.shape, known, widths, sharpness, parts, _waves(frame))


def _waves(frame: Frame) -> Waves:
    series, orders = frame.series, np.array(frame.series.orders, np.int64)
    highest, most = orders.max(0), max(map(len, series.cosines))
    cosines = np.zeros((3, most, -(-max(frame.shape) // LANES) * LANES), np.float32)
    for to, table in zip(cosines, series.cosines, strict=True):
        to[: table.shape[0], : table.shape[1]] = table.numpy()
    precision, amplitude, height = (_doubles(v) for v in (series.precision, series.amplitude, series.height))
    first, (z, y, x) = math.pi / np.array(frame.shape), highest.tolist()
    return Waves(cosines, orders, precision, amplitude, height, first, (z, y, x))


def _pixels(crops: Crops) -> tuple[_Array, ...]:
    """Data, 0 or 1, and level of every region."""
    data, counts = (np.ascontiguousarray(t.numpy(), np.float32) for t in (crops.data, crops.weight))
    return data, counts, _doubles(crops.level)


def _blur(frame: Frame) -> tuple[_Array, _Array, float]:
    """Images of a point at every place along each axis (3, L, W), their reach (3,), and what they make of noise."""
    blur = np.zeros((3, max(frame.shape), -(-max(frame.shape) // LANES) * LANES), np.float32)
    reach, norm = np.zeros(3, np.int64), 1.0
    for axis, length in enumerate(frame.shape):
        if length > 1:
            sigma = frame.model.sigma_z_px if axis == 0 else frame.model.sigma_xy_px
            own = pixel_profile(torch.arange(length, dtype=torch.float64), sigma, length).numpy()
            blur[axis, :length, :length] = own
            reach[axis] = math.ceil(_BLUR_REACH * sigma)
            norm /= math.sqrt(float(np.square(own[length // 2]).sum()))
    return blur, reach, norm


def _nothing_tried(regions: int, most: int, orders: int) -> Tried:
    """Room in the precision of the pixels, little of which is ever touched."""

    def zeros(*shape: int) -> _Array:
        return np.zeros((regions, *shape), np.float32)

    numbers = most + 1
    return Tried(
        np.full((regions, numbers), -np.inf, np.float32),
        zeros(numbers),
        zeros(numbers),
        zeros(numbers, most, 3),
        zeros(numbers, most),
        zeros(numbers, most),
        zeros(numbers, orders),
        zeros(numbers),
        np.ones(regions, np.float32),
    )


@maker
def _of_region(tried: Tried, r: int) -> Tried:
    return Tried(
        tried.log_likelihood[r],
        tried.log_occam[r],
        tried.total_photons[r],
        tried.places[r],
        tried.log_photons[r],
        tried.log_widths[r],
        tried.background[r],
        tried.crowding[r],
        tried.dispersion[r : r + 1],
    )


@maker
def _work(most: int, shared: Shared) -> Work:
    series, (depth, height, width) = shared.waves, shared.shape
    size, (z, y, x) = 5 * most + len(series.orders), series.highest
    sums = Sums(np.zeros((2 * z + 1, 2 * y + 1, 2 * x + 1)), np.zeros((y + 1, x + 1)), np.zeros(x + 1), _row(width))
    waves = np.zeros((3, series.orders.max() + 1, 2))
    waves[:, 0, 0] = 1.0
    system, step, scale = np.zeros((size, padded(size + 1)), np.float32), _row(size + 1), _row(size + 1)
    columns = 5 * most if sized(shared) else 0
    slopes = np.zeros((columns, depth * height * padded(width)), np.float32)
    return Work(np.zeros(most), np.zeros((most, 5)), waves, system, np.zeros(size), step, scale, sums, slopes)


@maker
def _row(width: int) -> _Array:
    return np.zeros(padded(width), np.float32)


@maker
def _profiles(shared: Shared, most: int) -> Profiles:
    rows, (depth, height, width) = most * len(shared.parts), shared.shape
    deep, high = np.zeros((2, rows + 1, padded(depth)), np.float32), np.zeros((3, rows, padded(height)), np.float32)
    wide, of_row = np.zeros((3, rows, padded(width)), np.float32), np.zeros((5, rows, depth * height), np.float32)
    return Profiles(deep, high, wide, of_row, edges_of(padded(max(shared.shape))))


@maker
def _room(shape: tuple[int, int, int]) -> Rows:
    """Rows for a window that counts as a whole."""
    most, width = shape[0] * shape[1], padded(shape[2])
    return Rows(0.0, 0, width, np.zeros((most, 2), np.int64), np.zeros((7, most, width), np.float32))


@maker
def _rows(shape: tuple[int, int, int], pixels: tuple[_Array, _Array, _Array], r: int, room: Rows) -> Rows:
    """Put the rows of region ``r`` in which pixels count into the room."""
    data, counts, level = pixels
    width, q, left, right = shape[2], 0, shape[2], 0
    for row in range(shape[0] * shape[1]):
        used = False
        for x in range(width):
            if counts[r, row * width + x] > 0:
                used, left, right = True, min(left, x), max(right, x + 1)
        if used:
            room.at[q, 0], room.at[q, 1] = row // shape[1], row % shape[1]
            q += 1
    wide = padded(max(right - left, 1))
    left = min(left, padded(width) - wide)
    for row in range(q):
        z, y = room.at[row, 0], room.at[row, 1]
        first = (z * shape[1] + y) * width + left
        for x in range(wide):
            there = left + x < width
            room.values[DATA, row, x] = data[r, first + x] if there else 0.0
            room.values[COUNTS, row, x] = counts[r, first + x] if there else 0.0
    return Rows(level[r], left, wide, room.at[:q], room.values)


@maker
def _marked(shape: tuple[int, int, int], rows: Rows, mask: _Array, every: int, out: _Array) -> _Array:
    """Row and x of every so many pixels of a region (V,) that the mask names (K, 2)."""
    seen = 0
    for q in range(len(rows.at)):
        first = (rows.at[q, 0] * shape[1] + rows.at[q, 1]) * shape[2]
        for x in range(shape[2]):
            if mask[first + x] and (first + x) % every == 0:
                out[seen, 0], out[seen, 1] = q, x - rows.left
                seen += 1
    return out[:seen]


@entry
def _grow_all(shared: Shared, pixels: Any, zones: Any, begin: Any, path: Tried) -> None:
    limits, number, (places, log_photons, log_widths, background) = begin
    allowed, ring, blur, reach, norm = zones
    shape, profiles, room = shared.shape, _profiles(shared, limits.most), _room(shared.shape)
    work = _work(limits.most, shared)
    photons, widths = np.zeros(limits.most), np.zeros(limits.most)
    state = State(np.zeros((limits.most, 3)), photons, widths, np.zeros(len(shared.waves.orders)))
    places_of = np.zeros((2, len(room.at) * shape[2], 2), np.int64)
    images = np.zeros((3, shape[0] * shape[1], padded(shape[2])), np.float32)
    for r in range(len(number)):
        rows = _rows(shape, pixels, r, room)
        # of the ring every other pixel says enough, and half the sorting is saved
        may = _marked(shape, rows, allowed[r], 1, places_of[0])
        beside = _marked(shape, rows, ring[r], 2, places_of[1])
        where = Where(may, beside, blur, reach, norm, images[0], images[1], images[2].ravel())
        copied(State(places[r], log_photons[r], log_widths[r], background[r]), number[r], state)
        region = Region(shared, rows, state, profiles, work)
        kernels.grow(region, where, limits, _of_region(path, r), number[r])


@entry
def _settle_all(shared: Shared, pixels: Any, wanted: Any, out: Any, path: Tried) -> None:
    number, steps, chosen = wanted
    places, log_photons, log_widths, background = out
    most, room = log_photons.shape[1], _room(shared.shape)
    work, profiles = _work(most, shared), _profiles(shared, most)
    for r in range(len(number)):
        state = State(places[r], log_photons[r], log_widths[r], background[r])
        region = Region(shared, _rows(shared.shape, pixels, r, room), state, profiles, work)
        chosen[r] = kernels.settle(region, _of_region(path, r), number[r], steps)
