"""Batched maximum-likelihood fit of single signals: every spot at once, no loop over spots.

The likelihood is Poisson light plus Gaussian read noise of variance v, taken as Poisson after v is added to data and
model (Huang et al. 2013, Nat. Methods 10:653). Steps are Fisher scoring, damped and bounded; a spot whose Newton
decrement is small is done and leaves the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from ctcfish.errors import InputError
from ctcfish.ops import fit_model as fm
from ctcfish.ops.compiled import spots
from ctcfish.ops.compiled.spot import Setup, functions_of
from ctcfish.ops.fit_model import FitModel, Layout, Problem

_CHUNK_VALUES = 1 << 20  # Jacobian entries held at once: 4 MiB of float32, within the caches
_EARLY = 4  # steps taken chunk by chunk; spots that need more are then taken together


@dataclass(frozen=True)
class SpotFits:
    """Result of :func:`fit_spots`, one entry a spot, on the device of the crops.

    Parameters
    ----------
    position_px, position_error_px : Tensor, (N, 3)
        Centre z, y, x in pixels from the centre of the crop's first pixel, and its Cramér–Rao error. For single planes
        z is 0 with error 0.
    photons, photons_error : Tensor, (N,)
        Light of the whole signal.
    background, background_error : Tensor, (N,)
        Photons per pixel at the centre of the crop.
    sigma_px, sigma_error_px : Tensor, (N, 2)
        Width along z and in the plane; error 0 where fixed.
    chi2_per_dof, p_value : Tensor, (N,)
        Pearson's χ² over the degrees of freedom, and the chance of a larger one if the model holds.
    log_likelihood_ratio : Tensor, (N,)
        log L(signal) − log L(background alone).
    converged : Tensor of bool, (N,)
        The decrement fell below the tolerance, away from every bound.
    iterations : Tensor of int, (N,)
    """

    position_px: Tensor
    position_error_px: Tensor
    photons: Tensor
    photons_error: Tensor
    background: Tensor
    background_error: Tensor
    sigma_px: Tensor
    sigma_error_px: Tensor
    chi2_per_dof: Tensor
    p_value: Tensor
    log_likelihood_ratio: Tensor
    converged: Tensor
    iterations: Tensor


def fit_spots(
    crops: Tensor,
    start_px: Tensor,
    read_variance: float,
    model: FitModel,
    known: Tensor | None = None,
    weight: Tensor | None = None,
) -> SpotFits:
    """Fit one pixel-integrated Gaussian on its background in every crop.

    Parameters
    ----------
    crops : Tensor of float32, (N, Y, X) or (N, Z, Y, X)
        Photons: (ADU − offset) / gain.
    start_px : Tensor, (N, 2) or (N, 3)
        Start centres y, x or z, y, x in pixels from the centre of the crop's first pixel.
    read_variance : float
        Variance of the read noise, photons².
    model : FitModel
    known : Tensor like crops, optional
        Light already accounted for, such as neighbouring signals; part of the model, not fitted.
    weight : Tensor like crops, optional
        1 where a pixel counts, 0 where it does not (saturated, outside the image).

    Returns
    -------
    SpotFits
        No rows where there are no crops.

    Raises
    ------
    InputError
        Shapes that do not go together.
    """
    data, start = _checked(crops, start_px, known, weight)
    layout = Layout.of((data.shape[1], data.shape[2], data.shape[3]), model)
    extra = [None if t is None else t.flatten(1) for t in (known, weight)]
    problem = Problem(data.flatten(1), extra[0], extra[1], read_variance)
    way = _in_lanes if data.device.type == "cpu" else _together
    return way(problem, start, model, layout)


def _in_lanes(problem: Problem, start: Tensor, model: FitModel, layout: Layout) -> SpotFits:
    """By the compiled kernel, which a CPU has."""
    setup = Setup(
        layout.shape,
        *(layout.z, layout.sigma_xy, layout.sigma_z, layout.slope, layout.size),
        (model.sigma_z_px, model.sigma_xy_px),
        model.width_range,
        model.max_shift_px,
        model.max_iterations,
        model.tolerance,
        problem.read_variance,
    )
    number, nothing = len(start), problem.data.new_zeros(0, 0)
    images = [nothing if t is None else t for t in (problem.data, problem.known, problem.weight)]
    pixels = tuple(np.ascontiguousarray(t.numpy(), np.float32) for t in images)
    theta, error = np.zeros((2, number, layout.size), np.float32)
    fit, done, steps = np.zeros((number, 3)), np.zeros(number, np.bool_), np.zeros(number, np.int32)
    places = np.ascontiguousarray(start.numpy(), np.float32)
    spots.fit_all(setup, functions_of(setup), pixels, places, (theta, error, fit, done, steps))
    like = problem.data
    theta_t, error_t, fit_t = (torch.from_numpy(values).to(like.dtype) for values in (theta, error, fit))
    told = (*fit_t.unbind(1), torch.from_numpy(done), torch.from_numpy(steps))
    return SpotFits(*_columns(theta_t, error_t, model, layout), *told)


def _together(problem: Problem, start: Tensor, model: FitModel, layout: Layout) -> SpotFits:
    """All spots in lockstep, on any device."""
    problem = replace(problem, data=problem.data + problem.read_variance)
    number, device = len(problem.data), problem.data.device
    size = max(32, _CHUNK_VALUES // ((layout.size + 1) * max(problem.data.shape[1], 1)))
    theta = _start(problem, start, model, layout)
    search = _Search.begin(theta, *_bounds(theta, model, layout))
    early = [
        _iterate(problem.rows(rows), search.rows(rows), model, layout, _EARLY)
        for rows in torch.split(torch.arange(number, device=device), size)
    ]
    search = _Search.joined(early)
    late = (~search.done).nonzero()[:, 0]
    for rows in torch.split(late, size):
        rest = _iterate(problem.rows(rows), search.rows(rows), model, layout, model.max_iterations - _EARLY)
        search.put(rows, rest)
    parts = [
        _summary(problem.rows(rows), search.rows(rows), model, layout)
        for rows in torch.split(torch.arange(number, device=device), size)
    ]
    return SpotFits(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _checked(crops: Tensor, start_px: Tensor, known: Tensor | None, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Crops as (N, Z, Y, X) and starts as (N, 3)."""
    axes = crops.ndim - 1
    if axes not in (2, 3) or start_px.shape != (len(crops), axes):
        raise InputError(
            "fit_spots",
            f"crops {tuple(crops.shape)} with start_px {tuple(start_px.shape)}",
            "crops (N, Y, X) with start_px (N, 2), or (N, Z, Y, X) with (N, 3)",
            "Give one start a crop, z first.",
        )
    for name, image in (("known", known), ("weight", weight)):
        if image is not None and image.shape != crops.shape:
            raise InputError(
                "fit_spots",
                f"{name} {tuple(image.shape)}",
                f"the shape of crops, {tuple(crops.shape)}",
                "Crop it alike.",
            )
    if axes == 3:
        return crops, start_px
    return crops[:, None], torch.nn.functional.pad(start_px, (1, 0))


