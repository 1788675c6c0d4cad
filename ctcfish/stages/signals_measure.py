"""What is measured of each candidate in its window: hot pixel, response blind to smooth background, shape."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ctcfish.ops.templates import amplitudes, blind_template, hot_centre, point_image, repaired
from ctcfish.stages.signals_candidates import Candidates

_DEGREE = 2


@dataclass(frozen=True)
class Measures:
    """One entry per candidate.

    Attributes
    ----------
    snr : Tensor, (N,)
        Amplitude blind to a quadratic background, over its noise, hot pixel repaired.
    photons : Tensor, (N,)
        That amplitude.
    ratio : Tensor, (N,)
        Amplitude for a signal 1.8 times as wide over that for one of this width; 1 for a signal of this width.
    hot : Tensor of bool, (N,)
    window : Tensor, (N, Dz, Dy, Dx)
        Photons, hot pixels repaired.
    """

    snr: Tensor
    photons: Tensor
    ratio: Tensor
    hot: Tensor
    window: Tensor


def measure(found: Candidates, sigma_px: tuple[float, float], read_variance: float) -> Measures:
    """Measure every candidate.

    Parameters
    ----------
    found : Candidates
    sigma_px : tuple of float
        Width ``(z, xy)`` of a signal.
    read_variance : float
        Photons².
    """
    half = tuple(n // 2 for n in found.crop.shape[1:])
    image = point_image((half[0], half[1], half[2]), sigma_px)
    wide = point_image((half[0], half[1], half[2]), (1.5 * sigma_px[0], 1.8 * sigma_px[1]))
    template, level = blind_template(image, _DEGREE), blind_template(wide, 0)
    hot = hot_centre(found.crop, found.surround, read_variance, sigma_px[1])
    window = repaired(found.crop, hot)
    photons = amplitudes(window, template)
    noise = ((found.surround + read_variance) * float(template.square().sum())).sqrt()
    narrow = blind_template(image, 0)
    expected = float((level * image).sum())
    ratio = amplitudes(window, level) / (amplitudes(window, narrow).clamp(min=1e-6) * expected)
    return Measures(photons / noise, photons, ratio, hot, window)
