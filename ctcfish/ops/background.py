"""Background of a crop: a short cosine series with the prior of a smooth random field."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

_HIGHEST, _REACH, _LEAST_POWER = 4, 2.0, 0.01
"""Orders along an axis, at most and in lengths of the field's smoothing; a function of less power is left out. With
fewer, texture stays in the residuals: they were spread twice as much as photons in stacks of textured nuclei."""
_LEVEL_VARIANCE = 4.0  # the level itself is known only so well, in variances around it

Shape = tuple[int, int, int]
Widths = tuple[float, float, float]


@dataclass(frozen=True)
class Series:
    """Cosine series over crops of one shape.

    Attributes
    ----------
    orders : tuple of tuple of int
        Of B functions along each axis; the constant is the first.
    basis : Tensor, (B, V)
        The functions at every pixel, of mean square 1.
    precision : Tensor, (B,)
        Of the prior of each coefficient, where the level is one.
    amplitude : Tensor, (B,)
        Of each product of cosines.
    height : Tensor, (B,)
        What an emitter's image leaves of the amplitude.
    wave : Tensor, (B, 3)
        Phase from pixel to pixel along each axis.
    cosines : tuple of three Tensor, (2 H + 1, L)
        Along each axis, of all orders that products of two functions hold.
    beats : Tensor of int64, (8, B, B)
        Where the parts of the product of two functions stand among the products of ``cosines``, raveled.
    """

    orders: tuple[Shape, ...]
    basis: Tensor
    precision: Tensor
    amplitude: Tensor
    height: Tensor
    wave: Tensor
    cosines: tuple[Tensor, Tensor, Tensor]
    beats: Tensor

    @classmethod
    def of(cls, shape: Shape, smooth_px: Widths, image_px: Widths, cv: float, like: Tensor) -> Series:
        """Build the series on the device and in the dtype of ``like``.

        Parameters
        ----------
        shape : tuple of int
            Z, Y, X of a crop.
        smooth_px : tuple of float
            Correlation length of the background along z, y, x: σ of the kernel that smooths white noise to it.
        image_px : tuple of float
            σ of an emitter's image over pixels.
        cv : float
            Standard deviation of the background around its level, as a share of the level.
        like : Tensor
        """
        highest = [
            max(0, min(_HIGHEST, int(_REACH * n / (math.pi * s)))) if n > 1 else 0
            for n, s in zip(shape, smooth_px, strict=True)
        ]
        # spectrum of a white field smoothed by a Gaussian: exp(−k² scale²) at wave number k = π order / length
        power = {
            (i, j, k): math.exp(
                -sum((math.pi * o / n * s) ** 2 for o, n, s in zip((i, j, k), shape, smooth_px, strict=True))
            )
            for i, j, k in itertools.product(*(range(h + 1) for h in highest))
        }
        orders = tuple(o for o in power if power[o] > _LEAST_POWER or o == (0, 0, 0))
        variance = like.new_tensor([power[o] for o in orders])
        variance = variance / variance.sum()
        variance[0] += _LEVEL_VARIANCE
        order = torch.tensor(orders, device=like.device)
        wave = order * (math.pi / like.new_tensor(shape))
        amplitude = math.sqrt(2) ** (order > 0).sum(1).to(like.dtype)
        height = amplitude * torch.exp(-0.5 * (wave * like.new_tensor(image_px)).square().sum(1))
        z, y, x = (_cosines(2 * h, n, like) for h, n in zip(highest, shape, strict=True))
        basis = torch.stack([z[i, :, None, None] * y[j, :, None] * x[k] for i, j, k in orders]).flatten(1)
        basis = basis * amplitude[:, None]
        beats = _beats(order, [2 * h + 1 for h in highest])
        return cls(orders, basis, (variance * cv**2).reciprocal(), amplitude, height, wave, (z, y, x), beats)

    def under(self, places: Tensor, axes: int) -> Tensor:
        """Mean of the functions under an emitter's image and its derivatives by the place: (R, M, 1 + axes, B)."""
        phase = (places + 0.5)[..., None, :] * self.wave
        value, slope = torch.cos(phase), -self.wave * torch.sin(phase)
        columns = [value.prod(-1)]
        for axis in range(3 - axes, 3):
            others = [value[..., a] for a in range(3) if a != axis]
            columns.append(slope[..., axis] * others[0] * others[1])
        return torch.stack(columns, -2) * self.height

    def products(self, weight: Tensor) -> Tensor:
        """Sums over the pixels of ``weight`` (R, V) times the product of every two functions: (R, B, B).

        The product of two cosines is half of that of the sum of their orders and half of that of the difference.
        """
        z, y, x = self.cosines
        sums = weight.view(-1, z.shape[1], y.shape[1], x.shape[1])
        for table in (x, y, z):  # the axis last summed over goes first
            sums = torch.movedim(sums @ table.T, -1, 1)
        eighth = 0.125 * self.amplitude[:, None] * self.amplitude
        return sums.flatten(1)[:, self.beats].sum(1) * eighth


def _cosines(highest: int, length: int, like: Tensor) -> Tensor:
    """Cosines of orders up to ``highest`` at every pixel of an axis: (highest + 1, length)."""
    place = (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) * (math.pi / length)
    return torch.cos(torch.arange(highest + 1, device=like.device)[:, None] * place)


def _beats(order: Tensor, sizes: list[int]) -> Tensor:
    """Indices, raveled, of sums and differences of the orders (B, 3) of every two functions: (8, B, B)."""
    total, apart = order[:, None] + order, (order[:, None] - order).abs()
    parts = []
    for axes in itertools.product((total, apart), repeat=3):
        z, y, x = (part[..., axis] for axis, part in enumerate(axes))
        parts.append((z * sizes[1] + y) * sizes[2] + x)
    return torch.stack(parts)