@dataclass(frozen=True)
class _Search:
    """Where the search stands: parameters and bounds (N, P), longest step (N, P), and how each spot has fared (N,)."""

    theta: Tensor
    low: Tensor
    high: Tensor
    limit: Tensor
    damping: Tensor
    previous: Tensor
    iterations: Tensor
    done: Tensor
    free: Tensor

    @classmethod
    def begin(cls, theta: Tensor, low: Tensor, high: Tensor, limit: Tensor) -> _Search:
        """A search that has not moved."""
        one = theta.new_ones(len(theta))
        no = torch.zeros_like(one, dtype=torch.bool)
        count = torch.zeros_like(one, dtype=torch.int32)
        return cls(
            theta, low, high, limit.expand_as(theta), one, torch.full_like(one, torch.inf), count, no, no.clone()
        )

    @classmethod
    def joined(cls, parts: list[_Search]) -> _Search:
        """Rows of all parts, one after the other."""
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def rows(self, keep: Tensor) -> _Search:
        """The spots that ``keep`` names."""
        return _Search(*(getattr(self, f.name)[keep] for f in fields(self)))

    def put(self, rows: Tensor, part: _Search) -> None:
        """Write the rows of a part back, in place."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(part, field.name)


def _iterate(problem: Problem, search: _Search, model: FitModel, layout: Layout, turns: int) -> _Search:
    """Up to ``turns`` steps for every spot; rows that are done leave the work."""
    result = search
    active: Tensor | None = None
    for _ in range(turns):
        search = _stepped(problem, search, model, layout)
        if active is None:
            result = search
        else:
            result.put(active, search)
        keep = (~search.done).nonzero()[:, 0]
        if len(keep) == 0:
            break
        if len(keep) < 0.8 * len(search.theta):
            active = keep if active is None else active[keep]
            problem, search = problem.rows(keep), search.rows(keep)
    return result


def _stepped(problem: Problem, search: _Search, model: FitModel, layout: Layout) -> _Search:
    """One bounded step; a decrement that does not fall means that full steps overshoot, and shortens the next."""
    theta, previous = search.theta, search.previous
    system = fm.normal_equations(problem, theta, model, layout)
    step = fm.scoring_step(system) * search.damping[:, None]
    step = torch.minimum(torch.maximum(step, -search.limit), search.limit)
    step[:, fm.PHOTONS] = torch.maximum(step[:, fm.PHOTONS], -0.7 * theta[:, fm.PHOTONS])
    wanted = theta + step
    moved = torch.minimum(torch.maximum(wanted, search.low), search.high)
    move = moved - theta
    decrement = (torch.bmm(system[:, :, :-1], move[:, :, None])[:, :, 0] * move).sum(1)
    damping = torch.where(decrement > 0.5 * previous, 0.5 * search.damping, (1.5 * search.damping).clamp(max=1.0))
    return replace(
        search,
        theta=moved,
        damping=damping.clamp(min=0.1),
        previous=decrement,
        iterations=search.iterations + 1,
        done=decrement < model.tolerance,
        free=(moved == wanted).all(1),
    )


def _start(problem: Problem, start: Tensor, model: FitModel, layout: Layout) -> Tensor:
    """Start values: least squares of the template at the given place on a constant."""
    theta = problem.data.new_zeros(len(problem.data), layout.size)
    theta[:, fm.Y], theta[:, fm.X] = start[:, 1], start[:, 2]
    theta[:, fm.PHOTONS] = 1.0
    if layout.z >= 0:
        theta[:, layout.z] = start[:, 0]
        if layout.sigma_z >= 0:
            theta[:, layout.sigma_z] = model.sigma_z_px
    if layout.sigma_xy >= 0:
        theta[:, layout.sigma_xy] = model.sigma_xy_px
    template = fm.jacobian_of(theta, model, layout)[:, fm.PHOTONS]
    light = (
        problem.data - problem.read_variance
        if problem.known is None
        else (problem.data - problem.known - problem.read_variance)
    )
    mean_t, mean_d = template.mean(1), light.mean(1)
    covariance = (template * light).mean(1) - mean_t * mean_d
    variance = template.square().mean(1) - mean_t.square()
    photons = (covariance / variance.clamp(min=1e-12)).clamp(min=1.0)
    theta[:, fm.PHOTONS] = photons
    theta[:, fm.BACKGROUND] = (mean_d - photons * mean_t).clamp(min=fm.SMALLEST_MODEL)
    return theta


def _bounds(theta: Tensor, model: FitModel, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Lowest and highest value of each parameter (N, P), and the longest step (P,)."""
    low, high = torch.full_like(theta, -torch.inf), torch.full_like(theta, torch.inf)
    low[:, fm.PHOTONS], low[:, fm.BACKGROUND] = 1e-2, fm.SMALLEST_MODEL
    limit = theta.new_full((layout.size,), torch.inf)
    lengths = {fm.Y: layout.shape[1], fm.X: layout.shape[2]} | ({layout.z: layout.shape[0]} if layout.z >= 0 else {})
    for column, length in lengths.items():
        low[:, column] = (theta[:, column] - model.max_shift_px).clamp(min=-0.5)
        high[:, column] = (theta[:, column] + model.max_shift_px).clamp(max=length - 0.5)
        limit[column] = 0.5 * (model.sigma_z_px if column == layout.z else model.sigma_xy_px)
    for column, sigma in ((layout.sigma_xy, model.sigma_xy_px), (layout.sigma_z, model.sigma_z_px)):
        if column >= 0:
            low[:, column], high[:, column] = (sigma * factor for factor in model.width_range)
            limit[column] = 0.25 * sigma
    return low, high, limit


