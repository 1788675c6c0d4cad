"""From candidate signals in an image to resolved regions: grouping, windows of a few sizes, and back to the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from torch import Tensor

from ctcfish.ops import resolve, zones
from ctcfish.ops.compiled import crowds as compiled
from ctcfish.ops.compiled import zones as compiled_zones
from ctcfish.ops.emitter_count import CountPosterior, CountRule, count_posterior
from ctcfish.ops.emitters import Crops, CrowdModel, Emitters, Frame
from ctcfish.ops.resolve import Growth, Path
from ctcfish.ops.windows import cut_windows
from ctcfish.ops.zones import Owned, Reach, Windows, Zones

_SIMILAR = (1, 4, 9)  # batches hold regions of up to so many candidates
_SETTLED = 8  # steps after which one emitter rests
_HALF_STEP = 3  # half sizes of windows are multiples of this, so that few shapes are in use
_WHOLE = ("estimate", "low", "high", "resolved", "countable")
_BATCH_VALUES = 1 << 19  # window values held at once


@dataclass(frozen=True)
class Crowds:
    """Resolved regions of one image.

    Parameters
    ----------
    region : Tensor of int64, (E,)
        Region of each emitter, ascending.
    position_px : Tensor, (E, 3)
        Centre z, y, x in the image.
    photons : Tensor, (E,)
    count : CountPosterior
        One row a region.
    total_photons : Tensor, (G,)
    background : Tensor, (G,)
        Fitted background level, photons a pixel.
    """

    region: Tensor
    position_px: Tensor
    photons: Tensor
    count: CountPosterior
    total_photons: Tensor
    background: Tensor


def group_points(points_px: Tensor, scale_px: tuple[float, float, float], reach: float) -> Tensor:
    """Number the groups of points that hang together through steps shorter than ``reach``.

    Parameters
    ----------
    points_px : Tensor, (N, 3)
    scale_px : tuple of float
        Unit of distance along z, y and x.
    reach : float
        Longest step, in these units.

    Returns
    -------
    Tensor of int64, (N,)
        Groups 0, 1, … in order of their first point.

    Examples
    --------
    >>> group_points(torch.tensor([[0.0, 0, 0], [0, 0, 9], [0, 0, 1]]), (1.0, 1.0, 1.0), 2.0).tolist()
    [0, 1, 0]
    """
    scaled = points_px.detach().cpu().numpy().astype(np.float64) / np.asarray(scale_px)
    pairs = cKDTree(scaled).query_pairs(reach, output_type="ndarray") if len(scaled) else np.zeros((0, 2), dtype=int)
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(scaled), len(scaled)))
    _, label = connected_components(links, directed=False)
    _, first, back = np.unique(label, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return torch.as_tensor(order[back].astype(np.int64), device=points_px.device)


@dataclass(frozen=True)
class CrowdImage:
    """A channel as the camera gave it.

    Parameters
    ----------
    stack : Tensor, (Z, Y, X)
        Camera numbers of any type.
    offset_adu, gain_adu_per_photon : float
    """

    stack: Tensor
    offset_adu: float = 0.0
    gain_adu_per_photon: float = 1.0


@dataclass(frozen=True)
class Starts:
    """Candidate signals of the crowded regions.

    Parameters
    ----------
    position_px : Tensor, (K, 3)
        Centres z, y, x in the image.
    photons : Tensor, (K,)
    region : Tensor of int64, (K,)
        Region of each candidate: 0 … G − 1, each at least once.
    others_px : Tensor, (O, 3)
        Signals that belong to no region; pixels around them are left out.
    """

    position_px: Tensor
    photons: Tensor
    region: Tensor
    others_px: Tensor

    @property
    def signals(self) -> Owned:
        """All signals, those of no region after the others."""
        nobody = self.region.new_full((len(self.others_px),), -1)
        return Owned(torch.cat((self.position_px, self.others_px)), torch.cat((self.region, nobody)))


def resolve_crowds(
    image: CrowdImage,
    starts: Starts,
    model: CrowdModel,
    reach: Reach | None = None,
    growth: Growth | None = None,
    rule: CountRule | None = None,
) -> Crowds:
    """Count and place the emitters of every region.

    Parameters
    ----------
    image : CrowdImage
    starts : Starts
    model : CrowdModel
    reach, growth, rule : optional
        Defaults where not given.

    Returns
    -------
    Crowds
        No rows where there is no region.
    """
    reach, growth, rule = reach or Reach(), growth or Growth(), rule or CountRule()
    parts: list[_Part] = []
    way = _way(image)
    for batch in _batches(image, starts, model, reach):
        slots = batch.start.used.shape[1]
        roomy = replace(growth, most_emitters=max(growth.most_emitters, slots + growth.patience))
        path = way.grow(batch.frame, batch.crops, batch.start, batch.zones, roomy)
        count = count_posterior(path, model, rule)
        state = way.settle(batch.frame, batch.crops, path, count.estimate, roomy)
        parts.append((batch.rows, replace(state, places=state.places + batch.corner[:, None]), count))
    return _collected(parts, _regions(starts), starts.photons)


def first_fits(image: CrowdImage, starts: Starts, model: CrowdModel) -> tuple[Tensor, Tensor]:
    """Fit every region by the emitters it starts with, and no others.

    Parameters
    ----------
    image : CrowdImage
    starts : Starts
    model : CrowdModel

    Returns
    -------
    log_likelihood : Tensor, (G,)
        Up to a constant of the region.
    photons : Tensor, (G,)
        Light of all its emitters.
    """
    out = starts.photons.new_zeros(2, _regions(starts))
    for batch in _batches(image, starts, model, Reach()):
        begun = Growth(most_emitters=batch.start.used.shape[1], first_steps=_SETTLED, drops=0)
        path = _way(image).grow(batch.frame, batch.crops, batch.start, batch.zones, begun)
        number = batch.start.used.sum(1).long()[:, None]
        for row, told in zip(out, (path.log_likelihood, path.total_photons), strict=True):
            row[batch.rows] = told.gather(1, number)[:, 0]
    return out[0], out[1]


@dataclass(frozen=True)
class _Way:
    """Kernels of one signature."""

    cropped: Callable[[Windows, Owned, Frame, Reach], tuple[Crops, Zones]]
    grow: Callable[[Frame, Crops, Emitters, Zones, Growth], Path]
    settle: Callable[[Frame, Crops, Path, Tensor, Growth], Emitters]


LOCKSTEP = _Way(zones.cropped, resolve.grow, resolve.settle)
COMPILED = _Way(compiled_zones.cropped, compiled.grow, compiled.settle)


def _way(image: CrowdImage) -> _Way:
    """The kernels for the device that holds the image."""
    return COMPILED if image.stack.device.type == "cpu" else LOCKSTEP


def _regions(starts: Starts) -> int:
    return int(starts.region.max()) + 1 if len(starts.region) else 0


@dataclass(frozen=True)
class _Batch:
    """Regions of one window size: which they are, and what is needed to fit them."""

    rows: Tensor
    frame: Frame
    crops: Crops
    zones: Zones
    start: Emitters
    corner: Tensor


def _batches(image: CrowdImage, starts: Starts, model: CrowdModel, reach: Reach) -> Iterator[_Batch]:
    """One shape a batch, and about one number of candidates, so that small regions do not carry empty slots."""
    table, half, centre = _layout(image, starts, model, reach)
    number = torch.bucketize((table >= 0).sum(1), torch.tensor(_SIMILAR, device=table.device))
    keys = torch.stack((half[:, 0], half[:, 1], number), 1)
    for key in torch.unique(keys, dim=0):
        rows = (keys == key).all(1).nonzero()[:, 0]
        window = (int(key[0]), int(key[1]), int(key[1]))
        frame = Frame.of((2 * window[0] + 1, 2 * window[1] + 1, 2 * window[2] + 1), model, starts.photons)
        size = max(1, _BATCH_VALUES // frame.series.basis.shape[1])
        for chunk in rows.split(size):
            slots = int((table[chunk] >= 0).sum(1).max())
            crops, where, start = _batch(image, starts, (chunk, centre[chunk], table[chunk, :slots]), frame, reach)
            yield _Batch(chunk, frame, crops, where, start, centre[chunk] - torch.tensor(window, device=centre.device))


_Part = tuple[Tensor, Emitters, CountPosterior]


def _layout(image: CrowdImage, starts: Starts, model: CrowdModel, reach: Reach) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates of each region (G, S), brightest first, −1 where none; half sizes and centres of windows (G, 3)."""
    device = starts.photons.device
    regions = _regions(starts)
    order = torch.argsort(starts.photons, descending=True, stable=True)
    order = order[torch.argsort(starts.region[order], stable=True)]
    number = torch.bincount(starts.region, minlength=regions)
    rank = torch.arange(len(order), device=device) - (number.cumsum(0) - number)[starts.region[order]]
    table = torch.full((regions, int(number.max()) if regions else 0), -1, device=device)
    table[starts.region[order], rank] = order
    member = starts.region[:, None].expand(-1, 3)
    empty = starts.position_px.new_zeros(regions, 3)
    low = empty.scatter_reduce(0, member, starts.position_px, "amin", include_self=False)
    high = empty.scatter_reduce(0, member, starts.position_px, "amax", include_self=False)
    scale = low.new_tensor(
        (model.sigma_z_px * reach.fit_z, model.sigma_xy_px * reach.fit, model.sigma_xy_px * reach.fit)
    )
    wanted = torch.ceil((high - low) / 2 + scale)
    in_plane = torch.ceil(wanted[:, 1:].max(1).values / _HALF_STEP) * _HALF_STEP
    along_z = torch.ceil(wanted[:, 0] / 2) * 2 if image.stack.shape[0] > 1 else torch.zeros_like(in_plane)
    half = torch.stack((along_z.clamp(max=image.stack.shape[0] - 1), in_plane, in_plane), 1).long()
    return table, half, torch.round((low + high) / 2).long()


