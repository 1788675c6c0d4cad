"""Two runs: what differs is named at its level, and at no stricter one than it must."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import tables
from ctcfish.errors import InputError, UsageError
from ctcfish.store.compare import LEVELS, compare_runs
from ctcfish.store.tablefiles import read_csv
from ctcfish.types import SlideResult
from tests import make, runs


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.write(tmp_path_factory.mktemp("first") / "run", runs.result("a"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "second"


def levels(first: Path, second: Path, **options: Any) -> list[str]:
    found = compare_runs(first, second, **options)
    return [level for level in LEVELS if found.differs(level)]


def of(**columns: Any) -> SlideResult:
    return runs.changed(runs.result("a"), **columns)


def test_equal_work_agrees_at_every_level(first: Path, out: Path) -> None:
    found = compare_runs(first, runs.write(out, runs.result("a")))
    assert [len(frame) for frame in (found.files, found.values, found.calls)] == [0, 0, 0]
    assert not any(found.differs(level) for level in LEVELS)


def test_log_and_signature_are_not_compared(first: Path, out: Path) -> None:
    runs.write(out, runs.result("a"))
    for name in ("run.log", "manifest.sig"):
        (out / name).write_text("x")
    assert levels(first, out) == []


def test_a_report_alone_is_a_matter_of_bytes(first: Path, out: Path) -> None:
    runs.write(out, runs.result("a"))
    (out / "a" / "report.html").write_text("other")
    (out / "more.txt").write_text("")
    (out / "a" / "pictures.zarr" / "zarr.json").unlink()
    found = compare_runs(first, out)
    assert found.files.to_dict("records") == [
        {"file": "a/pictures.zarr/zarr.json", "what": "only in first"},
        {"file": "a/report.html", "what": "changed"},
        {"file": "more.txt", "what": "only in second"},
    ]
    assert levels(first, out) == ["bytes"]


def test_a_manifest_is_part_of_the_bytes(first: Path, out: Path) -> None:
    runs.write(out, runs.result("a"))
    said = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(said | {"device": "cuda"}))
    assert compare_runs(first, out).files["file"].tolist() == ["manifest.json"]


@pytest.mark.parametrize(
    ("share", "tolerance", "expected"),
    [(5e-7, 1e-6, ["bytes"]), (5e-7, 1e-7, ["bytes", "values"]), (2e-6, 1e-6, ["bytes", "values"])],
)
def test_reals_are_equal_within_the_tolerance(
    first: Path, out: Path, share: float, tolerance: float, expected: list[str]
) -> None:
    second = runs.write(out, of(area_um2=[36.0 * (1 + share), 36.0, np.nan]))
    assert levels(first, second, tolerance=tolerance) == expected


def test_noise_about_zero_is_no_difference(first: Path, out: Path) -> None:
    base = runs.write(out / "0", of(focus=[0.0, 0.0, 0.0]))
    near = runs.write(out / "1", of(focus=[1e-10, 0.0, 0.0]))
    far = runs.write(out / "2", of(focus=[1e-8, 0.0, 0.0]))
    assert levels(base, near) == ["bytes"]
    assert compare_runs(base, far).values.to_dict("records") == [
        {"slide_id": "a", "table": "cells", "column": "focus", "rows": 1, "largest": 1e-8}
    ]


def test_missing_differs_from_any_number_and_not_from_missing(first: Path, out: Path) -> None:
    second = runs.write(out, of(area_um2=[np.nan, 36.0, np.nan]))
    (row,) = compare_runs(first, second).values.to_dict("records")
    assert (row["column"], row["rows"]) == ("area_um2", 1)
    assert row["largest"] is None or np.isnan(row["largest"])


def test_a_count_is_a_value_and_shown_with_its_cell(first: Path, out: Path) -> None:
    counts = pd.array([10, 2, None], dtype="Int64")
    found = compare_runs(first, runs.write(out, of(her2_count=counts)))
    assert [level for level in LEVELS if found.differs(level)] == ["bytes", "values"]
    assert found.calls.to_dict("records") == [
        {"table": "cells", "key": "a/f/1", "column": "her2_count", "first": "9", "second": "10"}
    ]
    assert found.values.to_dict("records") == [
        {"slide_id": "a", "table": "cells", "column": "her2_count", "rows": 1, "largest": 1.0}
    ]


@pytest.mark.parametrize("column", ["call", "call_guarded"])
def test_a_call_differs_at_every_level(first: Path, out: Path, column: str) -> None:
    was = runs.result("a").cells[column].tolist()
    found = compare_runs(first, runs.write(out, of(**{column: [*was[:1], "not_evaluable", *was[2:]]})))
    assert all(found.differs(level) for level in LEVELS)
    (row,) = found.calls.to_dict("records")
    assert row == {"table": "cells", "key": "a/f/2", "column": column, "first": was[1], "second": "not_evaluable"}


def test_eligibility_is_a_call(first: Path, out: Path) -> None:
    found = compare_runs(first, runs.write(out, runs.result("a"), eligible="no"))
    assert found.differs("calls")
    assert found.calls[["table", "key", "column", "second"]].to_numpy().tolist() == [
        ["patients", "pa", "eligible", "no"],
        ["patients", "pa", "eligible_guarded", "no"],
    ]


def test_a_cell_of_one_run_alone_is_named(first: Path, out: Path) -> None:
    own = runs.result("a")
    less = dataclasses.replace(own, cells=own.cells.iloc[:2].reset_index(drop=True))
    found = compare_runs(first, runs.write(out, less))
    assert found.calls.to_dict("records") == [
        {"table": "cells", "key": "a/i/if:1", "column": "row", "first": "present", "second": "absent"}
    ]
    assert found.differs("calls")
    back = compare_runs(out, first)
    assert back.calls[["first", "second"]].to_numpy().tolist() == [["absent", "present"]]
    assert back.values["column"].tolist() == ["only in second"]


def test_a_slide_of_one_run_alone_is_all_of_its_rows(first: Path, out: Path) -> None:
    found = compare_runs(first, runs.write(out, runs.result("a"), runs.result("b")))
    alone = found.values[found.values["column"] == "only in second"]
    assert alone[["slide_id", "table", "rows"]].to_numpy().tolist() == [
        ["b", "cells", 3],
        ["b", "spots", 3],
        ["b", "if_cells", 1],
        ["", "slides", 1],
        ["", "patients", 1],
    ]
    assert len(found.calls) == 4


def test_a_table_that_an_older_program_did_not_write_has_no_rows(first: Path, out: Path) -> None:
    runs.write(out, runs.result("a"))
    (out / "patients.csv").unlink()
    found = compare_runs(first, out)
    assert found.values[["table", "column", "rows"]].to_numpy().tolist() == [["patients", "only in first", 1]]
    assert found.calls[["key", "column"]].to_numpy().tolist() == [["pa", "row"]]


def test_a_marker_that_one_panel_has_is_a_value(first: Path, out: Path) -> None:
    own = runs.result("a")
    found = compare_runs(first, runs.write(out, runs.changed(own, if_exclusion_cell=[1.0, np.nan, np.nan])))
    assert found.values[["column", "rows"]].to_numpy().tolist() == [["if_exclusion_cell", 1]]


def test_what_is_no_run_is_refused(first: Path, out: Path) -> None:
    out.mkdir()
    with pytest.raises(InputError, match=r"second: found no manifest.json; needed the folder of a finished run"):
        compare_runs(first, out)
    runs.seal(out, [])
    with pytest.raises(InputError, match="second: found no scored slide"):
        compare_runs(first, out)
    with pytest.raises(UsageError, match=r"--tolerance -1: expected a share from 0"):
        compare_runs(first, first, tolerance=-1)


def test_csv_comes_back_in_its_types(tmp_path: Path) -> None:
    rows = [
        {"patient_id": "007", "n_slides": 1, "eligible": "yes", "eligible_guarded": "no", "heterogeneous": True},
        {"patient_id": "NA", "n_slides": 2, "n_ctc": 3, "eligible": "no", "eligible_guarded": "no", "fraction": 0.1},
    ]
    frame = tables.PATIENTS.check(pd.DataFrame(rows))
    frame.to_csv(tmp_path / "patients.csv", index=False)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "patients.csv", tables.PATIENTS), frame)
    pd.DataFrame(columns=frame.columns).to_csv(tmp_path / "none.csv", index=False)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "none.csv", tables.PATIENTS), tables.PATIENTS.empty())
    for name, text in (("empty.csv", ""), ("absent.csv", None)):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=rf"{name}: found .*; needed the CSV file of table patients"):
            read_csv(tmp_path / name, tables.PATIENTS)


def test_the_command_fails_at_its_level_alone(first: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = runs.write(out, of(her2_count=pd.array([10, 2, None], dtype="Int64")))
    assert make.run("compare", first, second) == 0
    said = capsys.readouterr().out
    assert "bytes: different\nvalues: different\ncalls: the same" in said
    assert "cells and patients: 1 differ" in said
    assert [make.run("compare", first, second, "--fail-on", level) for level in LEVELS] == [6, 6, 0]
    assert "ctcfish: second: differs from run in its values." in capsys.readouterr().err


def test_several_runs_are_compared_with_the_first(first: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = runs.write(out / "same", runs.result("a"))
    other = runs.write(out / "other", runs.result("a"), eligible="no")
    assert make.run("compare", first, same, other, "--json") == 6
    out_, err = capsys.readouterr()
    said = [json.loads(line) for line in out_.splitlines()]
    assert [s["differs"]["calls"] for s in said] == [False, True]
    assert said[1]["calls"][0] == {
        "table": "patients",
        "key": "pa",
        "column": "eligible",
        "first": "yes",
        "second": "no",
    }
    assert "other: differs from run in its calls" in err
    assert make.run("compare", first) == 2


def test_long_lists_are_cut_in_print(first: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.write(out, runs.result("a"))
    for k in range(60):
        (out / f"{k}.txt").write_text("")
    make.run("compare", first, out)
    assert "... and 10 more; --json prints all" in capsys.readouterr().out
