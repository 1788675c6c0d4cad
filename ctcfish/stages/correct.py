"""Uneven illumination taken out of the IF scan's markers, as the slide's own leukocytes show it.

A marker is measured above the background around its cell, and illumination hardly changes over a cell: dividing what
was measured by the illumination at the cell's place is the same as dividing the pixels, at the price of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.parameters import Correct
from ctcfish.stages.immuno.leukocytes import leukocytes_among

Floats = NDArray[np.float64]
Size = tuple[float, float]

_ROLES: Mapping[str, str] = {
    "nucleus": "if_nucleus_nucleus",
    "inclusion": "if_inclusion_cell",
    "exclusion": "if_exclusion_cell",
    "her2_protein": "if_her2_protein_cell",
}
"""What of each stain the illumination is read from."""

_DIVIDED = ("nucleus", "ring", "cell", "max", "sd")
_STAIN_SD = 0.03
_CLIP = 1.5
_ROUNDS = 30
_LEAST_SPREAD = 1e-3
_STEEPEST = 0.5


@dataclass(frozen=True)
class Shading:
    """Illumination of the microscope's fields of one size.

    Attributes
    ----------
    scenes : tuple of str
        IF scenes made of such fields.
    frame_um : tuple of float
        Size ``(y, x)`` of a field.
    n_leukocytes : int
        Leukocytes it rests on.
    slopes : mapping of role to tuple of float
        Logarithm of the illumination: factors of ``u, v, u^2 - 1/3, u v, v^2 - 1/3``, with u and v from -1 to 1 across
        the field in y and in x. Its mean over the field is 0.
    """

    scenes: tuple[str, ...]
    frame_um: Size
    n_leukocytes: int
    slopes: Mapping[str, tuple[float, ...]]

    def summary(self) -> dict[str, Any]:
        """What ``slide.json`` carries: the dimmest place over the brightest beside the slopes."""
        u, v = np.meshgrid(*(np.linspace(-1, 1, 21),) * 2, indexing="ij")
        terms = _terms(u.ravel(), v.ravel())
        darkest = {role: float(np.exp(-np.ptp(terms @ np.array(own)))) for role, own in self.slopes.items()}
        return {
            "scenes": list(self.scenes),
            "frame_um": list(self.frame_um),
            "n_leukocytes": self.n_leukocytes,
            "darkest_over_brightest": darkest,
            "slopes": {role: list(own) for role, own in self.slopes.items()},
        }


@dataclass(frozen=True)
class Corrected:
    """Measured IF nuclei by scene with the illumination taken out, and the illumination."""

    cells: dict[str, pd.DataFrame]
    shading: tuple[Shading, ...]


def correct(measured: Mapping[str, pd.DataFrame], frame_um: Mapping[str, Size], params: Correct) -> Corrected:
    """Divide the markers of IF nuclei by the illumination of the microscope's field they lie in.

    One smooth surface per stain is fitted to the brightness of the slide's leukocytes against their place in the field,
    over all fields of one size together: quadratic in the logarithm, drawn to what all stains share, and that to even
    illumination. A scene is one field, or a mosaic of fields whose size is known; where it is not, the mosaic counts
    as one field, and what repeats from field to field stays in.

    Parameters
    ----------
    measured : mapping of IF scene to pandas.DataFrame
        From :func:`ctcfish.stages.immuno.markers.measure`.
    frame_um : mapping of IF scene to (y, x)
        Size of the field, or of the fields a mosaic is made of.
    params : Correct

    Returns
    -------
    Corrected
        Intensities divided, backgrounds and noise as they were; a field size with fewer than
        ``params.min_leukocytes`` leukocytes is left as it is and has no shading.
    """
    cells = dict(measured)
    found = []
    for size in sorted({_rounded(frame_um[name]) for name in measured}):
        names = sorted(name for name in measured if _rounded(frame_um[name]) == size)
        shading = _shading({name: measured[name] for name in names}, size, params)
        if shading is not None:
            cells |= {name: _divided(measured[name], shading) for name in names}
            found.append(shading)
    return Corrected(cells, tuple(found))


def _rounded(size: Size) -> Size:
    return round(size[0], 1), round(size[1], 1)


def _shading(measured: Mapping[str, pd.DataFrame], size: Size, params: Correct) -> Shading | None:
    cells = pd.concat(list(measured.values()), ignore_index=True)
    stained = [column for column in _ROLES.values() if cells[column].notna().any()]
    own = cells[leukocytes_among(cells) & cells[stained].notna().all(axis=1)]
    if len(own) < params.min_leukocytes:
        return None
    terms = _terms(*_place(own, size))
    values = {role: own[column].to_numpy(np.float64) for role, column in _ROLES.items() if column in stained}
    known = {role: value for role, value in values.items() if np.median(value) > 0}
    shared = _fit(terms, list(known.values()), np.zeros(terms.shape[1]), params.even_within)
    slopes = {role: tuple(_fit(terms, [value], shared, _STAIN_SD).tolist()) for role, value in known.items()}
    return Shading(tuple(measured), size, len(own), slopes)


def _place(cells: pd.DataFrame, size: Size) -> tuple[Floats, Floats]:
    """Place in the microscope's field, from -1 to 1 in y and in x."""
    y, x = (
        2.0 * (cells[column].to_numpy(np.float64) % side) / side - 1.0
        for column, side in zip(("if_y_um", "if_x_um"), size, strict=True)
    )
    return y, x


def _terms(u: Floats, v: Floats) -> Floats:
    return np.stack([u, v, u * u - 1 / 3, u * v, v * v - 1 / 3], axis=1)


def _fit(terms: Floats, stains: Sequence[Floats], believed: Floats, spread: float) -> Floats:
    """Slopes that all stains share, by robust scoring of a multiplicative model with a normal prior.

    The brightness of a leukocyte is a level times the illumination times its own factor; levels are medians, deviations
    beyond 1.5 robust standard deviations are clipped (Huber), and a faint stain may be negative. A stain speaks the
    louder the less its cells differ.

    Parameters
    ----------
    terms : ndarray, (N, 5)
    stains : sequence of ndarray, (N,)
        Brightness of the cells in each stain.
    believed : ndarray, (5,)
        Slopes before the cells are seen.
    spread : float
        Standard deviation of the slopes about them.
    """
    slopes = believed.copy()
    for _ in range(_ROUNDS):
        hessian = np.eye(len(slopes)) / spread**2
        gradient = (believed - slopes) / spread**2
        for value in stains:
            flat = value / np.exp(terms @ slopes)
            deviation = flat / np.median(flat) - 1.0
            scale = max(1.4826 * float(np.median(np.abs(deviation - np.median(deviation)))), _LEAST_SPREAD)
            within = np.abs(deviation) <= _CLIP * scale
            centred = terms - terms.mean(axis=0)
            hessian += centred[within].T @ centred[within] / scale**2
            gradient += centred.T @ np.clip(deviation / scale, -_CLIP, _CLIP) / scale
        step = np.linalg.solve(hessian, gradient)
        slopes = np.clip(slopes + step, -_STEEPEST, _STEEPEST)
        if float(np.abs(step).max()) < 1e-7:
            break
    return slopes


def _divided(cells: pd.DataFrame, shading: Shading) -> pd.DataFrame:
    terms = _terms(*_place(cells, shading.frame_um))
    columns: dict[str, pd.Series] = {}
    for role, slopes in shading.slopes.items():
        light = np.exp(terms @ np.array(slopes))
        columns |= {f"if_{role}_{part}": cells[f"if_{role}_{part}"] / light for part in _DIVIDED}
    return cells.assign(**columns)
