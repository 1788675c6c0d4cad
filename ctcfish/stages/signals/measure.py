"""What is measured of each candidate in its patch: hot pixel, slope, width, and the response that decides."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ctcfish.ops import templates as t
from ctcfish.ops.bands import Bands
from ctcfish.stages.signals.candidates import Candidates
from ctcfish.stages.signals.optics import patch_half

_FLAT_SNR = 3.0  # slopes that noise makes
_BORDER_UM = 0.3  # standard deviation of a nucleus's border: a rounded body, seen in projection
_WIDE_RATIO = 1.35
_WIDE = 1.8


@dataclass(frozen=True)
class Measures:
    """One entry per candidate.

    Attributes
    ----------
    snr : Tensor, (N,)
        Response that is held against the threshold: the matched filter's, less what a nucleus's border of the slope
        found there would add to it; of a wide object no more than the response blind to an edge along the slope.
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

    def with_rows(self, rows: Tensor, other: Measures) -> Measures:
        """These measures, those of another at the given places."""
        return Measures(*(getattr(self, f.name).index_copy(0, rows, getattr(other, f.name)) for f in fields(self)))


def measure(found: Candidates, sigma_px: float, pixel_um: float, bands: Bands | None) -> Measures:
    """Measure every candidate.

    Parameters
    ----------
    found : Candidates
    sigma_px : float
        Width of a signal in the plane.
    pixel_um : float
    bands : Bands or None
        By which the candidates were found, to take their response; None takes the plain response from the whole patch,
        whose level is fitted along, instead of from the filter with its nearer surround: less noise, more texture.
    """
    half = found.patch.shape[1] // 2
    own = _templates(half, sigma_px)
    core = found.patch[:, half - 1 : half + 2, half - 1 : half + 2] - found.surround[:, None, None]
    hot = t.hot_centre(core, found.noise, sigma_px)
    patch = t.repaired(found.patch, hot)
    seen = t.products(patch, own.every)
    amplitude, slope, by_angle = seen[:, 0], seen[:, 2:4], seen[:, 4:]
    ratio = seen[:, 1] / amplitude.clamp(min=1e-6)
    angle = torch.atan2(slope[:, 0], slope[:, 1]) / math.pi * t.ORIENTATIONS
    edge = by_angle.gather(1, (angle.round().long() % t.ORIENTATIONS)[:, None])[:, 0]
    edge = edge / (found.noise * float(own.every[4].norm()))
    narrow = own.every[0]
    whole = amplitude / (found.noise * float(narrow.norm()))
    profile = narrow.sum(0).numpy() / float(narrow.norm()) if bands is None else bands.profile()
    share = t.border_share(profile, own.every[3].sum(0).numpy(), _BORDER_UM / pixel_um)
    steep = (slope.norm(dim=1) / found.noise - _FLAT_SNR).clamp(min=0)
    snr = (whole if bands is None else torch.where(hot, whole, found.snr)) - share * steep
    snr = torch.where((ratio > _WIDE_RATIO) | hot, torch.minimum(snr, edge), snr)
    return Measures(snr, ratio, _width(ratio, own), hot)


@dataclass(frozen=True)
class _Templates:
    """What patches are held against.

    Attributes
    ----------
    every : Tensor of float64, (4 + A, D, D)
        Amplitude of a signal, of one 1.8 times as wide over what that sees of a signal, slopes along y and x, and
        amplitude blind to an edge in each of A directions.
    widths, ratios : Tensor of float64, (K,)
        Widths of a lone Gaussian, and the ratio of both amplitudes at each, which grows.
    """

    every: Tensor
    widths: Tensor
    ratios: Tensor


@functools.lru_cache(maxsize=16)
def _templates(half: int, sigma_px: float) -> _Templates:
    image, broad = t.point_image(half, torch.tensor([1.0, _WIDE], dtype=torch.float64) * sigma_px)
    narrow, wide = t.level_blind(image), t.level_blind(broad)
    pair = torch.stack([narrow, wide / (wide * image).sum()])
    widths = torch.linspace(0.5, 3.0, 51, dtype=torch.float64) * sigma_px
    sides = t.products(t.point_image(half, widths), pair)
    every = torch.cat([pair, t.slope_templates(half, sigma_px), t.edge_blind(image)])
    return _Templates(every, widths, sides[:, 1] / sides[:, 0])


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


def _width(ratio: Tensor, own: _Templates) -> Tensor:
    """Invert the ratio that two templates give of a lone Gaussian, by a table."""
    known, steps = own.ratios.to(ratio), own.widths.to(ratio)
    above = torch.searchsorted(known, ratio.contiguous()).clamp(1, len(known) - 1)
    share = ((ratio - known[above - 1]) / (known[above] - known[above - 1])).clamp(0, 1)
    return steps[above - 1] + share * (steps[above] - steps[above - 1])
