"""Cells read again by people: their tables beside the program's readings."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pandas as pd

from ctcfish.errors import InputError
from ctcfish.io.sheet import read_csv
from ctcfish.qc import tables as declared
from ctcfish.stats.ratio_rule import reaches
from ctcfish.tables import CALLS

NEEDED = ("cell_id", "reader", "her2", "cep17")


def read_readers(file: Path, first: pd.DataFrame, cut: Fraction) -> pd.DataFrame:
    """Readings of people, from a CSV with ``cell_id, reader, her2, cep17`` and, where given, ``call``.

    Parameters
    ----------
    file : Path
    first : pandas.DataFrame
        First readings, :data:`ctcfish.qc.tables.READINGS`: the cells that can be read again.
    cut : Fraction
        Ratio from which a cell without a stated call is amplified; without a count it is not evaluable.

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.qc.tables.READINGS` with relation ``reader``.

    Raises
    ------
    InputError
        A column is absent, a cell unknown or read twice by one reader, a count no whole number, a call unknown.
    """
    rows = read_csv(file)
    absent = [name for name in NEEDED if rows and name not in rows[0][1]]
    if absent or not rows:
        found = f"no column {', '.join(absent)}" if absent else "no row"
        raise InputError(file.name, found, ", ".join(NEEDED), "Export the readers' table with these columns.")
    known = first.set_index("cell_id")
    seen: set[tuple[str, str]] = set()
    readings = []
    for line, row in rows:
        where, key = f"{file.name}, line {line}", (row["cell_id"], row["reader"])
        if row["cell_id"] not in known.index:
            raise InputError(where, f"cell {row['cell_id']!r}", "a cell of the first readings", "Correct cell_id.")
        if key in seen or not row["reader"]:
            raise InputError(
                where, f"reader {row['reader']!r} again or unnamed", "one row a cell and reader", "Mend it."
            )
        seen.add(key)
        cell = known.loc[row["cell_id"]]
        her2, cep17 = (_count(row.get(name, ""), where) for name in ("her2", "cep17"))
        readings.append(
            {name: cell[name] for name in ("group", "patient_id", "item", "kind")}
            | {"reading": f"reader {row['reader']}", "relation": "reader", "cell_id": row["cell_id"]}
            | {"her2": her2, "cep17": cep17, "ratio": her2 / cep17 if her2 is not None and cep17 else None}
            | {"call": _call(row.get("call", ""), her2, cep17, cut, where)}
        )
    return declared.READINGS.check(pd.DataFrame(readings))


def _count(text: str, where: str) -> int | None:
    if text and not text.isdecimal():
        raise InputError(where, f"count {text!r}", "a whole number, or nothing", "Correct the count.")
    return int(text) if text else None


def _call(given: str, her2: int | None, cep17: int | None, cut: Fraction, where: str) -> str:
    if given:
        if given not in CALLS:
            raise InputError(where, f"call {given!r}", f"one of {', '.join(CALLS)}", "Correct the call.")
        return given
    if her2 is None or not cep17:
        return "not_evaluable"
    return "amplified" if bool(reaches(her2, cep17, cut)) else "not_amplified"
