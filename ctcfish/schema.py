"""What a table is: columns declared once make its check, its SQL and its data dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

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
        typed |= {name: pd.to_numeric(frame[name]).astype("float64") for name in sorted(extra)}
        checked = pd.DataFrame(typed, index=frame.index).reset_index(drop=True)
        repeated = checked.duplicated(list(self.key)) if self.key else pd.Series(dtype=bool)
        if repeated.any():
            found = checked.loc[repeated, list(self.key)].iloc[0].tolist()
            raise self._refusal(f"key {found} twice", f"one row per {self.key}", "Remove the repeated row.")
        return checked

    def _typed(self, frame: pd.DataFrame, column: Column) -> pd.Series:
        if column.name not in frame.columns:
            values = pd.Series([None] * len(frame), index=frame.index, dtype=_PANDAS[column.kind])
        elif column.kind == "text":
            given = frame[column.name].astype(object)
            values = given.mask(given.isna(), other=None)
        else:
            values = pd.to_numeric(frame[column.name]) if column.kind != "boolean" else frame[column.name]
            values = values.astype(_PANDAS[column.kind])
        if column.required and len(values) and bool(values.isna().any()):
            raise self._refusal(
                f"no {column.name} in {int(values.isna().sum())} rows", "one in every row", "Fill it in."
            )
        if column.choices:
            wrong = sorted(set(values.dropna()) - set(column.choices))
            if wrong:
                raise self._refusal(f"{column.name} {wrong}", f"one of {list(column.choices)}", "Correct the value.")
        return values

    def _refusal(self, found: str, wanted: str, remedy: str) -> InputError:
        return InputError(f"table {self.name}", found, wanted, remedy)

    def sql(self) -> str:
        """``CREATE TABLE`` statement."""
        body = ", ".join(f'"{c.name}" {_SQL[c.kind]}{" NOT NULL" if c.required else ""}' for c in self.columns)
        key = ", ".join(f'"{k}"' for k in self.key)
        return f"CREATE TABLE {self.name} ({body}{f', PRIMARY KEY ({key})' if key else ''})"

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


def concatenate(frames: Iterable[pd.DataFrame], table: Table) -> pd.DataFrame:
    """Stack tables of one declaration; none at all is a table of no rows."""
    present = [f for f in frames if len(f)]
    return table.check(pd.concat(present, ignore_index=True)) if present else table.empty()
