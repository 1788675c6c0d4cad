"""The history: nothing is lost or changed, steps of its form are taken once, foreign files are refused."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ctcfish.errors import UsageError
from ctcfish.qc import history as module
from ctcfish.qc import tables as declared
from ctcfish.qc.history import MIGRATIONS, add_results, read_results, read_targets, set_target
from tests.conftest import REPOSITORY

WRITER = """
import sys
from pathlib import Path
import pandas as pd
from ctcfish.qc import tables
from ctcfish.qc.history import add_results
for k in range(25):
    row = {"material": "line", "quantity": "ratio", "value": 1.0, "run": f"{sys.argv[2]}-{k}", "slide_id": "s"}
    add_results(Path(sys.argv[1]), pd.DataFrame([row]))
"""


def rows(*names: str, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"run": list(names), "value": [float(k) for k in range(len(names))]})
    return declared.CONTROLS.check(frame.assign(material="line", quantity="ratio", slide_id="s", **columns))


def test_results_come_back_as_they_were_added(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    given = rows("a", "b", probe_lot=["L1", None], numerator=pd.array([3, None], "Int64"))
    assert add_results(file, given) == 2
    pd.testing.assert_frame_equal(read_results(file), given)
    assert add_results(file, rows("b", "c")) == 1  # b is there already and stays as it was
    assert read_results(file)["value"].tolist() == [0.0, 1.0, 1.0]
    assert add_results(file, declared.CONTROLS.empty()) == 0


@pytest.mark.parametrize(
    ("days", "order"),
    [
        (["10", "9", "2"], [2, 1, 0]),
        (["2026-02-01", "2026-01-31", "2025-12-31"], [2, 1, 0]),
        (["3", None, "1"], [0, 1, 2]),
    ],
)
def test_days_give_the_order_where_all_are_known(tmp_path: Path, days: list[str], order: list[int]) -> None:
    add_results(tmp_path / "h.sqlite", rows("0", "1", "2", day=days))
    assert read_results(tmp_path / "h.sqlite")["run"].astype(int).tolist() == order


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    command = [sys.executable, "-c", WRITER, str(file)]
    writers = [subprocess.Popen([*command, str(k)], cwd=REPOSITORY) for k in range(4)]
    assert [writer.wait(timeout=200) for writer in writers] == [0] * 4
    found = read_results(file)
    assert set(found["run"]) == {f"{k}-{i}" for k in range(4) for i in range(25)}


def test_results_are_never_changed_or_taken_away(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    add_results(file, rows("a"))
    with sqlite3.connect(file) as connection:
        for statement in ("DELETE FROM results", "UPDATE results SET value = 2"):
            with pytest.raises(sqlite3.IntegrityError, match="results are only added"):
                connection.execute(statement)
    connection.close()


def test_targets_the_newest_holds(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    set_target(file, ("line", "ratio"), 1.0, 0.1, "maker")
    set_target(file, ("line", "ratio"), 1.1, 0.2, "own")
    assert read_targets(file) == {("line", "ratio"): (1.1, 0.2, "own")}


@pytest.mark.parametrize(
    ("target", "spread"), [(1.0, 0.0), (1.0, -0.1), (1.0, math.inf), (math.nan, 0.1), (1.0, math.nan)]
)
def test_a_target_that_makes_no_chart_is_refused(tmp_path: Path, target: float, spread: float) -> None:
    """An endless deviation would put every result at 0 and pass whatever comes."""
    file = tmp_path / "h.sqlite"
    with pytest.raises(UsageError, match="make no chart"):
        set_target(file, ("line", "ratio"), target, spread, "own")
    assert not file.exists()


@pytest.mark.parametrize("quantity", ["ratois", "false_call_rate", ""])
def test_a_target_that_no_chart_would_use_is_refused(tmp_path: Path, quantity: str) -> None:
    with pytest.raises(UsageError, match=f"no chart of {quantity} takes a target: give one of ratio, her2_count"):
        set_target(tmp_path / "h.sqlite", ("line", quantity), 1.0, 0.1, "own")


def test_an_older_history_is_brought_up_and_a_newer_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "h.sqlite"
    with monkeypatch.context() as older:
        older.setattr(module, "MIGRATIONS", MIGRATIONS[:1])
        add_results(file, rows("a"))
    assert version_of(file) == 1
    assert read_results(file)["run"].tolist() == ["a"]
    assert version_of(file) == len(MIGRATIONS)
    with monkeypatch.context() as older:
        older.setattr(module, "MIGRATIONS", MIGRATIONS[:1])
        with pytest.raises(UsageError, match="is a history of version 2, this program knows 1"):
            read_results(file)


def version_of(file: Path) -> int:
    connection = sqlite3.connect(file)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return int(version)


def test_what_is_no_history_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no history .*give the file that `ctcfish qc control add` wrote"):
        read_results(tmp_path / "absent.sqlite")
    assert not (tmp_path / "absent.sqlite").exists()
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at" * 50, encoding="utf-8")
    with pytest.raises(UsageError, match=r"notes.txt: file is not a database"):
        read_results(tmp_path / "notes.txt")


def test_a_broken_write_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    with pytest.raises(UsageError, match=r"NOT NULL|datatype"):
        set_target(file, (None, "ratio"), 1.0, 0.1, "own")  # type: ignore[arg-type]
    add_results(file, rows("a"))
    assert read_targets(file) == {}
