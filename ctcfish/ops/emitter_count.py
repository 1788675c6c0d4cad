"""How many emitters a region holds: posterior from its light, the brightness prior and its structure's evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ctcfish.ops.emitters import CrowdModel
from ctcfish.ops.resolve import Path


@dataclass(frozen=True)
class CountRule:
    """How light and structure are weighed; chosen on simulated slides of other seeds than those reported.

    Parameters
    ----------
    structure : float
        Probability that the evidence counts rightly where emitters are well apart.
    crowding, steepness : float
        Light under an emitter, in signals beyond itself, at which that probability has halved, and how fast it falls.
    temper : float
        Power of the evidence.
    light_error : float
        Error of the measured light in signals of mean brightness, per square root of the number.
    slope_below, slope_above : float
        Evidence lost per emitter beyond the numbers that were tried.
    widest : float
        A region whose interval is wider than this times the estimate is not countable.
    """

    structure: float = 0.8
    crowding: float = 1.6
    steepness: float = 8.0
    temper: float = 1.0
    light_error: float = 0.45
    slope_below: float = 2.0
    slope_above: float = 1.0
    widest: float = 1.5


@dataclass(frozen=True)
class CountPosterior:
    """Number of emitters of each region.

    Parameters
    ----------
    probability : Tensor, (G, K)
        Posterior of 0 … K − 1 emitters.
    estimate, low, high : Tensor of int64, (G,)
        Posterior median and central 95 % interval.
    resolved : Tensor of int64, (G,)
        Number of highest evidence: emitters that the structure shows by itself.
    countable : Tensor of bool, (G,)
        False where the interval is so wide that only ``low`` says something.
    """

    probability: Tensor
    estimate: Tensor
    low: Tensor
    high: Tensor
    resolved: Tensor
    countable: Tensor


def count_posterior(path: Path, model: CrowdModel, rule: CountRule) -> CountPosterior:
    """Posterior of the number of emitters of every region.

    Where emitters are apart the evidence counts them. Where they overlap, greedy addition finds fewer than there are,
    but the light S at the number of highest evidence is right: S is then taken as a sum of n log-normal emitters,
    itself log-normal with the sum's mean and variance (Fenton 1960, IRE Trans. Commun. Syst. 8:57) and the error of S.
    The posterior is a mixture of both, with a weight that falls with the crowding.

    Parameters
    ----------
    path : Path
    model : CrowdModel
    rule : CountRule

    Returns
    -------
    CountPosterior
    """
    resolved = path.log_evidence.argmax(1)
    row = torch.arange(len(resolved), device=resolved.device)
    light = path.total_photons[row, resolved]
    most = 2 + path.log_evidence.shape[1]
    if len(light):
        copies = (light / model.mean_photons).clamp(min=1.0)
        far = torch.exp(3.0 * torch.log1p(_relative_variance(copies, model, rule)).sqrt())
        most = max(most, int(torch.ceil((copies * far).max())) + 4)
    number = torch.arange(most, device=light.device, dtype=light.dtype)
    trust = rule.structure / (1.0 + (path.crowding[row, resolved] / rule.crowding) ** rule.steepness)
    by_structure = torch.softmax(rule.temper * _extended(path.log_evidence, most, rule), 1)
    by_light = torch.softmax(_light_log_likelihood(light, number, model, rule), 1)
    probability = torch.lerp(by_light, by_structure, trust[:, None])
    estimate, low, high = (_quantile(probability, q) for q in (0.5, 0.025, 0.975))
    countable = (high - low) <= torch.maximum(rule.widest * estimate, torch.full_like(trust, 2.0))
    return CountPosterior(probability, estimate, low, high, resolved, countable)


def _quantile(probability: Tensor, level: float) -> Tensor:
    """Smallest number whose cumulated probability reaches ``level``: (G,)."""
    return (probability.cumsum(1) < level).sum(1).clamp(max=probability.shape[1] - 1)


def _extended(log_evidence: Tensor, most: int, rule: CountRule) -> Tensor:
    """Evidence less its maximum (G, most), carried on by straight lines where a number was not tried."""
    tried = torch.isfinite(log_evidence)
    number = torch.arange(most, device=log_evidence.device, dtype=log_evidence.dtype)
    index = torch.arange(log_evidence.shape[1], device=log_evidence.device)
    first = torch.where(tried, index, log_evidence.shape[1]).min(1).values
    last = torch.where(tried, index, -1).max(1).values
    row = torch.arange(len(first), device=first.device)
    inner = torch.nn.functional.pad(log_evidence, (0, most - log_evidence.shape[1]), value=-torch.inf)
    low, high = log_evidence[row, first][:, None], log_evidence[row, last][:, None]
    below = low - rule.slope_below * (first[:, None] - number)
    above = high - rule.slope_above * (number - last[:, None])
    out = torch.where(number < first[:, None], below, torch.where(number > last[:, None], above, inner))
    out = out - log_evidence.max(1, keepdim=True).values
    out[:, 0] = -1e9
    return out


def _light_log_likelihood(light: Tensor, number: Tensor, model: CrowdModel, rule: CountRule) -> Tensor:
    """Log-density of the light for each number, (G, K)."""
    count = number.clamp(min=1.0)
    variance = torch.log1p(_relative_variance(count, model, rule))
    mean = torch.log(count * model.mean_photons) - variance / 2
    spread = torch.log(light.clamp(min=1.0))[:, None] - mean
    out = -0.5 * spread.square() / variance - 0.5 * variance.log()
    out[:, 0] = -1e9
    return out


def _relative_variance(number: Tensor, model: CrowdModel, rule: CountRule) -> Tensor:
    """Variance of the measured light of so many emitters, over the square of its mean."""
    return (math.expm1(model.log_sigma**2) + rule.light_error**2) / number
