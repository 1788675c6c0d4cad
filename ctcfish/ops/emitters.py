"""Several point emitters on a smooth background, fitted jointly in many crops at once.

The likelihood is that of the single fit: Poisson light with read variance added to data and model. Brightness has a
log-normal prior, the background is a short cosine series with the prior of a smooth random field. The gradient is
exact, through one profile per axis; the Fisher information between emitters is the closed overlap of two Gaussians,
weighted by the local 1/variance, which costs nothing per pixel. Such scoring steps have the maximum of the exact
posterior as their fixed point. An image of several parts, which a window cuts, takes the products of the derivatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ctcfish.ops.background import Series
from ctcfish.ops.psf import pixel_profile_shift

SMALLEST_MODEL = 0.5  # photons a pixel, read variance included
DAMPING = 0.1
FAINTEST = 2.5  # σ of the log-normal brightness below its median: fainter is background that is not smooth
FARTHEST = 3.0  # prior standard deviations a background coefficient may leave its prior
SHORT = 4.0  # divides a step twice
LONGEST_STEP = 0.5  # pixels, and units of log photons
PIXEL_VARIANCE = 1.0 / 12.0  # a pixel's own width, px²
PLACE_PRECISION = 1.0  # px⁻²: emitters that share a place are known to be no farther apart than about this


class Part(NamedTuple):
    """Part of a point's image: a Gaussian, or two halves of it above and below the point, all over those fitted to it.

    Parameters
    ----------
    light : float
    width_z, width_xy : float
    away_z : float
        Distance of each half from the point, in widths along z of the Gaussian that was fitted.
    """

    light: float = 1.0
    width_z: float = 1.0
    width_xy: float = 1.0
    away_z: float = 0.0


@dataclass(frozen=True)
class CrowdModel:
    """What is known before a crowded region is looked at.

    Parameters
    ----------
    sigma_xy_px, sigma_z_px : float
        Width of a point's image; ``sigma_z_px`` is not used for single planes.
    median_photons, log_sigma : float
        Log-normal brightness of the slide's isolated signals.
    read_variance : float
        Variance of the read noise, photons².
    background_cv : float
        Standard deviation of the background around its level, as a share of the level.
    background_scale : tuple of float
        Correlation length (σ of the smoothing kernel) of the background along z and in the plane, in widths of a
        point's image.
    room_per_emitter : float
        Room to one emitter where they are as dense as chance makes them, in products of the widths (in stacks times
        3.5): each further emitter must pay its logarithm.
    image : tuple of Part
        What makes up a point's image, its core first, over the light and the widths above.
    """

    sigma_xy_px: float
    sigma_z_px: float
    median_photons: float
    log_sigma: float
    read_variance: float
    background_cv: float = 0.2
    background_scale: tuple[float, float] = (1.8, 6.2)
    room_per_emitter: float = 90.0
    image: tuple[Part, ...] = (Part(),)

    @property
    def mean_photons(self) -> float:
        """Mean of the log-normal brightness."""
        return self.median_photons * math.exp(self.log_sigma**2 / 2)

    def room(self, axes: int) -> float:
        """Room per emitter, pixels or voxels, in a plane or in three dimensions."""
        return self.room_per_emitter * self.sigma_xy_px**2 * (3.5 * self.sigma_z_px if axes == 3 else 1.0)


@dataclass(frozen=True)
class Frame:
    """What all crops of one shape share."""

    model: CrowdModel
    shape: tuple[int, int, int]
    series: Series

    @classmethod
    def of(cls, shape: tuple[int, int, int], model: CrowdModel, like: Tensor) -> Frame:
        """Build the frame of crops of ``shape`` on the device and in the dtype of ``like``."""
        sigma = (model.sigma_z_px, model.sigma_xy_px, model.sigma_xy_px)
        along_z, in_plane = model.background_scale
        smooth = (along_z * sigma[0], in_plane * sigma[1], in_plane * sigma[2])
        z, y, x = (math.sqrt(s * s + PIXEL_VARIANCE) for s in sigma)
        return cls(model, shape, Series.of(shape, smooth, (z, y, x), model.background_cv, like))

    @property
    def axes(self) -> int:
        """Axes along which an emitter has a place: 3, or 2 in a single plane."""
        return 3 if self.shape[0] > 1 else 2


@dataclass(frozen=True)
class Crops:
    """Data of R crops, flattened: photons plus read variance (R, V), weight 0 or 1 (R, V), background level (R,)."""

    data: Tensor
    weight: Tensor
    level: Tensor

    def rows(self, keep: Tensor) -> Crops:
        """The crops that ``keep`` names."""
        return Crops(self.data[keep], self.weight[keep], self.level[keep])


@dataclass(frozen=True)
class Emitters:
    """State of R crops.

    Places z, y, x (R, M, 3), log photons (R, M), 1 where a slot is used (R, M), background coefficients (R, B).
    """

    places: Tensor
    log_photons: Tensor
    used: Tensor
    background: Tensor

    def rows(self, keep: Tensor) -> Emitters:
        """The crops that ``keep`` names."""
        return Emitters(self.places[keep], self.log_photons[keep], self.used[keep], self.background[keep])

    @property
    def photons(self) -> Tensor:
        """Photons of each emitter, 0 in unused slots: (R, M)."""
        return torch.exp(self.log_photons) * self.used


_Profiles = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


def _profiles(frame: Frame, places: Tensor) -> _Profiles:
    """Profile and its derivative by the centre along z, y and x, each (R, K M, L), for the K parts of the image."""
    parts = [_part(frame, places, part) for part in frame.model.image]
    if len(parts) == 1:
        return parts[0]
    z, y, x = (tuple(torch.cat([p[axis][k] for p in parts], 1) for k in range(2)) for axis in range(3))
    return (z[0], z[1]), (y[0], y[1]), (x[0], x[1])


def _part(frame: Frame, places: Tensor, part: Part) -> _Profiles:
    """Profiles of one part of the image, (R, M, L); its light is in those along z."""
    depth, height, width = frame.shape
    # one call for both axes of the plane, cut to their lengths
    both = pixel_profile_shift(places[..., 1:], part.width_xy * frame.model.sigma_xy_px, max(height, width))
    (y, x), (y_shift, x_shift) = ((t[..., 0, :height], t[..., 1, :width]) for t in both)
    if depth == 1:
        one = torch.full_like(places[..., :1], part.light)
        return (one, torch.zeros_like(one)), (y, y_shift), (x, x_shift)
    sigma_z = frame.model.sigma_z_px
    halves = places[..., :1] + sigma_z * part.away_z * places.new_tensor([-1.0, 1.0])
    z, z_shift = (t.mean(-2) * part.light for t in pixel_profile_shift(halves, part.width_z * sigma_z, depth))
    return (z, z_shift), (y, y_shift), (x, x_shift)


def expected_light(frame: Frame, state: Emitters, profiles: _Profiles | None = None) -> Tensor:
    """Expected photons plus read variance, (R, V)."""
    (z, _), (y, _), (x, _) = _profiles(frame, state.places) if profiles is None else profiles
    photons = state.photons.repeat(1, len(frame.model.image))
    zy = ((photons[:, :, None] * z)[..., None] * y[:, :, None]).flatten(2)
    light: Tensor = torch.bmm(zy.transpose(1, 2), x).flatten(1)
    light += state.background @ frame.series.basis
    light += frame.model.read_variance
    return light.clamp_(min=SMALLEST_MODEL)


def _projections(frame: Frame, image: Tensor, profiles: _Profiles) -> Tensor:
    """Sums of ``image`` times each emitter's image and its derivatives by place: (R, M, 1 + D)."""
    depth, height, width = frame.shape
    (z, z_shift), (y, y_shift), (x, x_shift) = profiles
    slots = x.shape[1]
    along_x = torch.bmm(torch.cat((x, x_shift), 1), image.view(len(image), depth * height, width).transpose(1, 2))
    along_x = along_x.view(len(image), 2, slots, depth, height)
    along_y = (along_x * y[:, None, :, None]).sum(-1)
    value_and_x = (along_y * z[:, None]).sum(-1)
    by_y = ((along_x[:, 0] * y_shift[:, :, None]).sum(-1) * z).sum(-1)
    columns = [value_and_x[:, 0], by_y, value_and_x[:, 1]]
    if frame.axes == 3:
        columns.insert(1, (along_y[:, 0] * z_shift).sum(-1))
    parts = torch.stack(columns, -1)
    return parts.view(len(image), len(frame.model.image), -1, parts.shape[-1]).sum(1)


