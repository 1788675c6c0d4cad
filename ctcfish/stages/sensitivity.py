"""How much a patient's result hangs on the rule: all cells called again by every preset and threshold."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from ctcfish import tables
from ctcfish.parameters import Call, Summarise
from ctcfish.stages.call import call
from ctcfish.stages.patients import eligible
from ctcfish.types import ErrorRates

Rules = Mapping[str, tuple[Call, Summarise]]


def sensitivity(
    slides: pd.DataFrame, cells: pd.DataFrame, rates: Mapping[str, ErrorRates], rules: Rules
) -> pd.DataFrame:
    """Eligibility of every patient by every rule.

    Parameters
    ----------
    slides, cells : pandas.DataFrame
        Cells are called again from their counts and intervals.
    rates : mapping of str to ErrorRates
        By ``slide_id``.
    rules : mapping of str to (Call, Summarise)

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.SENSITIVITY`: a row per patient with a trusted IF scan and rule.
    """
    ctc = cells[cells["kind"] == "ctc"]
    trusted = slides[slides["n_ctc"].notna()]
    rows = []
    for name, (rule, params) in rules.items():
        again = [call(own, rates[str(slide)], rule) for slide, own in ctc.groupby("slide_id", sort=True)]
        called = pd.concat(again) if again else ctc
        for patient, own in trusted.groupby("patient_id", sort=True):
            mine = called[called["slide_id"].isin(own["slide_id"])]
            n = int((mine["call"] != "not_evaluable").sum())
            amplified = int((mine["call"] == "amplified").sum())
            numbers = {"n_ctc": len(mine), "n_evaluable": n, "n_amplified": amplified}
            rows.append({"patient_id": patient, "rule": name} | numbers | {"eligible": eligible(amplified, n, params)})
    return tables.SENSITIVITY.check(pd.DataFrame(rows)) if rows else tables.SENSITIVITY.empty()
