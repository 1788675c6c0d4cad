"""Clinical files to typed tables; every problem is found before any is told, and nothing doubtful is typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ctcfish.errors import InputError
from ctcfish.trial import identity
from ctcfish.trial.problems import Problem, Sheet, refuse
from ctcfish.trial.rules import across
from ctcfish.trial.tables import CLINICAL
from ctcfish.trial.typed import typed


@dataclass(frozen=True, slots=True)
class Clinical:
    """The clinical tables, typed: dates as datetime64, numbers as nullable numbers; absent tables have no rows.

    Attributes
    ----------
    patients, visits, tumours, ctdna, adverse_events, survival : pandas.DataFrame
        As declared in :mod:`ctcfish.trial.tables`.
    given : tuple of str
        Tables for which there was a file.
    """

    patients: pd.DataFrame
    visits: pd.DataFrame
    tumours: pd.DataFrame
    ctdna: pd.DataFrame
    adverse_events: pd.DataFrame
    survival: pd.DataFrame
    given: tuple[str, ...]


def read_clinical(source: Path) -> Clinical:
    """Read a folder of CSV files, or one CSV file whose column ``table`` says to which table a row belongs.

    Raises
    ------
    InputError
        Nothing to read, or any problem; the message lists all of them, each with its row and column.
    """
    clinical, problems = check_clinical(source)
    if problems:
        raise refuse(source.name, problems)
    return clinical


def check_clinical(source: Path) -> tuple[Clinical, list[Problem]]:
    """Return what could be typed and every problem, in the order of files, rows and columns.

    Raises
    ------
    InputError
        Nothing to read, or a file that is no CSV.
    """
    sheets = _sheets(source)
    problems: list[Problem] = []
    frames: dict[str, pd.DataFrame] = {}
    for table in CLINICAL:
        sheet = sheets.get(table.name)
        given = sheet if sheet is not None else Sheet(table, f"{table.name}.csv", _nothing(table.names))
        problems += identity.columns(given) + identity.keys(given)
        frames[table.name], found = typed(given)
        problems += found
    problems += across(frames, {name: sheet.file for name, sheet in sheets.items()})
    problems.sort(key=Problem.order)
    return Clinical(**frames, given=tuple(sheets)), problems


def _sheets(source: Path) -> dict[str, Sheet]:
    if source.is_dir():
        files = {table: source / f"{table.name}.csv" for table in CLINICAL}
        found = {t.name: Sheet(t, path.name, read_text(path)) for t, path in files.items() if path.is_file()}
    else:
        found = _one_file(source)
    if "patients" not in found:
        names = [f"{table.name}.csv" for table in CLINICAL]
        raise InputError(
            source.name,
            "no table patients",
            f"a folder with {names}, or one CSV file with a column 'table'",
            "Start from 'ctcfish trial template --out DIR'.",
        )
    return found


def _one_file(source: Path) -> dict[str, Sheet]:
    frame = read_text(source)
    names = [table.name for table in CLINICAL]
    if "table" not in frame.columns:
        raise InputError(
            source.name,
            "no column 'table'",
            f"a column 'table' that says to which of {names} each row belongs",
            "Add it, or give a folder with a CSV file per table.",
        )
    unknown = frame.loc[~frame["table"].isin(names), "table"]
    if len(unknown):
        problems = [Problem(source.name, int(row), "table", value, f"one of {names}") for row, value in unknown.items()]
        raise refuse(source.name, problems)
    declared = {c.name for table in CLINICAL for c in table.columns}
    sheets = {}
    for table in CLINICAL:
        own = frame[frame["table"] == table.name]
        # columns of the other tables are no problem where they are empty
        strange = [c for c in frame.columns if c not in declared | {"table"}]
        filled = [c for c in own.columns if c != "table" and c not in table.names and (own[c] != "").any()]
        kept = [
            c for c in frame.columns if c in {*table.names, *filled, *(strange if table.name == "patients" else ())}
        ]
        if len(own):
            sheets[table.name] = Sheet(table, source.name, own[kept])
    return sheets


def read_text(path: Path) -> pd.DataFrame:
    """CSV as texts without surrounding space; the index is the line number, lines without any value are left out.

    Raises
    ------
    InputError
        No UTF-8, or no CSV.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            head = stream.readline()
        separator = ";" if head.count(";") > head.count(",") else ","
        frame = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", skip_blank_lines=False
        )
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(
            path.name, f"a file that cannot be read ({error})", "a CSV file in UTF-8", "Save it again as CSV (UTF-8)."
        ) from None
    frame.columns = [str(name).strip() for name in frame.columns]
    frame = frame.fillna("").apply(lambda column: column.str.strip())
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    return frame[(frame != "").any(axis=1)] if len(frame) else frame


def _nothing(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([], dtype=str) for name in names})