def _overlaps(frame: Frame, image: Tensor, profiles: _Profiles) -> Tensor:
    """Mean of ``image`` under each emitter's image: (R, M)."""
    depth, height, width = frame.shape
    z, y, x = (profile for profile, _ in profiles)
    along_x = torch.bmm(x, image.view(len(image), depth * height, width).transpose(1, 2))
    along_y = (along_x.view(len(image), -1, depth, height) * y[:, :, None]).sum(-1)
    return (along_y * z).sum(-1)


def _jacobian(frame: Frame, state: Emitters, profiles: _Profiles) -> Tensor:
    """Derivatives of the light by (log photons, place) of each emitter and by the background: (R, P, V)."""
    (z, by_z), (y, by_y), (x, by_x) = profiles
    columns = [(z, y, x), (by_z, y, x), (z, by_y, x), (z, y, by_x)]
    if frame.axes == 2:
        del columns[1]
    crops, slots = state.log_photons.shape
    shape = (crops, len(frame.model.image), slots, -1)
    images = [torch.einsum("rmz,rmy,rmx->rmzyx", *parts).flatten(2).view(shape).sum(1) for parts in columns]
    emitted = (torch.stack(images, 2) * state.photons[..., None, None]).flatten(1, 2)
    return torch.cat((emitted, frame.series.basis.expand(crops, -1, -1)), 1)


