"""The two colours against each other: light that leaks from one channel into the other, and the shift between them.

**Leak.** The image of a signal in the other channel is fitted at its corrected place, the other channel's own signals
around it taken out. The shares ``image / signal`` scatter about the leak by their errors; a share that is none of the
leak (the other dye's own signal at that place, a granule) may be anything: shares are a normal about the leak and a
uniform beside it, fitted by expectation and maximisation.

**Shift.** Two sources, each with its information, about one vector. The images of the leak lie off by it. And the loci
of both probes lie about each other without preferred direction, so that the way from a CEP17 signal to a HER2 signal
is the shift on average: narrow about it where one object shines in both colours, wide where two loci of a nucleus do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.field import ProbeSurvey
from ctcfish.stages.signals.ghosts import Floats, Ghosts, measure, windows
from ctcfish.stages.signals.lone import Faint, Isolated
from ctcfish.types import Probe

DIRECTIONS: tuple[tuple[Probe, Probe], ...] = (("HER2", "CEP17"), ("CEP17", "HER2"))
_SIGN = {"HER2>CEP17": -1.0, "CEP17>HER2": 1.0}  # way of the image, in shifts to be added to CEP17's places
_FEW = 12
_APART_UM = (2.5, 2.0)  # furthest loci whose way is looked at, along z and in the plane
_SAME_UM = np.array([0.12, 0.05, 0.05])  # scatter of one object seen in both colours
_LOCI_BOUNDS_UM = (0.3, 1.2)
_GHOST_UM, _BRIGHTENED = np.array([0.6, 0.25, 0.25]), 0.25
_COMPANY_UM = 0.5  # of something clear in the other channel
_PRIOR_UM = np.array([0.4, 0.15, 0.15])  # chromatic shift of objectives
_ASYMMETRY, _FURTHEST_UM = 5.0, np.array([1.0, 0.45, 0.45])  # standard errors of the mean way; shifts
_SIGNIFICANT = 11.3  # chi-squared of three numbers, 1 %: below it no shift is better than one that noise feigns
_STEP_UM, _ROUNDS, _CONVERGED_UM = np.array([0.25, 0.1, 0.1]), 20, 1e-3
_OUTLIER_RANGE, _LEAST_OUTLIERS, _MOST_OUTLIERS = 1.5, 0.02, 0.6
_SLACK_UM = np.array([0.3, 0.15, 0.15])  # how far images may lie off while the shift is looked for
_LEAST_SHARE, _NOTICED = 0.04, 1.0
_ASIDE_UM = 0.5  # range of the place of light that is no leak, weighed by its share
_EM_ROUNDS = 30
_MOST_SCATTER = 1.3


@dataclass(frozen=True)
class Pairs:
    """Signals of one field seen in both channels.

    Attributes
    ----------
    ghosts : mapping of str to Ghosts
        ``"HER2>CEP17"``: the CEP17 channel around isolated HER2 signals, and the reverse.
    way_um : ndarray, (M, 3)
        From a CEP17 signal to a HER2 signal near it, for every such pair.
    """

    ghosts: Mapping[str, Ghosts]
    way_um: NDArray[np.float64]


@dataclass(frozen=True)
class Colours:
    """What the colours of a slide have to do with each other.

    Attributes
    ----------
    crosstalk : mapping of str to float
        ``"HER2>CEP17"``: share of HER2 light seen in the CEP17 channel, and the reverse; 0 where too few signals tell.
    shift_um : tuple of float
        ``(z, y, x)`` to add to CEP17 positions to lie on HER2's.
    shift_error_um : tuple of float
        Its standard error.
    """

    crosstalk: Mapping[str, float]
    shift_um: tuple[float, float, float]
    shift_error_um: tuple[float, float, float]

    def way_um(self, probe: Probe) -> Floats:
        """From a signal of that probe to its image in the other channel, ``(3,)``."""
        return np.array(self.shift_um) * (-1.0 if probe == "HER2" else 1.0)


def pair(
    stacks: Mapping[Probe, NDArray[np.generic]],
    isolated: Mapping[Probe, Isolated],
    voxel_um: tuple[float, float, float],
    camera: Camera,
) -> Pairs:
    """Look at the isolated signals of each probe in the other channel."""
    if len(stacks) < 2:
        return Pairs({}, np.empty((0, 3)))
    step = np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])
    setting = (camera.gain_adu_per_photon, camera.offset_adu, camera.read_variance)
    ghosts = {}
    for probe, other in DIRECTIONS:
        seen, own = isolated[probe], isolated[other]
        widths = own.sigma_um if len(own.photons) else seen.sigma_um
        width = np.median(widths, axis=0) if len(widths) else np.array([step[0], 2 * step[1]])
        signals = (seen.position_um, seen.photons, seen.sigma_um)
        ghosts[f"{probe}>{other}"] = windows(stacks[other], signals, (width[0], width[1]), step, setting)
    return Pairs(ghosts, _ways(isolated["HER2"].position_um, isolated["CEP17"].position_um))


def without_ghosts(own: Isolated, other: Isolated, share: float, way_um: Floats) -> Isolated:
    """Leave out isolated signals that the other dye's light makes, or brightens by a quarter or more.

    Parameters
    ----------
    own, other : Isolated
        Of one field.
    share : float
        Light of the other dye that is seen in the own channel.
    way_um : ndarray, (3,)
        From a signal of the other dye to its image in the own channel.

    """
    if not len(own.photons) or not len(other.photons) or share <= 0.0:
        return own
    distance, partner = cKDTree((other.position_um + way_um) / _GHOST_UM).query(own.position_um / _GHOST_UM)
    keep = (distance >= 1.0) | (share * other.photons[partner] <= _BRIGHTENED * own.photons)
    return Isolated(*(getattr(own, f.name)[keep] for f in fields(Isolated)))


def without_company(surveys: Mapping[Probe, ProbeSurvey]) -> dict[Probe, ProbeSurvey]:
    """Leave out faint maxima where the other channel holds something clear: they may be its light."""
    kept = dict(surveys)
    for other, probe in DIRECTIONS:
        if other in surveys and probe in surveys and len(surveys[other].clear_um):
            own, places = surveys[probe].faint, surveys[other].clear_um
            far = cKDTree(places[:, 1:]).query(own.position_um[:, 1:])[0] > _COMPANY_UM
            rows = Faint(*(getattr(own, f.name)[far] for f in fields(Faint)))
            kept[probe] = replace(surveys[probe], faint=rows)
    return kept


def _ways(her2_um: NDArray[np.float64], cep17_um: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(her2_um) or not len(cep17_um):
        return np.empty((0, 3))
    near = cKDTree(cep17_um[:, 1:]).query_ball_point(her2_um[:, 1:], _APART_UM[1])
    one = np.repeat(np.arange(len(her2_um)), [len(n) for n in near])
    two = np.array([j for n in near for j in n], int)
    way = her2_um[one] - cep17_um[two]
    return np.asarray(way[np.abs(way[:, 0]) < _APART_UM[0]])


def merge_pairs(parts: Sequence[Pairs]) -> Colours:
    """Crosstalk and shift of the slide: the shift of the highest posterior, the leak at it.

    Loci whose mean way is not the shift do lie about each other in a direction: they are left aside.
    """
    keys = sorted({key for part in parts for key in part.ghosts})
    ghosts = {key: [p.ghosts[key] for p in parts if key in p.ghosts and len(p.ghosts[key])] for key in keys}
    ghosts = {key: own if sum(map(len, own)) >= _FEW else [] for key, own in ghosts.items()}
    way = np.concatenate([np.empty((0, 3)), *(p.way_um for p in parts)])
    found = _likeliest(ghosts, way)
    return _likeliest(ghosts, way[:0]) if _lopsided(way, np.array(found.shift_um)) else found


def _lopsided(way_um: Floats, shift_um: Floats) -> bool:
    """Whether the loci do not lie about the shift, or the shift is none that an objective has."""
    if not len(way_um):
        return False
    off = np.abs(way_um.mean(axis=0) - shift_um) - _ASYMMETRY * way_um.std(axis=0) / np.sqrt(len(way_um))
    return bool((off > 0.0).any() or (np.abs(shift_um) > _FURTHEST_UM).any())


def _likeliest(ghosts: Mapping[str, Sequence[Ghosts]], way_um: Floats) -> Colours:
    width = {key: np.median(np.concatenate([g.sigma_um for g in own]), axis=0) for key, own in ghosts.items() if own}
    shift, loci, crosstalk = np.zeros(3), _Loci(), dict.fromkeys(ghosts, 0.0)
    information = 1.0 / _PRIOR_UM**2
    for _ in range(_ROUNDS):
        loci, information, pull = loci.improved(way_um, shift)
        information, pull = information + 1.0 / _PRIOR_UM**2, pull - shift / _PRIOR_UM**2
        for key, sigma in width.items():
            leak = _leak(ghosts[key], _SIGN[key] * shift, sigma)
            crosstalk[key] = float(np.clip(leak.share, 0.0, 1.0))
            information, pull = information + leak.information, pull + _SIGN[key] * leak.pull
        step = np.clip(pull / information, -_STEP_UM, _STEP_UM)
        shift = shift + step
        if np.abs(step).max() < _CONVERGED_UM:
            break
    if ((shift**2) * information).sum() < _SIGNIFICANT:
        shift = np.zeros(3)
    z, y, x = shift.tolist()
    error_z, error_y, error_x = (information**-0.5).tolist()
    return Colours(crosstalk, (z, y, x), (error_z, error_y, error_x))


@dataclass(frozen=True)
class _Loci:
    """Ways between signals of both colours: one object, two loci of a nucleus, or neither.

    Attributes
    ----------
    same, together : float
        Shares of the first two.
    spread_um : tuple of float
        Standard deviation of the second.
    """

    same: float = 0.1
    together: float = 0.6
    spread_um: tuple[float, float, float] = (0.8, 0.8, 0.8)

    def improved(self, way_um: Floats, shift_um: Floats) -> tuple[_Loci, Floats, Floats]:
        """One round of expectation and maximisation at a shift; information about it, and pull on it, ``(3,)``."""
        if not len(way_um):
            return self, np.zeros(3), np.zeros(3)
        spread, off = np.array(self.spread_um), way_um - shift_um
        volume = 2.0 * _APART_UM[0] * np.pi * _APART_UM[1] ** 2
        dense = [self.same * _bell(off, _SAME_UM), self.together * _bell(off, spread)]
        dense.append(np.full(len(off), (1.0 - self.same - self.together) / volume))
        same, together, _ = np.stack(dense) / np.sum(dense, axis=0)
        weight = same[:, None] / _SAME_UM**2 + together[:, None] / spread**2
        width = np.sqrt((together[:, None] * off**2).sum(0) / max(together.sum(), 1e-9)).clip(*_LOCI_BOUNDS_UM)
        shares = float(same.mean().clip(0.005, 0.5)), float(together.mean().clip(0.1, 0.95))
        known = _Loci(shares[0], min(shares[1], 0.99 - shares[0]), (width[0], width[1], width[2]))
        return known, weight.sum(0), (weight * off).sum(0)


def _bell(off: Floats, spread: Floats) -> Floats:
    return np.asarray(np.exp(-0.5 * ((off / spread) ** 2).sum(1)) / ((2 * np.pi) ** 1.5 * spread.prod()))


@dataclass(frozen=True)
class _Leak:
    """Share of one dye's light in the other channel, and what its images say of their place, ``(3,)`` each."""

    share: float
    information: Floats
    pull: Floats


