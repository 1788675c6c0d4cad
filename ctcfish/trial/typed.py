"""Texts of one clinical table to dates and numbers; what cannot be one is a problem and becomes missing."""

from __future__ import annotations

import pandas as pd

from ctcfish.schema import Column
from ctcfish.trial.problems import Problem, Sheet, at_rows
from ctcfish.trial.tables import DATE, RANGES

EARLIEST, LATEST = pd.Timestamp(1990, 1, 1), pd.Timestamp(2100, 1, 1)


def typed(sheet: Sheet) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the table in its types, indexed by line, and the problems of its columns, values and keys.

    Parameters
    ----------
    sheet : Sheet

    Returns
    -------
    frame : pandas.DataFrame
        Every declared column; what could not be read is missing.
    problems : list of Problem
    """
    problems: list[Problem] = []
    values = {}
    for column in sheet.table.columns:
        if column.name not in sheet.frame.columns:
            if column.required and len(sheet.frame):
                problems.append(Problem(sheet.file, 1, column.name, "no such column", column.meaning))
            texts = pd.Series("", index=sheet.frame.index, dtype=object)
        else:
            texts = sheet.frame[column.name]
            if column.required:
                problems += at_rows(sheet.file, texts[texts == ""], column.name, f"a value ({column.meaning})")
        values[column.name], found = _values(sheet, column, texts)
        problems += found
    frame = pd.DataFrame(values, index=sheet.frame.index)
    return frame, problems + _repeated(sheet, frame)


def _values(sheet: Sheet, column: Column, texts: pd.Series) -> tuple[pd.Series, list[Problem]]:
    stated = texts[texts != ""]
    if column.unit == DATE:
        return _dates(sheet, column, texts, stated)
    if column.kind in ("integer", "real"):
        return _numbers(sheet, column, texts, stated)
    wrong = stated[~stated.isin(column.choices)] if column.choices else stated[:0]
    kept = texts.astype(object).mask((texts == "") | texts.index.isin(wrong.index), other=None)
    return kept, at_rows(sheet.file, wrong, column.name, f"one of {list(column.choices)}")


def _dates(sheet: Sheet, column: Column, texts: pd.Series, stated: pd.Series) -> tuple[pd.Series, list[Problem]]:
    shaped = texts.where(texts.str.fullmatch(r"\d{4}-\d{2}-\d{2}"), "")
    read = pd.to_datetime(shaped.mask(shaped == ""), format="%Y-%m-%d", errors="coerce")
    read = read.where((read >= EARLIEST) & (read < LATEST)).astype("datetime64[ns]")
    wrong = stated[read[stated.index].isna()]
    wanted = f"a date that exists, as {DATE}, from {EARLIEST.year} to {LATEST.year - 1}"
    return read, at_rows(sheet.file, wrong, column.name, wanted)


def _numbers(sheet: Sheet, column: Column, texts: pd.Series, stated: pd.Series) -> tuple[pd.Series, list[Problem]]:
    # a decimal comma or a thousands separator is refused, not guessed
    shape = r"[+-]?\d+(\.0)?" if column.kind == "integer" else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
    plain = texts.where(texts.str.fullmatch(shape), "")
    read = pd.to_numeric(plain.mask(plain == ""), errors="coerce").astype("float64")
    low, high = RANGES[sheet.table.name, column.name]
    read = read.where((read >= low) & (read <= high))
    wrong = stated[read[stated.index].isna()]
    kind = "a whole number" if column.kind == "integer" else "a number"
    problems = at_rows(sheet.file, wrong, column.name, f"{kind} from {low:g} to {high:g}")
    return read.astype("Int64") if column.kind == "integer" else read, problems


def _repeated(sheet: Sheet, frame: pd.DataFrame) -> list[Problem]:
    key = list(sheet.table.key)
    whole = frame[frame[key].notna().all(axis=1)]
    again = whole[whole.duplicated(key)]
    first = whole[whole.duplicated(key, keep=False)].reset_index(names="line").groupby(key)["line"].min()
    problems = []
    for row, values in zip(again.index, again[key].itertuples(index=False, name=None), strict=True):
        line = int(first.loc[values if len(values) > 1 else values[0]])
        problems += at_rows(
            sheet.file, pd.Series({row: values[-1]}), key[-1], f"one row per {key}; the first is row {line}"
        )
    return problems
