"""Crowded regions: how many emitters, and where; all regions of a batch in lockstep.

Emitters are added one by one where light is missing most significantly, all are refined jointly after each addition,
and the evidence of every number is kept. Greedy addition stops short of the truth where emitters overlap closely, but
the total light at the number of highest evidence is nearly unbiased: so the number is taken from the light, by the
brightness prior, together with a tempered share of the evidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctcfish.ops.emitters import Crops, Emitters, Frame
from ctcfish.ops.missing import brightest_pixel, missing_light, overdispersion
from ctcfish.ops.scoring import log_likelihood, log_occam, refine
from ctcfish.ops.zones import Zones

_SIMILAR = (2, 5, 9, 14)  # regions of up to so many emitters are refined together
HOPELESS = 5.0
"""Evidence that an addition in vain may cost before no other is tried: of 450 regions 2 gained by another after it."""
RESTED = 4.0
"""Gain of log-posterior that a step promised, under which none follows: counts are the same as to the last step."""

CLOSE = 2.5
"""Widths: an emitter farther from every other is none too many; of 640 tries to leave out the faintest 5 won there."""


@dataclass(frozen=True)
class Growth:
    """How far regions are resolved.

    Parameters
    ----------
    most_emitters : int
        Emitters a region may hold; beyond that only light counts.
    patience : int
        Additions without gain of evidence after which a region is left alone.
    first_steps, steps, last_steps : int
        Scoring steps, at most, after the start, after each addition or drop, and at the chosen number.
    drops : int
        Times the faintest of the emitters close to another is tried to be left out of the best number.
    """

    most_emitters: int = 24
    patience: int = 2
    first_steps: int = 4
    steps: int = 2
    last_steps: int = 1
    drops: int = 2


@dataclass(frozen=True)
class Path:
    """Every number of emitters that was tried in every region.

    Parameters
    ----------
    log_likelihood : Tensor, (R, most + 1)
        −∞ for numbers not tried.
    log_occam : Tensor, (R, most + 1)
        Prior and volume of the posterior.
    total_photons : Tensor, (R, most + 1)
        Light of all emitters.
    places : Tensor, (R, most + 1, most, 3)
    log_photons, log_widths : Tensor, (R, most + 1, most)
    background : Tensor, (R, most + 1, B)
    crowding : Tensor, (R, most + 1)
        Light under an emitter, in signals of mean brightness, less one; averaged over the light.
    dispersion : Tensor, (R,)
        Overdispersion of the residuals beside the emitters, at least 1.
    """

    log_likelihood: Tensor
    log_occam: Tensor
    total_photons: Tensor
    places: Tensor
    log_photons: Tensor
    log_widths: Tensor
    background: Tensor
    crowding: Tensor
    dispersion: Tensor

    @property
    def log_evidence(self) -> Tensor:
        """Logarithm of the evidence of every number, the likelihood tempered by the overdispersion: (R, most + 1)."""
        return self.log_likelihood / self.dispersion[:, None] + self.log_occam


def grow(frame: Frame, crops: Crops, start: Emitters, zones: Zones, growth: Growth) -> Path:
    """Add emitters to every region until the evidence no longer rises and the light is accounted for.

    Parameters
    ----------
    frame : Frame
    crops : Crops
        R regions of one shape.
    start : Emitters
        Candidates to begin with, M slots, used ones first; at least one used.
    zones : Zones
    growth : Growth

    Returns
    -------
    Path
    """
    path, whole = _empty_path(frame, len(crops.level), growth.most_emitters, start.places), crops
    state, active = _padded(start, growth.most_emitters), torch.arange(len(crops.level), device=start.places.device)
    steps = growth.first_steps
    while True:
        slots = int(state.used.sum(1).max())
        narrow = replace(
            state,
            places=state.places[:, :slots],
            log_photons=state.log_photons[:, :slots],
            log_widths=state.log_widths[:, :slots],
            used=state.used[:, :slots],
        )
        narrow, log_determinant = _refined(frame, crops, narrow, steps)
        number = narrow.used.sum(1).long()
        _record(frame, path, active, narrow, _judged(frame, crops, narrow, log_determinant))
        significance = missing_light(frame, crops, narrow)
        path.dispersion[active] = overdispersion(significance, zones.ring)
        highest, best = path.log_evidence[active].max(1)
        light = path.total_photons[active, best] / frame.model.mean_photons
        # a region that one emitter explains is left at the first addition in vain, and any at one that costs much
        patience = torch.where(
            path.log_evidence[active, number] < highest - HOPELESS, 1, best.clamp(max=growth.patience)
        )
        enough = (number >= best + patience) & (number >= light.round())
        keep = (~enough & (number < growth.most_emitters)).nonzero()[:, 0]
        if len(keep) == 0:
            break
        if len(keep) < len(active):
            active, crops, zones, narrow = active[keep], crops.rows(keep), zones.rows(keep), narrow.rows(keep)
            significance = significance[keep]
        peak = brightest_pixel(frame, significance, zones.allowed)
        state = _with_one_more(_padded(narrow, growth.most_emitters), peak, frame)
        steps = growth.steps
    for _ in range(growth.drops):
        _drop_faintest(frame, whole, path, growth.steps)
    return path


def _drop_faintest(frame: Frame, crops: Crops, path: Path, steps: int) -> None:
    """Leave out the faintest emitter that has another close by, of every region's best number.

    Kept where the evidence of one fewer rises.
    """
    best = path.log_evidence.argmax(1)
    row = torch.arange(len(best), device=best.device)
    used = torch.arange(path.log_photons.shape[2], device=best.device) < best[:, None]
    close = _apart(frame, path.places[row, best]) < CLOSE**2
    paired = (close & used[:, None]).sum(2) > 1  # itself and another
    faint, slot = torch.where(used & paired, path.log_photons[row, best], torch.inf).min(1)
    tried = (best >= 2) & (faint < math.log(frame.model.median_photons))
    rows = tried.nonzero()[:, 0]
    if len(rows) == 0:
        return
    best, slot, slots = best[rows], slot[rows], int(best[rows].max())
    state = _at(path, rows, best, slots)
    row = torch.arange(len(rows), device=rows.device)
    last = best - 1
    for values in (state.places, state.log_photons, state.log_widths):
        values[row, slot] = values[row, last]
    state.used[row, last] = 0.0
    state, log_determinant = _refined(frame, crops.rows(rows), state, steps)
    likelihood, occam = _judged(frame, crops.rows(rows), state, log_determinant)
    better = (likelihood / path.dispersion[rows] + occam > path.log_evidence[rows, last]).nonzero()[:, 0]
    if len(better):
        _record(frame, path, rows[better], state.rows(better), (likelihood[better], occam[better]))


def _refined(frame: Frame, crops: Crops, state: Emitters, steps: int) -> tuple[Emitters, Tensor]:
    """State after so many scoring steps, fewer where it rests, and the log-determinant before the last of them (R,)."""
    out = state.rows(torch.arange(len(crops.level), device=crops.level.device))
    log_determinant, moving = torch.zeros_like(crops.level), torch.ones_like(crops.level, dtype=torch.bool)
    for _ in range(steps):
        if not bool(moving.any()):
            break
        part, log_determinant[moving], gain = refine(frame, crops.rows(moving), out.rows(moving))
        for name in ("places", "log_photons", "log_widths", "background"):
            getattr(out, name)[moving] = getattr(part, name)
        moving = moving.masked_scatter(moving, gain >= RESTED)
    return out, log_determinant


def _judged(frame: Frame, crops: Crops, state: Emitters, log_determinant: Tensor) -> tuple[Tensor, Tensor]:
    """Likelihood and Occam factor of the state, logarithms, each (R,)."""
    return log_likelihood(frame, crops, state), log_occam(frame, state, log_determinant)


def _at(path: Path, rows: Tensor, number: Tensor, slots: int) -> Emitters:
    """State of ``rows`` with ``number`` emitters, copied from the path."""
    used = torch.arange(slots, device=number.device) < number[:, None]
    return Emitters(
        path.places[rows, number][:, :slots].clone(),
        path.log_photons[rows, number][:, :slots].clone(),
        path.log_widths[rows, number][:, :slots].clone(),
        used.to(path.places.dtype),
        path.background[rows, number],
    )


def _empty_path(frame: Frame, regions: int, most: int, like: Tensor) -> Path:
    """A path on which nothing has been tried."""
    return Path(
        like.new_full((regions, most + 1), -torch.inf),
        like.new_zeros(regions, most + 1),
        like.new_zeros(regions, most + 1),
        like.new_zeros(regions, most + 1, most, 3),
        like.new_zeros(regions, most + 1, most),
        like.new_zeros(regions, most + 1, most),
        like.new_zeros(regions, most + 1, len(frame.series.orders)),
        like.new_zeros(regions, most + 1),
        like.new_ones(regions),
    )


def _padded(state: Emitters, slots: int) -> Emitters:
    """State with ``slots`` slots, the new ones unused."""
    more = slots - state.used.shape[1]
    pad = torch.nn.functional.pad
    return replace(
        state,
        places=pad(state.places, (0, 0, 0, more)),
        log_photons=pad(state.log_photons, (0, more)),
        log_widths=pad(state.log_widths, (0, more)),
        used=pad(state.used, (0, more)),
    )


def _record(frame: Frame, path: Path, active: Tensor, state: Emitters, judged: tuple[Tensor, Tensor]) -> None:
    """Keep the state of every active region under its number of emitters, in place."""
    slots, number = state.used.shape[1], state.used.sum(1).long()
    path.log_likelihood[active, number], path.log_occam[active, number] = judged
    path.total_photons[active, number] = state.photons.sum(1)
    path.places[active, number, :slots] = state.places
    path.log_photons[active, number, :slots] = state.log_photons
    path.log_widths[active, number, :slots] = state.log_widths
    path.background[active, number] = state.background
    path.crowding[active, number] = _crowding(frame, state)


def _crowding(frame: Frame, state: Emitters) -> Tensor:
    """Light under an emitter, in signals of mean brightness, less one; averaged over the light: (R,)."""
    model, photons = frame.model, state.photons
    under = (torch.exp(-0.25 * _apart(frame, state.places)) * photons[:, None]).sum(2) / model.mean_photons - 1.0
    return ((under * photons).sum(1) / photons.sum(1).clamp(min=1.0)).clamp(min=0.0)


def _apart(frame: Frame, places: Tensor) -> Tensor:
    """Squared distance of every two places, in widths of a point's image: (R, M, M)."""
    model = frame.model
    scale = places.new_tensor((model.sigma_z_px, model.sigma_xy_px, model.sigma_xy_px))
    return ((places[:, :, None] - places[:, None]) / scale).square().sum(-1)


