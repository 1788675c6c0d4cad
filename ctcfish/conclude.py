"""The end of the route: from counted cells to calls, error rates and the slide's row. No pixel is needed.

A slide scored now and a slide whose cells were stored a year ago come to their calls here, by the same steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import pandas as pd

import ctcfish
from ctcfish import tables
from ctcfish.config import Config, rules
from ctcfish.flags import SlideFlag, from_text, to_text
from ctcfish.parameters import FishRule
from ctcfish.stages.calibrate import calibrate
from ctcfish.stages.call import call, false_amplified
from ctcfish.stages.control import leukocyte_control
from ctcfish.stages.sensitivity import by_rules
from ctcfish.stages.summarise import Subject, summarise
from ctcfish.stats.error_rates import PARAMETERS, errors_of
from ctcfish.stats.estimate import Estimate
from ctcfish.types import ErrorRates


@dataclass(frozen=True)
class Conclusion:
    """What the configuration makes of a slide's cells.

    Attributes
    ----------
    cells : pandas.DataFrame
        :data:`ctcfish.tables.CELLS`.
    told : mapping
        What ``slide.json`` says of the calls; the rest of it was said by the pixels.
    """

    cells: pd.DataFrame
    told: dict[str, Any]


def conclude(
    subject: Subject, cells: pd.DataFrame, config: Config, before: Mapping[str, Any] = MappingProxyType({})
) -> Conclusion:
    """Estimate error rates, call, and summarise to the slide's row.

    Parameters
    ----------
    subject : Subject
    cells : pandas.DataFrame
        Counted cells with their kind; what earlier calls left in them is not looked at.
    config : Config
        Of it only ``preset``, ``calibrate``, ``call`` and ``summarise`` are used.
    before : mapping
        ``told`` of an earlier conclusion of these cells with the same ``calibrate``, as ``slide.json`` keeps it. What
        hangs on no rule of the run is taken from it.

    Returns
    -------
    Conclusion
    """
    rates = rates_of(before) if before else calibrate(cells, config.calibrate)
    rates = replace(rates, flags=rates.flags | (subject.flags & SlideFlag.OUT_OF_RANGE))
    called = tables.CELLS.check(call(cells, rates, config.call))
    row = summarise(subject, called, rates, config.summarise)
    row |= {"preset": config.preset.name, "false_amplified_per_cell": false_amplified(rates, config.call)}
    told = {
        "program": "ctcfish",
        "version": ctcfish.__version__,
        "notice": "Research use only.",
        "configuration_sha256": config.sha256(),
        "rule": config.call.rule.model_dump(mode="json"),
        "slide": {name: row.get(name) for name in tables.SLIDES.names},
        "error_rates": _told_rates(rates),
        "false_amplified": _controls(cells, rates, config, before.get("false_amplified", {})),
        "by_rule": before["by_rule"] if before else by_rules(cells, rates, rules()),
    }
    return Conclusion(called, told)


def _controls(
    cells: pd.DataFrame, rates: ErrorRates, config: Config, before: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What the leukocytes say of every preset on counts, and of the run's own rule."""
    presets = {name: own for name, (own, _) in rules().items()}
    known = {name: before[name] for name in before if name in presets}
    own = presets | {config.preset.name: config.call}
    named = {name: own[name] for name in own if name not in known and isinstance(own[name].rule, FishRule)}
    return known | (leukocyte_control(cells, rates, named, config.calibrate) if named else {})


def _told_rates(rates: ErrorRates) -> dict[str, Any]:
    return {
        "rates": {name: asdict(estimate) for name, estimate in rates.intervals.items()},
        "n_leukocytes": rates.n_leukocytes,
        "hybridisation_efficiency": rates.hybridisation_efficiency,
        "origin": rates.origin,
        "flags": to_text([int(rates.flags)], SlideFlag)[0],
    }


def rates_of(told: Mapping[str, Any]) -> ErrorRates:
    """Error rates as ``slide.json`` tells them."""
    said = told["error_rates"]
    intervals = {name: Estimate(**estimate) for name, estimate in said["rates"].items()}
    efficiency = said["hybridisation_efficiency"]
    return ErrorRates(
        errors=errors_of([intervals[name].value for name in PARAMETERS]),
        intervals=intervals,
        n_leukocytes=int(said["n_leukocytes"]),
        hybridisation_efficiency=float("nan") if efficiency is None else float(efficiency),
        origin=str(said["origin"]),
        flags=SlideFlag(int(from_text([said["flags"]], SlideFlag)[0])),
    )
