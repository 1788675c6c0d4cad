"""How far two runs agree: in every byte, in every value, or in every call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.errors import UsageError
from ctcfish.schema import Table
from ctcfish.store.manifest import sha256_of
from ctcfish.store.results import RUN_TABLES, SLIDE_TABLES
from ctcfish.store.runfiles import MANIFEST, output_hashes, read_manifest, slide_folders
from ctcfish.store.tablefiles import read_csv, read_parquet

Level = Literal["bytes", "values", "calls"]
Row = dict[str, object]

LEVELS: tuple[Level, ...] = ("bytes", "values", "calls")
"""From the strictest; runs that differ in calls differ in values, and those in bytes."""

CALL_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "cells": ("call", "call_guarded"),
    "patients": ("eligible", "eligible_guarded"),
}
COUNT_COLUMNS: Mapping[str, tuple[str, ...]] = {"cells": ("her2_count", "cep17_count")}
ABSOLUTE = 1e-9
"""Reals that differ by less are equal whatever the relative tolerance: noise about zero."""


@dataclass(frozen=True)
class Comparison:
    """Differences of two runs.

    Attributes
    ----------
    files : pandas.DataFrame
        ``file``, ``what`` (``changed``, ``only in first``, ``only in second``).
    values : pandas.DataFrame
        Per slide, table and column: ``slide_id``, ``table``, ``column``, ``rows`` that differ, ``largest`` absolute
        difference of numbers. Rows that stand in one run alone have ``only in first`` or ``only in second`` as column.
    calls : pandas.DataFrame
        ``table``, ``key`` (cell or patient), ``column``, ``first``, ``second``: every call, eligibility or count that
        differs, and with the column ``row`` every cell or patient of one run alone.
    """

    files: pd.DataFrame
    values: pd.DataFrame
    calls: pd.DataFrame

    def differs(self, level: Level) -> bool:
        """Whether the runs differ at a level; counts are shown among the calls and are no call."""
        if level == "bytes":
            return len(self.files) > 0
        if level == "values":
            return len(self.values) > 0
        return bool((~self.calls["column"].isin(COUNT_COLUMNS["cells"])).any())


def compare_runs(first: Path, second: Path, tolerance: float = 1e-6) -> Comparison:
    """Compare two runs, cells by ``cell_id`` and patients by ``patient_id``.

    Parameters
    ----------
    first, second : Path
        Folders of two runs.
    tolerance : float
        Relative difference up to which two reals are equal; counts, texts and flags must be the same.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        No finished run there, or a table that cannot be read.
    UsageError
        A negative tolerance.
    """
    if not 0 <= tolerance < 1:
        raise UsageError(f"--tolerance {tolerance:g}: expected a share from 0 to less than 1, for example 1e-6.")
    values: list[Row] = []
    calls: list[Row] = []
    for run in (first, second):
        read_manifest(run)
    files = _files(first, second)
    for slide_id, table, left, right in _pairs(first, second, set(files["file"])):
        keyed = _keyed(left, table), _keyed(right, table)
        values += [{"slide_id": slide_id, "table": table.name} | row for row in _values(*keyed, table, tolerance)]
        calls += [{"table": table.name} | row for row in _calls(*keyed, table.name)]
    return Comparison(
        files,
        pd.DataFrame(values, columns=["slide_id", "table", "column", "rows", "largest"]),
        pd.DataFrame(calls, columns=["table", "key", "column", "first", "second"]),
    )


def _pairs(first: Path, second: Path, differing: set[str]) -> Iterator[tuple[str, Table, pd.DataFrame, pd.DataFrame]]:
    """Every table whose bytes differ, one pair at a time; a slide of one run alone stands against tables of no rows."""
    folders = slide_folders(first), slide_folders(second)
    for slide_id in sorted({*folders[0], *folders[1]}):
        for table in SLIDE_TABLES:
            if f"{slide_id}/{table.name}.parquet" in differing:
                left, right = (
                    read_parquet(own[slide_id] / f"{table.name}.parquet", table) if slide_id in own else table.empty()
                    for own in folders
                )
                yield slide_id, table, left, right
    for table in RUN_TABLES:
        if f"{table.name}.csv" in differing:
            files = (run / f"{table.name}.csv" for run in (first, second))
            # A run of an older program may lack a table: it then stands against one of no rows.
            left, right = (read_csv(file, table) if file.is_file() else table.empty() for file in files)
            yield "", table, left, right


def _keyed(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The table's rows under one text each, its key."""
    parts = [frame[name].astype(str) for name in table.key]
    return frame.set_axis(pd.Index(["/".join(key) for key in zip(*parts, strict=True)], dtype=object))


