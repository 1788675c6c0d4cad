from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import zarr
from yaozarrs import validate_zarr_store

from ctcfish import tables
from ctcfish.config import Config
from ctcfish.errors import InputError
from ctcfish.schema import Column, Table
from ctcfish.stages.call import call
from ctcfish.store.atomic import atomic_folder, to_json, write_json, write_text
from ctcfish.store.labels import read_labels, write_labels
from ctcfish.store.manifest import hashes, manifest, sha256_of
from ctcfish.store.pictures import Picture, read_pictures, write_pictures
from ctcfish.store.tablefiles import read_parquet, write_csv, write_parquet
from tests import make


def cells() -> pd.DataFrame:
    called = call(
        make.cells((9, 2), (2, 0), (None, 3), if_inclusion_cell=[1.5, np.nan, 2.0]), make.rates(), Config().call
    )
    return tables.CELLS.check(called.assign(flags=["", "OVERLAP|TRUNCATED", ""]))


def test_parquet_comes_back_as_it_went(tmp_path: Path) -> None:
    write_parquet(cells(), tables.CELLS, tmp_path / "cells.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "cells.parquet", tables.CELLS), cells())


@pytest.mark.parametrize("table", [tables.CELLS, tables.SPOTS, tables.IF_CELLS], ids=lambda t: t.name)
def test_no_rows_come_back_as_no_rows(tmp_path: Path, table: tables.Table) -> None:
    write_parquet(table.empty(), table, tmp_path / "t.parquet")
    back = read_parquet(tmp_path / "t.parquet", table)
    assert len(back) == 0
    assert back.columns.tolist() == table.names


def test_units_and_meanings_stand_in_the_parquet_file(tmp_path: Path) -> None:
    write_parquet(cells(), tables.CELLS, tmp_path / "cells.parquet")
    query = f"SELECT key, value FROM parquet_kv_metadata('{tmp_path / 'cells.parquet'}')"
    with duckdb.connect() as connection:
        found = {key.decode(): json.loads(value) for key, value in connection.execute(query).fetchall()}
    assert found["area_um2"]["unit"] == "um2"
    assert set(tables.CELLS.names) <= set(found)


def test_csv_has_one_header_line_and_empty_means_missing(tmp_path: Path) -> None:
    write_csv(cells(), tables.CELLS, tmp_path / "cells.csv")
    text = (tmp_path / "cells.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith("cell_id,slide_id,scene,label,kind,")
    assert len(text.splitlines()) == 4
    assert "OVERLAP|TRUNCATED" in text
    assert "nan" not in text.lower()
    assert "\r" not in text


def test_csv_is_what_pandas_would_write(tmp_path: Path) -> None:
    """An independent writer: odd texts, numbers of every size, and what is missing in each of the four kinds."""
    columns = [Column(kind, kind, "Some.") for kind in ("text", "integer", "real", "boolean")]
    table = Table("odd", (), tuple(columns))
    frame = table.check(
        pd.DataFrame(
            {
                "text": ["", None, 'a "b", c', "two\nlines", "µ", "NA"],
                "integer": [0, None, -1, 2**53 + 1, 7, 7],
                "real": [0.1 + 0.2, None, -0.0, 1e-300, 1e22, np.inf],
                "boolean": [True, None, False, True, False, None],
            }
        ).astype({"integer": "Int64", "boolean": "boolean"})
    )
    write_csv(frame, table, tmp_path / "own.csv")
    frame.to_csv(tmp_path / "pandas.csv", index=False, lineterminator="\n", encoding="utf-8")
    assert (tmp_path / "own.csv").read_bytes() == (tmp_path / "pandas.csv").read_bytes()


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_parquet(cells(), tables.CELLS, tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_another_tables_file_is_refused(tmp_path: Path) -> None:
    write_parquet(tables.SPOTS.empty(), tables.SPOTS, tmp_path / "spots.parquet")
    with pytest.raises(InputError, match="table cells: found columns"):
        read_parquet(tmp_path / "spots.parquet", tables.CELLS)
    with pytest.raises(InputError, match="Score the slide again"):
        read_parquet(tmp_path / "none.parquet", tables.CELLS)
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="needed the Parquet file of table cells"):
        read_parquet(tmp_path / "bad.parquet", tables.CELLS)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as work:
        (work / "file").write_text("x")
        assert not (tmp_path / "out").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").read_text() == "x"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_interrupted_folder_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    def interrupted() -> None:
        with atomic_folder(tmp_path / "out") as work:
            (work / "file").write_text("x")
            raise failure

    with pytest.raises(failure):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "out") as work:
            (work / text).write_text(text)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_json_is_sorted_and_knows_no_nan(tmp_path: Path) -> None:
    value = {"b": np.float64("nan"), "a": (1, np.int64(2)), "c": {"d": [float("inf"), True, None, "é"]}}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"a": [1, 2], "b": None, "c": {"d": [None, True, None, "é"]}}
    assert text.index('"a"') < text.index('"b"')
    assert text == to_json(value)


