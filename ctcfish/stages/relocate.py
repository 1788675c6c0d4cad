"""Find the cells of the IF scan again in the FISH scan, from the constellation of their nuclei.

Coordinates are moved; no pixel is resampled. The model is described in ``design/relocation.md``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ctcfish.flags import SlideFlag
from ctcfish.parameters import Relocate
from ctcfish.stages.relocation.alignment import Alignment, Cloud
from ctcfish.stages.relocation.fields import Scans, align
from ctcfish.stages.relocation.pairing import Cells, pair
from ctcfish.types import Relocation

_COLUMNS = ["if_scene", "if_label", "scene", "label", "residual_um", "probability"]
_SCALE_TOLERANCE = 0.05


def relocate(
    if_points: pd.DataFrame,
    fish_points: pd.DataFrame,
    params: Relocate,
    stage_um: Mapping[str, tuple[float, float]] | None = None,
) -> Relocation:
    """Pair every IF nucleus with its FISH nucleus, or say that it is lost.

    Parameters
    ----------
    if_points : pandas.DataFrame
        ``if_scene, if_label, y_um, x_um, area_um2``; further columns are ignored.
    fish_points : pandas.DataFrame
        ``scene, label, y_um, x_um, area_um2``.
    params : Relocate
    stage_um : mapping of str to (y, x), optional
        Position of the first pixel of FISH scenes on the stage, as far as it is known.

    Returns
    -------
    Relocation
        A row per IF nucleus; of a cell that two IF fields show, the row of the better match. Not trusted, and without
        pairs, where the constellations do not agree; ``evidence`` says why.
    """
    scans = Scans(_clouds(if_points, "if_scene"), _clouds(fish_points, "scene"), stage_um or {})
    found = align(scans, params.min_common_nuclei)
    common = sum(a.n_matched for a in found)
    trusted = common >= params.min_common_nuclei
    matches = _matches(if_points, fish_points, found if trusted else [], params)
    flags = SlideFlag(0) if trusted else SlideFlag.RELOCATION_FAILED
    if trusted and _scale_is_off(found):
        flags |= SlideFlag.SCALE_MISMATCH
    return Relocation(
        matches=matches,
        transforms=tuple(a.summary() for a in found),
        trusted=trusted,
        evidence=_evidence(if_points, fish_points, found, params),
        flags=flags,
    )


def _clouds(points: pd.DataFrame, key: str) -> tuple[Cloud, ...]:
    groups = points.groupby(key, sort=True)
    return tuple(Cloud(str(name), group[["y_um", "x_um"]].to_numpy(np.float64)) for name, group in groups)


def _scale(found: list[Alignment]) -> float:
    weight = np.array([a.n_matched for a in found], float)
    return float(np.average([a.warp.similarity.scale for a in found], weights=weight))


def _scale_is_off(found: list[Alignment]) -> bool:
    return bool(abs(np.log(_scale(found))) > _SCALE_TOLERANCE)


def _evidence(if_points: pd.DataFrame, fish_points: pd.DataFrame, found: list[Alignment], params: Relocate) -> str:
    empty = [name for name, points in (("IF", if_points), ("FISH", fish_points)) if not len(points)]
    if empty:
        return f"No nucleus was found in the {' nor in the '.join(empty)} scan: nothing can be relocated."
    common = sum(a.n_matched for a in found)
    # A nucleus cut by the borders of two fields is paired in both.
    of_if = min(common, len(if_points))
    counts = f"{of_if} of {len(if_points)} IF and {len(fish_points)} FISH nuclei agree in one constellation"
    if common < params.min_common_nuclei:
        return f"{counts}; {params.min_common_nuclei} are needed before the scans are taken for the same slide."
    best = min(a.log10_chance for a in found)
    sentence = f"{counts}; the best pair of scenes does so by chance with probability below 1e{round(best)}."
    left = fish_points["scene"].nunique() - len({a.scene for a in found})
    if left:
        sentence += f" {left} FISH fields could not be laid; their cells count as lost."
    if _scale_is_off(found):
        sentence += (
            f" FISH lengths are {_scale(found):.2f} times the IF lengths:"
            " one of the two pixel sizes is wrong; correct if_pixel_um or fish_pixel_um."
        )
    return sentence


def _matches(
    if_points: pd.DataFrame, fish_points: pd.DataFrame, found: list[Alignment], params: Relocate
) -> pd.DataFrame:
    """One row per IF cell, in the order given; of several FISH scenes the most probable nucleus."""
    n = len(if_points)
    scene = np.full(n, None, dtype=object)
    label, residual, probability = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n)
    if_rows = if_points.groupby("if_scene", sort=True).indices
    fish_rows = fish_points.groupby("scene", sort=True).indices
    for one in found:
        here, there = if_rows[one.if_scene], fish_rows[one.scene]
        cells = Cells(one.moved_um, if_points["area_um2"].to_numpy(float)[here] * one.warp.similarity.scale**2)
        nuclei = Cells(one.fish_um, fish_points["area_um2"].to_numpy(float)[there])
        pairing = pair(cells, nuclei, one.sigma_um, params.max_residual_um)
        sure = pairing.probability * one.placed
        better = sure > probability[here]
        probability[here[better]] = sure[better]
        kept = better & (sure >= params.min_probability)
        scene[here[kept]] = one.scene
        label[here[kept]] = fish_points["label"].to_numpy(float)[there[pairing.partner[kept]]]
        residual[here[kept]] = pairing.distance_um[kept]
    frame = if_points[["if_scene", "if_label"]].reset_index(drop=True)
    frame["scene"], frame["label"] = scene, pd.Series(label).astype("Int64")
    frame["residual_um"], frame["probability"] = residual, probability
    return _once(frame[_COLUMNS])


def _once(matches: pd.DataFrame) -> pd.DataFrame:
    """Leave out a cell that another IF field shows better: the same FISH nucleus, with less probability."""
    order = matches.sort_values("probability", ascending=False, kind="stable")
    again = order["label"].notna() & order.duplicated(["scene", "label"])
    return matches.drop(index=order.index[again]).reset_index(drop=True)