def _with_one_more(state: Emitters, peak: Tensor, frame: Frame) -> Emitters:
    """State with one emitter of median brightness added at ``peak`` (R, 3)."""
    row = torch.arange(len(peak), device=peak.device)
    slot = state.used.sum(1).long()
    places, log_photons, log_widths, used = (
        values.clone() for values in (state.places, state.log_photons, state.log_widths, state.used)
    )
    places[row, slot], log_widths[row, slot], used[row, slot] = peak, 0.0, 1.0
    log_photons[row, slot] = math.log(frame.model.median_photons) - 0.2
    return Emitters(places, log_photons, log_widths, used, state.background)


def settle(frame: Frame, crops: Crops, path: Path, number: Tensor, growth: Growth) -> Emitters:
    """State with ``number`` (R,) emitters, refined to rest; numbers not tried are moved to the nearest tried one."""
    tried = torch.isfinite(path.log_likelihood)
    every = torch.arange(tried.shape[1], device=number.device)
    distance = torch.where(tried, (every - number[:, None]).abs(), tried.shape[1] * 2)
    chosen = distance.argmin(1)
    most = int(chosen.max())
    out = _at(path, torch.arange(len(chosen), device=chosen.device), chosen, most)
    for low, high in zip((0, *_SIMILAR), (*_SIMILAR, most), strict=True):
        rows = ((chosen > low) & (chosen <= high)).nonzero()[:, 0]
        if len(rows):
            slots = int(chosen[rows].max())
            state = _at(path, rows, chosen[rows], slots)
            for _ in range(growth.last_steps):
                state, _, _ = refine(frame, crops.rows(rows), state)
            out.places[rows, :slots], out.log_photons[rows, :slots] = state.places, state.log_photons
            out.log_widths[rows, :slots] = state.log_widths
            out.background[rows] = state.background
    return out
