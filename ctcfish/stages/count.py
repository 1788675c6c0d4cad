"""From signals to counts: the rules cytogeneticists use.

Two signals of one colour and of like size in one nucleus whose centres lie within one signal diameter of each other in
projection are one (sister chromatids; Leica HER2 FISH kit guide TA9217): the fainter becomes a ``doublet``. So does one
that lies within the width at half height of a brighter one, whatever its size: no reader sees it apart. One diameter is
a multiple of the measured FWHM of that colour's isolated signals. Three or more unresolved emitters are a cluster,
counted by its estimate. Signals of the other colour never matter.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish import flags, tables
from ctcfish.flags import CellFlag, SpotFlag
from ctcfish.parameters import Count
from ctcfish.stages.signals.of_cells import of_cells
from ctcfish.stats.count_posterior import interval_weights, signal_weights
from ctcfish.types import PROBES, Detections, Nuclei, Probe, SlideModel

COLUMNS = ("points", "in_clusters", "count", "low", "high")
"""What is said of each probe; missing where the probe has no channel."""

MAX_COPIES = 400
"""Beyond this a count is a lower bound."""


def count(
    nuclei: Nuclei, detections: Detections, model: SlideModel, params: Count, place: tuple[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the signals of every nucleus of a scene.

    Parameters
    ----------
    nuclei : Nuclei
        N nuclei; each becomes one row.
    detections : Detections
    model : SlideModel
        Signal widths; a probe without model has no channel and no counts.
    params : Count
    place : tuple of str
        ``(slide_id, scene)``.

    Returns
    -------
    cells : pandas.DataFrame, N rows
        Identity, shape and count columns of :data:`ctcfish.tables.CELLS`.
    spots : pandas.DataFrame
        :data:`ctcfish.tables.SPOTS`: the signals as given, fainter ones of a pair now ``doublet``.
    """
    slide_id, scene = place
    prefix = f"{slide_id}/{scene}/"
    spots = detections.spots.assign(slide_id=slide_id, scene=scene)
    spots["cell_id"] = [prefix + str(label) if label else None for label in spots["label"]]
    for probe, probe_model in model.probes.items():
        spots = _mark_doublets(spots, probe, probe_model.fwhm_um, params)
    cells = _identity(nuclei, prefix, slide_id, scene)
    bits = nuclei.flags.copy()
    for probe in PROBES:
        if probe not in model.probes:
            absent = pd.array([None] * len(cells), dtype="Int64")
            cells = cells.assign(**{f"{probe.lower()}_{column}": absent for column in COLUMNS})
            continue
        columns, doubts = _probe_columns(nuclei.label, spots, detections.clusters, probe)
        cells = cells.assign(**columns)
        bits |= doubts
    bits |= of_cells(nuclei.label, spots)
    cells["her2_compact"] = _largest_compact(nuclei.label, detections.clusters)
    cells["flags"] = flags.to_text(bits, CellFlag) if len(cells) else []
    return cells, tables.SPOTS.check(spots)


def no_cells() -> pd.DataFrame:
    """What :func:`count` gives for no scene at all: its columns and no rows."""
    identity = ["cell_id", "slide_id", "scene", "label", "z_um", "y_um", "x_um", "area_um2", "thickness_um", "focus"]
    counts = [f"{probe.lower()}_{column}" for probe in PROBES for column in COLUMNS]
    return tables.CELLS.empty()[[*identity, *counts, "her2_compact", "flags"]]


def doublets(
    position_um: NDArray[np.float64], photons: NDArray[np.float64], fwhm_um: float, params: Count
) -> NDArray[np.bool_]:
    """Mark signals that are one with a brighter one that is kept.

    Brightest first: a signal is kept unless a kept one of like size lies closer than the diameter, or any kept one
    closer than the width at half height.

    Parameters
    ----------
    position_um : ndarray, (N, 2)
        ``(y, x)``.
    photons : ndarray, (N,)
    fwhm_um : float
        Width at half height of the colour's isolated signals.
    params : Count
        One diameter in widths, and the brightness ratio up to which two signals are of like size.

    Returns
    -------
    ndarray of bool, (N,)
    """
    diameter_um = params.diameter_per_fwhm * fwhm_um
    merged = np.zeros(len(photons), bool)
    order = np.lexsort((position_um[:, 1], position_um[:, 0], -photons))
    neighbours = cKDTree(position_um).query_ball_point(position_um, diameter_um) if len(photons) else []
    kept = np.zeros(len(photons), bool)
    for i in order.tolist():
        close = [j for j in neighbours[i] if kept[j]]
        apart = np.hypot(*(position_um[close] - position_um[i]).T)
        alike = photons[close] <= params.like_size_ratio * photons[i]
        merged[i] = bool(((apart < np.where(alike, diameter_um, fwhm_um)) & (apart < diameter_um)).any())
        kept[i] = not merged[i]
    return merged