def _alone(left: pd.DataFrame, right: pd.DataFrame) -> dict[str, pd.Index]:
    """Keys that stand in one of two tables only."""
    return {
        "only in first": left.index.difference(right.index, sort=False),
        "only in second": right.index.difference(left.index, sort=False),
    }


def _values(left: pd.DataFrame, right: pd.DataFrame, table: Table, tolerance: float) -> Iterator[Row]:
    for where, keys in _alone(left, right).items():
        if len(keys):
            yield {"column": where, "rows": len(keys), "largest": None}
    common = left.index.intersection(right.index, sort=False)
    kinds = {column.name: column.kind for column in table.columns}
    for name in dict.fromkeys([*left.columns, *right.columns]):
        kind = kinds.get(name, "real")
        own = [frame[name][common] if name in frame else pd.Series(np.nan, index=common) for frame in (left, right)]
        differs, largest = _numbers(own, tolerance) if kind == "real" else _exact(own, numeric=kind == "integer")
        if differs.any():
            yield {"column": name, "rows": int(differs.sum()), "largest": largest}


def _numbers(pair: list[pd.Series], tolerance: float) -> tuple[NDArray[np.bool_], float | None]:
    """Where two columns of reals differ by more than the tolerance, or one of them is missing."""
    a, b = (column.to_numpy(float) for column in pair)
    gap = np.abs(a - b)
    far = gap > np.maximum(ABSOLUTE, tolerance * np.maximum(np.abs(a), np.abs(b)))
    differs = far | (np.isnan(a) != np.isnan(b))
    return differs, float(gap[far].max()) if far.any() else None


def _exact(pair: list[pd.Series], *, numeric: bool) -> tuple[NDArray[np.bool_], float | None]:
    """Where two columns of counts, texts or truths differ; missing equals missing."""
    a, b = (column.astype(object).where(column.notna(), None).to_numpy(object) for column in pair)
    differs = np.array([x != y for x, y in zip(a, b, strict=True)], dtype=bool)
    gaps = [abs(x - y) for x, y in zip(a, b, strict=True) if numeric and x is not None and y is not None]
    return differs, float(max(gaps)) if differs.any() and gaps else None


def _calls(left: pd.DataFrame, right: pd.DataFrame, table: str) -> Iterator[Row]:
    """Calls, eligibilities and counts that differ, one row each; what stands in one run alone is a row, too."""
    columns = (*COUNT_COLUMNS.get(table, ()), *CALL_COLUMNS.get(table, ()))
    if not columns:
        return
    for where, keys in _alone(left, right).items():
        there, absent = ("present", "absent") if where == "only in first" else ("absent", "present")
        yield from ({"key": key, "column": "row", "first": there, "second": absent} for key in keys)
    common = left.index.intersection(right.index, sort=False)
    for name in columns:
        differs, _ = _exact([left[name][common], right[name][common]], numeric=False)
        for key in common[differs]:
            yield {"key": key, "column": name, "first": _said(left, key, name), "second": _said(right, key, name)}


def _said(frame: pd.DataFrame, key: str, name: str) -> str:
    value = frame.loc[key, name]
    return "" if pd.isna(value) else str(value)


def _files(first: Path, second: Path) -> pd.DataFrame:
    """Files that are not the same in both runs; the log, which holds a clock, and the signature are not compared."""
    left, right = (output_hashes(run) | {MANIFEST: sha256_of(run / MANIFEST)} for run in (first, second))
    rows = [
        (name, "only in second" if name not in left else "only in first" if name not in right else "changed")
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    ]
    return pd.DataFrame(rows, columns=["file", "what"])