def _leak(ghosts: Sequence[Ghosts], way_um: Floats, sigma_um: Floats) -> _Leak:
    """Leak of one direction with its images looked for that far from the signals."""
    seen = [measure(own, way_um, sigma_um) for own in ghosts]
    photons = np.concatenate([own.photons for own in ghosts])
    light, error = (np.concatenate([getattr(s, n) for s in seen]) for n in ("light", "error"))
    moved, moved_error = (np.concatenate([getattr(s, n) for s in seen]) for n in ("moved", "moved_error"))
    first, _ = typical(light / photons, error / photons, np.ones(len(photons)))
    # the other dye's own light lies anywhere: odds of its place, over those of an image that lies where it should
    off = np.hypot(moved_error / photons[:, None], max(first, _LEAST_SHARE) * _SLACK_UM)
    width = np.minimum(off * np.sqrt(2 * np.pi) / _ASIDE_UM, 1.0)
    odds = 0.5 * ((moved / photons[:, None] / off) ** 2).sum(1) + np.log(width).sum(1)
    share, trust = typical(light / photons, error / photons, np.exp(np.clip(odds, 0.0, 50.0)))
    # a leak that noise alone may feign has no image that could tell a place
    noise = 1.0 / float(np.sqrt((trust / (error / photons) ** 2).sum()))
    told = max(share**2 - (_NOTICED * noise) ** 2, 0.0) ** 0.5
    expected = told * photons[:, None]
    weight = trust[:, None] / moved_error**2
    return _Leak(share, (weight * expected**2).sum(0), (weight * expected * moved).sum(0))


def typical(share: Floats, error: Floats, odds: Floats) -> tuple[float, Floats]:
    """Value about which most shares scatter by their errors, the others being anything.

    Parameters
    ----------
    share, error, odds : ndarray, (N,)
        Value, its error, and what else is known of it: odds of another against one of the many.

    Returns
    -------
    value : float
    trust : ndarray, (N,)
        Probability that a share is one of the many, over its scatter squared.
    """
    value, others, scatter = float(np.percentile(share, 40)), 0.2, 1.2
    trust = np.ones(len(share))
    for _ in range(_EM_ROUNDS):
        width = scatter * error
        own = (1 - others) * np.exp(-0.5 * ((share - value) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        trust = own / (own + odds * others / _OUTLIER_RANGE)
        value = float((trust * share / error**2).sum() / (trust / error**2).sum())
        others = float(np.clip(1.0 - trust.mean(), _LEAST_OUTLIERS, _MOST_OUTLIERS))
        square = float((trust * ((share - value) / error) ** 2).sum() / trust.sum())
        scatter = float(np.clip(np.sqrt(square), 1.0, _MOST_SCATTER))
    return value, np.asarray(trust / scatter**2)