def test_text_replaces_text(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_text(tmp_path / "deep" / "f.txt", text)
    assert [(p.name, p.read_text()) for p in (tmp_path / "deep").iterdir()] == [("f.txt", "two")]


def test_labels_validate_and_come_back(tmp_path: Path) -> None:
    target = tmp_path / "labels.ome.zarr"
    given = {"fish/a": make.nuclei(3), "if/scan": make.nuclei(1, pixel_um=0.64)}
    write_labels(given, target)
    back = read_labels(target)
    assert set(back) == {"fish/a", "if/scan"}
    for key, nuclei in given.items():
        assert (np.asarray(back[key][...]) == nuclei.paint()).all()
    for name in ("fish_a", "if_scan"):
        validate_zarr_store(str(target / "labels" / name))
    about = zarr.open_group(str(target / "labels" / "if_scan"), mode="r").attrs["ome"]
    assert about["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.64, 0.64]


def test_labels_are_written_across_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctcfish.store.labels.TILE_PX", 37)
    nuclei = make.nuclei(4)
    write_labels({"fish/a": nuclei}, tmp_path / "l.ome.zarr")
    assert (np.asarray(read_labels(tmp_path / "l.ome.zarr")["fish/a"][...]) == nuclei.paint()).all()


def test_no_nuclei_are_an_empty_label_image(tmp_path: Path) -> None:
    write_labels({"fish/a": make.nuclei(0)}, tmp_path / "l.ome.zarr")
    assert not np.asarray(read_labels(tmp_path / "l.ome.zarr")["fish/a"][...]).any()


def test_pictures_come_back(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    given = {"cell/s/f/1/fish": Picture(pixels, ("nucleus", "her2"), 0.1, (1.5, -2.0), "f")}
    write_pictures(given, tmp_path / "p.zarr")
    back = read_pictures(tmp_path / "p.zarr")
    assert list(back) == list(given)
    found = back["cell/s/f/1/fish"]
    assert (found.pixels == pixels).all()
    assert (found.roles, found.pixel_um, found.origin_um, found.scene) == (("nucleus", "her2"), 0.1, (1.5, -2.0), "f")


def test_hashes_are_of_files_below_a_base(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"")
    (tmp_path / "y").write_bytes(b"abc")
    found = hashes([tmp_path / "a", tmp_path / "y"], tmp_path)
    assert list(found) == ["a/x", "y"]
    assert found["y"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, "abc"
    assert found["a/x"] == sha256_of(tmp_path / "a" / "x")


def test_the_manifest_names_no_place_and_no_time(tmp_path: Path) -> None:
    said = manifest(Config(), "cpu", {"x": "1"}, {"y": "2"})
    assert said["configuration"] == Config().resolved()
    assert said["configuration_sha256"] == Config().sha256()
    assert str(Path.cwd()) not in to_json(said)
    assert not {"time", "date", "host", "user"} & set(said)
    assert said == manifest(Config(), "cpu", {"x": "1"}, {"y": "2"})
