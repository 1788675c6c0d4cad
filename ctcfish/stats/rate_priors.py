"""Priors of a slide's error rates: what the laboratory has seen before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray, as_counts


@dataclass(frozen=True, slots=True)
class GammaPrior:
    """Gamma prior of an expected number of signals: mean ``shape / rate``, worth ``rate`` nuclei."""

    shape: float
    rate: float

    def __post_init__(self) -> None:
        """Check that both are positive."""
        if not (self.shape > 0 and self.rate > 0):
            raise StatisticsError(f"Gamma prior needs positive shape and rate, found {self.shape:g} and {self.rate:g}")


@dataclass(frozen=True, slots=True)
class BetaPrior:
    """Beta prior of a probability: mean ``a / (a + b)``, worth ``a + b`` signals."""

    a: float
    b: float

    def __post_init__(self) -> None:
        """Check that both are positive."""
        if not (self.a > 0 and self.b > 0):
            raise StatisticsError(f"Beta prior needs positive parameters, found {self.a:g} and {self.b:g}")


@dataclass(frozen=True, slots=True)
class RatePriors:
    """What is believed of a slide's error rates before its leukocytes are counted.

    Attributes
    ----------
    missed, split : tuple of BetaPrior
        HER2, CEP17.
    extra : tuple of GammaPrior
        HER2, CEP17.
    g2_fraction : BetaPrior
        Share of 4/4 nuclei among leukocytes.
    history : tuple of (her2, cep17, nuclei)
        Leukocytes counted before on other slides, whose likelihood counts like the slide's own (a power prior, Ibrahim
        and Chen 2000: `discounted` says with what weight).
    """

    missed: tuple[BetaPrior, BetaPrior] = (BetaPrior(1.0, 19.0), BetaPrior(1.0, 19.0))
    split: tuple[BetaPrior, BetaPrior] = (BetaPrior(1.0, 19.0), BetaPrior(1.0, 19.0))
    extra: tuple[GammaPrior, GammaPrior] = (GammaPrior(1.0, 30.0), GammaPrior(1.0, 30.0))
    g2_fraction: BetaPrior = field(default=BetaPrior(1.0, 49.0))
    history: tuple[tuple[int, int, float], ...] = ()

    def shapes(self) -> FloatArray:
        """Return the two parameters of every prior in the order of ``PARAMETERS``, shape (7, 2)."""
        rows = []
        for colour in (0, 1):
            rows += [(self.missed[colour].a, self.missed[colour].b), (self.split[colour].a, self.split[colour].b)]
            rows += [(self.extra[colour].shape, self.extra[colour].rate)]
        return np.array([*rows, (self.g2_fraction.a, self.g2_fraction.b)])


def discounted(history: Mapping[tuple[int, int], int], worth: float) -> tuple[tuple[int, int, float], ...]:
    """Return a laboratory's counted leukocytes, weighted so that together they are worth at most ``worth`` nuclei.

    Parameters
    ----------
    history : mapping of (her2, cep17) to int
        Nuclei seen with these counts.
    worth : float
        The slide's own leukocytes outweigh the history once there are more of them than this.

    Raises
    ------
    StatisticsError
        Counts or numbers that are negative or not whole, or a worth that is not positive.
    """
    if not worth > 0:
        raise StatisticsError(f"the history's worth must be above 0 nuclei, found {worth:g}")
    pairs = as_counts(list(history), "counts of the history").reshape(-1, 2)
    nuclei = as_counts(list(history.values()), "nuclei of the history")
    weight = min(1.0, worth / max(int(nuclei.sum()), 1))
    return tuple((h, c, n * weight) for (h, c), n in zip(pairs.tolist(), nuclei.tolist(), strict=True) if n)
