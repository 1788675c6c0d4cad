"""What is wrong with a clinical table: file, row, column, what was found and what was wanted."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ctcfish.errors import InputError
from ctcfish.schema import Table


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's rows as texts.

    Attributes
    ----------
    table : Table
        What it should be.
    file : str
        Name of the file.
    frame : pandas.DataFrame
        Texts; the index is the line number, the header being line 1.
    """

    table: Table
    file: str
    frame: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    file : str
    row : int
        Line of the file; 1 is the header.
    column : str
    found, wanted : str
    """

    file: str
    row: int
    column: str
    found: str
    wanted: str

    def __str__(self) -> str:
        """Return the problem in one line."""
        return f"{self.file}, row {self.row}, column {self.column}: found {self.found!r}; needed {self.wanted}"

    def order(self) -> tuple[str, int, str, str]:
        """Key by which problems are listed."""
        return self.file, self.row, self.column, self.wanted


def refuse(where: str, problems: list[Problem]) -> InputError:
    """Return the error that lists every problem."""
    lines = "\n".join(f"  {problem}" for problem in problems)
    found = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}:\n{lines}\n"
    return InputError(where, found, "none", "Correct the rows named; nothing was computed.")


def at_rows(file: str, values: pd.Series, column: str, wanted: str) -> list[Problem]:
    """Return a problem for every row of ``values``, whose index is the line number."""
    return [Problem(file, int(row), column, shown(value), wanted) for row, value in values.items()]


def shown(value: object) -> str:
    """Return a value as the file has it: dates without their clock."""
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)
