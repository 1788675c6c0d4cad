"""The slide's own leukocytes: what no cytokeratin, full CD45 and no HER2 protein look like on this slide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.stages.immuno.kinds import Marker, densities, shares

Floats = NDArray[np.float64]

_ROUNDS = 12
_WITHIN = 3.0
_LEAST_SCALE = 0.12
_DEFAULT_SCALE = 0.6
_CLEAR_SDS = 4.0
_CLEAR_PRIOR = 10
_LEAST_BRIGHT_SCALE = 0.4
_FREEDOM = {"inclusion": 8.0, "exclusion": 5.0, "her2_protein": 8.0}
_TAILS = (4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True)
class Area:
    """Size of leukocyte nuclei: median and robust standard deviation of the logarithm of the area in um2."""

    location: float = float(np.log(35.0))
    scale: float = 0.25

    def sds(self, area_um2: Floats) -> Floats:
        """Leukocyte standard deviations above the leukocytes."""
        return np.asarray((np.log(np.maximum(area_um2, 1e-3)) - self.location) / self.scale)


@dataclass(frozen=True)
class LeukocyteModel:
    """The leukocytes of one slide.

    Attributes
    ----------
    markers : mapping of role to Marker
        Stains that were measured.
    shares : tuple of float
        Of leukocytes, CTC, nuclei of neither stain and of both.
    area : Area
        Their nuclei.
    n_leukocytes : int
        Nuclei it rests on.
    origin : {"slide", "default"}
        ``default`` where the slide has too few leukocytes; marker levels are then those of the background.
    """

    markers: Mapping[str, Marker]
    shares: tuple[float, ...]
    area: Area
    n_leukocytes: int
    origin: str

    def summary(self) -> dict[str, Any]:
        """What ``slide.json`` carries."""
        values = {role: {"location": m.location, "scale": m.scale, "soft": m.soft} for role, m in self.markers.items()}
        return {
            "n_leukocytes": self.n_leukocytes,
            "origin": self.origin,
            "shares": list(self.shares),
            "markers": values,
            "area_um2": float(np.exp(self.area.location)),
        }


def leukocyte_model(frames: Sequence[pd.DataFrame], min_leukocytes: int = 20) -> LeukocyteModel:
    """Pool the measured fields of a slide and describe its leukocytes.

    Leukocytes are the nuclei with CD45 and without cytokeratin; median and median absolute deviation of both stains are
    iterated on those within three deviations, so that CTC, doublets and debris do not count.

    Parameters
    ----------
    frames : sequence of pandas.DataFrame
        From :func:`ctcfish.stages.immuno.markers.measure`, in a fixed order.
    min_leukocytes : int
        Fewer: the model is the default one.
    """
    cells = pd.concat(list(frames), ignore_index=True) if frames else pd.DataFrame()
    soft = _soft(cells)
    roles = list(soft)
    members = _members(cells, soft)
    if int(members.sum()) < min_leukocytes:
        markers = {r: _default(r, soft[r]) for r in roles}
        return LeukocyteModel(markers, _shares(cells, markers), Area(), int(members.sum()), "default")
    markers = {r: _marker(cells[f"if_{r}_cell"].to_numpy(float)[members], soft[r], _FREEDOM[r]) for r in roles}
    markers |= _with_ctc(cells, markers)
    markers |= _with_tail(cells, markers)
    location, scale = _robust(np.log(np.maximum(cells["area_um2"].to_numpy(float)[members], 1e-3)))
    area = Area(location, max(scale, _LEAST_SCALE))
    return LeukocyteModel(markers, _shares(cells, markers), area, int(members.sum()), "slide")


def leukocytes_among(cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Which of the measured nuclei are leukocytes by CD45 and cytokeratin; none where either was not measured."""
    return _members(cells, _soft(cells))


def _soft(cells: pd.DataFrame) -> dict[str, float]:
    """Noise of a background pixel in every stain that was measured."""
    roles = [r for r in ("inclusion", "exclusion", "her2_protein") if _measured(cells, r)]
    return {r: max(float(np.nanmedian(cells[f"if_{r}_noise"])), 1e-3) for r in roles}


