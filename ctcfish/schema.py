"""What a table is: columns declared once make its check, its types in files and its data dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.errors import InputError

Kind = Literal["text", "integer", "real", "boolean"]

_PANDAS: dict[Kind, str] = {"text": "object", "integer": "Int64", "real": "float64", "boolean": "boolean"}
_SQL: dict[Kind, str] = {"text": "VARCHAR", "integer": "BIGINT", "real": "DOUBLE", "boolean": "BOOLEAN"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    kind : {"text", "integer", "real", "boolean"}
    meaning : str
        One sentence for the data dictionary.
    unit : str
        Empty where there is none.
    required : bool
        Whether a value must stand in every row.
    choices : tuple of str
        Allowed values of a text column; empty allows any.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table's name, key and columns."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [c.name for c in self.columns]

    def empty(self) -> pd.DataFrame:
        """A table of no rows with every column in its type."""
        return pd.DataFrame({c.name: pd.Series([], dtype=_PANDAS[c.kind]) for c in self.columns})

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table with its columns in order and in their types.

        Columns of the declaration that are absent and not required are added as missing; columns named
        ``if_<role>`` that are not declared are kept, at the end, as reals.

        Raises
        ------
        InputError
            An undeclared column, a missing required value, a value outside its choices, or a repeated key.
        """
        extra = [c for c in frame.columns if c not in self.names]
        unknown = [c for c in extra if not c.startswith("if_")]
        if unknown:
            raise self._refusal(f"columns {unknown}", f"only {self.names}", "Declare them in ctcfish.tables.")
        typed = {c.name: self._typed(frame, c) for c in self.columns}
        typed |= {name: _numbers(frame[name], "float64") for name in sorted(extra)}
        checked = pd.DataFrame(typed, index=pd.RangeIndex(len(frame)))
        repeated = checked.duplicated(list(self.key)) if self.key else pd.Series(dtype=bool)
        if repeated.any():
            found = checked.loc[repeated, list(self.key)].iloc[0].tolist()
            raise self._refusal(f"key {found} twice", f"one row per {self.key}", "Remove the repeated row.")
        return checked

    def _typed(self, frame: pd.DataFrame, column: Column) -> Any:
        """Values of a column in its type, without the index: a column that has it already costs next to nothing."""
        wanted = _PANDAS[column.kind]
        if column.name not in frame.columns:
            values = pd.array([None] * len(frame), dtype=wanted) if wanted != "object" else _text([None] * len(frame))
        elif column.kind == "text":
            values = _text(frame[column.name])
        else:
            values = _numbers(frame[column.name], wanted)
        if column.required or column.choices:
            self._complete(values, column)
        return values

    def _complete(self, values: Any, column: Column) -> None:
        """See that no required value is missing and none lies outside the choices."""
        missing = pd.isna(values)
        if column.required and missing.any():
            raise self._refusal(f"no {column.name} in {int(missing.sum())} rows", "one in every row", "Fill it in.")
        if column.choices:
            wrong = sorted(set(values[~missing]) - set(column.choices))
            if wrong:
                raise self._refusal(f"{column.name} {wrong}", f"one of {list(column.choices)}", "Correct the value.")

    def _refusal(self, found: str, wanted: str, remedy: str) -> InputError:
        return InputError(f"table {self.name}", found, wanted, remedy)

    def sql_types(self) -> dict[str, str]:
        """SQL type of every column."""
        return {c.name: _SQL[c.kind] for c in self.columns}

    def dictionary(self) -> list[dict[str, object]]:
        """Rows of the data dictionary."""
        return [
            {
                "table": self.name,
                "column": c.name,
                "type": c.kind,
                "unit": c.unit,
                "meaning": c.meaning,
                "required": c.required,
            }
            | ({"choices": list(c.choices)} if c.choices else {})
            for c in self.columns
        ]


def _text(values: Any) -> NDArray[np.object_]:
    """Texts as they are, and None for whatever says that there is none."""
    texts = np.array(values, dtype=object)
    texts[pd.isna(texts)] = None
    return texts


def _numbers(values: pd.Series, wanted: str) -> Any:
    """Numbers or truth values in the type wanted."""
    if values.dtype != wanted:
        values = (values if wanted == "boolean" else pd.to_numeric(values)).astype(wanted)
    return values.array


def concatenate(frames: Iterable[pd.DataFrame], table: Table) -> pd.DataFrame:
    """Stack tables of one declaration; none at all is a table of no rows."""
    present = [f for f in frames if len(f)]
    return table.check(pd.concat(present, ignore_index=True)) if present else table.empty()
