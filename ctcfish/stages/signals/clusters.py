"""Clusters: emitters of crowded regions that no reader sees apart, counted by an estimate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.ops.crowds import Crowds, group_points
from ctcfish.types import ProbeModel

_LEAST_CLUSTER, _LEAST_TIGHT = 3, 5
_ONE_SIGNAL = 1.9  # root mean square radius, in widths: half of 1.6 FWHM
_COMPACT = 3.0  # widths of a signal


@dataclass(frozen=True)
class Clusters:
    """Clusters of one probe, G rows.

    Attributes
    ----------
    copies, low, high : ndarray of int64, (G,)
        Estimated number of signals and its 95 % interval.
    photons : ndarray, (G,)
    label : ndarray of int64, (G,)
        Nucleus of its members.
    compact : ndarray of bool, (G,)
    countable : ndarray of bool, (G,)
        False where only the lower end of the interval says something.
    """

    copies: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    photons: NDArray[np.float64]
    label: NDArray[np.int64]
    compact: NDArray[np.bool_]
    countable: NDArray[np.bool_]


def clusters_of(
    crowds: Crowds, yx_um: NDArray[np.float64], label: NDArray[np.int64], slide: ProbeModel
) -> tuple[NDArray[np.int64], Clusters]:
    """Tell the clusters of crowded regions from signals that lie side by side in them.

    Three or more emitters that hang together through steps shorter than a width at half height in projection are not
    resolved: where the number of their region is in doubt they are its cluster, counted by the region's estimate less
    the emitters beside it. Where not as many emitters could be placed as were counted, the whole region is. A few
    emitters within one signal are sisters, no cluster; emitters of two nuclei are none either.

    Parameters
    ----------
    crowds : Crowds
        E emitters of R regions.
    yx_um : ndarray, (E, 2)
        Places of the emitters.
    label : ndarray of int64, (E,)
        Their nuclei.
    slide : ProbeModel

    Returns
    -------
    ndarray of int64, (E,)
        Row of each emitter's cluster plus 1; 0 for none.
    Clusters
    """
    region = crowds.region.cpu().numpy()
    copies, low, high = (getattr(crowds.count, n).cpu().numpy() for n in ("estimate", "low", "high"))
    placed = np.bincount(region, minlength=len(copies)) == copies
    member = (_hanging_together(yx_um, region, slide.fwhm_um) >= _LEAST_CLUSTER) | ~placed[region]
    beside = np.bincount(region[~member], minlength=len(copies))
    copies, least_copies = copies - beside, np.minimum(copies - beside, 1)
    low, high = np.maximum(low - beside, least_copies), np.maximum(high - beside, copies)
    spread, nucleus, one_nucleus = _extent(yx_um[member], label[member], region[member], len(copies))
    tight = spread < _ONE_SIGNAL * slide.sigma_xy_um
    many = copies >= np.where(tight, _LEAST_TIGHT, _LEAST_CLUSTER)
    chosen = many & ((low < high) | ~placed) & one_nucleus
    number = np.where(member, np.where(chosen, np.cumsum(chosen), 0)[region], 0)
    light = np.bincount(region[member], crowds.photons.cpu().numpy()[member].astype(np.float64), len(copies))
    compact = spread < _COMPACT * slide.sigma_xy_um
    countable = crowds.count.countable.cpu().numpy()
    return number, Clusters(*(a[chosen] for a in (copies, low, high, light, nucleus, compact, countable)))


def _hanging_together(yx_um: NDArray[np.float64], region: NDArray[np.int64], reach_um: float) -> NDArray[np.int64]:
    """Emitters of its region that hang together with each through steps shorter than ``reach_um``, itself included."""
    apart = np.column_stack([region * 2.0 * reach_um, yx_um])  # regions stand one above the other, out of reach
    group = group_points(torch.from_numpy(apart), (1.0, 1.0, 1.0), reach_um).numpy()
    number: NDArray[np.int64] = np.bincount(group)[group] if len(group) else np.zeros(0, np.int64)
    return number


def _extent(
    yx_um: NDArray[np.float64], label: NDArray[np.int64], region: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Root mean square radius in the plane of each region, its nucleus, and whether that is one nucleus."""
    number = np.maximum(np.bincount(region, minlength=count), 1)
    middle = np.stack([np.bincount(region, yx_um[:, a], count) / number for a in (0, 1)], 1)
    square = ((yx_um - middle[region]) ** 2).sum(1)
    most, least = np.full(count, -1), np.full(count, np.iinfo(np.int64).max)
    np.maximum.at(most, region, label)
    np.minimum.at(least, region, label)
    return np.sqrt(np.bincount(region, square, count) / number), most, most == least