def _mark_doublets(spots: pd.DataFrame, probe: Probe, fwhm_um: float, params: Count) -> pd.DataFrame:
    single = (spots["probe"] == probe) & (spots["status"] == "counted") & (spots["cluster"] == 0) & (spots["label"] > 0)
    rows = np.flatnonzero(single)
    position, photons = (spots[names].to_numpy(float)[rows] for names in (["y_um", "x_um"], "photons"))
    chosen: list[NDArray[np.int64]] = []
    for own in _by_label(spots["label"].to_numpy(np.int64)[rows]).values():
        chosen.append(rows[own[doublets(position[own], photons[own], fwhm_um, params)]])
    if not sum(map(len, chosen)):
        return spots
    index = spots.index[np.concatenate(chosen)]
    bits = flags.from_text(spots.loc[index, "flags"].to_numpy(), SpotFlag) | int(SpotFlag.SISTER)
    marked = spots.copy()
    marked.loc[index, "status"] = "doublet"
    marked.loc[index, "flags"] = flags.to_text(bits, SpotFlag)
    return marked


def _by_label(labels: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Rows of each label, labels ascending, rows in their order."""
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True)) if len(names) else {}


def _identity(nuclei: Nuclei, prefix: str, slide_id: str, scene: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cell_id": [prefix + str(label) for label in nuclei.label.tolist()],
            "slide_id": slide_id,
            "scene": scene,
            "label": nuclei.label.astype(np.int64),
            "z_um": nuclei.z_um,
            "y_um": nuclei.centroid_um[:, 0],
            "x_um": nuclei.centroid_um[:, 1],
            "area_um2": nuclei.area_um2,
            "thickness_um": nuclei.thickness_um,
            "focus": nuclei.focus,
        }
    )


def _probe_columns(
    labels: NDArray[np.int32], spots: pd.DataFrame, clusters: pd.DataFrame, probe: Probe
) -> tuple[Mapping[str, NDArray[np.int64]], NDArray[np.int64]]:
    """Points, cluster copies, total and 95 % interval of one probe for each nucleus, and the cells' doubts."""
    name = probe.lower()
    counted = spots[(spots["probe"] == probe) & (spots["status"] == "counted") & (spots["cluster"] == 0)]
    probability, own = counted["probability"].to_numpy(float), clusters[clusters["probe"] == probe]
    points, groups = (_by_label(table["label"].to_numpy(np.int64)) for table in (counted, own))
    limits = own[["copies", "copies_low", "copies_high"]].astype("Int64")
    known = limits.fillna(MAX_COPIES).to_numpy(np.int64).reshape(-1, 3)
    endless, none = limits["copies_high"].isna().to_numpy(bool), np.zeros(0, np.int64)
    rows = []
    for label in labels.tolist():
        group = groups.get(label, none)
        rows.append(_one_nucleus(probability[points.get(label, none)], known[group], bool(endless[group].any())))
    table = np.array(rows, dtype=np.int64).reshape(-1, 6)
    return {f"{name}_{column}": table[:, i] for i, column in enumerate(COLUMNS)}, table[:, 5]


def _largest_compact(labels: NDArray[np.int32], clusters: pd.DataFrame) -> pd.Series:
    """Whether the largest HER2 cluster of each nucleus is compact; missing without one."""
    own = clusters[clusters["probe"] == "HER2"].sort_values(["copies", "cluster"])
    largest = {int(label): bool(compact) for label, compact in zip(own["label"], own["compact"], strict=True)}
    return pd.Series([largest.get(label) for label in labels.tolist()], dtype="boolean")


def _one_nucleus(
    probabilities: NDArray[np.float64], clusters: NDArray[np.int64], endless: bool
) -> tuple[int, int, int, int, int, int]:
    """Points, copies in clusters, total, interval and doubts; ``clusters`` are rows of copies, low and high."""
    pmf = signal_weights(np.nan_to_num(probabilities, nan=1.0), len(probabilities))
    bits = CellFlag.CLUSTER if len(clusters) else CellFlag(0)
    if endless:
        bits |= CellFlag.UNCOUNTABLE_CLUSTER | CellFlag.LOWER_BOUND
    for copies, low, high in clusters.tolist():
        pmf = np.convolve(pmf, interval_weights([copies], [low], [high], max(high, copies))[0])
    cumulative = np.cumsum(pmf)
    low, high = (int(np.searchsorted(cumulative, q * cumulative[-1])) for q in (0.025, 0.975))
    in_clusters = int(clusters[:, 0].sum())
    total = len(probabilities) + in_clusters
    return len(probabilities), in_clusters, total, min(low, total), max(high, total), int(bits)
