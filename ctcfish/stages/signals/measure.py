"""What is measured of each candidate in its patch: hot pixel, slope, width, and the response that decides."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ctcfish.ops import templates as t
from ctcfish.stages.signals.candidates import Candidates
from ctcfish.stages.signals.optics import patch_half

_SLOPE_SNR = 4.0
_WIDE_RATIO = 1.3
_WIDE = 1.8


@dataclass(frozen=True)
class Measures:
    """One entry per candidate.

    Attributes
    ----------
    snr : Tensor, (N,)
        Response that is held against the threshold: the matched filter's where the background is plain; where it
        slopes, bends or the object is wide, the smaller of that and the response blind to an edge along the slope.
    ratio : Tensor, (N,)
        Amplitude for a signal 1.8 times as wide over that for one of this width; 1 for a signal of this width.
    width_px : Tensor, (N,)
        Width that this ratio means for a lone Gaussian, between 0.5 and 3 times the signal's.
    hot : Tensor of bool, (N,)
    """

    snr: Tensor
    ratio: Tensor
    width_px: Tensor
    hot: Tensor

    def rows(self, keep: Tensor) -> Measures:
        """Measures picked by index or mask."""
        return Measures(self.snr[keep], self.ratio[keep], self.width_px[keep], self.hot[keep])

    def replaced(self, where: Tensor, other: Measures) -> Measures:
        """These measures, those of another where the mask says so."""
        return Measures(*(torch.where(where, getattr(other, f.name), getattr(self, f.name)) for f in fields(self)))


def measure(found: Candidates, sigma_px: float, plain_from_patch: bool = False) -> Measures:
    """Measure every candidate.

    Parameters
    ----------
    found : Candidates
    sigma_px : float
        Width of a signal in the plane.
    plain_from_patch : bool
        Take the plain response from the whole patch, whose level is fitted along, instead of from the filter with its
        nearer surround: less noise, more texture.
    """
    half = found.patch.shape[1] // 2
    image = t.point_image(half, sigma_px)
    hot = t.hot_centre(found.patch - found.surround[:, None, None], found.noise, sigma_px)
    patch = t.repaired(found.patch, hot)
    narrow, wide = t.level_blind(image), t.level_blind(t.point_image(half, _WIDE * sigma_px))
    levels = t.products(patch, torch.stack([narrow, wide]))
    ratio = levels[:, 1] / (levels[:, 0].clamp(min=1e-6) * float((wide * image).sum()))
    slope = t.products(patch, t.slope_templates(half, sigma_px))
    steep = slope.norm(dim=1) > _SLOPE_SNR * found.noise
    angle = torch.atan2(slope[:, 0], slope[:, 1]) / math.pi * t.ORIENTATIONS
    bank = t.edge_blind(image)
    by_angle = t.products(patch, bank).gather(1, (angle.round().long() % t.ORIENTATIONS)[:, None])[:, 0]
    edge = by_angle / (found.noise * float(bank[0].norm()))
    own = hot | plain_from_patch
    plain = torch.where(own, levels[:, 0] / (found.noise * float(narrow.norm())), found.snr)
    snr = torch.where(steep | (ratio > _WIDE_RATIO) | hot, torch.minimum(plain, edge), plain)
    return Measures(snr, ratio, _width(ratio, half, sigma_px), hot)


def patch_gain(sigma_px: float, per_photon: float) -> float:
    """SNR of a signal in its whole patch over that by the filter, on a level background.

    Parameters
    ----------
    sigma_px : float
    per_photon : float
        Response of the filter in the plane to one photon over its noise in noise of one photon.
    """
    template = t.level_blind(t.point_image(patch_half(sigma_px), sigma_px))
    return 1.0 / float(template.norm()) / per_photon


def _width(ratio: Tensor, half: int, sigma_px: float) -> Tensor:
    """Invert the ratio of a lone Gaussian, which grows with its width, by a table."""
    image, wide = t.point_image(half, sigma_px), t.point_image(half, _WIDE * sigma_px)
    pair = torch.stack([t.level_blind(image), t.level_blind(wide)])
    widths = torch.linspace(0.5, 3.0, 51, dtype=torch.float64) * sigma_px
    sides = t.products(torch.stack([t.point_image(half, float(w)) for w in widths]), pair)
    known = (sides[:, 1] / sides[:, 0] / float((pair[1] * image).sum())).to(ratio)
    above = torch.searchsorted(known, ratio.contiguous()).clamp(1, len(known) - 1)
    share = ((ratio - known[above - 1]) / (known[above] - known[above - 1])).clamp(0, 1)
    steps = widths.to(ratio)
    return steps[above - 1] + share * (steps[above] - steps[above - 1])
