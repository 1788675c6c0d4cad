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
from ctcfish.flags import SlideFlag, to_text
from ctcfish.stages.calibrate import calibrate
from ctcfish.stages.call import call, false_amplified
from ctcfish.stages.control import leukocyte_control
from ctcfish.stages.summarise import Subject, summarise
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
    subject: Subject, cells: pd.DataFrame, config: Config, controls: Mapping[str, dict[str, Any]] = MappingProxyType({})
) -> Conclusion:
    """Call the cells of a slide and summarise it.

    Parameters
    ----------
    subject : Subject
        What is known of the slide besides its cells.
    cells : pandas.DataFrame
        Counted and identified cells; calls that stand in it already are made anew.
    config : Config
        Of it only ``preset``, ``calibrate``, ``call`` and ``summarise`` are used.
    controls : mapping
        ``false_amplified`` by preset, as these cells gave it before with the same ``calibrate``.

    Returns
    -------
    Conclusion
    """
    rates = calibrate(cells, config.calibrate)
    rates = replace(rates, flags=rates.flags | (subject.flags & SlideFlag.OUT_OF_RANGE))
    called = tables.CELLS.check(call(cells, rates, config.call))
    row = summarise(subject, called, rates, config.summarise)
    row |= {"preset": config.preset.name, "false_amplified_per_cell": false_amplified(rates, config.call)}
    presets = {name: own for name, (own, _) in rules().items()}
    known = {name: controls[name] for name in controls if name in presets}
    named = {name: own for name, own in (presets | {config.preset.name: config.call}).items() if name not in known}
    told = {
        "program": "ctcfish",
        "version": ctcfish.__version__,
        "notice": "Research use only.",
        "configuration_sha256": config.sha256(),
        "rule": config.call.rule.model_dump(mode="json"),
        "slide": {name: row.get(name) for name in tables.SLIDES.names},
        "error_rates": _told_rates(rates),
        "false_amplified": known | (leukocyte_control(cells, rates, named, config.calibrate) if named else {}),
    }
    return Conclusion(called, told)


def _told_rates(rates: ErrorRates) -> dict[str, Any]:
    return {
        "rates": {name: asdict(estimate) for name, estimate in rates.intervals.items()},
        "n_leukocytes": rates.n_leukocytes,
        "hybridisation_efficiency": rates.hybridisation_efficiency,
        "origin": rates.origin,
        "flags": to_text([int(rates.flags)], SlideFlag)[0],
    }
