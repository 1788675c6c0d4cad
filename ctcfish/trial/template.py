"""Empty clinical tables with their data dictionary, and the protocol to start from."""

from __future__ import annotations

import csv
import io
from typing import Any

from ctcfish.resources import resource_dir
from ctcfish.schema import Table
from ctcfish.trial.tables import CLINICAL, RANGES

PROTOCOL = "circe.toml"


def template() -> dict[str, str]:
    """Return file names and texts: a CSV of one header line per table, ``data_dictionary.csv`` and the protocol."""
    files = {f"{table.name}.csv": ",".join(table.names) + "\n" for table in CLINICAL}
    files["data_dictionary.csv"] = as_csv(dictionary())
    files[PROTOCOL] = shipped_protocol()
    return files


def dictionary(tables: tuple[Table, ...] = CLINICAL) -> list[dict[str, Any]]:
    """Return a row per column: table, column, type, unit, meaning, whether required, choices and range."""
    rows = []
    for table in tables:
        for row in table.dictionary():
            span = RANGES.get((table.name, str(row["column"])))
            more = {
                "choices": "|".join(row.get("choices", [])),  # type: ignore[arg-type]
                "range": f"{span[0]:g} to {span[1]:g}" if span else "",
                "key": "yes" if row["column"] in table.key else "",
            }
            rows.append(row | {"required": "yes" if row["required"] else ""} | more)
    return rows


def shipped_protocol() -> str:
    """Return the text of the protocol that travels with the program."""
    return (resource_dir("configs") / "trial" / PROTOCOL).read_text(encoding="utf-8")


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV with one header line; no rows are an empty text."""
    if not rows:
        return ""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