def _summary(problem: Problem, search: _Search, model: FitModel, layout: Layout) -> tuple[Tensor, ...]:
    """Columns of :class:`SpotFits` for one chunk."""
    theta = search.theta
    jacobian = fm.jacobian_of(theta, model, layout)
    expected = fm.expected_light(problem, jacobian)
    weight = expected.reciprocal() if problem.weight is None else problem.weight / expected
    weighted = jacobian[:, :-1] * weight[:, None]
    scaled, scale = fm.unit_diagonal(torch.bmm(weighted, jacobian[:, :-1].transpose(1, 2)))
    covariance = torch.cholesky_inverse(torch.linalg.cholesky_ex(scaled)[0])
    error = covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt() * scale
    signal = theta[:, fm.PHOTONS, None] * jacobian[:, fm.PHOTONS]
    fit = fm.goodness(problem, expected, signal, theta[:, fm.BACKGROUND, None], layout.size)
    return (*_columns(theta, error, model, layout), *fit, search.done & search.free, search.iterations)


def _columns(theta: Tensor, error: Tensor, model: FitModel, layout: Layout) -> tuple[Tensor, ...]:
    """Columns of :class:`SpotFits` from place to width, of parameters and their errors (N, P)."""
    zero = torch.zeros_like(theta[:, 0])

    def pick(values: Tensor, column: int, otherwise: Tensor) -> Tensor:
        return values[:, column] if column >= 0 else otherwise

    position = [torch.stack((pick(v, layout.z, zero), v[:, fm.Y], v[:, fm.X]), 1) for v in (theta, error)]
    sigma = torch.stack(
        (pick(theta, layout.sigma_z, zero + model.sigma_z_px), pick(theta, layout.sigma_xy, zero + model.sigma_xy_px)),
        1,
    )
    sigma_error = torch.stack((pick(error, layout.sigma_z, zero), pick(error, layout.sigma_xy, zero)), 1)
    light = [c for k in (fm.PHOTONS, fm.BACKGROUND) for c in (theta[:, k], error[:, k])]
    return (*position, *light, sigma, sigma_error)