def _information(frame: Frame, state: Emitters, local: Tensor, weight: Tensor) -> Tensor:
    """Fisher information (R, P, P) of (log photons, place) of each emitter and of the background.

    Two columns of the Jacobian are Gaussians, so their product sum is the overlap K(Δ) = Π φ(Δ; 2σ²) of the two images
    or a derivative of it; ``local`` (R, M) is the mean of 1/variance under each emitter.
    """
    model, axes = frame.model, frame.axes
    variance = [2 * (s * s + PIXEL_VARIANCE) for s in (model.sigma_z_px, model.sigma_xy_px, model.sigma_xy_px)][-axes:]
    crops, slots = state.log_photons.shape
    k, size = 1 + axes, (1 + axes) * slots
    strength = state.photons * local.clamp(min=0).sqrt()
    apart = [state.places[:, :, None, 3 - axes + a] - state.places[:, None, :, 3 - axes + a] for a in range(axes)]
    slope = [d / v for d, v in zip(apart, variance, strict=True)]
    exponent = sum((d * u for d, u in zip(apart, slope, strict=True)), start=torch.zeros_like(apart[0]))
    overlap = torch.exp(-0.5 * exponent) * math.prod((2 * math.pi * v) ** -0.5 for v in variance)
    overlap = overlap * strength[:, :, None] * strength[:, None]
    both = size + len(frame.series.orders)
    out: Tensor = overlap.new_zeros(crops, both, both)
    block = out[:, :size, :size].view(crops, slots, k, slots, k)
    block[:, :, 0, :, 0] = overlap
    for a in range(axes):
        tilted = overlap * slope[a]
        block[:, :, 0, :, 1 + a], block[:, :, 1 + a, :, 0] = tilted, -tilted
        for b in range(axes):
            block[:, :, 1 + a, :, 1 + b] = (overlap / variance[a] if a == b else 0.0) - tilted * slope[b]
    coupling = (frame.series.under(state.places, axes) * (state.photons * local)[..., None, None]).flatten(1, 2)
    out[:, :size, size:], out[:, size:, :size] = coupling, coupling.transpose(1, 2)
    out[:, size:, size:] = frame.series.products(weight)
    return out


def refine(frame: Frame, crops: Crops, state: Emitters) -> tuple[Emitters, Tensor, Tensor]:
    """One damped scoring step on the log-posterior of all emitters and the background.

    Parameters
    ----------
    frame : Frame
    crops : Crops
    state : Emitters

    Returns
    -------
    Emitters
        State after the step.
    Tensor, (R,)
        Logarithm of the determinant of the information, priors included, at the state before the step.
    Tensor, (R,)
        What the step, unbounded, is to gain in log-posterior.
    """
    profiles = _profiles(frame, state.places)
    light = expected_light(frame, state, profiles)
    weight = crops.weight / light
    residual = crops.data * weight - crops.weight
    gradient, precision = _priors(frame, crops, state)
    projected = _projections(frame, residual, profiles) * state.photons[..., None]
    gradient = gradient + torch.cat((projected.flatten(1), residual @ frame.series.basis.T), 1)
    if len(frame.model.image) == 1:
        information = _information(frame, state, _overlaps(frame, weight, profiles), weight)
    else:  # overlaps are closed for two Gaussians alone
        slopes = _jacobian(frame, state, profiles)
        information = torch.bmm(slopes * weight[:, None], slopes.transpose(1, 2))
    diagonal = information.diagonal(dim1=1, dim2=2)
    diagonal += precision
    log_scale = diagonal.log().sum(1)
    scale = diagonal.rsqrt()
    information = information * scale[:, :, None] * scale[:, None]
    information.diagonal(dim1=1, dim2=2).add_(DAMPING)
    factor, failed = torch.linalg.cholesky_ex(information)
    # the closed overlaps are not exactly of one matrix: where they cannot be factored, a short step along the gradient
    if bool(failed.any()):
        short = SHORT * torch.eye(factor.shape[1], device=factor.device, dtype=factor.dtype)
        factor = torch.where((failed > 0)[:, None, None], short, factor)
    log_determinant = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1) + log_scale
    step = torch.cholesky_solve((gradient * scale)[:, :, None], factor)[:, :, 0] * scale
    return _moved(frame, crops, state, step), log_determinant, 0.5 * (gradient * step).sum(1)


