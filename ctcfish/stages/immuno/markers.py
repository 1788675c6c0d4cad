"""Marker intensities of IF nuclei: nucleus, ring and cell above the local background; size, shape, overlap.

Read window by window, so that a cartridge of a quarter gigapixel needs the memory of one window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Protocol

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.flags import CellFlag, to_text
from ctcfish.parameters import Phenotype
from ctcfish.stages.parts import Each, shares
from ctcfish.types import Nuclei, Scene

Image = NDArray[Any]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROLES = ("nucleus", "inclusion", "exclusion", "her2_protein")
_BLOCKS_PER_WINDOW = (16, 64)
_MARGIN_BLOCKS = 3
"""A cell may reach one block beyond, its background is interpolated with the next, which is smoothed with one more."""
_CLEAR_UM = 3.0
_FULL_SCALES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
_HALO_SHARE = 0.15
_NOISES = 3.0


class Plane(Protocol):
    """Pixels ``(Y, X)`` of one channel: an array, or anything that reads a window when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size ``(Y, X)``."""

    def __getitem__(self, window: tuple[slice, slice], /) -> Image:
        """Pixels of a window."""


@dataclass(frozen=True)
class Projection:
    """One channel of a scene, its planes projected by their maximum; read where it is sliced."""

    scene: Scene
    role: str

    @property
    def shape(self) -> tuple[int, int]:
        """Size ``(Y, X)``."""
        return self.scene.pixels.shape[2:]

    def __getitem__(self, window: tuple[slice, slice], /) -> Image:
        """Pixels of a window."""
        return np.asarray(self.scene.read(self.role, *window).max(axis=0))


@dataclass(frozen=True)
class Window:
    """Ground whose nuclei are measured together, with a margin that holds their cells and backgrounds.

    Attributes
    ----------
    rows, columns : slice
    owned : ndarray of int
        Rows of its nuclei among the scene's.
    label : ndarray of int32
        Their labels.
    block_px : int
    """

    rows: slice
    columns: slice
    owned: Integers
    label: NDArray[np.int32]
    block_px: int


@dataclass(frozen=True)
class Share:
    """Windows that follow one another, and all nuclei that reach into them, in scene pixels."""

    windows: tuple[Window, ...]
    nuclei: Nuclei


@dataclass(frozen=True)
class _Cells:
    """Pixels of a window that belong to cells.

    Attributes
    ----------
    pixel : ndarray of int, (P,)
        Flat indices in the window, sorted by cell.
    cell : ndarray of int, (P,)
        Row in the window's list of nuclei.
    inside : ndarray of bool, (P,)
        In the nucleus rather than in the ring.
    free : ndarray of bool, (Y, X)
        Far from every cell.
    count : int
    """

    pixel: Integers
    cell: Integers
    inside: NDArray[np.bool_]
    free: NDArray[np.bool_]
    count: int


def measure(pixels: Mapping[str, Plane], nuclei: Nuclei, params: Phenotype, each: Each = map) -> pd.DataFrame:
    """Measure every nucleus of one IF scene.

    Parameters
    ----------
    pixels : mapping of role to Plane (Y, X)
        Raw pixels; a role that is absent is not measured (NaN).
    nuclei : Nuclei
    params : Phenotype
    each : Each
        Measures the windows, those of a large scene in several shares.

    Returns
    -------
    pandas.DataFrame
        One row per nucleus, in its order: ``if_label, if_y_um, if_x_um, area_um2, if_focus, flags`` and, per role,
        ``if_<role>_nucleus`` (mean), ``_ring`` and ``_cell`` (medians), ``_max`` and ``_sd``, all above the local
        background, ``_background`` and ``_noise`` (standard deviation of a background pixel);
        ``if_inclusion_overlap`` (share of the nucleus inside the stain), ``if_inclusion_area_um2``,
        ``if_elongation`` and ``if_saturated`` (share of pixels).
    """
    base = pd.DataFrame(
        {
            "if_label": nuclei.label,
            "if_y_um": nuclei.centroid_um[:, 0],
            "if_x_um": nuclei.centroid_um[:, 1],
            "area_um2": nuclei.area_um2,
            "if_focus": nuclei.focus,
        }
    )
    columns = {name: np.full(len(nuclei), np.nan) for name in _names()}
    windows = list(_windows(nuclei, params))
    given = [Share(own, _reaching(nuclei, own)) for own in shares(windows, int(np.prod(nuclei.shape_px)))]
    found = chain.from_iterable(each(partial(_measure_share, pixels, params.ring_um), given))
    for window, told in zip(windows, found, strict=True):
        for name, values in told.items():
            columns[name][window.owned] = values
    bits = nuclei.flags | np.where(columns["if_saturated"] > 0.02, int(CellFlag.SATURATED), 0)
    return base.assign(flags=to_text(bits, CellFlag), **columns)


def _names() -> list[str]:
    per_role = ("nucleus", "ring", "cell", "background", "noise", "max", "sd")
    names = [f"if_{role}_{what}" for role in ROLES for what in per_role]
    return [*names, "if_inclusion_overlap", "if_inclusion_area_um2", "if_elongation", "if_saturated"]


def _windows(nuclei: Nuclei, params: Phenotype) -> Iterator[Window]:
    block = max(round(params.background_um / nuclei.pixel_um[0]), 4)
    core, margin = np.array(_BLOCKS_PER_WINDOW) * block, _MARGIN_BLOCKS * block
    places = np.round(nuclei.centroid_um / np.array(nuclei.pixel_um)).astype(np.int64) // core
    known, number = np.unique(places, axis=0, return_inverse=True)
    owned = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    for place, own in zip(known.tolist(), owned, strict=False):
        rows, columns = (
            slice(max(at * size - margin, 0), min((at + 1) * size + margin, side))
            for at, size, side in zip(place, core.tolist(), nuclei.shape_px, strict=True)
        )
        yield Window(rows, columns, own, nuclei.label[own], block)


def _reaching(nuclei: Nuclei, windows: Sequence[Window]) -> Nuclei:
    """Nuclei that reach into any of the windows."""
    reach, (y0, x0, y1, x1) = np.zeros(len(nuclei), bool), nuclei.box_px.T
    for own in windows:
        reach |= (y0 < own.rows.stop) & (y1 > own.rows.start) & (x0 < own.columns.stop) & (x1 > own.columns.start)
    return nuclei.rows(reach)


def _measure_share(pixels: Mapping[str, Plane], ring_um: float, share: Share) -> tuple[dict[str, Floats], ...]:
    nuclei, pixel_um2 = share.nuclei, float(np.prod(share.nuclei.pixel_um))
    found = []
    for window in share.windows:
        labels = nuclei.paint(window.rows, window.columns)
        cells = _cells(labels, window.label, nuclei.pixel_um[0], ring_um)
        found.append(_measure_window(pixels, window, cells, pixel_um2))
    return tuple(found)


def _cells(labels: NDArray[np.int32], owned: NDArray[np.int32], pixel_um: float, ring_um: float) -> _Cells:
    """Give each pixel near a nucleus to the nearest one."""
    if not (labels == 0).any():
        distance, nearest = np.zeros(labels.shape, np.float32), labels
    else:
        background = (labels == 0).astype(np.uint8)
        distance, seed = cv2.distanceTransformWithLabels(
            background, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        table = np.zeros(int(seed.max()) + 1, np.int32)
        table[seed[labels > 0]] = labels[labels > 0]
        nearest = table[seed]
    near = distance * pixel_um <= ring_um
    pixel = np.flatnonzero(near)
    cell = np.searchsorted(owned, nearest.ravel()[pixel])
    cell = np.minimum(cell, len(owned) - 1)
    mine = owned[cell] == nearest.ravel()[pixel]
    pixel, cell = pixel[mine], cell[mine]
    order = np.argsort(cell, kind="stable")
    pixel, cell = pixel[order], cell[order]
    return _Cells(pixel, cell, labels.ravel()[pixel] > 0, distance * pixel_um > ring_um + _CLEAR_UM, len(owned))


def _measure_window(pixels: Mapping[str, Plane], window: Window, cells: _Cells, pixel_um2: float) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    saturated = np.zeros(cells.count)
    size = np.maximum(np.bincount(cells.cell, minlength=cells.count), 1)
    for role in ROLES:
        if role not in pixels:
            continue
        image = np.asarray(pixels[role][window.rows, window.columns])
        value = image.ravel()[cells.pixel]
        if image.dtype.kind in "ui" and int(image.max()) in _FULL_SCALES:
            saturated += np.bincount(cells.cell, value == image.max(), cells.count) / size
        background, noise = _background(image, cells.free, window.block_px)
        above = value - background.ravel()[cells.pixel]
        local = noise.ravel()[cells.pixel]
        found |= {f"if_{role}_{name}": v for name, v in _statistics(above, cells).items()}
        found[f"if_{role}_background"] = _mean(background.ravel()[cells.pixel], cells)
        found[f"if_{role}_noise"] = _mean(local, cells)
        if role == "inclusion":
            found |= _stained_area(above, found["if_inclusion_noise"], cells, pixel_um2)
    found["if_elongation"] = _elongation(cells, cells.free.shape[1])
    found["if_saturated"] = saturated
    return found


def _statistics(above: Floats, cells: _Cells) -> dict[str, Floats]:
    nucleus, ring = cells.inside, ~cells.inside
    mean = _mean(above, cells)
    spread = np.asarray(np.sqrt(np.maximum(_mean(above**2, cells) - mean**2, 0.0)), np.float64)
    highest = np.full(cells.count, -np.inf)
    np.maximum.at(highest, cells.cell, above)
    return {
        "nucleus": _grouped_mean(above[nucleus], cells.cell[nucleus], cells.count),
        "ring": _grouped_quantile(above[ring], cells.cell[ring], cells.count, 0.5),
        "cell": _grouped_quantile(above, cells.cell, cells.count, 0.5),
        "max": np.where(np.isfinite(highest), highest, np.nan),
        "sd": spread,
    }


def _mean(values: Image, cells: _Cells) -> Floats:
    return _grouped_mean(values, cells.cell, cells.count)


def _grouped_mean(values: Image, group: Integers, count: int) -> Floats:
    n = np.bincount(group, minlength=count)
    total = np.bincount(group, values, count)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _grouped_quantile(values: Image, group: Integers, count: int, share: float) -> Floats:
    """Value below which the given share of each group lies (nearest rank); NaN for an empty group."""
    n = np.bincount(group, minlength=count)
    ordered = np.append(values[np.lexsort((values, group))], 0.0)
    place = np.cumsum(n) - n + np.round(share * np.maximum(n - 1, 0)).astype(np.int64)
    return np.asarray(np.where(n > 0, ordered[np.minimum(place, len(values))], np.nan), np.float64)


def _background(image: Image, free: NDArray[np.bool_], block: int) -> tuple[Image, Image]:
    """Local background and its noise: median and spread of free pixels in blocks, smoothed, at every pixel."""
    rows, columns = -(-image.shape[0] // block), -(-image.shape[1] // block)
    padded = np.full((rows * block, columns * block), np.nan, np.float32)
    padded[: image.shape[0], : image.shape[1]] = np.where(free, image, np.nan)
    step = max(block // 12, 1)
    tiles = padded.reshape(rows, block, columns, block)[:, ::step, :, ::step].swapaxes(1, 2).reshape(rows * columns, -1)
    enough = np.isfinite(tiles).sum(1) >= 8
    level, spread = np.full(rows * columns, np.nan), np.full(rows * columns, np.nan)
    if enough.any():
        level[enough] = np.nanmedian(tiles[enough], axis=1)
        spread[enough] = 1.4826 * np.nanmedian(np.abs(tiles[enough] - level[enough, None]), axis=1)
    else:
        level[:] = float(np.percentile(image, 5))
        spread[:] = 0.0
    shape = (rows, columns)
    return tuple(_enlarge(_filled(values.reshape(shape)), block, image.shape) for values in (level, spread))  # type: ignore[return-value]


def _filled(grid: Floats) -> Floats:
    """Median of each block and its neighbours; blocks without value take the nearest ones'."""
    while True:
        around = np.pad(grid, 1, constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3)).reshape(*grid.shape, 9)
        known = np.isfinite(windows).any(-1)
        smooth = np.full(grid.shape, np.nan)
        smooth[known] = np.nanmedian(windows[known], axis=-1)
        if known.all():
            return smooth
        grid = np.where(np.isfinite(grid), grid, smooth)


