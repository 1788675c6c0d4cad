"""Joined tables: DuckDB and pandas read what the run holds, all slides, every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.export.tables import without_folders
from ctcfish.store.results import RUN_TABLES, SLIDE_TABLES
from ctcfish.store.tablefiles import read_csv, read_parquet
from tests import make, runs
from tests.export.conftest import names_no_folder


@pytest.fixture(scope="module", params=["csv", "parquet"])
def exported(request: pytest.FixtureRequest, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tables") / "out"
    assert make.run("export", run, "--to", request.param, "--out", out) == 0
    return out


def kind(exported: Path) -> str:
    return next(exported.glob("cells.*")).suffix[1:]


def read(exported: Path, table: tables.Table) -> pd.DataFrame:
    reader: Any = read_csv if kind(exported) == "csv" else read_parquet
    return reader(exported / f"{table.name}.{kind(exported)}", table)


def test_every_table_is_there_once(exported: Path) -> None:
    names = {f"{table.name}.{kind(exported)}" for table in (*SLIDE_TABLES, *RUN_TABLES)}
    assert {p.name for p in exported.iterdir()} == names | {"data_dictionary.json"}


@pytest.mark.parametrize("table", SLIDE_TABLES, ids=lambda t: t.name)
def test_the_slides_rows_are_all_there_in_order(exported: Path, run: Path, table: tables.Table) -> None:
    stored = [read_parquet(run / slide / f"{table.name}.parquet", table) for slide in ("a", "b")]
    expected = table.check(pd.concat(stored, ignore_index=True))
    if kind(exported) == "csv":  # where an empty text is a missing one, unless the column is required
        for column in (c.name for c in table.columns if c.kind == "text" and not c.required):
            expected[column] = expected[column].where(expected[column] != "", None)
    pd.testing.assert_frame_equal(read(exported, table), expected)
    assert len(expected) == {"cells": 6, "spots": 6, "if_cells": 2}[table.name]


def test_a_marker_of_one_slide_is_missing_on_the_other(exported: Path) -> None:
    cells = read(exported, tables.CELLS)
    assert cells.loc[cells["slide_id"] == "a", "if_exclusion_cell"].isna().all()
    assert cells.loc[cells["slide_id"] == "b", "if_exclusion_cell"].tolist()[:2] == [0.5, 7.0]


@pytest.mark.parametrize("table", [t for t in RUN_TABLES if t.name != "failures"], ids=lambda t: t.name)
def test_tables_of_the_run_are_as_they_were(exported: Path, run: Path, table: tables.Table) -> None:
    pd.testing.assert_frame_equal(read(exported, table), read_csv(run / f"{table.name}.csv", table))


def test_a_failure_keeps_its_words_and_loses_its_folders(exported: Path, run: Path) -> None:
    (row,) = read(exported, tables.FAILURES).to_dict("records")
    assert row["slide_id"] == "c"
    assert row["message"] == "unexpected: [Errno 5] Input/output error: 'f.tif'; run.log holds the details"
    names_no_folder(exported, run)


def test_another_reader_counts_the_same(exported: Path) -> None:
    with duckdb.connect() as connection:
        file = exported / f"cells.{kind(exported)}"
        rows = connection.execute(f"SELECT slide_id, sum(her2_count), count(*) FROM '{file}' GROUP BY 1 ORDER BY 1")
        assert rows.fetchall() == [("a", 11, 3), ("b", 4, 3)]


def test_units_travel_in_the_parquet_file(exported: Path) -> None:
    if kind(exported) == "csv":
        pytest.skip("CSV carries no metadata; units stand in the columns' names")
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT key, value FROM parquet_kv_metadata('{exported / 'spots.parquet'}')")
        notes = {bytes(key).decode(): bytes(value).decode() for key, value in found.fetchall()}
    assert '"unit": "photons"' in notes["photons"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cannot open /data/x/y.tif", "cannot open y.tif"),
        (r"cannot open C:\Users\jane\a.tif", "cannot open a.tif"),
        (r"'C:\Users\Jane Doe\a.tif' is gone", "'a.tif' is gone"),
        ("'/a b/c/d e.tif', \"/f g/h\"", "'d e.tif', \"h\""),
        ("ratio 5/11, N/A, and/or", "ratio 5/11, N/A, and/or"),
        ("fish/f.tif", "fish/f.tif"),
        ("", ""),
    ],
)
def test_folders_are_taken_out_of_messages(text: str, expected: str) -> None:
    assert without_folders(text) == expected


def test_an_existing_folder_is_left_alone_and_no_run_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    assert make.run("export", run, "--to", "csv", "--out", tmp_path / "out") == 2
    assert "out exists and is left alone" in capsys.readouterr().err
    assert make.run("export", tmp_path, "--to", "csv", "--out", tmp_path / "new") == 3
    assert not (tmp_path / "new").exists()


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = runs.write(tmp_path / "broken")
    (broken / "a" / "spots.parquet").unlink()
    assert make.run("export", broken, "--to", "parquet", "--out", tmp_path / "new") == 3
    said = capsys.readouterr().err
    assert "table spots: found IO Error: No files found that match the pattern" in said
    assert "needed its Parquet file in every slide" in said
    assert str(tmp_path) not in said
    assert [p.name for p in tmp_path.iterdir()] == ["broken"]
