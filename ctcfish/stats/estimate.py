"""A figure with its interval and the name of the method that made it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ctcfish.errors import StatisticsError


@dataclass(frozen=True, slots=True)
class Estimate:
    """Point estimate and two-sided interval.

    Attributes
    ----------
    value, low, high : float
        The estimate and its limits; NaN where the data cannot say.
    method : str
        How the interval was made.
    confidence : float
        Nominal level, 0.95 for 95 %.

    Raises
    ------
    StatisticsError
        The limits are crossed.
    """

    value: float
    low: float
    high: float
    method: str
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Check that the limits are in order."""
        if self.low > self.high:
            raise StatisticsError(f"{self.method}: the lower limit {self.low:g} lies above the upper one {self.high:g}")

    @property
    def is_defined(self) -> bool:
        """Whether the value is a number."""
        return not math.isnan(self.value)

    def __str__(self) -> str:
        """Return the figure as it is printed in a report."""
        return f"{self.value:.4g} ({100 * self.confidence:g} % CI {self.low:.4g} to {self.high:.4g}, {self.method})"


def undefined(method: str, confidence: float = 0.95) -> Estimate:
    """Return the estimate that says nothing: three NaN under the name of the method that was asked."""
    return Estimate(math.nan, math.nan, math.nan, method, confidence)
