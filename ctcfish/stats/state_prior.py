"""Explicit prior over true (HER2, CEP17) copies of a nucleus, as named classes with weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import BoolArray, FloatArray, as_counts
from ctcfish.stats.ratio_rule import reaches

MAX_HER2 = 60
MAX_CEP17 = 20
HIGH_EXCESS = 6.0
"""Mean of ratio minus cut in high-level amplification."""


@dataclass(frozen=True, slots=True)
class StateClass:
    """A named group of true states.

    Attributes
    ----------
    name : str
        What a cytogeneticist calls it.
    states : tuple of (her2, cep17, share)
        True copies and the share of the group each makes up; shares are scaled to one.

    Raises
    ------
    StatisticsError
        No state, a copy number beyond the table, CEP17 of 0, or shares that are not positive.
    """

    name: str
    states: tuple[tuple[int, int, float], ...]

    def __post_init__(self) -> None:
        """Check the states."""
        if not self.states:
            raise StatisticsError(f"class {self.name!r} has no states: give at least one (HER2, CEP17, share)")
        as_counts([state[:2] for state in self.states], f"copies of class {self.name!r}")
        for her2, cep17, share in self.states:
            if her2 > MAX_HER2 or not 1 <= cep17 <= MAX_CEP17:
                raise StatisticsError(
                    f"state {her2}/{cep17} of class {self.name!r} lies beyond the table: "
                    f"HER2 0 to {MAX_HER2}, CEP17 1 to {MAX_CEP17}"
                )
            if not share > 0:
                raise StatisticsError(
                    f"state {her2}/{cep17} of class {self.name!r} has share {share:g}: give one above 0"
                )


@dataclass(frozen=True)
class StatePrior:
    """Classes of true states and the weight of each.

    Attributes
    ----------
    classes : tuple of StateClass
    weights : tuple of float
        Scaled to sum to one.

    Raises
    ------
    StatisticsError
        Lengths differ, a weight is negative, or all are zero.
    """

    classes: tuple[StateClass, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the weights and scale them."""
        weights = np.asarray(self.weights, dtype=np.float64)
        if len(self.classes) != weights.size or not weights.size:
            raise StatisticsError(f"{len(self.classes)} classes and {weights.size} weights: give one weight a class")
        if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() == 0:
            raise StatisticsError(f"class weights must be 0 or more and not all 0, found {self.weights}")
        object.__setattr__(self, "weights", tuple(float(w) for w in weights / weights.sum()))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes in order."""
        return tuple(group.name for group in self.classes)

    def class_tables(self) -> FloatArray:
        """Return P(class, HER2, CEP17), shape (classes, MAX_HER2 + 1, MAX_CEP17 + 1); sums to one."""
        tables = np.zeros((len(self.classes), MAX_HER2 + 1, MAX_CEP17 + 1))
        for table, group, weight in zip(tables, self.classes, self.weights, strict=True):
            her2, cep17, share = zip(*group.states, strict=True)
            np.add.at(table, (np.array(her2), np.array(cep17)), weight * np.array(share) / sum(share))
        return tables

    @cached_property
    def table(self) -> FloatArray:
        """P(HER2, CEP17), shape (MAX_HER2 + 1, MAX_CEP17 + 1); not to be written to."""
        made = np.asarray(self.class_tables().sum(axis=0))
        made.flags.writeable = False
        return made


def amplified_states(cut: Fraction, mean_excess: float, cep17_shares: Mapping[int, float]) -> StateClass:
    """Return amplified states whose ratio above the cut falls off exponentially.

    Parameters
    ----------
    cut : Fraction
        Smallest ratio of the class.
    mean_excess : float
        Mean of ratio minus cut before rounding to whole copies; 0.6 gives the mean ratio of about 2.8 reported for
        amplified circulating tumour cells (Meng 2004), larger values high-level amplification.
    cep17_shares : mapping of int to float
        Share of each true CEP17 copy number.

    Raises
    ------
    StatisticsError
        The mean excess is not positive, or as `StateClass`.
    """
    if not mean_excess > 0:
        raise StatisticsError(f"mean excess of the ratio must be above 0, found {mean_excess:g}")
    states = []
    for cep17, share in cep17_shares.items():
        first = -(-cut.numerator * cep17 // cut.denominator)
        her2 = np.arange(first, MAX_HER2 + 1)
        density = np.exp(-(her2 - first) / (mean_excess * cep17))
        for copies, weight in zip(her2.tolist(), (share * density / density.sum()).tolist(), strict=True):
            if weight > 1e-12:
                states.append((copies, cep17, weight))
    return StateClass("amplified", tuple(states))


def cell_classes(cut: Fraction, mean_excess: float = 1.5) -> dict[str, StateClass]:
    """Return the classes of true states of a tumour cell; their weights belong to the configuration.

    ``gain`` holds only states below the cut. ``unusual`` spreads thinly over the whole table, so that no count is
    impossible; part of it reaches the cut. ``high`` is high-level amplification: tumours of the patients whose CTC had
    a mean ratio of 2.8 had one of 6.6 (Meng 2004). What decides about a cell is its true ratio, never the name of its
    class.
    """
    gains = ((3, 2, 4.0), (4, 2, 2.0), (4, 3, 1.5), (5, 3, 1.0), (6, 3, 0.5), (5, 4, 1.0), (6, 4, 1.0), (8, 4, 0.5))
    her2, cep17 = np.meshgrid(np.arange(1, MAX_HER2 + 1), np.arange(1, MAX_CEP17 + 1), indexing="ij")
    thin = 1.0 / (her2 * cep17)
    fixed = {
        "diploid": ((2, 2, 1.0),),
        "g2": ((4, 4, 1.0),),
        "gain": tuple(state for state in gains if not reaches(state[0], state[1], cut)),
        "polysomy": ((3, 3, 4.0), (5, 5, 1.0), (6, 6, 1.0), (3, 4, 1.0), (4, 5, 0.5), (5, 6, 0.5), (6, 5, 0.5)),
        "monosomy": ((1, 1, 3.0), (2, 1, 1.0)),
        "deletion": ((1, 2, 1.0), (2, 3, 0.5), (2, 4, 0.5)),
        "unusual": tuple(zip(her2.ravel().tolist(), cep17.ravel().tolist(), thin.ravel().tolist(), strict=True)),
    }
    classes = {name: StateClass(name, states) for name, states in fixed.items() if states}
    cep17_shares = {1: 0.15, 2: 0.5, 3: 0.2, 4: 0.1, 5: 0.03, 6: 0.02}
    classes["amplified"] = amplified_states(cut, mean_excess, cep17_shares)
    classes["high"] = StateClass("high", amplified_states(cut, HIGH_EXCESS, cep17_shares).states)
    return classes


def prior_of(weights: Mapping[str, float], classes: Mapping[str, StateClass]) -> StatePrior:
    """Return the prior that gives each named class its weight.

    Raises
    ------
    StatisticsError
        A weight is given for a class that does not exist, or as `StatePrior`.
    """
    unknown = sorted(set(weights) - set(classes))
    if unknown:
        raise StatisticsError(f"no class is called {', '.join(unknown)}: use {', '.join(classes)}")
    return StatePrior(tuple(classes[name] for name in weights), tuple(weights.values()))


@lru_cache(maxsize=64)
def reaching(cut: Fraction) -> BoolArray:
    """Return which true states reach the cut, shape (MAX_HER2 + 1, MAX_CEP17 + 1); not to be written to."""
    her2, cep17 = np.meshgrid(np.arange(MAX_HER2 + 1), np.arange(MAX_CEP17 + 1), indexing="ij")
    made = reaches(her2, cep17, cut)
    made.flags.writeable = False
    return made
