"""A scene cut into parts that fit in memory: each reads with a margin, each nucleus has one owner, and all are joined.

Where a scene is cut hangs on its size alone, never on the memory or the workers at hand, so that its bytes do not
either. A scene of ordinary size is one part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.types import PROBES, Detections, Nuclei

MOST_VOXELS = 96_000_000
"""Voxels of one channel that a part owns at most."""

MARGIN_UM = 16.0
"""How far around its nuclei a part reads: beyond it nothing speaks of their signals, stain around them included."""

TASKS_PER_PART = 8
"""Shares of work per part where the bytes do not hang on them: small ones, so that workers end together."""

SPEAKERS = 4
LEAST_SHARE = 0.25

Item = TypeVar("Item")
Result = TypeVar("Result")


class Each(Protocol):
    """Python's ``map``, or one that does the same elsewhere: results in the order of the items.

    Work is a function of a module, or a ``functools.partial`` of one: it can be pickled, and hangs on nothing else.
    """

    def __call__(self, work: Callable[[Item], Result], items: Iterable[Item], /) -> Iterable[Result]:
        """Do the work for each item."""


def shares(items: Sequence[Item], voxels: int) -> list[tuple[Item, ...]]:
    """Put pieces of a scene, which are found alike in any company, together for as many tasks as the scene is worth.

    Parameters
    ----------
    items : sequence
        In the order in which they shall follow one another.
    voxels : int
        Of one channel of the scene; one that is not cut into parts is one task.
    """
    few = voxels <= MOST_VOXELS
    count = 1 if few else max(1, min(len(items), -(-TASKS_PER_PART * voxels // MOST_VOXELS)))
    edges = [k * len(items) // count for k in range(count + 1)]
    return [tuple(items[begin:end]) for begin, end in pairwise(edges)]


@dataclass(frozen=True)
class Part:
    """A window of a scene.

    Attributes
    ----------
    rows, columns : slice
        Of the scene, margin included.
    nuclei : Nuclei
        All that reach into the window, cut to it, in its pixels; labels are the scene's.
    own : ndarray of bool, (N,)
        Those that the part owns; they lie whole in the window.
    """

    rows: slice
    columns: slice
    nuclei: Nuclei
    own: NDArray[np.bool_]


def parts(nuclei: Nuclei, planes: int) -> list[Part]:
    """Cut a scene.

    Parameters
    ----------
    nuclei : Nuclei
        Of the whole scene.
    planes : int

    Returns
    -------
    list of Part
        At least one; ground without nuclei belongs to none, but where there is no nucleus at all.
    """
    height, width = nuclei.shape_px
    if height * width * planes <= MOST_VOXELS:
        return [Part(slice(0, height), slice(0, width), nuclei, np.ones(len(nuclei), bool))]
    side = max(1, int((MOST_VOXELS / planes) ** 0.5))
    edges = [np.linspace(0, size, -(-size // side) + 1).round().astype(int) for size in (height, width)]
    place = nuclei.centroid_um / np.array(nuclei.pixel_um)
    at = [np.clip(np.searchsorted(e, place[:, k], "right") - 1, 0, len(e) - 2) for k, e in enumerate(edges)]
    tiles = list(product(*(range(len(e) - 1) for e in edges)))
    owned = [np.flatnonzero((at[0] == row) & (at[1] == column)) for row, column in tiles]
    if not len(nuclei):
        (y0, y1), (x0, x1) = (list(pairwise(e.tolist()))[(len(e) - 1) // 2] for e in edges)
        return [_part(nuclei, np.zeros(0, np.int64), (y0, x0, y1, x1))]
    return [_part(nuclei, rows, _hull(nuclei.box_px[rows])) for rows in owned if len(rows)]


def speakers(cut: Sequence[Part]) -> list[Part]:
    """Parts that speak for their scene's light: the few that own most nuclei, in the order of the scene."""
    sizes = np.array([int(part.own.sum()) for part in cut])
    most = np.sort(np.argsort(-sizes, kind="stable")[:SPEAKERS])
    return [cut[k] for k in most.tolist() if sizes[k] >= LEAST_SHARE * sizes.max()]


