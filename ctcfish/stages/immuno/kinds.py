"""How well each kind of cell explains a nucleus's cytokeratin and CD45."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PRESENT_FREEDOM, _LACK_FREEDOM = 5.0, 5.0
_CK_RANGE = 6.0
_CK_EDGE_SDS = 3.0
_START_SHARES = (0.97, 0.01, 0.01, 0.01)
_ROUNDS = 50


@dataclass(frozen=True)
class Marker:
    """A stain on leukocytes, on the softened logarithm ``asinh(intensity / soft)``.

    Attributes
    ----------
    soft : float
        Noise of a background pixel, below which the logarithm turns linear.
    location, scale : float
        Median and robust standard deviation over the slide's leukocytes.
    level, spread : float
        The same of the intensity itself.
    absent_location, absent_scale : float
        Median and robust standard deviation over cells without the stain.
    present_location, present_scale, present_weight : float
        The same over cells with it, and how far they are trusted against a flat density.
    freedom : float
        Degrees of freedom of the leukocytes' distribution: the fewer, the heavier its tails.
    """

    soft: float
    location: float
    scale: float
    level: float
    spread: float
    absent_location: float = 0.5
    absent_scale: float = 0.9
    present_location: float = 0.0
    present_scale: float = 1.0
    present_weight: float = 0.0
    freedom: float = 5.0

    def transform(self, intensity: Floats) -> Floats:
        """Softened logarithm."""
        return np.asarray(np.arcsinh(intensity / self.soft))

    def sds(self, intensity: Floats) -> Floats:
        """Leukocyte standard deviations above the leukocytes."""
        return np.asarray((self.transform(intensity) - self.location) / self.scale)


def densities(cells: pd.DataFrame, markers: Mapping[str, Marker]) -> Floats:
    """Density ``(N, 4)`` of each nucleus as leukocyte, CTC, neither stain, both stains.

    Cytokeratin and CD45 are each present or absent. Absent cytokeratin and present CD45 are the leukocytes' own
    distributions (Student, as heavy in the tails as the marker says). Present cytokeratin and absent CD45 are what the
    slide's clear CTC show, as far as there are some; else the one is flat on the softened logarithm from just above the
    leukocytes, and the other lies about the background. A stain that was not measured speaks for no kind.
    """
    ck_absent, ck_present = _cytokeratin(cells, markers.get("inclusion"))
    cd45_absent, cd45_present = _cd45(cells, markers.get("exclusion"))
    columns = (ck_absent * cd45_present, ck_present * cd45_absent, ck_absent * cd45_absent, ck_present * cd45_present)
    return np.maximum(np.stack(columns, axis=1), 1e-300)


def shares(density: Floats) -> Floats:
    """Shares of the four on the slide, by expectation maximisation with one imagined nucleus of each."""
    share = np.array(_START_SHARES)
    if not len(density):
        return share
    for _ in range(_ROUNDS):
        chances = density * share
        chances /= chances.sum(1, keepdims=True)
        share = (chances.sum(0) + 1) / (len(density) + density.shape[1])
    return share


def _values(cells: pd.DataFrame, role: str, marker: Marker) -> Floats:
    return marker.transform(cells[f"if_{role}_cell"].to_numpy(np.float64))


def _cytokeratin(cells: pd.DataFrame, marker: Marker | None) -> tuple[Floats, Floats]:
    if marker is None:
        return np.ones(len(cells)), np.ones(len(cells))
    value = _values(cells, "inclusion", marker)
    edge = marker.location + _CK_EDGE_SDS * marker.scale
    above = 1 / (1 + np.exp(-np.clip((value - edge) / (0.5 * marker.scale), -60, 60)))
    learnt = _student(value, marker.present_location, marker.present_scale, _PRESENT_FREEDOM)
    present = above * ((1 - marker.present_weight) / _CK_RANGE + marker.present_weight * learnt)
    return _known(_student(value, marker.location, marker.scale, marker.freedom)), _known(present)


def _cd45(cells: pd.DataFrame, marker: Marker | None) -> tuple[Floats, Floats]:
    if marker is None:
        return np.ones(len(cells)), np.ones(len(cells))
    value = _values(cells, "exclusion", marker)
    return (
        _known(_student(value, marker.absent_location, marker.absent_scale, _LACK_FREEDOM)),
        _known(_student(value, marker.location, marker.scale, marker.freedom)),
    )


def _known(density: Floats) -> Floats:
    return np.asarray(np.where(np.isfinite(density), density, 1.0))


def _student(value: Floats, location: float, scale: float, freedom: float) -> Floats:
    """Student density: Gamma((f + 1) / 2) / (Gamma(f / 2) sqrt(f pi)) (1 + z^2 / f)^(-(f + 1) / 2) / scale."""
    z = (value - location) / scale
    height = math.gamma((freedom + 1) / 2) / (math.gamma(freedom / 2) * math.sqrt(freedom * math.pi))
    return np.asarray(height * (1 + z * z / freedom) ** (-(freedom + 1) / 2) / scale)