def _enlarge(grid: Floats, block: int, shape: tuple[int, ...]) -> Image:
    size = (grid.shape[1] * block, grid.shape[0] * block)
    full = cv2.resize(grid.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(full[: shape[0], : shape[1]])


def _stained_area(above: Floats, noise: Floats, cells: _Cells, pixel_um2: float) -> dict[str, Floats]:
    """Where the stain stands out: above noise and above a share of the cell's own brightest part."""
    brightest = np.nan_to_num(_grouped_quantile(above, cells.cell, cells.count, 0.9))
    level = np.maximum(_NOISES * noise, _HALO_SHARE * brightest)
    stained = above > level[cells.cell]
    inside = cells.inside
    return {
        "if_inclusion_overlap": _grouped_mean(stained[inside], cells.cell[inside], cells.count),
        "if_inclusion_area_um2": np.asarray(np.bincount(cells.cell, stained, cells.count) * pixel_um2, np.float64),
    }


def _elongation(cells: _Cells, width: int) -> Floats:
    """Long over short axis of the ellipse with the nucleus's second moments."""
    cell = cells.cell[cells.inside]
    y, x = np.divmod(cells.pixel[cells.inside], width)
    mean_y, mean_x = (_grouped_mean(v, cell, cells.count) for v in (y, x))
    dy, dx = y - mean_y[cell], x - mean_x[cell]
    yy, xx, yx = (_grouped_mean(v, cell, cells.count) for v in (dy * dy + 1 / 12, dx * dx + 1 / 12, dy * dx))
    half = np.sqrt(np.maximum((yy - xx) ** 2 / 4 + yx**2, 0.0))
    middle = (yy + xx) / 2
    return np.asarray(np.sqrt((middle + half) / np.maximum(middle - half, 1e-9)), np.float64)
