"""Studies of repeats, from folders of scored slides to tables and pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish.config import Config
from ctcfish.errors import InputError, UsageError
from ctcfish.qc.replicates import groups, read_scored
from ctcfish.qc.reproduce import Reproduced, reproduce
from tests import make
from tests.qc.conftest import Scorer, cells_of

N = 40
Places = Callable[[int], np.ndarray]
CEP17 = np.full(N, 2)
HER2 = np.where(np.arange(N) % 5 == 0, 9, 2)
KINDS = np.where(np.arange(N) % 2 == 0, "ctc", "wbc")


def figure(found: Reproduced, *key: str) -> pd.Series:
    names = ["level", "relation", "population", "stratum", "quantity", "statistic"]
    return found.statistics.set_index(names).loc[key]


@pytest.fixture
def run(tmp_path: Path, scored: Scorer, places: Places) -> Path:
    """One slide, its image again, a re-scan turned and shifted with three cells off, and another slide."""
    here, out, rng = places(N), tmp_path / "run", np.random.default_rng(3)
    angle = np.deg2rad(1.5)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    scored(out, "a", cells_of("a", HER2, CEP17, here, KINDS), image="one", patient_id="P1")
    scored(out, "a-same", cells_of("a", HER2, CEP17, here, KINDS), image="one", patient_id="P1", replicate_of="a")
    order = 5 + (np.arange(N - 3) * 11) % (N - 3)  # cells 1 to 3 are lost
    order = np.where(order >= N, order - N + 3, order)
    her2 = HER2.copy()
    her2[5] = 2  # an amplified cell read as normal
    again = cells_of("a-scan", her2[order], CEP17[order], (here @ turn + [12.0, -7.0])[order], "unknown")
    scored(out, "a-scan", again, patient_id="P1", replicate_of="a", day="2")
    other = rng.uniform(0, 100, (N, 2))
    scored(
        out, "a-other", cells_of("a-other", HER2, CEP17, other, KINDS), patient_id="P1", replicate_of="a", site="north"
    )
    return out


def test_repeats_of_one_slide(run: Path) -> None:
    found = reproduce([run], None, Config())
    every_way_of_repeating_is_told_from_the_data(found)
    cells_of_a_rescan_are_matched_by_place_and_the_lost_are_named(found)
    figures_of_cells(found)


def every_way_of_repeating_is_told_from_the_data(found: Reproduced) -> None:
    about = found.matching.set_index("reading")
    assert about["relation"].to_dict() == {
        "run/a": "first",
        "run/a-other": "other_slide",
        "run/a-same": "same_image",
        "run/a-scan": "rescan",
    }
    assert about.loc["run/a-scan", ["n_first", "n_here", "n_matched", "day"]].tolist() == [N, N - 3, N - 3, "2"]
    assert about.loc["run/a-other", ["n_matched", "site"]].tolist() == [0, "north"]
    assert "nuclei agree in one constellation" in about.loc["run/a-scan", "evidence"]
    assert about["identical"].tolist() == [pd.NA, pd.NA, True, pd.NA]
    assert found.broken() == []


def cells_of_a_rescan_are_matched_by_place_and_the_lost_are_named(found: Reproduced) -> None:
    both = found.readings[found.readings["reading"] == "run/a-scan"]
    first = found.readings[found.readings["reading"] == "run/a"].set_index("item")
    differ = [item for item, her2 in zip(both["item"], both["her2"], strict=True) if first.loc[item, "her2"] != her2]
    assert differ == ["a/f/6"]
    assert (both["residual_um"] < 0.5).all()
    assert set(both["kind"]) == {"ctc", "wbc"}  # by the first reading
    assert len(found.unmatched) == 3
    assert set(found.unmatched["item"]) | set(both["item"]) == set(first.index)


def figures_of_cells(found: Reproduced) -> None:
    same = figure(found, "cell", "same_image", "all nuclei", "all", "call", "percent agreement")
    assert same[["numerator", "n_items"]].tolist() == [N, N]
    scan = figure(found, "cell", "rescan", "all nuclei", "all", "call", "percent agreement")
    assert scan[["numerator", "n_items", "unit"]].tolist() == [N - 4, N - 3, "cell"]
    near = figure(found, "cell", "rescan", "all nuclei", "far", "call", "percent agreement")
    assert near["n_items"] == N - 3  # 2/2 and 9/2 are all far from 2.2
    assert "other_slide" not in set(found.statistics.loc[found.statistics["level"] == "cell", "relation"])
    patients = figure(found, "patient", "other_slide", "patients", "all", "eligible", "percent agreement")
    assert patients[["numerator", "n_items"]].tolist() == [1, 1]


def test_equal_images_with_unequal_tables_are_an_alarm(tmp_path: Path, scored: Scorer, places: Places) -> None:
    for name, her2 in (("one", HER2), ("two", HER2 + 1)):
        scored(tmp_path / name, "s", cells_of("s", her2, CEP17, places(N), KINDS), image="same bytes")
    found = reproduce([tmp_path / "one", tmp_path / "two"], None, Config())
    assert found.broken() == ["two/s"]
    runs = (tmp_path / "one", tmp_path / "two")
    assert make.run("qc", "reproduce", *runs, "--out", tmp_path / "out") == 6
    assert "DIFFER" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_readers_are_compared_with_the_program_and_with_each_other(run: Path, tmp_path: Path) -> None:
    rows = ["cell_id,reader,her2,cep17,call"]
    for k in range(1, N + 1, 2):
        rows += [f"a/f/{k},ANNA,{HER2[k - 1]},2,", f"a/f/{k},BEN,{HER2[k - 1] if k != 11 else 2},2,"]
    rows += ["a/f/2,ANNA,,,", "a/f/4,ANNA,,,amplified"]
    (tmp_path / "readers.csv").write_text("\n".join(rows), encoding="utf-8")
    found = reproduce([run], tmp_path / "readers.csv", Config())
    program = figure(found, "cell", "program and readers", "all nuclei", "all", "call", "percent agreement")
    assert program[["numerator", "n_items"]].tolist() == [39, 41]  # 20 + 21 pairs less cells 11 and 4
    between = figure(found, "cell", "between readers", "all nuclei", "all", "call", "percent agreement")
    assert between[["numerator", "n_items"]].tolist() == [19, 20]
    patients = figure(found, "patient", "reader", "patients", "all", "eligible", "percent agreement")
    assert patients[["numerator", "n_items"]].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("b/f/1,ANNA,2,2", r"line 2: found cell 'b/f/1'; needed a cell of the first readings"),
        ("a/f/1,,2,2", r"line 2: found reader '' again or unnamed"),
        ("a/f/1,ANNA,2.5,2", r"line 2: found count '2.5'; needed a whole number"),
        ("a/f/1,ANNA,2,2\na/f/1,ANNA,2,2", r"line 3: found reader 'ANNA' again or unnamed"),
        ("", r"readers.csv: found no row"),
    ],
)
def test_a_readers_table_that_cannot_be_joined(run: Path, tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "readers.csv").write_text(f"cell_id,reader,her2,cep17\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        reproduce([run], tmp_path / "readers.csv", Config())


def test_columns_and_calls_of_readers_are_checked(run: Path, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("cell_id,reader,her2\na/f/1,A,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="no column cep17; needed cell_id, reader, her2, cep17"):
        reproduce([run], tmp_path / "r.csv", Config())
    (tmp_path / "r.csv").write_text("cell_id,reader,her2,cep17,call\na/f/1,A,2,2,maybe\n", encoding="utf-8")
    with pytest.raises(InputError, match="call 'maybe'; needed one of amplified"):
        reproduce([run], tmp_path / "r.csv", Config())


def test_nothing_repeats_anything(tmp_path: Path, scored: Scorer, places: Places) -> None:
    scored(tmp_path / "run", "s", cells_of("s", [2], [2], places(1)))
    with pytest.raises(UsageError, match="no slide repeats another: fill in `replicate_of`"):
        groups(read_scored([tmp_path / "run"]))
    with pytest.raises(UsageError, match="one run is given twice"):
        read_scored([tmp_path / "run", tmp_path / "run"])
    with pytest.raises(UsageError, match="holds no scored slide"):
        read_scored([tmp_path])
    assert make.run("qc", "reproduce", tmp_path / "run", "--out", tmp_path / "out") == 2


def test_a_patient_of_several_slides_is_judged_by_all_of_them(tmp_path: Path, scored: Scorer, places: Places) -> None:
    """Patient P is amplified on slide s2 only; reading 2 misses it, and reading 3 lacks that slide."""
    for run, her2 in (("r1", {"s1": 2, "s2": 9}), ("r2", {"s1": 2, "s2": 2}), ("r3", {"s1": 2})):
        for slide, copies in her2.items():
            cells = cells_of(slide, np.full(N, copies), CEP17, places(N))
            scored(tmp_path / run, slide, cells, image=slide, patient_id="P")
    found = reproduce([tmp_path / name for name in ("r1", "r2", "r3")], None, Config())
    row = figure(found, "patient", "same_image", "patients", "all", "eligible", "percent agreement")
    assert row[["numerator", "n_items"]].tolist() == [0, 1]


def test_runs_of_one_name_are_told_apart(tmp_path: Path, scored: Scorer, places: Places) -> None:
    for day in ("monday", "friday"):
        scored(tmp_path / day / "out", "s", cells_of("s", HER2, CEP17, places(N), KINDS), image="i")
    found = reproduce([tmp_path / "monday" / "out", tmp_path / "friday" / "out"], None, Config())
    assert found.matching["reading"].tolist() == ["monday/out/s", "friday/out/s"]


def test_the_page_and_its_files(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    assert make.run("qc", "reproduce", run, "--out", out) == 0
    assert make.run("qc", "reproduce", run, "--out", out) == 2  # left alone
    names = {p.name for p in out.iterdir()}
    assert {"report.html", "report.pdf", "statistics.csv", "readings.csv", "matching.csv", "precision.csv"} <= names
    html = (out / "report.html").read_text(encoding="utf-8")
    for text in (
        "Research use only",
        "In short",
        "What was repeated",
        "Cells, rescan: CTC",
        "equal to the byte",
        "<svg",
    ):
        assert text in html
    assert not re.search(r'(src|href)="(?!#|data:)', html)
    pdf = (out / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    again = tmp_path / "again"
    assert make.run("qc", "reproduce", run, "--out", again) == 0
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {p.name: p.read_bytes() for p in out.iterdir()}
