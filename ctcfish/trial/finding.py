"""A figure of the trial: it cannot be made without its population, its method and its role."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any

from ctcfish.errors import StatisticsError
from ctcfish.stats.estimate import Estimate, undefined
from ctcfish.stats.proportions import Proportion
from ctcfish.stats.rank import TestResult
from ctcfish.trial.endpoints import ENDPOINTS, Role


@dataclass(frozen=True, slots=True)
class Label:
    """Where a figure belongs.

    Attributes
    ----------
    endpoint : str
        Key of :data:`ctcfish.trial.endpoints.ENDPOINTS`; also the family for multiplicity.
    key : str
        Unique name of the figure.
    title : str
    """

    endpoint: str
    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure with everything a reader needs to check it.

    Attributes
    ----------
    label : Label
    estimate : Estimate
        Value, interval, level and method; NaN where the data cannot say.
    population : str
        Whom ``n`` counts.
    n : int
    unit : str
        Empty for a plain figure.
    numerator : int or None
        Of a proportion; ``n`` is then its denominator.
    p_value, p_adjusted : float
        Two-sided; adjusted within the endpoint after Holm. NaN where nothing is tested.
    note : str
    role : {"primary", "secondary", "exploratory"} or None
        None: that of the endpoint.

    Raises
    ------
    StatisticsError
        No population, method, title or key, or an endpoint that does not exist.
    """

    label: Label
    estimate: Estimate
    population: str
    n: int
    unit: str = ""
    numerator: int | None = None
    p_value: float = math.nan
    p_adjusted: float = math.nan
    note: str = ""
    role: Role | None = None

    def __post_init__(self) -> None:
        """Refuse a figure nobody could check."""
        needed = {"population": self.population, "method": self.estimate.method}
        needed |= {"title": self.label.title, "key": self.label.key}
        for name, text in needed.items():
            if not text.strip():
                raise StatisticsError(f"figure {self.label.key or self.label.title!r} has no {name}: name it")
        if self.label.endpoint not in ENDPOINTS:
            raise StatisticsError(f"endpoint {self.label.endpoint!r} is unknown: use one of {', '.join(ENDPOINTS)}")

    def as_row(self) -> dict[str, Any]:
        """Return endpoint, label and figure as one flat row."""
        row = asdict(self)
        label: dict[str, Any] = row.pop("label")
        figures: dict[str, Any] = row.pop("estimate")
        about = ENDPOINTS[self.label.endpoint]
        told = {"figure": about.figure, "excluded": about.excluded, "missing": about.missing}
        return label | figures | row | told | {"multiplicity": about.multiplicity, "role": self.role or about.role}


def of_proportion(label: Label, share: Proportion, note: str = "") -> Finding:
    """Return the finding of a proportion: its denominator is the population."""
    estimate = Estimate(share.value, share.low, share.high, share.method.title(), share.confidence)
    return Finding(label, estimate, share.population, share.denominator, "share", share.numerator, note=note)


def unknown(label: Label, population: str, n: int, why: str) -> Finding:
    """Return the finding of what these data cannot say."""
    return Finding(label, undefined("not computed"), population, n, note=why)


def of_correlation(label: Label, test: TestResult, population: str, confidence: float) -> Finding:
    """Return the finding of a rank correlation; the interval is Bonett and Wright's (2000) on Fisher's scale."""
    low, high = correlation_interval(test.statistic, test.n, confidence)
    method = f"{test.method}; interval after Bonett and Wright"
    estimate = Estimate(test.statistic, low, high, method, confidence)
    return Finding(label, estimate, population, test.n, "rho", p_value=test.p_value)


def correlation_interval(rho: float, n: int, confidence: float) -> tuple[float, float]:
    """Return ``tanh(artanh(rho) -+ z sqrt((1 + rho^2 / 2) / (n - 3)))``; NaN up to 3 subjects or at a perfect rho."""
    if n <= 3 or not abs(rho) < 1:
        return math.nan, math.nan
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt((1 + rho * rho / 2) / (n - 3))
    return math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach)


def concluded(findings: list[Finding], minimum: int) -> list[Finding]:
    """Return the findings with p-values adjusted within each endpoint after Holm (1979), and with their roles.

    A figure of fewer than ``minimum`` patients or items is exploratory, unless it is a primary one.
    """
    families: dict[str, list[int]] = {}
    for index, finding in enumerate(findings):
        if not math.isnan(finding.p_value):
            families.setdefault(finding.label.endpoint, []).append(index)
    out = list(findings)
    for members in families.values():
        for index, value in zip(members, holm([findings[i].p_value for i in members]), strict=True):
            out[index] = replace(findings[index], p_adjusted=value)
    return [
        replace(f, role="exploratory")
        if f.n < minimum and (f.role or ENDPOINTS[f.label.endpoint].role) != "primary"
        else f
        for f in out
    ]


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
