"""Band-pass filtering of stacks: the matched filter of a point's image less its surround.

Along z the stack is multiplied by a banded matrix; in the plane two separable Gaussians are subtracted. Borders are
mirrored without repeating the edge (``d c b | a b c d | c b a``).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.errors import InputError

_REACH = 3.5  # taps end where a Gaussian has fallen to 0.2 % of its peak


def gaussian_taps(sigma_px: float, reach: float = _REACH) -> tuple[float, ...]:
    """Taps of a Gaussian integrated over pixels, normalised to sum 1.

    Parameters
    ----------
    sigma_px : float
        Standard deviation, pixels.
    reach : float
        Half length in standard deviations.

    Returns
    -------
    tuple of float, (2h + 1,)

    Examples
    --------
    >>> [round(t, 3) for t in gaussian_taps(0.5, 2)]
    [0.158, 0.685, 0.158]
    """
    half = max(1, math.ceil(reach * sigma_px))
    edges = [math.erf((i - 0.5) / (sigma_px * math.sqrt(2))) for i in range(-half, half + 2)]
    areas = [b - a for a, b in itertools.pairwise(edges)]
    return tuple(a / sum(areas) for a in areas)


def mirrored(length: int, half: int) -> list[int]:
    """Indices ``-half … length + half - 1`` folded back into ``0 … length - 1``.

    Examples
    --------
    >>> mirrored(3, 2)
    [2, 1, 0, 1, 2, 1, 0]
    """
    if length == 1:
        return [0] * (2 * half + 1)
    period = 2 * (length - 1)
    folded = [i % period for i in range(-half, length + half)]
    return [period - i if i >= length else i for i in folded]


def axial_matrix(taps: tuple[float, ...], planes: int) -> Tensor:
    """Matrix that filters along z with mirrored borders.

    Parameters
    ----------
    taps : tuple of float, (2h + 1,)
    planes : int
        Number of planes Z.

    Returns
    -------
    Tensor of float32, (Z, Z)
        Row i holds the weights of output plane i; rows sum to 1.
    """
    half = len(taps) // 2
    index = mirrored(planes, half)
    matrix = np.zeros((planes, planes))
    for plane in range(planes):
        for k, tap in enumerate(taps):
            matrix[plane, index[plane + k]] += tap
    return torch.from_numpy(matrix.astype(np.float32))


@dataclass(frozen=True)
class Bands:
    """Taps of the band-pass.

    Attributes
    ----------
    axial : Tensor, (Z, Z)
        As :func:`axial_matrix` gives it.
    narrow, wide : tuple of float
        Taps in the plane, of the signal and of its surround.
    """

    axial: Tensor
    narrow: tuple[float, ...]
    wide: tuple[float, ...]

    @classmethod
    def of(cls, sigma_px: tuple[float, float], planes: int, surround: float) -> Bands:
        """Bands for a signal of width ``(z, xy)`` in pixels and a surround so many times as wide in the plane."""
        z, xy = sigma_px
        axial = axial_matrix(gaussian_taps(z), planes) if planes > 1 else torch.ones(1, 1)
        return cls(axial, gaussian_taps(xy), gaussian_taps(surround * xy, 3.0))

    @property
    def reach_px(self) -> int:
        """Pixels in the plane beyond which nothing changes the response."""
        return len(self.wide) // 2

    def axial_gain(self) -> Tensor:
        """Variance after the filter along z per variance of a pixel, for every plane: Σw², (Z,)."""
        return self.axial.square().sum(1)

    def plane_gain(self) -> float:
        """Variance of the response per variance of a pixel already filtered along z: Σw² in the plane."""
        narrow, wide = np.asarray(self.narrow), np.asarray(self.wide)
        pad = (len(wide) - len(narrow)) // 2
        cross = float(narrow @ wide[pad : pad + len(narrow)])
        return float(narrow @ narrow) ** 2 + float(wide @ wide) ** 2 - 2 * cross**2

    def profile(self) -> NDArray[np.float64]:
        """Response in the plane to lines along one axis, for noise of one in every pixel, (K,)."""
        pad = (len(self.wide) - len(self.narrow)) // 2
        return np.asarray((np.pad(self.narrow, pad) - np.asarray(self.wide)) / self.plane_gain() ** 0.5)

    def noise_gain(self) -> Tensor:
        """Variance of the response per variance of a pixel, for every plane: Σw², (Z,)."""
        return self.axial_gain() * self.plane_gain()

    def lateral_gain(self, sigma_xy_px: float) -> float:
        """Response at the centre of a signal of one photon in one plane."""
        image = np.asarray(gaussian_taps(sigma_xy_px, 6.0))
        return _overlap(image, self.narrow) ** 2 - _overlap(image, self.wide) ** 2

    def signal_gain(self, sigma_px: tuple[float, float]) -> float:
        """Response at the centre of a signal of one photon, far from the first and last plane."""
        z, xy = sigma_px
        lateral = self.lateral_gain(xy)
        if len(self.axial) == 1:
            return lateral
        return lateral * _overlap(np.asarray(gaussian_taps(z, 6.0)), gaussian_taps(z))


def _overlap(image: np.ndarray, taps: tuple[float, ...]) -> float:
    half = min(len(image), len(taps)) // 2
    a, b = len(image) // 2, len(taps) // 2
    return float(image[a - half : a + half + 1] @ np.asarray(taps)[b - half : b + half + 1])


def axial_filter(stack: Tensor, bands: Bands) -> Tensor:
    """Filter along z.

    Parameters
    ----------
    stack : Tensor of float32, (Z, Y, X)
    bands : Bands

    Returns
    -------
    Tensor of float32, (Z, Y, X)
        The stack itself where it has one plane.

    Raises
    ------
    InputError
        The bands were made for another number of planes.
    """
    if len(bands.axial) != len(stack):
        raise InputError("bands", f"{len(stack)} planes", f"{len(bands.axial)}, as in the bands", "Make bands anew.")
    if len(stack) == 1:
        return stack
    return (bands.axial.to(stack.device) @ stack.flatten(1)).view_as(stack)


def band_pass(smooth: Tensor, bands: Bands) -> tuple[Tensor, Tensor]:
    """Response of the matched filter in every plane, and the surround it was measured against.

    Parameters
    ----------
    smooth : Tensor of float32, (Z, Y, X)
        As :func:`axial_filter` gives it.
    bands : Bands

    Returns
    -------
    response, surround : Tensor of float32, (Z, Y, X)
        On the device of ``smooth``, in its unit.
    """
    surround = _separable(smooth, bands.wide)
    return _separable(smooth, bands.narrow).sub_(surround), surround


def _separable(stack: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Shift and add: on a CPU many times faster than a convolution call, and the same anywhere."""
    half = len(taps) // 2
    for axis in (1, 2):
        length = stack.shape[axis]
        index = torch.tensor(mirrored(length, half), device=stack.device)[: length + 2 * half]
        padded = stack.index_select(axis, index)
        stack = padded.narrow(axis, half, length) * taps[half]
        for k in range(half):
            pair = padded.narrow(axis, k, length) + padded.narrow(axis, 2 * half - k, length)
            stack.add_(pair, alpha=taps[k])
    return stack
