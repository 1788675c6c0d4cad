"""A run's tables as one file each over all slides, in CSV or Parquet."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Literal

import duckdb

from ctcfish import tables
from ctcfish.errors import InputError
from ctcfish.store.results import RUN_TABLES, SLIDE_TABLES
from ctcfish.store.runfiles import slide_folders
from ctcfish.store.tablefiles import key_values, quote, read_csv, write_csv, write_parquet

_QUOTED = re.compile(r"(?<=['\"])(?:[A-Za-z]:)?[\\/][^'\"\n]*[\\/]")
_BARE = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[\\/](?:[^\s'\":;,\\/]+[\\/])+")


def export_tables(run: Path, out: Path, kind: Literal["csv", "parquet"]) -> None:
    """Write every table of a run, those of its slides joined, and the data dictionary.

    The slides are read one after another and never held together.

    Parameters
    ----------
    run : Path
    out : Path
        An existing folder.
    kind : {"csv", "parquet"}

    Raises
    ------
    InputError
        A slide without its tables.
    """
    folders = slide_folders(run)
    for table in SLIDE_TABLES:
        _join([folder / f"{table.name}.parquet" for folder in folders.values()], table, out / f"{table.name}.{kind}")
    for table in (own for own in RUN_TABLES if (run / f"{own.name}.csv").is_file()):
        frame = read_csv(run / f"{table.name}.csv", table)
        if table is tables.FAILURES:
            frame = frame.assign(message=[without_folders(text) for text in frame["message"]])
        write = write_csv if kind == "csv" else write_parquet
        write(frame, table, out / f"{table.name}.{kind}")
    shutil.copyfile(run / "data_dictionary.json", out / "data_dictionary.json")


def without_folders(text: str) -> str:
    """A message without the folders of the machine it was written on; names of files stay.

    Examples
    --------
    >>> without_folders("cannot open '/data/people/scans/a.tif'; 3/4 read")
    "cannot open 'a.tif'; 3/4 read"
    """
    return _BARE.sub("", _QUOTED.sub("", text))


def _join(files: list[Path], table: tables.Table, target: Path) -> None:
    """Stack one table of all slides; a marker that a slide's panel lacks is missing in its rows."""
    sources = ", ".join(quote(str(file)) for file in files)
    options = (
        "FORMAT csv, HEADER" if target.suffix == ".csv" else f"FORMAT parquet, COMPRESSION zstd, {key_values(table)}"
    )
    rows = f"SELECT * FROM read_parquet([{sources}], union_by_name = true)"
    try:
        with duckdb.connect() as connection:
            connection.execute("SET threads = 1")
            connection.execute(f"COPY ({rows}) TO {quote(str(target))} ({options})")
    except duckdb.Error as error:
        found = without_folders(str(error).splitlines()[0])
        raise InputError(f"table {table.name}", found, "its Parquet file in every slide", "Verify the run.") from None
