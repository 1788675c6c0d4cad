"""Tables as files: CSV for people, Parquet for programs; the same rows in both."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import duckdb
import pandas as pd

from ctcfish.errors import InputError
from ctcfish.tables import Table


def write_both(frame: pd.DataFrame, table: Table, target: Path, parquet: Path) -> None:
    """Write a table as CSV and as Parquet."""
    checked = table.check(frame)
    _write_csv(checked, target)
    _write_parquet(checked, table, parquet)


def write_csv(frame: pd.DataFrame, table: Table, target: Path) -> None:
    """Write UTF-8 CSV: one header line, no comments, empty where missing."""
    _write_csv(table.check(frame), target)


def write_parquet(frame: pd.DataFrame, table: Table, target: Path) -> None:
    """Write Parquet; unit and meaning of every column stand in the file's key-value metadata under its name."""
    _write_parquet(table.check(frame), table, target)


def _write_csv(checked: pd.DataFrame, target: Path) -> None:
    columns = [checked[name].array.tolist() for name in checked]
    rows = ([None if _missing(value) else value for value in row] for row in zip(*columns, strict=True))
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(checked.columns)
        writer.writerows(rows)


def _missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def rewrite_parquet(checked: pd.DataFrame, columns: Sequence[str], table: Table, stored: Path, target: Path) -> None:
    """Write a table as Parquet, from a file that holds the same rows with other values in some columns.

    The bytes are those of :func:`write_parquet`, at half the time: columns that stay do not pass through Python.

    Parameters
    ----------
    checked : pandas.DataFrame
        As the table's check returns it.
    columns : sequence of str
        Columns that may have other values.
    table : Table
    stored : Path
    target : Path
        Not ``stored``.
    """
    given = checked[[*columns]]
    rows = f"read_parquet({quote(str(stored))}) stored POSITIONAL JOIN given"
    _copy(f"SELECT stored.* REPLACE ({_typed(given, table)}) FROM {rows}", given, table, target)


def _write_parquet(checked: pd.DataFrame, table: Table, target: Path) -> None:
    _copy(f"SELECT {_typed(checked, table)} FROM given", checked, table, target)


def _typed(given: pd.DataFrame, table: Table) -> str:
    """Columns of ``given`` in the types of the declaration, as SQL."""
    types = dict.fromkeys(given.columns, "DOUBLE") | table.sql_types()
    return ", ".join(f'CAST(given."{name}" AS {types[name]}) AS "{name}"' for name in given.columns)


def _copy(query: str, given: pd.DataFrame, table: Table, target: Path) -> None:
    """Write what a query over ``given`` finds."""
    options = f"FORMAT parquet, COMPRESSION zstd, {key_values(table)}"
    with _database().cursor() as connection:
        connection.register("given", given.astype(object).where(given.notna(), None) if given.empty else given)
        try:
            connection.execute(f"COPY ({query}) TO {quote(str(target))} ({options})")
        except duckdb.IOException as error:
            code = errno.ENOSPC if "No space left" in str(error) else errno.EIO
            raise OSError(code, os.strerror(code), str(target)) from None


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """The one engine of this process: to start one takes longer than to read a table. Each use takes its own cursor."""
    return duckdb.connect(config={"threads": 1})


@cache
def key_values(table: Table) -> str:
    """Option of ``COPY`` that writes unit and meaning of every column into a Parquet file."""
    notes = {c.name: json.dumps({"unit": c.unit, "meaning": c.meaning}, sort_keys=True) for c in table.columns}
    return f"KV_METADATA {{{', '.join(f'{quote(name)}: {quote(note)}' for name, note in notes.items())}}}"


def read_parquet(source: Path, table: Table) -> pd.DataFrame:
    """Read a table back and check it against its declaration.

    Raises
    ------
    InputError
        No such file, no Parquet file, or another table's columns.
    """
    try:
        with _database().cursor() as connection:
            frame = connection.execute(f"SELECT * FROM read_parquet({quote(str(source))})").df()
    except duckdb.Error as error:
        raise InputError(
            source.name, str(error).splitlines()[0], f"the Parquet file of table {table.name}", "Score the slide again."
        ) from None
    return table.check(frame)


def read_csv(source: Path, table: Table) -> pd.DataFrame:
    """Read a table's CSV back in its types: ``007`` stays a text, and a patient may be called ``NA``.

    Raises
    ------
    InputError
        No such file, no CSV, or another table's columns.
    """
    texts = {column.name: str for column in table.columns if column.kind == "text"}
    try:
        frame = pd.read_csv(source, dtype=texts, keep_default_na=False, na_values=[""], float_precision="round_trip")
    except (OSError, ValueError) as error:
        raise InputError(
            source.name, str(error).splitlines()[0], f"the CSV file of table {table.name}", "Finish the run again."
        ) from None
    # A required text (flags, for one) may be empty, and in CSV empty looks like missing.
    empty = {name: "" for name in (c.name for c in table.columns if c.required and c.kind == "text") if name in frame}
    return table.check(frame.fillna(empty))


def read_parquets(sources: Sequence[Path], table: Table, where: str) -> pd.DataFrame:
    """Read the declared columns of the same table from many files at once, file by file in the order given.

    Parameters
    ----------
    sources : sequence of Path
        At least one.
    table : Table
    where : str
        Condition in SQL on the rows.

    Raises
    ------
    InputError
        As :func:`read_parquet`.
    """
    files = ", ".join(quote(str(source)) for source in sources)
    columns = ", ".join(f'"{name}"' for name in table.names)
    try:
        with _database().cursor() as connection:
            query = f"SELECT {columns} FROM read_parquet([{files}], union_by_name = true) WHERE {where}"
            frame = connection.execute(query).df()
    except duckdb.Error as error:
        raise InputError(
            sources[0].name, str(error).splitlines()[0], f"files of table {table.name}", "Score the slides again."
        ) from None
    return table.check(frame)


def quote(text: str) -> str:
    """Text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
