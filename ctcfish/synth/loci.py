"""HER2 and CEP17 loci in a nucleus: how many by the cell's state, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctcfish.synth.nucleus import Shape
from ctcfish.synth.spec import CopyClass, Signals

HER2, CEP17 = 0, 1


@dataclass(frozen=True)
class Copies:
    """Copies of a cell, before they are placed.

    Attributes
    ----------
    chromosomes : int
        Copies of chromosome 17, each with its centromere and one HER2 locus.
    doubled : bool
        S or G2: every locus is a pair of sisters.
    scattered : int
        Further HER2 loci anywhere in the nucleus.
    clusters : tuple of int
        HER2 loci in each cluster.
    compact : bool
        Clusters are compact (HSR) rather than loose.
    lost_centromeres : int
        Chromosomes whose centromere is gone, their HER2 locus not.
    gained_centromeres : int
        Centromeres amplified together with the first cluster.
    """

    chromosomes: int
    doubled: bool = False
    scattered: int = 0
    clusters: tuple[int, ...] = ()
    compact: bool = False
    lost_centromeres: int = 0
    gained_centromeres: int = 0

    @property
    def her2(self) -> int:
        """True HER2 copies."""
        return self.chromosomes * (1 + self.doubled) + self.scattered + sum(self.clusters)

    @property
    def cep17(self) -> int:
        """True CEP17 copies."""
        return (self.chromosomes - self.lost_centromeres) * (1 + self.doubled) + self.gained_centromeres


def draw_copies(copy_class: CopyClass, rng: np.random.Generator) -> Copies:
    """Draw the copies of a cell of the given state."""
    fixed = {
        "diploid": Copies(2),
        "g2": Copies(2, doubled=True),
        "gain_3_2": Copies(2, scattered=1),
        "gain_4_2": Copies(2, scattered=2),
        "monosomy": Copies(1),
        "cep17_loss": Copies(2, lost_centromeres=1),
    }
    if copy_class in fixed:
        return fixed[copy_class]
    if copy_class == "polysomy":
        return Copies(int(rng.integers(3, 6)))
    chromosomes = int(rng.integers(2, 4))
    if copy_class == "amplified_low":
        return Copies(chromosomes, scattered=int(rng.integers(int(np.ceil(1.4 * chromosomes)), 3 * chromosomes + 1)))
    if copy_class == "amplified_dispersed":
        return Copies(chromosomes, scattered=int(rng.integers(8, 19)))
    if copy_class == "coamplified":
        size = int(rng.integers(8, 15))
        return Copies(chromosomes, clusters=(size,), gained_centromeres=int(rng.integers(size // 2, size + 1)))
    sizes = tuple(int(n) for n in rng.integers(6, 17, int(rng.integers(1, 3))))
    return Copies(chromosomes, clusters=sizes, compact=copy_class == "amplified_hsr")


@dataclass(frozen=True)
class Loci:
    """Loci of one nucleus.

    Attributes
    ----------
    probe : ndarray of int8, (N,)
        0 HER2, 1 CEP17.
    zyx_um : ndarray of float64, (N, 3)
        From the nucleus's centre.
    photons, size_um : ndarray of float64, (N,)
    group : ndarray of int32, (N,)
        Cluster the locus was placed in, from 1; 0 for none.
    """

    probe: NDArray[np.int8]
    zyx_um: NDArray[np.float64]
    photons: NDArray[np.float64]
    size_um: NDArray[np.float64]
    group: NDArray[np.int32]


def joined(first: Loci, second: Loci) -> Loci:
    """Loci of both, one after the other."""
    return Loci(
        probe=np.concatenate([first.probe, second.probe]),
        zyx_um=np.concatenate([first.zyx_um, second.zyx_um]),
        photons=np.concatenate([first.photons, second.photons]),
        size_um=np.concatenate([first.size_um, second.size_um]),
        group=np.concatenate([first.group, second.group]),
    )


def place_loci(copies: Copies, shape: Shape, signals: Signals, rng: np.random.Generator) -> Loci:
    """Place a cell's loci inside its nucleus and give each its size and brightness.

    HER2 lies on the arm of chromosome 17, about a micrometre from its centromere; sisters lie 0.2 to 0.7 um apart;
    a loose cluster is 1 to 2.5 um across, a compact one under a micrometre.
    """
    centromeres = _inside(rng.uniform(-1, 1, (copies.chromosomes, 3)), shape, rng)
    genes = _near(centromeres, 0.8, shape, rng)
    centromeres = centromeres[copies.lost_centromeres :]
    if copies.doubled:
        centromeres, genes = _sisters(centromeres, signals, rng), _sisters(genes, signals, rng)
    scattered = _inside(rng.uniform(-1, 1, (copies.scattered, 3)), shape, rng)
    parts, groups = [genes, scattered], [np.zeros(len(genes) + copies.scattered, np.int32)]
    gained = np.zeros((0, 3))
    for number, size in enumerate(copies.clusters, 1):
        spread = rng.uniform(0.12, 0.22) if copies.compact else rng.uniform(0.3, 0.6)
        middle = _inside(rng.uniform(-1, 1, (1, 3)), shape, rng)
        parts.append(_near(np.repeat(middle, size, axis=0), spread, shape, rng))
        groups.append(np.full(size, number, np.int32))
        if number == 1 and copies.gained_centromeres:
            gained = _near(np.repeat(middle, copies.gained_centromeres, axis=0), spread, shape, rng)
    her2, groups_cep17 = np.concatenate(parts), np.repeat(np.array([0, 1], np.int32), [len(centromeres), len(gained)])
    centromeres = np.concatenate([centromeres, gained])
    probe = np.repeat(np.array([HER2, CEP17], np.int8), [len(her2), len(centromeres)])
    n = len(probe)
    median = signals.photons * np.where(probe == CEP17, signals.cep17_brightness, 1.0)
    ranges = np.array([signals.her2_size_um, signals.cep17_size_um])[probe]
    return Loci(
        probe=probe,
        zyx_um=np.concatenate([her2, centromeres]),
        photons=median * np.exp(signals.photons_log_sd * rng.standard_normal(n)),
        size_um=ranges[:, 0] + rng.uniform(0, 1, n) * (ranges[:, 1] - ranges[:, 0]),
        group=np.concatenate([*groups, groups_cep17]),
    )


def place_unspecific(shape: Shape, signals: Signals, n: tuple[int, int], rng: np.random.Generator) -> Loci:
    """Place probe that stuck where no locus is: ``n`` HER2 and CEP17 signals, fainter than true ones by a third."""
    total = sum(n)
    probe = np.repeat(np.array([HER2, CEP17], np.int8), n)
    median = 0.67 * signals.photons * np.where(probe == CEP17, signals.cep17_brightness, 1.0)
    ranges = np.array([signals.her2_size_um, signals.cep17_size_um])[probe]
    return Loci(
        probe=probe,
        zyx_um=_inside(rng.uniform(-1, 1, (total, 3)), shape, rng),
        photons=median * np.exp(signals.photons_log_sd * rng.standard_normal(total)),
        size_um=ranges[:, 0],
        group=np.zeros(total, np.int32),
    )


def _inside(unit: NDArray[np.float64], shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points of the cube -1..1 moved into the nucleus, evenly over its volume, off its very surface."""
    points = unit.copy()
    for _ in range(200):
        scaled = points * np.array([shape.thickness_um / 2, shape.reach_um, shape.reach_um])
        outside = ~_holds(shape, scaled)
        if not outside.any():
            break
        points[outside] = rng.uniform(-1, 1, (int(outside.sum()), 3))
    return np.asarray(points * np.array([shape.thickness_um / 2, shape.reach_um, shape.reach_um]))


