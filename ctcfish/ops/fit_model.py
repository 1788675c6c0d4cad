"""The model of one signal on its background: parameters, derivatives, Fisher information, goodness of fit.

Parameters stand in the columns of one matrix theta (N, P): photons, background, y, x, then z, the widths and the slopes
of the background where the model has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ctcfish.ops.psf import pixel_profile_derivatives

PHOTONS, BACKGROUND, Y, X = 0, 1, 2, 3
SMALLEST_MODEL = 1e-2  # photons a pixel, read variance included: keeps the Poisson weight finite


@dataclass(frozen=True)
class FitModel:
    """What is fitted and how far it may move.

    Parameters
    ----------
    sigma_xy_px, sigma_z_px : float
        Width of a point's image; fixed, or where the width is free its start value. ``sigma_z_px`` is not used for
        single planes.
    free_width : bool
        Fit the width in the plane, and along z in stacks.
    sloped_background : bool
        Fit a plane instead of a constant under the signal.
    max_shift_px : float
        Farthest a centre may leave its start, along each axis.
    width_range : tuple of float
        Smallest and largest width, as factors of the start value.
    max_iterations : int
        Steps before a spot is given back as not converged.
    tolerance : float
        A spot is done when its Newton decrement (twice the log-likelihood still to be gained) is below this.
    """

    sigma_xy_px: float
    sigma_z_px: float = 1.0
    free_width: bool = False
    sloped_background: bool = False
    max_shift_px: float = 2.0
    width_range: tuple[float, float] = (0.5, 3.0)
    max_iterations: int = 12
    tolerance: float = 4e-3


@dataclass(frozen=True)
class Layout:
    """Which column of the parameter matrix is what; −1 where the model has no such parameter."""

    shape: tuple[int, int, int]
    z: int
    sigma_xy: int
    sigma_z: int
    slope: int
    size: int

    @classmethod
    def of(cls, shape: tuple[int, int, int], model: FitModel) -> Layout:
        """Columns of ``model`` for crops of ``shape`` (z, y, x)."""
        stack = shape[0] > 1
        names = ["photons", "background", "y", "x"] + ["z"] * stack
        names += ["sigma_xy"] * model.free_width + ["sigma_z"] * (model.free_width and stack)
        slopes = (3 if stack else 2) * model.sloped_background
        at = {name: i for i, name in enumerate(names)}
        return cls(
            shape,
            at.get("z", -1),
            at.get("sigma_xy", -1),
            at.get("sigma_z", -1),
            len(names) if slopes else -1,
            len(names) + slopes,
        )


@dataclass(frozen=True)
class Problem:
    """Data of the spots in work: photons plus read variance (N, V), known light, weights."""

    data: Tensor
    known: Tensor | None
    weight: Tensor | None
    read_variance: float

    def rows(self, keep: Tensor) -> Problem:
        """The spots that ``keep`` names."""
        known, weight = (None if t is None else t[keep] for t in (self.known, self.weight))
        return Problem(self.data[keep], known, weight, self.read_variance)


def jacobian_of(theta: Tensor, model: FitModel, layout: Layout) -> Tensor:
    """Derivatives by each parameter and, as last row, the model without known light: (N, P + 1, V)."""
    depth, height, width = layout.shape
    photons = theta[:, PHOTONS, None]
    free = layout.sigma_xy >= 0
    sigma = theta[:, layout.sigma_xy, None] if free else model.sigma_xy_px
    # one call for both axes of the plane, cut to their lengths
    both, both_shift, edges = pixel_profile_derivatives(theta[:, Y : X + 1], sigma, max(height, width))
    (y, x), (y_shift, x_shift) = ((t[:, 0, :height], t[:, 1, :width]) for t in (both, both_shift))
    z = z_shift = z_edges = torch.ones_like(photons)
    if layout.z >= 0:
        sigma_z = theta[:, layout.sigma_z] if layout.sigma_z >= 0 else model.sigma_z_px
        z, z_shift, z_edges = pixel_profile_derivatives(theta[:, layout.z], sigma_z, depth)
    out = theta.new_empty(len(theta), layout.size + 1, depth, height, width)
    flat = out.flatten(3)
    plane = (y[:, :, None] * x[:, None, :]).flatten(1)
    torch.mul(z[:, :, None], plane[:, None], out=flat[:, PHOTONS])
    scaled = (z * photons)[:, :, None]
    torch.mul(scaled, (y_shift[:, :, None] * x[:, None, :]).flatten(1)[:, None], out=flat[:, Y])
    torch.mul(scaled, (y[:, :, None] * x_shift[:, None, :]).flatten(1)[:, None], out=flat[:, X])
    if free:
        y_width, x_width = edges[:, 0, : height + 1].diff(dim=-1), edges[:, 1, : width + 1].diff(dim=-1)
        broader = torch.addcmul(y_width[:, :, None] * x[:, None, :], y[:, :, None], x_width[:, None, :])
        torch.mul(scaled, broader.flatten(1)[:, None], out=flat[:, layout.sigma_xy])
    if layout.z >= 0:
        torch.mul((z_shift * photons)[:, :, None], plane[:, None], out=flat[:, layout.z])
    if layout.sigma_z >= 0:
        torch.mul((z_edges.diff(dim=-1) * photons)[:, :, None], plane[:, None], out=flat[:, layout.sigma_z])
    _add_background(out.flatten(2), theta, layout)
    return out.flatten(2)


def _add_background(out: Tensor, theta: Tensor, layout: Layout) -> None:
    """Fill the rows of the constant and of the plane, and the row of the model, in place; ``out`` is (N, P + 1, V)."""
    columns = [BACKGROUND] if layout.slope < 0 else [BACKGROUND, *range(layout.slope, layout.size)]
    ramps = [torch.ones(layout.shape, device=out.device, dtype=out.dtype)]
    for axis in (1, 2, 0)[: len(columns) - 1]:
        length = layout.shape[axis]
        ramp = torch.arange(length, device=out.device, dtype=out.dtype) - (length - 1) / 2
        ramps.append(ramp.view([-1 if a == axis else 1 for a in range(3)]).expand(layout.shape))
    basis = torch.stack(ramps).flatten(1)
    for column, ramp in zip(columns, basis, strict=True):
        out[:, column] = ramp
    torch.addcmul(theta[:, columns] @ basis, theta[:, PHOTONS, None], out[:, PHOTONS], out=out[:, -1])


def expected_light(problem: Problem, jacobian: Tensor) -> Tensor:
    """Expected photons plus read variance, (N, V)."""
    expected = jacobian[:, -1] + problem.read_variance
    if problem.known is not None:
        expected += problem.known
    return expected.clamp_(min=SMALLEST_MODEL)


def normal_equations(problem: Problem, theta: Tensor, model: FitModel, layout: Layout) -> Tensor:
    """Fisher information and, as last column, the gradient of the log-likelihood: (N, P, P + 1)."""
    jacobian = jacobian_of(theta, model, layout)
    expected = expected_light(problem, jacobian)
    torch.sub(problem.data, expected, out=jacobian[:, -1])
    weight = expected.reciprocal_()
    if problem.weight is not None:
        weight *= problem.weight
    weighted = jacobian[:, :-1] * weight[:, None]
    return torch.bmm(weighted, jacobian.transpose(1, 2))


def unit_diagonal(system: Tensor) -> tuple[Tensor, Tensor]:
    """Information with unit diagonal, which float32 can invert, and the scale (N, P) that gives it back."""
    information = system[:, :, : system.shape[1]]
    scale = information.diagonal(dim1=1, dim2=2).clamp(min=1e-20).rsqrt()
    scaled = information * scale[:, :, None] * scale[:, None, :]
    scaled.diagonal(dim1=1, dim2=2).add_(1e-5)
    return scaled, scale


def scoring_step(system: Tensor) -> Tensor:
    """Fisher-scoring step (N, P)."""
    scaled, scale = unit_diagonal(system)
    factor = torch.linalg.cholesky_ex(scaled)[0]
    return torch.cholesky_solve((system[:, :, -1] * scale)[:, :, None], factor)[:, :, 0] * scale


def goodness(
    problem: Problem, expected: Tensor, signal: Tensor, background: Tensor, parameters: int
) -> tuple[Tensor, Tensor, Tensor]:
    """χ² per degree of freedom, its p-value, and the log-likelihood ratio against background alone.

    Pearson's χ² of a Poisson pixel has mean 1 and variance 2 + λ/V², with λ the light and V the variance with read
    noise. A gamma distribution with both moments gives the p-value (cube root approximation of Wilson and Hilferty
    1931, PNAS 17:684).
    """
    counted = torch.ones_like(expected) if problem.weight is None else problem.weight
    pixels = counted.sum(1)
    inverse = expected.reciprocal() * counted
    chi2 = ((problem.data - expected).square() * inverse).sum(1)
    light_share = ((expected - problem.read_variance) * inverse / expected).sum(1) / pixels
    spread, dof = light_share.clamp(min=0.0) + 2.0, (pixels - parameters).clamp(min=1.0)
    shape = dof / spread
    normal = ((chi2 / dof).pow(1 / 3) - 1.0 + 1.0 / (9.0 * shape)) * 3.0 * shape.sqrt()
    null = _background_alone(problem.data, expected - signal - background, counted)
    ratio = (problem.data * torch.log(expected / null) - (expected - null)) * counted
    return chi2 / dof, 0.5 * torch.erfc(normal * 0.5**0.5), ratio.sum(1)


def _background_alone(data: Tensor, other: Tensor, counted: Tensor) -> Tensor:
    """Expected light of the best constant added to what is there anyway: three Fisher-scoring steps from the mean."""
    level = ((data - other) * counted).sum(1, keepdim=True) / counted.sum(1, keepdim=True)
    for _ in range(3):
        null = (level + other).clamp_(min=SMALLEST_MODEL)
        inverse = counted / null
        level = level + ((data - null) * inverse).sum(1, keepdim=True) / inverse.sum(1, keepdim=True)
    return (level + other).clamp_(min=SMALLEST_MODEL)
