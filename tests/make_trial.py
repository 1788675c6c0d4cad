"""A small clean set of clinical tables, to be spoilt one cell at a time."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pandas as pd

from ctcfish import tables
from ctcfish.trial.protocol import Protocol, parse_protocol
from ctcfish.trial.read import read_clinical
from ctcfish.trial.run import CELL_COLUMNS, Run
from ctcfish.trial.subjects import Study, join
from ctcfish.trial.tables import REPRODUCIBILITY

Rows = dict[str, list[dict[str, Any]]]

COLUMNS = {
    "patients": "patient_id screening_date blood_drawn treated first_dose_date age_years er_status ecog",
    "visits": "patient_id visit visit_date ctc_per_7_5_ml sample_status",
    "tumours": "patient_id assessment_date lesion_id role organ node diameter unit status",
    "ctdna": "patient_id sample_date visit marker value unit",
    "adverse_events": "patient_id onset_date term grade attribution ctcae_version serious",
    "survival": "patient_id status last_contact_date death_date progression_date new_therapy_date",
}


def row(table: str, *values: Any) -> dict[str, Any]:
    return dict(zip(COLUMNS[table].split(), values, strict=False))


def clean() -> Rows:
    """Two patients, one of them treated and with a partial response; no problem anywhere."""
    return {
        "patients": [
            row("patients", "P1", "2015-01-05", "yes", "yes", "2015-01-20", 51, "positive", 1),
            row("patients", "P2", "2015-02-01", "yes", "no", "", 60, "negative", 0),
        ],
        "visits": [
            row("visits", "P1", "screening", "2015-01-06", 9, "ok"),
            row("visits", "P1", "cycle_3", "2015-03-02", 2, "ok"),
            row("visits", "P2", "screening", "2015-02-02", 0, ""),
        ],
        "tumours": [
            row("tumours", "P1", "2015-01-15", "T1", "target", "liver", "no", 40, "mm", ""),
            row("tumours", "P1", "2015-01-15", "N1", "non_target", "bone", "no", "", "", "present"),
            row("tumours", "P1", "2015-03-03", "T1", "target", "liver", "no", 2.5, "cm", ""),
            row("tumours", "P1", "2015-03-03", "N1", "non_target", "bone", "no", "", "", "present"),
            row("tumours", "P1", "2015-04-14", "T1", "target", "liver", "no", 25, "mm", ""),
            row("tumours", "P1", "2015-04-14", "N1", "non_target", "bone", "no", "", "", "present"),
        ],
        "ctdna": [row("ctdna", "P1", "2015-01-06", "screening", "PIK3CA", 3.5, "percent")],
        "adverse_events": [row("adverse_events", "P1", "2015-02-01", "Nausea", 2, "possible", "4.03", "no")],
        "survival": [
            row("survival", "P1", "dead", "2015-09-01", "2015-09-01", "", ""),
            row("survival", "P2", "alive", "2015-08-01", "", "", ""),
        ],
    }


def write(folder: Path, rows: Rows) -> Path:
    """A folder of clinical CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, own in rows.items():
        names = list(dict.fromkeys([*COLUMNS[table].split(), *(name for line in own for name in line)]))
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(own)
    return folder


def write_one(path: Path, rows: Rows) -> Path:
    """The same tables as one file with a column ``table``."""
    names = ["table", *dict.fromkeys(name for table in rows for name in COLUMNS[table].split())]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({"table": table} | line for table, own in rows.items() for line in own)
    return path


PROTOCOL: dict[str, Any] = {
    "name": "test",
    "version": "1",
    "source": "a test",
    "baseline_visit": "screening",
    "response": {"assessment_weeks": 6, "confirm": True, "min_stable_days": 35, "disease_control_days": 84},
    "ctc_response": {
        "baseline_visit": "screening",
        "on_treatment_visit": "cycle_3",
        "fall_percent": 50.0,
        "favourable_below": 5,
    },
    "cohorts": [{"name": "LOW", "least": 1, "most": 2}, {"name": "HIGH", "least": 3}],
}


def protocol(**changes: Any) -> Protocol:
    return parse_protocol(PROTOCOL | changes, "test.toml")


def slide(patient: str, ctc: int | None, evaluable: int = 0, amplified: int = 0, **other: Any) -> dict[str, Any]:
    """A row of slides.csv."""
    numbers = {"n_ctc": ctc, "n_evaluable": evaluable, "n_amplified": amplified, "n_amplified_guarded": amplified}
    told = {"slide_id": f"{patient}-S1", "patient_id": patient, "visit": "screening", "preset": "circe_tdm1"}
    return told | {"n_nuclei": 9, "flags": ""} | (numbers if ctc is not None else {}) | other


def ctc(slide_id: str, *counts: tuple[int, int], protein: str = "negative") -> list[dict[str, Any]]:
    """Evaluable CTC of a slide by their ``(HER2, CEP17)``."""
    rows = []
    for i, (her2, cep17) in enumerate(counts):
        call = "amplified" if 5 * her2 >= 11 * cep17 else "not_amplified"
        told = {"cell_id": f"{slide_id}/f/{i}", "slide_id": slide_id, "her2_count": her2, "cep17_count": cep17}
        rows.append(
            told
            | {"ratio": her2 / cep17, "call": call, "call_guarded": call, "reason": None, "flags": ""}
            | {"her2_protein_class": protein}
        )
    return rows


def run_of(slides: list[dict[str, Any]], cells: list[dict[str, Any]] | None = None) -> Run:
    """A run of these slides and CTC."""
    patients = [
        {"patient_id": p, "n_slides": 1, "eligible": "no", "eligible_guarded": "no"}
        for p in sorted({s["patient_id"] for s in slides})
    ]
    return Run(
        tables.SLIDES.check(pd.DataFrame(slides)) if slides else tables.SLIDES.empty(),
        tables.PATIENTS.check(pd.DataFrame(patients)) if patients else tables.PATIENTS.empty(),
        tables.SENSITIVITY.empty(),
        pd.DataFrame(cells or [], columns=[c for c in CELL_COLUMNS if c != "kind"]),
        REPRODUCIBILITY.empty(),
    )


def study(tmp_path: Path, rows: Rows, run: Run, **changes: Any) -> Study:
    return join(run, read_clinical(write(tmp_path / "clinical", rows)), protocol(**changes))