def _with_ctc(cells: pd.DataFrame, markers: Mapping[str, Marker]) -> dict[str, Marker]:
    """Cytokeratin and lack of CD45 as the slide's clear CTC show them, drawn to the defaults where they are few."""
    cd45, ck = markers["exclusion"], markers["inclusion"]
    stain, lack = (
        m.transform(cells[f"if_{r}_cell"].to_numpy(float)) for r, m in (("inclusion", ck), ("exclusion", cd45))
    )
    clear = (stain >= ck.location + _CLEAR_SDS * ck.scale) & (lack < cd45.location - _WITHIN * cd45.scale)
    if not clear.any():
        return {}
    n = int(clear.sum())
    weight = n / (n + _CLEAR_PRIOR)
    location, scale = _robust(lack[clear])
    bright, spread = _robust(stain[clear])
    return {
        "exclusion": replace(
            cd45,
            absent_location=weight * location + (1 - weight) * cd45.absent_location,
            absent_scale=weight * max(scale, _LEAST_SCALE) + (1 - weight) * cd45.absent_scale,
        ),
        "inclusion": replace(
            ck, present_location=bright, present_scale=max(spread, _LEAST_BRIGHT_SCALE), present_weight=0.9 * weight
        ),
    }


def _with_tail(cells: pd.DataFrame, markers: Mapping[str, Marker]) -> dict[str, Marker]:
    """Cytokeratin with the upper tail under which all kinds together explain the slide best.

    A few leukocytes leave the usual tail as it is: an octave of its degrees of freedom costs what a standard deviation
    costs in a normal distribution.
    """
    usual = markers["inclusion"]
    above = usual.transform(cells["if_inclusion_cell"].to_numpy(float)) > usual.location

    def support(trial: Marker) -> float:
        density = densities(cells, {**markers, "inclusion": trial})
        octaves = np.log2(trial.freedom / usual.freedom)
        return float(np.log(density[above] @ shares(density)).sum() - 0.5 * octaves**2)

    return {"inclusion": max((replace(usual, freedom=freedom) for freedom in _TAILS), key=support)}


def _shares(cells: pd.DataFrame, markers: Mapping[str, Marker]) -> tuple[float, ...]:
    return tuple(shares(densities(cells, markers)).tolist())


def _measured(cells: pd.DataFrame, role: str) -> bool:
    return f"if_{role}_cell" in cells.columns and bool(cells[f"if_{role}_cell"].notna().any())


def _default(role: str, soft: float) -> Marker:
    """A stain where no leukocyte could be measured: CD45 is thirty times the background's noise, the others none."""
    location = float(np.arcsinh(30.0)) if role == "exclusion" else 0.0
    return Marker(soft, location, _DEFAULT_SCALE, 0.0, soft, freedom=_FREEDOM[role])


def _marker(values: Floats, soft: float, freedom: float) -> Marker:
    values = values[np.isfinite(values)]
    location, scale = _robust(np.arcsinh(values / soft))
    level, spread = _robust(values)
    return Marker(soft, location, max(scale, _LEAST_SCALE), level, max(spread, 0.05 * soft), freedom=freedom)


def _robust(values: Floats) -> tuple[float, float]:
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))


def _members(cells: pd.DataFrame, soft: Mapping[str, float]) -> NDArray[np.bool_]:
    """Leukocytes by CD45 and cytokeratin, as far as they were measured."""
    if not {"inclusion", "exclusion"} <= set(soft):
        return np.zeros(len(cells), bool)
    ck = np.arcsinh(cells["if_inclusion_cell"].to_numpy(float) / soft["inclusion"])
    cd45 = np.arcsinh(cells["if_exclusion_cell"].to_numpy(float) / soft["exclusion"])
    known = np.isfinite(ck) & np.isfinite(cd45)
    members = known & (cd45 >= max(0.5 * float(np.nanpercentile(cd45, 95)) if known.any() else 0.0, 1.5))
    if members.any():
        members &= ck <= np.median(ck[members]) + 1.0
    for _ in range(_ROUNDS):
        if members.sum() < 3:
            break
        kept = known.copy()
        for value in (ck, cd45):
            location, scale = _robust(value[members])
            kept &= np.abs(value - location) <= _WITHIN * max(scale, _LEAST_SCALE)
        if (kept == members).all():
            break
        members = kept
    return np.asarray(members)
