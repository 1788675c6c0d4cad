"""A figure of the trial: it cannot be made without its population, its method and its role."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

from ctcfish.errors import StatisticsError
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.proportions import Proportion
from ctcfish.stats.rank import TestResult

Role = Literal["primary", "secondary", "exploratory"]


@dataclass(frozen=True, slots=True)
class Label:
    """Where a figure belongs.

    Attributes
    ----------
    endpoint : str
        Endpoint of the protocol, which is also the family for multiplicity.
    key : str
        Unique name of the figure.
    title : str
    role : {"primary", "secondary", "exploratory"}
    figure : str
        Name of the picture that shows it.
    excluded : str
        Who is not in the population, and why.
    missing : str
        How missing data were treated.
    """

    endpoint: str
    key: str
    title: str
    role: Role
    figure: str
    excluded: str
    missing: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure with everything a reader needs to check it.

    Attributes
    ----------
    label : Label
    population : str
        Whom ``n`` counts.
    n : int
    value, low, high : float
        NaN where the data cannot say; a value without interval says so in ``method``.
    confidence : float
    unit : str
        Empty for a share or a correlation.
    method : str
    numerator : int or None
        Of a proportion; ``n`` is then its denominator.
    p_value, p_adjusted : float
        Two-sided; adjusted within the endpoint after Holm. NaN where nothing is tested.
    note : str

    Raises
    ------
    StatisticsError
        No population, method, title or key.
    """

    label: Label
    population: str
    n: int
    value: float
    low: float
    high: float
    confidence: float
    unit: str
    method: str
    numerator: int | None = None
    p_value: float = math.nan
    p_adjusted: float = math.nan
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a figure nobody could check."""
        for name, text in (
            ("population", self.population),
            ("method", self.method),
            ("title", self.label.title),
            ("key", self.label.key),
        ):
            if not text.strip():
                raise StatisticsError(f"figure {self.label.key or self.label.title!r} has no {name}: name it")

    def as_row(self) -> dict[str, Any]:
        """Return label and figure as one flat row."""
        row = asdict(self)
        label: dict[str, Any] = row.pop("label")
        return label | row


def of_proportion(label: Label, share: Proportion, note: str = "") -> Finding:
    """Return the finding of a proportion: its denominator is the population."""
    return Finding(
        label=label,
        population=share.population,
        n=share.denominator,
        value=share.value,
        low=share.low,
        high=share.high,
        confidence=share.confidence,
        unit="share",
        method=share.method,
        numerator=share.numerator,
        note=note,
    )


def of_estimate(label: Label, estimate: Estimate, population: str, n: int, unit: str = "") -> Finding:
    """Return the finding of an estimate with its interval."""
    figures = (estimate.value, estimate.low, estimate.high, estimate.confidence)
    return Finding(label, population, n, *figures, unit, estimate.method)


def of_correlation(label: Label, test: TestResult, population: str, confidence: float) -> Finding:
    """Return the finding of a rank correlation; the interval is Bonett and Wright's (2000) on Fisher's scale."""
    low, high = correlation_interval(test.statistic, test.n, confidence)
    method = f"{test.method}; interval after Bonett and Wright"
    return Finding(
        label, population, test.n, test.statistic, low, high, confidence, "rho", method, p_value=test.p_value
    )


def correlation_interval(rho: float, n: int, confidence: float) -> tuple[float, float]:
    """Return ``tanh(artanh(rho) -+ z sqrt((1 + rho^2 / 2) / (n - 3)))``; NaN up to 3 subjects or at a perfect rho."""
    if n <= 3 or not abs(rho) < 1:
        return math.nan, math.nan
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt((1 + rho * rho / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach)


def adjusted(findings: list[Finding]) -> list[Finding]:
    """Return the findings with p-values adjusted within each endpoint after Holm (1979)."""
    families: dict[str, list[int]] = {}
    for index, finding in enumerate(findings):
        if not math.isnan(finding.p_value):
            families.setdefault(finding.label.endpoint, []).append(index)
    out = list(findings)
    for members in families.values():
        for index, value in zip(members, holm([findings[i].p_value for i in members]), strict=True):
            out[index] = replace(findings[index], p_adjusted=value)
    return out


def holm(p_values: list[float]) -> list[float]:
    """Return step-down adjusted p-values, in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    out, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        out[index] = highest
    return out
