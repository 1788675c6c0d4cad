"""From cells to slides, with the numbers that say how much to believe.

Every count names its population: CTC means cells of ``kind = ctc``, lost ones included; evaluable means called
amplified or not amplified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ctcfish import flags
from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Summarise
from ctcfish.stages.patterns import count_patterns
from ctcfish.stages.specimen import specimen_class
from ctcfish.types import ErrorRates

SAMPLE_STATUS = {"no_tube": "S0", "late_tube": "S0", "enumeration_failed": "S1", "not_attempted": "S3"}
"""Values of the sheet's ``sample_status`` that are technical failures before scoring."""

LABORATORY = ("replicate_of", "control", "operator", "scanner", "probe_lot", "site", "day", "run")
"""Columns of the sheet that the laboratory's own questions are asked by."""

TUBE_ML = 7.5

LOOKED_AT = (
    *("label", "kind", "her2_count", "cep17_count", "ratio"),
    *("call", "call_guarded", "reason_guarded", "patterns"),
)
"""Columns of the cells that a slide's row is made of."""

MANY_SIGNALS = 15
"""Median signals of one colour per nucleus above which an image is hardly one of FISH signals."""


@dataclass(frozen=True)
class Subject:
    """What is known of a slide besides its cells; no pixel is needed to know it again.

    Attributes
    ----------
    slide_id, patient_id, visit : str
    flags : SlideFlag
        Doubts of the scans, of the survey and of the relocation together.
    scanned : bool
        Whether there is a FISH scan.
    relocated : bool or None
        Whether the transform from IF to FISH is trusted; None without an IF scan.
    sheet : mapping of str to str
        The other columns of the study sheet.
    """

    slide_id: str
    patient_id: str
    visit: str
    flags: SlideFlag
    scanned: bool
    relocated: bool | None
    sheet: Mapping[str, str] = field(default_factory=dict)


def summarise(subject: Subject, cells: pd.DataFrame, rates: ErrorRates, params: Summarise) -> dict[str, Any]:
    """One row of :data:`ctcfish.tables.SLIDES`, less the rule's name and its false-call rate.

    Parameters
    ----------
    subject : Subject
    cells : pandas.DataFrame
        Called cells of the slide.
    rates : ErrorRates
    params : Summarise

    Returns
    -------
    dict
    """
    relocated, bits = subject.relocated, subject.flags | rates.flags
    cells = cells[[*LOOKED_AT]]  # every other column would be copied along with each choice of rows
    ctc = cells[cells["kind"] == "ctc"]
    evaluable = ctc[ctc["call"] != "not_evaluable"]
    row: dict[str, Any] = {
        "slide_id": subject.slide_id,
        "patient_id": subject.patient_id,
        "visit": subject.visit,
        "n_nuclei": int(cells["label"].notna().sum()),
        "n_leukocytes": int(((cells["kind"] == "wbc") & cells["label"].notna()).sum()),
        "n_unknown_amplified": int(((cells["kind"] == "unknown") & (cells["call"] == "amplified")).sum()),
        "flags": flags.to_text([int(_slide_bits(bits, cells, relocated) if subject.scanned else bits)], SlideFlag)[0],
        "technical_code": _technical_code(subject, ctc, evaluable, rates, relocated),
    }
    row |= {name: subject.sheet.get(name) or None for name in LABORATORY}
    if relocated:
        row |= _ctc_numbers(ctc, evaluable, params) | {"ctc_per_7_5_ml": _per_tube(len(ctc), subject)}
    return row


def _ctc_numbers(ctc: pd.DataFrame, evaluable: pd.DataFrame, params: Summarise) -> dict[str, Any]:
    her2, cep17 = (int(evaluable[f"{probe}_count"].fillna(0).sum()) for probe in ("her2", "cep17"))
    return {
        "n_ctc": len(ctc),
        "n_lost": int(ctc["label"].isna().sum()),
        "n_evaluable": len(evaluable),
        "n_amplified": int((ctc["call"] == "amplified").sum()),
        "n_amplified_guarded": int((ctc["call_guarded"] == "amplified").sum()),
        "n_uncertain": int((ctc["reason_guarded"] == "UNCERTAIN").sum()),
        "her2_total": her2,
        "cep17_total": cep17,
        "ratio_of_totals": her2 / cep17 if cep17 else None,
        "mean_of_ratios": float(evaluable["ratio"].mean()) if len(evaluable) else None,
        "specimen_class": specimen_class(params.specimen, evaluable),
    } | count_patterns(evaluable)


def _per_tube(n_ctc: int, subject: Subject) -> float | None:
    """CTC per 7.5 mL, the volume of a CellSearch tube.

    Raises
    ------
    InputError
        The sheet's blood volume is no positive number.
    """
    given = subject.sheet.get("blood_ml", "").strip()
    if not given:
        return None
    volume_ml = float(given) if given.replace(".", "", 1).isdigit() else 0.0
    if volume_ml <= 0:
        remedy = "Correct the sheet, or leave it empty."
        raise InputError(f"slide {subject.slide_id}", f"blood_ml {given!r}", "a volume in mL, above 0", remedy)
    return n_ctc * TUBE_ML / volume_ml


def _slide_bits(bits: SlideFlag, cells: pd.DataFrame, relocated: bool | None) -> SlideFlag:
    there = cells["label"].notna().to_numpy()
    counts = (cells[f"{probe}_count"].to_numpy(float, na_value=np.nan)[there] for probe in ("her2", "cep17"))
    known = (own[~np.isnan(own)] for own in counts)
    if any(len(own) and np.median(own) > MANY_SIGNALS for own in known):
        bits |= SlideFlag.OUT_OF_RANGE
    if not there.any():
        bits |= SlideFlag.NO_NUCLEI
    if relocated is False:
        bits |= SlideFlag.RELOCATION_FAILED
    if relocated and not (cells["kind"] == "ctc").any():
        bits |= SlideFlag.NO_CTC
    return bits


def _technical_code(
    subject: Subject, ctc: pd.DataFrame, evaluable: pd.DataFrame, rates: ErrorRates, relocated: bool | None
) -> str | None:
    """First step that failed; a failure upstream is never counted downstream."""
    upstream = SAMPLE_STATUS.get(subject.sheet.get("sample_status", ""))
    if upstream:
        return upstream
    if not subject.scanned:
        return "S3"
    if relocated is False:
        return "RELOCATION"
    if SlideFlag.HYBRIDISATION_FAILED in rates.flags:
        return "S4"
    if relocated and not len(ctc):
        return "S2"
    return "S5" if relocated and not len(evaluable) else None
