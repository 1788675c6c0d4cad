"""A slide's folder and a run's tables: what goes in comes out, by a second path and to the byte."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.config import load
from ctcfish.errors import InputError
from ctcfish.parameters import Call
from ctcfish.stages.call import CALLED, call
from ctcfish.store.atomic import atomic_folder, to_json, write_text
from ctcfish.store.labels import read_labels
from ctcfish.store.manifest import hashes, manifest, sha256_of
from ctcfish.store.pictures import Picture, read_pictures, write_pictures
from ctcfish.store.results import (
    DECLARED,
    RUN_TABLES,
    read_ctc,
    read_slide_json,
    slides_table,
    write_run_tables,
    write_slide,
)
from ctcfish.store.tablefiles import read_parquet, rewrite_parquet, write_csv, write_parquet
from ctcfish.types import SlideResult
from tests import make

ROW = {"slide_id": "s", "patient_id": "p", "preset": "circe_tdm1", "n_nuclei": 3, "flags": "NO_IF"}


def result(failure: str = "") -> SlideResult:
    cells = call(make.cells((9, 2), (2, 2), (None, 3), kind=["ctc", "wbc", "ctc"]), make.rates(), Call())
    spots = make.detections([make.spot(1.0, 2.0), make.spot(3.0, 4.0, probe="CEP17", label=0)]).spots
    return SlideResult(
        slide_id="s",
        patient_id="p",
        visit="",
        cells=tables.CELLS.check(cells),
        spots=tables.SPOTS.check(spots.assign(slide_id="s", scene="f", cell_id=["s/f/1", None])),
        if_cells=tables.IF_CELLS.empty(),
        nuclei={"fish/f": make.nuclei(2)},
        summary={"slide": ROW, "value": float("nan")},
        failure=failure,
    )


PICTURES = {"view/fish/f": Picture(np.ones((1, 4, 5), np.uint16), ("nucleus",), 0.1, (0.0, 0.0), "f")}


def test_a_slides_folder_holds_everything_twice_readable(tmp_path: Path) -> None:
    given = result("RELOCATION")
    write_slide(given, {"inputs_sha256": {"fish/a.tif": "00ff"}}, PICTURES, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        *(f"{name}.{kind}" for name in ("cells", "spots", "if_cells") for kind in ("csv", "parquet")),
        "labels.ome.zarr",
        "pictures.zarr",
        "slide.json",
    }
    for table, frame in ((tables.CELLS, given.cells), (tables.SPOTS, given.spots), (tables.IF_CELLS, given.if_cells)):
        pd.testing.assert_frame_equal(read_parquet(tmp_path / f"{table.name}.parquet", table), frame)
        from_csv = pd.read_csv(tmp_path / f"{table.name}.csv", float_precision="round_trip")
        assert from_csv.columns.tolist() == frame.columns.tolist()
        for column in (c.name for c in table.columns if c.kind in ("integer", "real")):
            np.testing.assert_array_equal(
                from_csv[column].to_numpy(float), frame[column].to_numpy(float, na_value=np.nan)
            )
    np.testing.assert_array_equal(
        np.asarray(read_labels(tmp_path / "labels.ome.zarr")["fish/f"][...]), make.nuclei(2).paint()
    )
    assert list(read_pictures(tmp_path / "pictures.zarr")) == ["view/fish/f"]


def test_slide_json_carries_failure_and_inputs(tmp_path: Path) -> None:
    write_slide(result("RELOCATION"), {"inputs_sha256": {"fish/a.tif": "00ff"}}, {}, tmp_path)
    said = read_slide_json(tmp_path)
    assert (said["failure"], said["inputs_sha256"], said["value"]) == ("RELOCATION", {"fish/a.tif": "00ff"}, None)


def test_equal_slides_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_slide(result(), {}, PICTURES, tmp_path / name)
    assert hashes([tmp_path / "a"], tmp_path / "a") == hashes([tmp_path / "b"], tmp_path / "b")


@pytest.mark.parametrize("rows", [0, 1, 28, 2049, 130_000])
def test_a_table_with_other_values_has_the_bytes_of_a_new_one(tmp_path: Path, rows: int) -> None:
    """Over several vectors (2,048 rows) and row groups (122,880) of the file, too."""
    place = np.random.default_rng(rows)
    before = pd.DataFrame(
        {
            "cell_id": [f"s/f/{k}" for k in range(rows)],
            "slide_id": "s",
            "label": pd.array(np.where(np.arange(rows) % 7, np.arange(rows), -1), "Int64"),
            "kind": place.choice(tables.KINDS, rows),
            "x_um": np.where(np.arange(rows) % 5, place.normal(size=rows), np.nan),
            "if_inclusion": place.normal(size=rows),
            **dict.fromkeys(("call", "call_guarded"), "not_amplified"),
            "flags": "",
        }
    )
    changed = {"call": place.choice(tables.CALLS, rows), "p_amplified": place.uniform(size=rows), "reason": None}
    before, after = (tables.CELLS.check(frame) for frame in (before, before.assign(**changed)))
    for name, frame in (("stored", before), ("new", after)):
        write_parquet(frame, tables.CELLS, tmp_path / name)
    rewrite_parquet(after, CALLED, tables.CELLS, tmp_path / "stored", tmp_path / "again")
    stored, new, again = ((tmp_path / name).read_bytes() for name in ("stored", "new", "again"))
    assert again == new
    assert rows == 0 or new != stored


def test_only_ctc_are_read_for_the_patient_slide_by_slide(tmp_path: Path) -> None:
    """Slides of other markers among them; columns that only one slide has stay with that slide."""
    names = ("z", "a", "m")
    for name in names:
        (tmp_path / name).mkdir()
        own = result()
        cells = own.cells.assign(slide_id=name, cell_id=[f"{name}/f/{k}" for k in range(len(own.cells))])
        extra = {"if_rare_marker": 1.0} if name == "a" else {}
        write_slide(dataclasses.replace(own, cells=cells.assign(**extra)), {}, {}, tmp_path / name)
    ctc = read_ctc([tmp_path / name for name in names])
    assert ctc["cell_id"].tolist() == [f"{name}/f/{k}" for name in names for k in (0, 2)]
    assert ctc.columns.tolist() == tables.CELLS.names
    pd.testing.assert_frame_equal(ctc, tables.CELLS.check(ctc))
    pd.testing.assert_frame_equal(read_ctc([]), tables.CELLS.empty())


def test_cells_that_are_no_table_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cells.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="needed files of table cells"):
        read_ctc([tmp_path])


def test_slides_are_rows_in_the_order_given() -> None:
    rows = [{"slide": ROW | {"slide_id": name, "n_ctc": n}} for name, n in (("b", 3), ("a", None))]
    table = slides_table(rows)
    assert table["slide_id"].tolist() == ["b", "a"]
    assert table["n_ctc"].isna().tolist() == [False, True]
    pd.testing.assert_frame_equal(slides_table([]), tables.SLIDES.empty())
    with pytest.raises(InputError, match=r"table slides: found key \['s'\] twice"):
        slides_table([{"slide": ROW}, {"slide": ROW}])


def test_a_runs_tables_are_checked_and_explained(tmp_path: Path) -> None:
    frames = {table.name: table.empty() for table in RUN_TABLES}
    write_run_tables(frames | {"slides": slides_table([{"slide": ROW}])}, tmp_path)
    assert (tmp_path / "slides.csv").read_text(encoding="utf-8").splitlines()[0] == ",".join(tables.SLIDES.names)
    assert len(pd.read_csv(tmp_path / "slides.csv")) == 1
    explained = json.loads((tmp_path / "data_dictionary.json").read_text(encoding="utf-8"))["columns"]
    assert [(row["table"], row["column"]) for row in explained] == [(t.name, n) for t in DECLARED for n in t.names]
    with pytest.raises(InputError, match=r"table failures: found columns \['colour'\]"):
        write_run_tables(frames | {"failures": pd.DataFrame({"colour": ["red"]})}, tmp_path)


def test_csv_and_parquet_tell_the_same(tmp_path: Path) -> None:
    """DuckDB reads both files without this program."""
    cells = result().cells
    write_csv(cells, tables.CELLS, tmp_path / "c.csv")
    write_parquet(cells, tables.CELLS, tmp_path / "c.parquet")
    columns = "cell_id, her2_count, ratio, p_amplified, call, reason"
    with duckdb.connect() as connection:
        rows = [
            connection.execute(f"SELECT {columns} FROM '{tmp_path / name}' ORDER BY cell_id").fetchall()
            for name in ("c.csv", "c.parquet")
        ]
    assert rows[0] == rows[1]
    assert [row[1] for row in rows[1]] == [9, 2, None]


@pytest.mark.parametrize("text", ["it's", 'a "b", c', "ä µ", "two\nlines", " blanks "], ids=repr)
def test_awkward_texts_come_back(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    cells = result().cells.assign(scene=text)
    write_parquet(cells, tables.CELLS, folder / "c.parquet")
    assert set(read_parquet(folder / "c.parquet", tables.CELLS)["scene"]) == {text}
    write_csv(cells, tables.CELLS, folder / "c.csv")
    assert set(pd.read_csv(folder / "c.csv")["scene"]) == {text}


def test_large_counts_and_small_reals_lose_nothing(tmp_path: Path) -> None:
    values = [2**53 + 1, 0, 7]
    reals = [1e-300, 0.1 + 0.2, np.nextafter(1.0, 2.0)]
    cells = result().cells.assign(her2_count=pd.array(values, dtype="Int64"), ratio=reals)
    write_parquet(cells, tables.CELLS, tmp_path / "c.parquet")
    back = read_parquet(tmp_path / "c.parquet", tables.CELLS)
    assert (back["her2_count"].tolist(), back["ratio"].tolist()) == (values, reals)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, np.bool_])
def test_pictures_keep_their_type_and_order(tmp_path: Path, dtype: type) -> None:
    shapes = [(1, 2, 3), (3, 1, 1), (2, 5, 4)]
    given = {
        f"cell/s/{k}/fish": Picture(np.full(shape, k).astype(dtype), ("her2",) * shape[0], 0.1 * k, (-k, k), f"f#{k}")
        for k, shape in reversed(list(enumerate(shapes, start=1)))
    }
    write_pictures(given, tmp_path / "p.zarr")
    back = read_pictures(tmp_path / "p.zarr")
    assert list(back) == list(given)
    for key, picture in given.items():
        assert back[key].pixels.dtype == dtype
        np.testing.assert_array_equal(back[key].pixels, picture.pixels)
        assert dataclasses.replace(back[key], pixels=picture.pixels) == picture


def test_no_pictures_are_none(tmp_path: Path) -> None:
    write_pictures({}, tmp_path / "p.zarr")
    assert read_pictures(tmp_path / "p.zarr") == {}


def test_a_failed_replacement_keeps_the_old_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "out" / "file", "old")

    def fails() -> None:
        with atomic_folder(tmp_path / "out") as work:
            write_text(work / "file", "new")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fails()
    assert (tmp_path / "out" / "file").read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "deep" / "out") as work:
        write_text(work / "file", "x\r\ny")
    assert (tmp_path / "deep" / "out").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "deep" / "out" / "file").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "deep" / "out" / "file").read_bytes() == b"x\r\ny"


def test_a_failed_text_leaves_the_old_one(tmp_path: Path) -> None:
    write_text(tmp_path / "f", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "f", "\ud800")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text(encoding="utf-8") == "old"


def test_json_takes_numpys_values_and_text_keys() -> None:
    value = {1: np.arange(2), "x": np.float32(0.5), "y": np.bool_(True), "z": {"n": np.array([np.nan, -np.inf])}}
    assert json.loads(to_json(value)) == {"1": [0, 1], "x": 0.5, "y": True, "z": {"n": [None, None]}}
    assert to_json({"b": 1, "a": "µ"}) == '{\n "a": "µ",\n "b": 1\n}\n'


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_hash_does_not_hang_on_its_blocks(tmp_path: Path, size: int) -> None:
    import hashlib

    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    assert sha256_of(tmp_path / "f") == hashlib.sha256(content).hexdigest()


def test_a_file_elsewhere_is_named_without_its_place(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").write_bytes(b"")
    assert list(hashes([tmp_path / "there"], tmp_path / "here")) == ["there"]


def test_the_manifest_tells_configurations_apart() -> None:
    plain, guarded = (manifest(load(name), "cpu", {}, {}) for name in ("circe_tdm1", "circe_guarded"))
    assert plain["configuration_sha256"] != guarded["configuration_sha256"]
    assert plain["configuration"]["call"]["rule"]["guard"] is None
    assert guarded["configuration"]["call"]["rule"]["guard"]["min_posterior"] == 0.95
    same = set(plain) - {"configuration", "configuration_sha256"}
    assert {name: plain[name] for name in same} == {name: guarded[name] for name in same}
    assert set(plain["weights_sha256"]) >= {"nuclei.safetensors"}
    assert all(len(digest) == 64 for digest in plain["weights_sha256"].values())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_table_on_a_full_disk_is_refused_as_the_system_does() -> None:
    """Not as the library that writes it does, whose words name a path and no number."""
    with pytest.raises(OSError, match="No space left on device") as refused:
        write_parquet(result().cells, tables.CELLS, Path("/dev/full"))
    assert refused.value.errno == errno.ENOSPC


def test_a_table_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        write_parquet(result().cells, tables.CELLS, tmp_path / "no folder" / "cells.parquet")
