"""Scoring steps on several emitters and their background, and the evidence of their number; all crops in lockstep."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ctcfish.ops.emitters import (
    FAINTEST,
    SMALLEST_MODEL,
    WIDTH_SD,
    Crops,
    Emitters,
    Frame,
    closed_information,
    expected_light,
    jacobian,
    overlaps,
    profiles,
    projections,
)

DAMPING = 0.1
SHORT = 4.0  # divides a step twice
LONGEST_STEP = 0.5  # pixels, and units of log photons
FARTHEST = 3.0  # prior standard deviations a background coefficient may leave its prior
WIDEST = 3.0  # σ of an emitter's log width it may leave that of a point
PLACE_PRECISION = 1.0  # px⁻²: emitters that share a place are known to be no farther apart than about this


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
    seen = profiles(frame, state)
    light = expected_light(frame, state, seen)
    weight = crops.weight / light
    residual = crops.data * weight - crops.weight
    if frame.model.sized:  # overlaps are closed for two Gaussians alone
        slopes = jacobian(frame, state, seen)
        slope = (slopes @ residual[..., None])[..., 0]
        information = torch.bmm(slopes * weight[:, None], slopes.transpose(1, 2))
    else:
        projected = projections(frame, residual, seen) * state.photons[..., None]
        slope = torch.cat((projected.flatten(1), residual @ frame.series.basis.T), 1)
        information = closed_information(frame, state, overlaps(frame, weight, seen), weight)
    gradient, precision = _priors(frame, crops, state)
    gradient = gradient + slope
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
    model, k = frame.model, frame.columns
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
    if model.sized:
        gradient[:, k - 1 : size : k] = -state.log_widths / WIDTH_SD**2
        precision[:, k - 1 : size : k] = WIDTH_SD**-2
    precision[:, size:] = stiffness
    return gradient, precision


def _moved(frame: Frame, crops: Crops, state: Emitters, step: Tensor) -> Emitters:
    """State after ``step``, each part bounded: a step, and how far the background may leave its prior."""
    rows, slots = state.log_photons.shape
    k, axes = frame.columns, frame.axes
    part = (step[:, : k * slots].view(rows, slots, k) * state.used[..., None]).clamp_(-LONGEST_STEP, LONGEST_STEP)
    lowest = math.log(frame.model.median_photons) - FAINTEST * frame.model.log_sigma
    places = state.places.clone()
    places[..., 3 - axes :] += part[..., 1 : 1 + axes]
    widths = state.log_widths + part[..., -1] if frame.model.sized else state.log_widths
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
        widths.clamp(-WIDEST * WIDTH_SD, WIDEST * WIDTH_SD),
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

    Laplace's approximation of the integral over brightness, places and widths. Emitters form a Poisson process whose
    density is unknown up to scale: n emitters weigh Γ(n) / Vⁿ with V the room per emitter.
    """
    model = frame.model
    number = state.used.sum(1)
    spread = (state.log_photons - math.log(model.median_photons)) / model.log_sigma
    brightness = -0.5 * (spread.square() * state.used).sum(1)
    brightness = brightness - number * math.log(model.log_sigma * math.sqrt(2 * math.pi))
    process = torch.lgamma(number.clamp(min=1.0)) - number * math.log(model.room(frame.axes))
    volume = math.log(2 * math.pi) * 0.5 * frame.columns * number
    # an unused slot is in the determinant with its precision and the damping
    slot = frame.axes * math.log(PLACE_PRECISION) - 2 * math.log(model.log_sigma) + frame.columns * math.log1p(DAMPING)
    if model.sized:
        process = process - 0.5 * ((state.log_widths / WIDTH_SD).square() * state.used).sum(1)
        process = process - number * math.log(WIDTH_SD * math.sqrt(2 * math.pi))
        slot -= 2 * math.log(WIDTH_SD)
    idle = (state.used.shape[1] - number) * slot
    return brightness + process + volume - 0.5 * (log_determinant - idle)
