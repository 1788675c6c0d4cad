"""From cells to slides and patients, with the numbers that say how much to believe.

Every count names its population: CTC means cells of ``kind = ctc``, lost ones included; evaluable means called
amplified or not amplified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ctcfish import flags, tables
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Summarise
from ctcfish.stages.specimen import specimen_class
from ctcfish.stats.proportions import any_by_error, clopper_pearson, negative_upper_bound
from ctcfish.types import ErrorRates, Relocation, Slide, SlideModel

SAMPLE_STATUS = {"no_tube": "S0", "late_tube": "S0", "enumeration_failed": "S1", "not_attempted": "S3"}
"""Values of the sheet's ``sample_status`` that are technical failures before scoring."""

HIGH_COHORT = 3
"""Amplified CTC from which a patient belongs to cohort HIGH (NCT01975142)."""


def summarise(
    slide: Slide,
    cells: pd.DataFrame,
    model: SlideModel,
    rates: ErrorRates,
    relocation: Relocation | None,
    params: Summarise,
) -> dict[str, Any]:
    """One row of :data:`ctcfish.tables.SLIDES`, less the rule's name and its false-call rate.

    Parameters
    ----------
    slide : Slide
    cells : pandas.DataFrame
        Called cells of the slide.
    model : SlideModel
    rates : ErrorRates
    relocation : Relocation or None
        None without an IF scan.
    params : Summarise

    Returns
    -------
    dict
    """
    relocated = relocation.trusted if relocation is not None else None
    bits = slide.flags | model.flags | rates.flags | (relocation.flags if relocation is not None else SlideFlag(0))
    ctc = cells[cells["kind"] == "ctc"]
    evaluable = ctc[ctc["call"] != "not_evaluable"]
    row: dict[str, Any] = {
        "slide_id": slide.slide_id,
        "patient_id": slide.patient_id,
        "visit": slide.visit,
        "n_nuclei": int(cells["label"].notna().sum()),
        "n_leukocytes": int(((cells["kind"] == "wbc") & cells["label"].notna()).sum()),
        "n_unknown_amplified": int(((cells["kind"] == "unknown") & (cells["call"] == "amplified")).sum()),
        "flags": flags.to_text([int(_slide_bits(bits, cells, relocated))], SlideFlag)[0],
        "technical_code": _technical_code(slide, ctc, evaluable, rates, relocated),
    }
    if relocated:
        row |= _ctc_numbers(ctc, evaluable, params)
    return row


def summarise_patients(slides: pd.DataFrame, params: Summarise) -> pd.DataFrame:
    """Join slides and visits by patient.

    Parameters
    ----------
    slides : pandas.DataFrame
        :data:`ctcfish.tables.SLIDES`.
    params : Summarise

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.PATIENTS`, by patient.
    """
    rows = [_patient(str(patient), own, params) for patient, own in slides.groupby("patient_id", sort=True)]
    return tables.PATIENTS.check(pd.DataFrame(rows)) if rows else tables.PATIENTS.empty()


def _ctc_numbers(ctc: pd.DataFrame, evaluable: pd.DataFrame, params: Summarise) -> dict[str, Any]:
    her2, cep17 = (int(evaluable[f"{probe}_count"].fillna(0).sum()) for probe in ("her2", "cep17"))
    return {
        "n_ctc": len(ctc),
        "n_lost": int((ctc["reason"] == "LOST").sum()),
        "n_evaluable": len(evaluable),
        "n_amplified": int((ctc["call"] == "amplified").sum()),
        "n_amplified_guarded": int((ctc["call_guarded"] == "amplified").sum()),
        "n_uncertain": int((ctc["reason_guarded"] == "UNCERTAIN").sum()),
        "her2_total": her2,
        "cep17_total": cep17,
        "ratio_of_totals": her2 / cep17 if cep17 else None,
        "mean_of_ratios": float(evaluable["ratio"].mean()) if len(evaluable) else None,
        "specimen_class": specimen_class(params.specimen, evaluable),
    }


