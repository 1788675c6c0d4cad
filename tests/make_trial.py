"""A small clean set of clinical tables, to be spoilt one cell at a time."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

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