def _holds(shape: Shape, zyx_um: NDArray[np.float64]) -> NDArray[np.bool_]:
    if len(shape.balls):
        away = np.linalg.norm(zyx_um[:, None] - shape.balls[:, :3], axis=2)
        return np.asarray((away <= 0.8 * shape.balls[:, 3]).any(axis=1))
    depth = shape.depth(zyx_um[:, 1], zyx_um[:, 2]) / 0.92
    return np.asarray((depth <= 1) & (np.abs(zyx_um[:, 0]) <= 0.85 * shape.half_thickness_um(depth)))


def _near(places: NDArray[np.float64], spread_um: float, shape: Shape, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points scattered about the given ones, inside the nucleus."""
    result = places.copy()
    outside = np.ones(len(places), bool)
    for _ in range(50):
        result[outside] = places[outside] + spread_um * rng.standard_normal((int(outside.sum()), 3)) * (0.8, 1, 1)
        outside = ~_holds(shape, result)
        if not outside.any():
            break
    result[outside] = places[outside]
    return result


def _sisters(places: NDArray[np.float64], signals: Signals, rng: np.random.Generator) -> NDArray[np.float64]:
    arrows = rng.standard_normal(places.shape) * np.array([0.4, 1.0, 1.0])
    arrows /= np.linalg.norm(arrows, axis=1, keepdims=True)
    half = rng.uniform(*signals.sister_um, (len(places), 1)) / 2
    return np.concatenate([places + half * arrows, places - half * arrows])