def join(cut: Sequence[Part], found: Sequence[Detections], nuclei: Nuclei) -> Detections:
    """Put together what was detected in the parts of a scene, each signal and cluster once.

    A signal belongs to the part that owns its nucleus, outside of all nuclei to the one that owns the nearest; a
    cluster goes where its first signal goes, and its signals with it.

    Parameters
    ----------
    cut : sequence of Part
    found : sequence of Detections
        In the pixels of each part.
    nuclei : Nuclei
        Of the whole scene.
    """
    if len(cut) == 1 and cut[0].nuclei is nuclei:
        return found[0]
    owner = np.full(int(nuclei.label.max(initial=0)) + 1, -1)
    for k, part in enumerate(cut):
        owner[part.nuclei.label[part.own]] = k
    near = cKDTree(nuclei.centroid_um) if len(nuclei) else None
    spots, clusters, before = [], [], dict.fromkeys(PROBES, 0)
    for k, (part, own) in enumerate(zip(cut, found, strict=True)):
        corner_um = np.array([part.rows.start, part.columns.start]) * np.array(nuclei.pixel_um)
        moved = own.spots.assign(y_um=own.spots["y_um"] + corner_um[0], x_um=own.spots["x_um"] + corner_um[1])
        label = moved["label"].to_numpy(np.int64).copy()
        outside = label == 0
        if near is not None and outside.any():
            label[outside] = nuclei.label[near.query(moved.loc[outside, ["y_um", "x_um"]].to_numpy(float))[1]]
        mine = owner[label] == k if near is not None else np.ones(len(label), bool)
        kept = [_numbered(moved, own.clusters, mine, (probe, before[probe])) for probe in PROBES]
        spots += [some for some, _ in kept]
        clusters += [some for _, some in kept]
        before |= {probe: before[probe] + len(some) for probe, (_, some) in zip(PROBES, kept, strict=True)}
    joined = pd.concat(spots, ignore_index=True)
    return Detections(
        joined.assign(spot_id=np.arange(1, len(joined) + 1)).astype(found[0].spots.dtypes.to_dict()),
        pd.concat(clusters, ignore_index=True).astype(found[0].clusters.dtypes.to_dict()),
    )


def _numbered(
    spots: pd.DataFrame, clusters: pd.DataFrame, mine: NDArray[np.bool_], begin: tuple[str, int]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Own signals and clusters of one probe, clusters numbered on from those before."""
    probe, before = begin
    of_probe = (spots["probe"] == probe).to_numpy()
    own, keep = spots[of_probe], mine[of_probe]
    number = own["cluster"].to_numpy(np.int64)
    groups = clusters[clusters["probe"] == probe]
    highest = max(int(groups["cluster"].max()) if len(groups) else 0, int(number.max(initial=0)))
    kept = np.zeros(highest + 1, bool)
    first = np.unique(number, return_index=True)
    kept[first[0]] = keep[first[1]]
    kept[0] = False
    renamed = np.where(kept, before + np.cumsum(kept), 0)
    keep = np.where(number > 0, kept[number], keep)
    groups = groups[kept[groups["cluster"].to_numpy(np.int64)]]
    return own[keep].assign(cluster=renamed[number[keep]]), groups.assign(
        cluster=renamed[groups["cluster"].to_numpy(np.int64)]
    )


def _hull(boxes: NDArray[np.int32]) -> tuple[int, int, int, int]:
    y0, x0 = boxes[:, :2].min(axis=0).tolist()
    y1, x1 = boxes[:, 2:].max(axis=0).tolist()
    return y0, x0, y1, x1


def _part(nuclei: Nuclei, owned: NDArray[np.int64], ground: tuple[int, int, int, int]) -> Part:
    """The part that owns these nuclei: their ground and a margin."""
    (height, width), margin = nuclei.shape_px, [int(np.ceil(MARGIN_UM / size)) for size in nuclei.pixel_um]
    y0, x0 = max(0, ground[0] - margin[0]), max(0, ground[1] - margin[1])
    y1, x1 = min(height, ground[2] + margin[0]), min(width, ground[3] + margin[1])
    box = nuclei.box_px
    seen = np.flatnonzero((box[:, 0] < y1) & (box[:, 2] > y0) & (box[:, 1] < x1) & (box[:, 3] > x0))
    return Part(slice(y0, y1), slice(x0, x1), _cut(nuclei.rows(seen), (y0, x0, y1, x1)), np.isin(seen, owned))


def _cut(nuclei: Nuclei, window: tuple[int, int, int, int]) -> Nuclei:
    """Nuclei in the pixels of a window, what lies beyond it cut off."""
    y0, x0, y1, x1 = window
    box = np.clip(nuclei.box_px, [y0, x0, y0, x0], [y1, x1, y1, x1])
    packed = list(nuclei.packed)
    for row in np.flatnonzero((box != nuclei.box_px).any(axis=1)).tolist():
        top, left = (box[row, :2] - nuclei.box_px[row, :2]).tolist()
        bottom, right = (box[row, 2:] - nuclei.box_px[row, :2]).tolist()
        packed[row] = np.packbits(nuclei.mask(row)[top:bottom, left:right]).tobytes()
    corner_um = np.array([y0, x0]) * np.array(nuclei.pixel_um)
    return replace(
        nuclei,
        box_px=(box - np.array([y0, x0, y0, x0])).astype(np.int32),
        packed=tuple(packed),
        centroid_um=nuclei.centroid_um - corner_um,
        shape_px=(y1 - y0, x1 - x0),
    )