def _slide_bits(bits: SlideFlag, cells: pd.DataFrame, relocated: bool | None) -> SlideFlag:
    if not cells["label"].notna().any():
        bits |= SlideFlag.NO_NUCLEI
    if relocated is False:
        bits |= SlideFlag.RELOCATION_FAILED
    if relocated and not (cells["kind"] == "ctc").any():
        bits |= SlideFlag.NO_CTC
    return bits


def _technical_code(
    slide: Slide, ctc: pd.DataFrame, evaluable: pd.DataFrame, rates: ErrorRates, relocated: bool | None
) -> str | None:
    """First step that failed; a failure upstream is never counted downstream."""
    upstream = SAMPLE_STATUS.get(slide.sheet.get("sample_status", ""))
    if upstream:
        return upstream
    if relocated is False:
        return "RELOCATION"
    if SlideFlag.HYBRIDISATION_FAILED in rates.flags:
        return "S4"
    if relocated and not len(ctc):
        return "S2"
    return "S5" if relocated and not len(evaluable) else None


def _patient(patient: str, slides: pd.DataFrame, params: Summarise) -> dict[str, Any]:
    row: dict[str, Any] = {"patient_id": patient, "n_slides": len(slides)}
    trusted = slides[slides["n_ctc"].notna()]
    if not len(trusted):
        note = "No slide has an IF scan that could be trusted: no cell is known to be a CTC."
        return row | {"eligible": "not_evaluable", "eligible_guarded": "not_evaluable", "note": note}
    totals = {name: int(trusted[name].sum()) for name in ("n_ctc", "n_evaluable", "n_amplified", "n_amplified_guarded")}
    row |= totals | _fraction(totals)
    row["eligible"] = _eligible(totals["n_amplified"], totals["n_evaluable"], params)
    row["eligible_guarded"] = _eligible(totals["n_amplified_guarded"], totals["n_evaluable"], params)
    if totals["n_amplified"]:
        row["cohort"] = "HIGH" if totals["n_amplified"] >= HIGH_COHORT else "LOW"
    rates = np.repeat(trusted["false_amplified_per_cell"].to_numpy(float), trusted["n_evaluable"].to_numpy(int))
    row["p_positive_by_error"] = any_by_error(rates) if np.isfinite(rates).all() else None
    row["note"] = _note(trusted, totals, len(slides) - len(trusted))
    return row


def _fraction(totals: Mapping[str, int]) -> dict[str, float]:
    n, amplified = totals["n_evaluable"], totals["n_amplified"]
    if not n:
        return {}
    low, high = clopper_pearson(amplified, n)
    values = {"fraction": amplified / n, "fraction_low": float(low), "fraction_high": float(high)}
    return values if amplified else values | {"fraction_upper_bound": float(negative_upper_bound(n))}


def _eligible(amplified: int, evaluable: int, params: Summarise) -> str:
    if not evaluable:
        return "not_evaluable"
    enough = evaluable >= params.min_ctc and amplified >= params.min_fraction * evaluable
    return "yes" if amplified >= params.min_amplified and enough else "no"


def _note(trusted: pd.DataFrame, totals: Mapping[str, int], untrusted: int) -> str:
    parts = []
    if untrusted:
        parts.append(f"{untrusted} slide(s) without a trusted IF scan are left out.")
    if not totals["n_ctc"]:
        parts.append("No CTC was found: a valid result that says nothing of HER2.")
    uncertain = int(trusted["n_uncertain"].fillna(0).sum())
    if uncertain:
        parts.append(f"{uncertain} CTC pass the hard rule and fail the guard (UNCERTAIN).")
    if trusted["flags"].str.contains("UNCONTROLLED").any():
        parts.append("Error rates rest on defaults: too few leukocytes.")
    return " ".join(parts)