def _batch(
    image: CrowdImage, starts: Starts, regions: tuple[Tensor, Tensor, Tensor], frame: Frame, reach: Reach
) -> tuple[Crops, Zones, Emitters]:
    """Crops, their zones, and the start of a batch of regions of one window size."""
    rows, centre, table = regions
    half = tuple((n - 1) // 2 for n in frame.shape)
    values, inside = cut_windows(image.stack, centre, (half[0], half[1], half[2]))
    photons = (values.flatten(1).to(starts.photons.dtype) - image.offset_adu) / image.gain_adu_per_photon
    corner = (centre - torch.tensor(half, device=centre.device)).to(starts.position_px.dtype)
    used, model = table >= 0, frame.model
    places = starts.position_px[table.clamp(min=0)] - corner[:, None]
    own = torch.where(used[..., None], places, torch.inf)
    windows = Windows(rows, corner, photons, inside.flatten(1), own)
    crops, where = _way(image).cropped(windows, starts.signals, frame, reach)
    log_photons = torch.log(
        starts.photons[table.clamp(min=0)].clamp(0.3 * model.median_photons, 3 * model.median_photons)
    )
    background = places.new_zeros(len(rows), len(frame.series.orders))
    background[:, 0] = crops.level
    point = torch.zeros_like(log_photons)
    start = Emitters(torch.where(used[..., None], places, 0.0), log_photons, point, used.to(places.dtype), background)
    return crops, where, start


def _collected(parts: list[_Part], regions: int, like: Tensor) -> Crowds:
    """Rows of all batches in the order of the regions."""
    widest = max((c.probability.shape[1] for _, _, c in parts), default=1)
    probability = like.new_zeros(regions, widest)
    whole = {name: torch.zeros(regions, dtype=torch.int64, device=like.device) for name in _WHOLE}
    total, level = (like.new_zeros(regions) for _ in range(2))
    owner, place, photons = [], [like.new_zeros(0, 3)], [like.new_zeros(0)]
    for rows, state, count in parts:
        probability[rows, : count.probability.shape[1]] = count.probability
        for name in _WHOLE:
            whole[name][rows] = getattr(count, name).long()
        total[rows], level[rows] = state.photons.sum(1), state.background[:, 0]
        used = state.used > 0
        owner.append(rows[:, None].expand(used.shape)[used])
        place.append(state.places[used])
        photons.append(state.photons[used])
    region = torch.cat(owner) if owner else torch.zeros(0, dtype=torch.int64, device=like.device)
    order = torch.argsort(region, stable=True)
    return Crowds(
        region[order],
        torch.cat(place)[order],
        torch.cat(photons)[order],
        CountPosterior(probability, **whole | {"countable": whole["countable"].bool()}),
        total,
        level,
    )
