"""Efficacy against the level of amplification, the number and the percentage of amplified CTC."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ctcfish.errors import StatisticsError
from ctcfish.stats.checks import FloatArray
from ctcfish.stats.estimate import Estimate
from ctcfish.stats.firth import FirthFit, firth_cox, firth_logistic
from ctcfish.stats.rank import spearman_permutation
from ctcfish.trial.cox import cox
from ctcfish.trial.finding import Finding, Label, of_correlation, unknown
from ctcfish.trial.ranks import superiority
from ctcfish.trial.response import DAYS_A_MONTH
from ctcfish.trial.subjects import Study


@dataclass(frozen=True, slots=True)
class Predictor:
    """What efficacy is held against: a column of the subjects, on a scale of which a step has a name."""

    column: str
    title: str
    step: str
    scale: Callable[[FloatArray], FloatArray]


PREDICTORS = (
    Predictor("highest_ratio", "highest HER2/CEP17", "ratio higher by 1", lambda v: v),
    Predictor("n_amplified", "number of amplified CTC", "twice as many", np.log2),
    Predictor("fraction", "percentage of amplified CTC", "10 points more", lambda v: 10 * v),
)


def associations(study: Study) -> list[Finding]:
    """Return rank tests and penalised regressions of response, change in size and progression on each predictor."""
    found: list[Finding] = []
    treated = study.treated
    for predictor in PREDICTORS:
        known = (
            treated[treated[predictor.column].notna() & (treated[predictor.column] > 0)] if len(treated) else treated
        )
        found += [
            _groups(study, predictor, known),
            _change(study, predictor, known),
            *_regressions(study, predictor, known),
        ]
    return found


def _label(predictor: Predictor, key: str, title: str) -> Label:
    return Label("efficacy", f"{key}_by_{predictor.column}", f"{title} ({predictor.title})")


def _groups(study: Study, predictor: Predictor, known: pd.DataFrame) -> Finding:
    label = _label(predictor, "response", "Responders have the higher value")
    responders = known["responder"].to_numpy(bool) if len(known) else np.zeros(0, dtype=bool)
    values = _values(known, predictor.column)
    return superiority(label, values, responders, "treated patients with a known value", study.protocol.confidence)


def _change(study: Study, predictor: Predictor, known: pd.DataFrame) -> Finding:
    own = known[known["best_change"].notna()] if len(known) else known
    label = _label(predictor, "change", "Best change in size")
    pair = (_values(own, predictor.column), _values(own, "best_change"))
    test = spearman_permutation(*pair, resamples=study.protocol.exploratory.permutations)
    return of_correlation(label, test, "treated patients with a measured change", study.protocol.confidence)


def _regressions(study: Study, predictor: Predictor, known: pd.DataFrame) -> list[Finding]:
    scaled = predictor.scale(_values(known, predictor.column))
    column, level = scaled[:, None], study.protocol.confidence
    population = "treated patients with a known value"
    months = _values(known, "pfs_days") / DAYS_A_MONTH
    events = known["pfs_event"].to_numpy(bool) if len(known) else np.zeros(0, dtype=bool)
    responders = known["responder"].to_numpy(bool) if len(known) else np.zeros(0, dtype=bool)

    models: list[tuple[str, str, str, Callable[[], tuple[Estimate, float]]]] = [
        ("odds", "Odds of response, Firth", "odds ratio", lambda: _ratio(firth_logistic(column, responders, level), 1)),
        (
            "hazard",
            "Hazard of progression, Firth",
            "hazard ratio",
            lambda: _ratio(firth_cox(column, months, events, level), 0),
        ),
        ("cox", "Hazard of progression, Cox", "hazard ratio", lambda: cox(scaled, months, events.astype(float), level)),
    ]
    found = []
    for key, title, unit, fit in models:
        label = _label(predictor, key, f"{title}, {predictor.step}")
        try:
            estimate, p_value = fit()
        except StatisticsError as error:
            found.append(unknown(label, population, len(known), str(error)))
            continue
        # Firth's and the ordinary model test the same thing: only the first enters the family
        p_value = math.nan if key == "cox" else p_value
        found.append(Finding(label, estimate, population, len(known), unit, p_value=p_value))
    return found


def _ratio(fit: FirthFit, index: int) -> tuple[Estimate, float]:
    c = fit.coefficients[index]
    with np.errstate(over="ignore"):
        value, low, high = (float(np.exp(v)) for v in (c.value, c.low, c.high))
    return Estimate(value, low, high, c.method, c.confidence), fit.p_values[index]


def _values(frame: pd.DataFrame, column: str) -> FloatArray:
    if column not in frame:
        return np.zeros(0)
    return np.asarray(frame[column].to_numpy(dtype=float, na_value=np.nan), dtype=np.float64)
