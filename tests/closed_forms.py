"""Figures from their definitions, value by value: what the package's faster ways are held against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy.stats import binom

from ctcfish.stats.count_posterior import MAX_CEP17_COUNT, MAX_HER2_COUNT
from ctcfish.stats.countmodel import CountErrors, SignalErrors, count_matrix
from ctcfish.stats.designs import TwoStage
from ctcfish.stats.state_prior import MAX_CEP17, MAX_HER2, StatePrior
from ctcfish.stats.survival import IntervalCurve

M = -1
"""A reading that is missing."""


class MeanSquares(NamedTuple):
    """Two-way analysis of variance without replication."""

    subjects: float
    readers: float
    error: float


def mean_squares(table: np.ndarray) -> MeanSquares:
    n, k = table.shape
    mean, rows, columns = table.mean(), table.mean(axis=1), table.mean(axis=0)
    residual = table - rows[:, None] - columns + mean
    return MeanSquares(
        k * ((rows - mean) ** 2).sum() / (n - 1),
        n * ((columns - mean) ** 2).sum() / (k - 1),
        (residual**2).sum() / ((n - 1) * (k - 1)),
    )


def icc_agreement(table: np.ndarray) -> float:
    """ICC(2,1) of Shrout and Fleiss 1979."""
    (n, k), ms = table.shape, mean_squares(table)
    return (ms.subjects - ms.error) / (ms.subjects + (k - 1) * ms.error + k * (ms.readers - ms.error) / n)


def icc_consistency(table: np.ndarray) -> float:
    """ICC(3,1) of Shrout and Fleiss 1979."""
    k, ms = table.shape[1], mean_squares(table)
    return (ms.subjects - ms.error) / (ms.subjects + (k - 1) * ms.error)


def concordance(x: np.ndarray, y: np.ndarray) -> float:
    """Lin 1989."""
    return 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def limits_of_agreement(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Bias of y over x and 95 % limits (Bland and Altman 1986)."""
    gap = y - x
    reach = 1.959964 * gap.std(ddof=1)
    return gap.mean(), gap.mean() - reach, gap.mean() + reach


def repeatability_coefficient(table: np.ndarray) -> float:
    """Bland and Altman 1999."""
    return 1.959964 * np.sqrt(2 * table.var(axis=1, ddof=1).mean())


def ratings(codes: np.ndarray, categories: int) -> np.ndarray:
    """Readers who chose each category, (items, categories)."""
    return (codes[:, :, None] == np.arange(categories)).sum(axis=1)


def _pairwise(counts: np.ndarray) -> tuple[float, np.ndarray]:
    """Observed agreement of items read twice, and mean shares of the categories over items read at all."""
    alike = [(row * (row - 1)).sum() / (row.sum() * (row.sum() - 1)) for row in counts if row.sum() >= 2]
    return float(np.mean(alike)), np.mean([row / row.sum() for row in counts if row.sum()], axis=0)


def fleiss_kappa(counts: np.ndarray) -> float:
    """Fleiss 1971, missing readings after Gwet 2014."""
    observed, share = _pairwise(counts)
    return (observed - (share**2).sum()) / (1 - (share**2).sum())


def gwet_ac1(counts: np.ndarray) -> float:
    """Gwet 2008."""
    observed, share = _pairwise(counts)
    chance = (share * (1 - share)).sum() / (len(share) - 1)
    return (observed - chance) / (1 - chance)


def krippendorff_alpha(counts: np.ndarray) -> float:
    """Nominal alpha from the coincidences of pairable readings (Krippendorff 2011)."""
    table = counts[counts.sum(axis=1) >= 2].astype(float)
    coincidences = sum((np.outer(row, row) - np.diag(row)) / (row.sum() - 1) for row in table)
    used = coincidences.sum(axis=0)
    apart = 1 - np.eye(len(used))
    return 1 - (used.sum() - 1) * (coincidences * apart).sum() / (np.outer(used, used) * apart).sum()


def survival_bounds(curve: IntervalCurve, moment: float) -> tuple[float, float]:
    """Smallest and largest survival beyond a time that the mass of a curve allows."""
    return float(curve.mass[curve.left >= moment].sum()), float(curve.mass[curve.right > moment].sum())


def acceptance(design: TwoStage, rate: float) -> float:
    """P(two stages go on with the drug), outcome by outcome."""
    first = np.arange(design.r1 + 1, design.n1 + 1)
    return float(binom.pmf(first, design.n1, rate) @ binom.sf(design.r - first, design.n - design.n1, rate))


def early_stop(design: TwoStage, rate: float) -> float:
    return float(binom.cdf(design.r1, design.n1, rate))


def expected_size(design: TwoStage, rate: float) -> float:
    return design.n1 + (1 - early_stop(design, rate)) * (design.n - design.n1)


def state_posterior(prior: StatePrior, errors: CountErrors, her2: int, cep17: int) -> np.ndarray:
    """P(true HER2, true CEP17 | counts), every state by itself."""
    seen = (count_matrix(own, top, most)[:, count] for own, top, most, count in (
        (errors.her2, MAX_HER2, MAX_HER2_COUNT, her2), (errors.cep17, MAX_CEP17, MAX_CEP17_COUNT, cep17),
    ))  # fmt: skip
    joint = prior.table * np.outer(*seen)
    with np.errstate(invalid="ignore"):
        return joint / joint.sum()


def most_likely_rates(her2: np.ndarray, cep17: np.ndarray) -> np.ndarray:
    """Missed, split and extra signals of both colours and share of G2 that make leukocytes' counts most likely.

    Among nuclei with a signal of each colour; scipy without gradient, from the default rates.
    """
    pairs, nuclei = np.unique(np.stack([her2, cep17]), axis=1, return_counts=True)
    top = int(pairs.max()) + 1

    def negative(rates: np.ndarray) -> float:
        tables = [count_matrix(SignalErrors(*own), 4, top)[[2, 4]] for own in (rates[:3], rates[3:6])]
        shares = np.array([1 - rates[6], rates[6]])
        scored = shares @ np.prod([1 - table[:, 0] for table in tables], axis=0)
        chance = shares @ (tables[0][:, pairs[0]] * tables[1][:, pairs[1]]) / scored
        return -float(nuclei @ np.log(np.maximum(chance, 1e-300)))

    bounds = [(1e-9, 0.9), (1e-9, 0.9), (1e-9, 5.0)] * 2 + [(1e-9, 0.9)]
    return optimize.minimize(negative, [0.05, 0.05, 0.03] * 2 + [0.05], bounds=bounds, method="L-BFGS-B").x
