"""The laboratory's history of control results: one SQLite file, one writer at a time, changed by numbered steps.

Results are only ever added. Every writer takes the whole file for its transaction and waits for the others, so that
nothing is lost where several runs end at once; the file must not lie on a network drive, where locks do not hold.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from ctcfish.errors import UsageError
from ctcfish.parameters import Quantity
from ctcfish.qc import tables as declared

WAIT_S = 60.0
"""How long a writer waits for the others."""
FALSE_CALLS = "false_call_rate"
TARGETED = tuple(name for name in get_args(Quantity) if name != FALSE_CALLS)
"""Quantities held against a target; false calls are held against the exact bound of normal cells."""

MIGRATIONS = (
    (
        "CREATE TABLE results (id INTEGER PRIMARY KEY, material TEXT NOT NULL, quantity TEXT NOT NULL,"
        " value REAL NOT NULL, numerator INTEGER, denominator INTEGER, run TEXT NOT NULL, slide_id TEXT NOT NULL,"
        " day TEXT, probe_lot TEXT, scanner TEXT, operator TEXT, site TEXT,"
        " UNIQUE (material, quantity, run, slide_id)) STRICT",
        "CREATE TABLE targets (id INTEGER PRIMARY KEY, material TEXT NOT NULL, quantity TEXT NOT NULL,"
        " target REAL NOT NULL, spread REAL NOT NULL CHECK (spread > 0), origin TEXT NOT NULL) STRICT",
        "CREATE TRIGGER results_stay BEFORE DELETE ON results BEGIN SELECT RAISE(ABORT, 'results are only added'); END",
        "CREATE TRIGGER results_hold BEFORE UPDATE ON results BEGIN SELECT RAISE(ABORT, 'results are only added'); END",
    ),
    ("CREATE INDEX results_of ON results (material, quantity, id)",),
)
"""Statements that make version k + 1 of the file from version k."""


@contextmanager
def _open(file: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, timeout=WAIT_S, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise UsageError(
                f"{file.name} is a history of version {version}, this program knows {len(MIGRATIONS)}: use a newer one."
            )
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        yield connection
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise UsageError(f"{file.name}: {error}; give a history of control results, or a new file.") from None
    finally:
        connection.close()


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise UsageError(f"no history {file}: give the file that `ctcfish qc control add` wrote.")
    return file


def add_results(file: Path, results: pd.DataFrame) -> int:
    """Add control results; those that are there already are left as they are.

    Parameters
    ----------
    file : Path
        Made where it is absent.
    results : pandas.DataFrame
        :data:`ctcfish.qc.tables.CONTROLS`.

    Returns
    -------
    int
        Results added.

    Raises
    ------
    UsageError
        No history, a newer one, or another writer held it for longer than a minute.
    """
    checked = declared.CONTROLS.check(results)
    rows = [tuple(_plain(value) for value in row) for row in checked.itertuples(index=False)]
    names, marks = ", ".join(declared.CONTROLS.names), ", ".join("?" * len(declared.CONTROLS.names))
    with _open(file) as connection:
        before = connection.total_changes
        connection.executemany(f"INSERT OR IGNORE INTO results ({names}) VALUES ({marks})", rows)
        return connection.total_changes - before


def _plain(value: Any) -> Any:
    """What SQLite stores: no numpy, no pandas."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def read_results(file: Path) -> pd.DataFrame:
    """Every result, by day where days are given, else in the order they were added.

    Days are numbers or ISO dates; within a day the order of adding holds.

    Raises
    ------
    UsageError
        No such history.
    """
    names = declared.CONTROLS.names
    with _open(_existing(file)) as connection:
        rows = connection.execute(f"SELECT {', '.join(names)} FROM results ORDER BY id").fetchall()
    frame = declared.CONTROLS.check(pd.DataFrame(rows, columns=names)) if rows else declared.CONTROLS.empty()
    days = frame["day"]
    numbers = pd.to_numeric(days, errors="coerce")
    if len(frame) and days.notna().all():
        order = numbers if numbers.notna().all() else days
        return frame.iloc[order.argsort(kind="stable")].reset_index(drop=True)
    return frame


def set_target(file: Path, key: tuple[str, str], target: float, spread: float, origin: str) -> None:
    """Set target and standard deviation of a material's quantity; the newest holds, older ones are kept.

    Raises
    ------
    UsageError
        The quantity takes no target, or target and spread are no finite numbers, or the spread is not above 0.
    """
    if key[1] not in TARGETED:
        raise UsageError(f"no chart of {key[1]} takes a target: give one of {', '.join(TARGETED)}.")
    if not (math.isfinite(target) and math.isfinite(spread) and spread > 0):
        raise UsageError(
            f"target {target:g} and standard deviation {spread:g} make no chart: give finite ones, the latter above 0."
        )
    with _open(file) as connection:
        values: Sequence[Any] = (*key, target, spread, origin)
        statement = "INSERT INTO targets (material, quantity, target, spread, origin) VALUES (?, ?, ?, ?, ?)"
        connection.execute(statement, values)


def read_targets(file: Path) -> dict[tuple[str, str], tuple[float, float, str]]:
    """Target, standard deviation and their origin, by material and quantity."""
    with _open(_existing(file)) as connection:
        rows = connection.execute(
            "SELECT material, quantity, target, spread, origin FROM targets ORDER BY id"
        ).fetchall()
    return {(str(m), str(q)): (float(target), float(spread), str(origin)) for m, q, target, spread, origin in rows}