def _priors(frame: Frame, crops: Crops, state: Emitters) -> tuple[Tensor, Tensor]:
    """Gradient of the log-prior and its precision, both (R, P); an unused slot gets a precision that holds it still."""
    model, k = frame.model, 1 + frame.axes
    rows, slots = state.log_photons.shape
    size = k * slots
    level = torch.zeros_like(state.background)
    level[:, 0] = crops.level
    gradient = state.background.new_zeros(rows, size + len(frame.series.orders))
    gradient[:, :size:k] = -(state.log_photons - math.log(model.median_photons)) / model.log_sigma**2 * state.used
    stiffness = frame.series.precision / crops.level[:, None].clamp(min=1.0).square()
    gradient[:, size:] = -(state.background - level) * stiffness
    precision = torch.full_like(gradient, PLACE_PRECISION)
    precision[:, :size:k] = model.log_sigma**-2
    precision[:, size:] = stiffness
    return gradient, precision


def _moved(frame: Frame, crops: Crops, state: Emitters, step: Tensor) -> Emitters:
    """State after ``step``, each part bounded: a step, and how far the background may leave its prior."""
    rows, slots = state.log_photons.shape
    k = 1 + frame.axes
    part = (step[:, : k * slots].view(rows, slots, k) * state.used[..., None]).clamp_(-LONGEST_STEP, LONGEST_STEP)
    lowest = math.log(frame.model.median_photons) - FAINTEST * frame.model.log_sigma
    places = state.places.clone()
    places[..., 3 - frame.axes :] += part[..., 1:]
    last = torch.tensor(frame.shape, device=places.device, dtype=places.dtype) - 1
    level, spread = crops.level[:, None], crops.level[:, None].clamp(min=1.0) * frame.series.precision.rsqrt()
    first = torch.zeros_like(spread)
    first[:, 0] = crops.level
    background = state.background + torch.maximum(torch.minimum(step[:, k * slots :], spread), -spread)
    background = torch.maximum(torch.minimum(background, first + FARTHEST * spread), first - FARTHEST * spread)
    background[:, :1] = torch.maximum(background[:, :1], 0.1 * level)
    return Emitters(
        torch.minimum(places.clamp(min=0.0), last),
        (state.log_photons + part[..., 0]).clamp(min=lowest),
        state.used,
        background,
    )


def log_likelihood(frame: Frame, crops: Crops, state: Emitters) -> Tensor:
    """Logarithm of the likelihood, up to a constant of the crop: (R,)."""
    light = expected_light(frame, state)
    null = ((crops.data * crops.weight).sum(1) / crops.weight.sum(1).clamp(min=1.0)).clamp(min=SMALLEST_MODEL)[:, None]
    return ((crops.data * torch.log(light / null) - (light - null)) * crops.weight).sum(1)


def log_occam(frame: Frame, state: Emitters, log_determinant: Tensor) -> Tensor:
    """Logarithm of prior times volume of the posterior, which the likelihood of its maximum is to be weighed by: (R,).

    Laplace's approximation of the integral over brightness and places. Emitters form a Poisson process whose density
    is unknown up to scale: n emitters weigh Γ(n) / Vⁿ with V the room per emitter.
    """
    model = frame.model
    number = state.used.sum(1)
    spread = (state.log_photons - math.log(model.median_photons)) / model.log_sigma
    brightness = -0.5 * (spread.square() * state.used).sum(1)
    brightness = brightness - number * math.log(model.log_sigma * math.sqrt(2 * math.pi))
    process = torch.lgamma(number.clamp(min=1.0)) - number * math.log(model.room(frame.axes))
    volume = math.log(2 * math.pi) * 0.5 * (1 + frame.axes) * number
    # an unused slot is in the determinant with its precision and the damping
    slot = (
        frame.axes * math.log(PLACE_PRECISION) - 2 * math.log(model.log_sigma) + (1 + frame.axes) * math.log1p(DAMPING)
    )
    idle = (state.used.shape[1] - number) * slot
    return brightness + process + volume - 0.5 * (log_determinant - idle)
