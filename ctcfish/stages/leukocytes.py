"""The slide's own leukocytes: what no cytokeratin, full CD45 and no HER2 protein look like on this slide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.stages.kinds import Marker, densities, shares

Floats = NDArray[np.float64]

_ROUNDS = 12
_WITHIN = 3.0
_LEAST_SCALE = 0.12
_DEFAULT_SCALE = 0.6


@dataclass(frozen=True)
class LeukocyteModel:
    """The leukocytes of one slide.

    Attributes
    ----------
    markers : mapping of role to Marker
        Stains that were measured.
    shares : tuple of float
        Of leukocytes, CTC, nuclei of neither stain and of both.
    n_leukocytes : int
        Nuclei it rests on.
    origin : {"slide", "default"}
        ``default`` where the slide has too few leukocytes; marker levels are then those of the background.
    """

    markers: Mapping[str, Marker]
    shares: tuple[float, ...]
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
        }


def leukocyte_model(frames: Sequence[pd.DataFrame], min_leukocytes: int = 20) -> LeukocyteModel:
    """Pool the measured fields of a slide and describe its leukocytes.

    Leukocytes are the nuclei with CD45 and without cytokeratin; median and median absolute deviation of both stains are
    iterated on those within three deviations, so that CTC, doublets and debris do not count.

    Parameters
    ----------
    frames : sequence of pandas.DataFrame
        From :func:`ctcfish.stages.markers.measure`, in a fixed order.
    min_leukocytes : int
        Fewer: the model is the default one.
    """
    cells = pd.concat(list(frames), ignore_index=True) if frames else pd.DataFrame()
    roles = [r for r in ("inclusion", "exclusion", "her2_protein") if _measured(cells, r)]
    soft = {r: max(float(np.nanmedian(cells[f"if_{r}_noise"])), 1e-3) for r in roles}
    members = _members(cells, soft)
    if int(members.sum()) < min_leukocytes:
        markers = {r: Marker(soft[r], _default_location(r), _DEFAULT_SCALE, 0.0, soft[r]) for r in roles}
        return LeukocyteModel(markers, _shares(cells, markers), int(members.sum()), "default")
    markers = {r: _marker(cells[f"if_{r}_cell"].to_numpy(float)[members], soft[r]) for r in roles}
    return LeukocyteModel(markers, _shares(cells, markers), int(members.sum()), "slide")


def _shares(cells: pd.DataFrame, markers: Mapping[str, Marker]) -> tuple[float, ...]:
    return tuple(shares(densities(cells, markers)).tolist())


def _measured(cells: pd.DataFrame, role: str) -> bool:
    return f"if_{role}_cell" in cells.columns and bool(cells[f"if_{role}_cell"].notna().any())


def _default_location(role: str) -> float:
    """CD45 of a leukocyte where none could be measured: thirty times the background's noise."""
    return float(np.arcsinh(30.0)) if role == "exclusion" else 0.0


def _marker(values: Floats, soft: float) -> Marker:
    values = values[np.isfinite(values)]
    location, scale = _robust(np.arcsinh(values / soft))
    level, spread = _robust(values)
    return Marker(soft, location, max(scale, _LEAST_SCALE), level, max(spread, 0.05 * soft))


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
