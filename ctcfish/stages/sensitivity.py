"""How much a patient's result hangs on the rule: all CTC called again by every preset and threshold."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ctcfish import tables
from ctcfish.parameters import Call, Summarise
from ctcfish.stages.call import call
from ctcfish.stages.patients import eligible
from ctcfish.types import ErrorRates

Rules = Mapping[str, tuple[Call, Summarise]]
Counted = Mapping[str, Mapping[str, int]]
"""By rule: ``n_ctc``, ``n_evaluable``, ``n_amplified``."""


def by_rules(cells: pd.DataFrame, rates: ErrorRates, rules: Rules) -> dict[str, dict[str, int]]:
    """Count a slide's CTC by other rules than the run's; the run's has no part in it.

    Parameters
    ----------
    cells : pandas.DataFrame
        Called again from their counts and intervals.
    rates : ErrorRates
    rules : mapping of str to (Call, Summarise)

    Returns
    -------
    dict of dict
        As :data:`Counted`.
    """
    ctc = cells[cells["kind"] == "ctc"]
    told = {}
    for name, (rule, _) in rules.items():
        verdict = call(ctc, rates, rule)["call"] if len(ctc) else pd.Series(dtype=object)
        evaluable, amplified = int((verdict != "not_evaluable").sum()), int((verdict == "amplified").sum())
        told[name] = {"n_ctc": len(ctc), "n_evaluable": evaluable, "n_amplified": amplified}
    return told


def sensitivity(slides: pd.DataFrame, counted: Mapping[str, Counted], rules: Rules) -> pd.DataFrame:
    """Eligibility of every patient by every rule.

    Parameters
    ----------
    slides : pandas.DataFrame
        :data:`ctcfish.tables.SLIDES`.
    counted : mapping of str to Counted
        Of :func:`by_rules`, by ``slide_id``.
    rules : mapping of str to (Call, Summarise)

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.SENSITIVITY`: a row per patient with a trusted IF scan and rule.
    """
    trusted = slides[slides["n_ctc"].notna()]
    owned = {patient: own["slide_id"].tolist() for patient, own in trusted.groupby("patient_id", sort=True)}
    rows = []
    for name, (_, params) in rules.items():
        for patient, mine in owned.items():
            told = [counted[slide][name] for slide in mine]
            n = {key: sum(own[key] for own in told) for key in ("n_ctc", "n_evaluable", "n_amplified")}
            verdict = eligible(n["n_amplified"], n["n_evaluable"], params)
            rows.append({"patient_id": patient, "rule": name} | n | {"eligible": verdict})
    return tables.SENSITIVITY.check(pd.DataFrame(rows)) if rows else tables.SENSITIVITY.empty()
