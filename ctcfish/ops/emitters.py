"""Several point emitters on a smooth background, fitted jointly in many crops at once.

The likelihood is that of the single fit: Poisson light with read variance added to data and model. Brightness has a
log-normal prior, the background is a short cosine series with the prior of a smooth random field. The gradient is
exact, through one profile per axis; the Fisher information between emitters is the closed overlap of two Gaussians,
weighted by the local 1/variance, which costs nothing per pixel. Such scoring steps have the maximum of the exact
posterior as their fixed point. Emitters of an image of several parts have a width of their own, and as windows cut such
images the information is the products of the derivatives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from ctcfish.ops.background import Series
from ctcfish.ops.psf import pixel_profile_derivatives, pixel_profile_shift

SMALLEST_MODEL = 0.5  # photons a pixel, read variance included
FAINTEST = 2.5  # σ of the log-normal brightness below its median: fainter is background that is not smooth
PIXEL_VARIANCE = 1.0 / 12.0  # a pixel's own width, px²
WIDTH_SD = 0.08  # of the logarithm of an emitter's width where it has one: loci have sizes, blobs are none


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

    @property
    def sized(self) -> bool:
        """Whether emitters have a width of their own, which an image of several parts tells."""
        return len(self.image) > 1

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

    @property
    def columns(self) -> int:
        """Parameters of an emitter: log photons, place, and log width where it has one."""
        return 1 + self.axes + self.model.sized


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

    Places z, y, x (R, M, 3), log photons (R, M), logarithm of the width in the plane over that of a point (R, M), 1
    where a slot is used (R, M), background coefficients (R, B).
    """

    places: Tensor
    log_photons: Tensor
    log_widths: Tensor
    used: Tensor
    background: Tensor

    def rows(self, keep: Tensor) -> Emitters:
        """The crops that ``keep`` names."""
        return Emitters(*(getattr(self, f.name)[keep] for f in fields(self)))

    @property
    def photons(self) -> Tensor:
        """Photons of each emitter, 0 in unused slots: (R, M)."""
        return torch.exp(self.log_photons) * self.used


class Profiles(NamedTuple):
    """Profiles along z, y and x, each (R, K M, L) for the K parts of the image, and their derivatives.

    By the centre along each axis, and along y and x by the logarithm of the emitter's width.
    """

    z: Tensor
    y: Tensor
    x: Tensor
    z_shift: Tensor
    y_shift: Tensor
    x_shift: Tensor
    y_growth: Tensor
    x_growth: Tensor


def profiles(frame: Frame, state: Emitters) -> Profiles:
    """Profiles of the emitters of R crops, for every part of their image."""
    parts = [_part(frame, state, part) for part in frame.model.image]
    return parts[0] if len(parts) == 1 else Profiles(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))


def _part(frame: Frame, state: Emitters, part: Part) -> Profiles:
    """Profiles of one part of the image, (R, M, L); its light is in those along z.

    The size of a locus adds the same variance to every part: σ² = (w² + exp(2 u) − 1) σ₀² for log width u.
    """
    (depth, height, width), places, own = frame.shape, state.places, torch.exp(2 * state.log_widths)
    over = (part.width_xy**2 - 1 + own).sqrt()
    # one call for both axes of the plane, cut to their lengths
    sigma = (over * frame.model.sigma_xy_px)[..., None]
    profile, shift, widening = pixel_profile_derivatives(places[..., 1:], sigma, max(height, width))
    growth = widening.diff(dim=-1) * (own / over * frame.model.sigma_xy_px)[..., None, None]
    (y, x), (y_shift, x_shift), (y_growth, x_growth) = (
        (t[..., 0, :height], t[..., 1, :width]) for t in (profile, shift, growth)
    )
    if depth == 1:
        z = torch.full_like(places[..., :1], part.light)
        z_shift = torch.zeros_like(z)
    else:
        sigma_z = frame.model.sigma_z_px
        halves = places[..., :1] + sigma_z * part.away_z * places.new_tensor([-1.0, 1.0])
        z, z_shift = (t.mean(-2) * part.light for t in pixel_profile_shift(halves, part.width_z * sigma_z, depth))
    return Profiles(z, y, x, z_shift, y_shift, x_shift, y_growth, x_growth)


def expected_light(frame: Frame, state: Emitters, seen: Profiles | None = None) -> Tensor:
    """Expected photons plus read variance, (R, V); ``seen`` are the profiles where they are known already."""
    seen = profiles(frame, state) if seen is None else seen
    photons = state.photons.repeat(1, len(frame.model.image))
    zy = ((photons[:, :, None] * seen.z)[..., None] * seen.y[:, :, None]).flatten(2)
    light: Tensor = torch.bmm(zy.transpose(1, 2), seen.x).flatten(1)
    light += state.background @ frame.series.basis
    light += frame.model.read_variance
    return light.clamp_(min=SMALLEST_MODEL)


def projections(frame: Frame, image: Tensor, seen: Profiles) -> Tensor:
    """Sums of ``image`` times each emitter's image and its derivatives by place: (R, M, 1 + D)."""
    depth, height, width = frame.shape
    slots = seen.x.shape[1]
    flat = image.view(len(image), depth * height, width).transpose(1, 2)
    along_x = torch.bmm(torch.cat((seen.x, seen.x_shift), 1), flat).view(len(image), 2, slots, depth, height)
    along_y = (along_x * seen.y[:, None, :, None]).sum(-1)
    value_and_x = (along_y * seen.z[:, None]).sum(-1)
    by_y = ((along_x[:, 0] * seen.y_shift[:, :, None]).sum(-1) * seen.z).sum(-1)
    columns = [value_and_x[:, 0], by_y, value_and_x[:, 1]]
    if frame.axes == 3:
        columns.insert(1, (along_y[:, 0] * seen.z_shift).sum(-1))
    return torch.stack(columns, -1)


def overlaps(frame: Frame, image: Tensor, seen: Profiles) -> Tensor:
    """Mean of ``image`` under each emitter's image: (R, M)."""
    depth, height, width = frame.shape
    along_x = torch.bmm(seen.x, image.view(len(image), depth * height, width).transpose(1, 2))
    along_y = (along_x.view(len(image), -1, depth, height) * seen.y[:, :, None]).sum(-1)
    return (along_y * seen.z).sum(-1)


def jacobian(frame: Frame, state: Emitters, seen: Profiles) -> Tensor:
    """Derivatives of the light by (log photons, place, log width) of each emitter and by the background: (R, P, V)."""
    z, y, x = seen.z, seen.y, seen.x
    shifts = [(seen.z_shift, y, x), (z, seen.y_shift, x), (z, y, seen.x_shift)][3 - frame.axes :]
    crops, slots = state.log_photons.shape
    shape = (crops, len(frame.model.image), slots, -1)

    def image(*profiles: Tensor) -> Tensor:
        return torch.einsum("rmz,rmy,rmx->rmzyx", *profiles).flatten(2).view(shape).sum(1)

    growth = image(z, seen.y_growth, x) + image(z, y, seen.x_growth)
    images = torch.stack([image(z, y, x), *(image(*profiles) for profiles in shifts), growth], 2)
    emitted = (images * state.photons[..., None, None]).flatten(1, 2)
    return torch.cat((emitted, frame.series.basis.expand(crops, -1, -1)), 1)


def closed_information(frame: Frame, state: Emitters, local: Tensor, weight: Tensor) -> Tensor:
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
