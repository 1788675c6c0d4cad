"""Two scans of one slide as points alone: a constellation of nuclei, and the same after re-mounting, with truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Remounting:
    """What happens between the scans.

    Attributes
    ----------
    n_common : int
        Nuclei present in both scans.
    missing, extra : float
        Share of IF nuclei absent from FISH, and of FISH nuclei absent from IF.
    rotation_deg, scale : float
    mirrored : bool
    shift_um : tuple of float
    jitter_um : float
        Standard deviation of a centroid's displacement along one axis, in all.
    strain : float
        Largest local stretch of a smooth deformation, half a wave over the scan.
    density_per_mm2 : float
        Nuclei of the IF scan.
    clumped : float
        Share of nuclei that lie next to another.
    """

    n_common: int = 500
    missing: float = 0.3
    extra: float = 0.3
    rotation_deg: float = 2.0
    scale: float = 1.0
    mirrored: bool = False
    shift_um: tuple[float, float] = (40.0, -25.0)
    jitter_um: float = 0.7
    strain: float = 0.002
    density_per_mm2: float = 680.0
    clumped: float = 0.15


@dataclass(frozen=True)
class Pair:
    """Both scans and the truth.

    Attributes
    ----------
    if_points, fish_points : pandas.DataFrame
        As :func:`ctcfish.stages.relocate.relocate` takes them.
    truth : ndarray of int, (N,)
        FISH label of each IF nucleus; 0 where it is gone.
    """

    if_points: pd.DataFrame
    fish_points: pd.DataFrame
    truth: NDArray[np.int64]


def remount(spec: Remounting, seed: int) -> Pair:
    """Simulate two scans of one slide.

    Parameters
    ----------
    spec : Remounting
    seed : int
    """
    rng = np.random.default_rng(seed)
    n_if = round(spec.n_common / (1 - spec.missing))
    n_extra = round(spec.n_common * spec.extra / (1 - spec.extra))
    side = float(np.sqrt(n_if / spec.density_per_mm2) * 1000)
    here = scatter(n_if + n_extra, side, spec.clumped, rng)
    area = rng.lognormal(np.log(45.0), 0.25, len(here))
    there = _remounted(here, spec, side) + rng.normal(0, spec.jitter_um, here.shape)
    area_there = area * spec.scale**2 * 1.1 * rng.lognormal(0, 0.12, len(here))
    in_fish = np.concatenate([rng.permutation(n_if)[: spec.n_common], np.arange(n_if, len(here))])
    in_fish = in_fish[rng.permutation(len(in_fish))]
    truth = np.zeros(len(here), np.int64)
    truth[in_fish] = np.arange(1, len(in_fish) + 1)
    if_points = _table(here[:n_if], area[:n_if]).rename(columns={"label": "if_label"}).assign(if_scene="if")
    fish_points = _table(there[in_fish], area_there[in_fish]).assign(scene="fish")
    return Pair(if_points, fish_points, truth[:n_if])


def scatter(n: int, side_um: float, clumped: float, rng: np.random.Generator) -> Points:
    """Nuclei ``(N, 2)`` on a square: some alone, some touching another; none closer than 5 um."""
    places = np.zeros((0, 2))
    while len(places) < n:
        fresh = rng.uniform(0, side_um, (n, 2))
        parents = rng.integers(0, n, round(clumped * n))
        angle = rng.uniform(0, 2 * np.pi, len(parents))
        reach = rng.uniform(7.0, 11.0, len(parents))
        beside = fresh[parents] + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        places = _apart(np.concatenate([places, rng.permutation(np.concatenate([fresh, beside]))]))
    return places[:n]


def _apart(places: Points, least_um: float = 5.0) -> Points:
    """Drop the later of two that are too close."""
    from scipy.spatial import cKDTree

    close = cKDTree(places).query_pairs(least_um, output_type="ndarray")
    return np.asarray(np.delete(places, np.unique(close.max(axis=1)), axis=0)) if len(close) else places


def _remounted(places: Points, spec: Remounting, side: float) -> Points:
    wave = np.pi / side
    bend = spec.strain / wave * np.stack([np.sin(wave * places[:, 1]), np.sin(wave * places[:, 0])], axis=1)
    turn = np.radians(spec.rotation_deg)
    matrix = spec.scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    flipped = places * (np.array([1.0, -1.0]) if spec.mirrored else 1.0)
    return np.asarray((flipped + bend) @ matrix.T + np.asarray(spec.shift_um))


def _table(places: Points, area: Points) -> pd.DataFrame:
    return pd.DataFrame(
        {"label": np.arange(1, len(places) + 1), "y_um": places[:, 0], "x_um": places[:, 1], "area_um2": area}
    )


@dataclass(frozen=True)
class Fields:
    """A FISH mosaic cut into fields.

    Attributes
    ----------
    fish_points : pandas.DataFrame
        Each field with coordinates of its own; a nucleus in two fields keeps its label.
    stage_um : dict of str to (y, x)
        Where the stage says each field lies.
    """

    fish_points: pd.DataFrame
    stage_um: dict[str, tuple[float, float]]


def into_fields(fish_points: pd.DataFrame, size_um: float, step_um: float, stage_error_um: float, seed: int) -> Fields:
    """Cut a mosaic into square fields, each with a little shift of its own that the stage does not know.

    Parameters
    ----------
    fish_points : pandas.DataFrame
    size_um, step_um : float
        Side of a field, and from one field to the next.
    stage_error_um : float
        Standard deviation of the stage along one axis.
    seed : int
    """
    rng = np.random.default_rng(seed)
    places = fish_points[["y_um", "x_um"]].to_numpy(float)
    low, high = places.min(0), places.max(0)
    tables: list[pd.DataFrame] = []
    stage: dict[str, tuple[float, float]] = {}
    for top in np.arange(low[0], max(high[0] - size_um, low[0]) + 1, step_um):
        for left in np.arange(low[1], max(high[1] - size_um, low[1]) + 1, step_um):
            corner = np.array([top, left])
            inside = ((places >= corner) & (places < corner + size_um)).all(1)
            name = f"field{len(stage):03d}"
            own = fish_points[inside].assign(scene=name)
            own[["y_um", "x_um"]] -= corner
            tables.append(own)
            y, x = corner + rng.normal(0, stage_error_um, 2)
            stage[name] = (float(y), float(x))
    return Fields(pd.concat(tables, ignore_index=True), stage)
