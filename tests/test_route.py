"""One simulated slide from its files to the patient's row, against its truth."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

import ctcfish
from ctcfish import tables
from ctcfish.config import rules
from ctcfish.store.tablefiles import read_parquet
from tests.conftest import REPOSITORY
from tests.make import run

SAMPLE = REPOSITORY / "data_samples" / "sample"

pytestmark = pytest.mark.xdist_group("route")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample slide scored from the command line."""
    target = tmp_path_factory.mktemp("route") / "result"
    assert run("score", str(SAMPLE), "--out", str(target), "--device", "cpu") == 0
    return target


@pytest.fixture(scope="module")
def cells(out: Path) -> pd.DataFrame:
    return read_parquet(out / "sample" / "cells.parquet", tables.CELLS)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return pd.read_csv(SAMPLE / "truth" / "cells.csv")


def paired(cells: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """True cells beside the nuclei found nearest to them, within 3 um."""
    found = cells[cells["label"].notna()]
    distance, index = cKDTree(found[["y_um", "x_um"]]).query(truth[["y_um", "x_um"]])
    beside = found.iloc[index].reset_index(drop=True).add_prefix("found_")
    return pd.concat([truth.reset_index(drop=True), beside], axis=1)[distance < 3.0]


def test_every_file_of_the_contract_is_there(out: Path) -> None:
    slide = {p.name for p in (out / "sample").iterdir()}
    assert {"cells.csv", "cells.parquet", "spots.csv", "spots.parquet", "if_cells.csv", "if_cells.parquet"} <= slide
    assert {"slide.json", "labels.ome.zarr", "report.html"} <= slide
    beside = {p.name for p in out.iterdir()}
    assert {"slides.csv", "patients.csv", "failures.csv", "manifest.json", "data_dictionary.json"} | {
        "heterogeneity.csv",
        "sensitivity.csv",
        "report.html",
    } <= beside


def test_every_nucleus_is_found(cells: pd.DataFrame, truth: pd.DataFrame) -> None:
    both = paired(cells, truth)
    assert len(both) == len(truth)
    assert len(cells) == len(truth)
    assert both["found_cell_id"].is_unique


def test_most_counts_are_exact_where_there_are_few_signals(cells: pd.DataFrame, truth: pd.DataFrame) -> None:
    both = paired(cells, truth)
    for probe in ("her2", "cep17"):
        few = both[both[f"countable_{probe}"] <= 6]
        assert (few[f"found_{probe}_count"] == few[f"countable_{probe}"]).mean() >= 0.85


def test_calls_are_right_away_from_the_threshold(cells: pd.DataFrame, truth: pd.DataFrame) -> None:
    both = paired(cells, truth)
    scored = both[both["found_call"] != "not_evaluable"]
    ratio = scored["countable_her2"] / scored["countable_cep17"]
    clear = scored[(ratio <= 1.5) | (ratio >= 3.0)]
    assert len(clear) >= 10
    assert (clear["found_call"] == clear["true_call"]).mean() >= 0.95


def test_the_ctc_are_the_true_ones(cells: pd.DataFrame, truth: pd.DataFrame) -> None:
    both = paired(cells, truth)
    assert (both["found_kind"] == both["kind"]).mean() >= 0.95
    assert set(both.loc[both["found_kind"] == "ctc", "kind"]) == {"ctc"}


def test_the_patient_follows_from_the_cells(out: Path, cells: pd.DataFrame) -> None:
    patients, slides = pd.read_csv(out / "patients.csv"), pd.read_csv(out / "slides.csv")
    assert (len(patients), len(slides)) == (1, 1)
    ctc = cells[cells["kind"] == "ctc"]
    assert patients["n_ctc"][0] == len(ctc)
    assert patients["n_amplified"][0] == (ctc["call"] == "amplified").sum()
    assert patients["eligible"][0] == ("yes" if patients["n_amplified"][0] else "no")


def test_every_signal_has_a_status_and_its_cell(out: Path, cells: pd.DataFrame) -> None:
    spots = read_parquet(out / "sample" / "spots.parquet", tables.SPOTS)
    assert set(spots["cell_id"].dropna()) <= set(cells["cell_id"])
    assert (spots["cell_id"].isna() == (spots["label"] == 0)).all()
    counted = spots[(spots["status"] == "counted") & (spots["cluster"] == 0) & (spots["probe"] == "HER2")]
    by_cell = counted.groupby("cell_id").size().reindex(cells["cell_id"], fill_value=0)
    assert (by_cell.to_numpy() == cells["her2_points"].fillna(0).to_numpy()).all()
    assert (cells["her2_points"] + cells["her2_in_clusters"] == cells["her2_count"]).all()


def test_the_manifest_hashes_what_is_there(out: Path) -> None:
    import hashlib

    said = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for name, digest in said["outputs_sha256"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest, name
    assert {"sample/cells.parquet", "sample/report.html", "slides.csv"} <= set(said["outputs_sha256"])
    assert {name.split("/")[0] for name in said["inputs_sha256"]} == {"sample"}


def test_the_same_input_gives_the_same_bytes(out: Path, tmp_path: Path) -> None:
    assert run("score", str(SAMPLE), "--out", str(tmp_path / "again"), "--device", "cpu") == 0
    for file in sorted(p for p in out.rglob("*") if p.is_file()):
        assert (tmp_path / "again" / file.relative_to(out)).read_bytes() == file.read_bytes(), file.name


def test_no_file_names_a_place(out: Path) -> None:
    for name in ("manifest.json", "sample/slide.json", "sample/report.html", "slides.csv"):
        text = (out / name).read_text(encoding="utf-8")
        assert str(REPOSITORY) not in text, name
        assert str(out.parent) not in text, name


@pytest.mark.parametrize("name", ["sample/report.html", "report.html"])
def test_a_report_is_made_again_from_what_was_stored(out: Path, name: str) -> None:
    report = out / name
    before = report.read_bytes()
    report.unlink()
    assert run("report", str(out)) == 0
    assert report.read_bytes() == before


def test_the_runs_report_names_patients_slides_and_rules(out: Path) -> None:
    text = (out / "report.html").read_text(encoding="utf-8")
    for word in ("1 patient, 1 slide", 'href="sample/report.html"', "circe_guarded", "Research use only", "<svg"):
        assert word in text


def test_every_patient_is_tried_by_every_rule_and_every_metric(out: Path) -> None:
    sensitivity, heterogeneity = (pd.read_csv(out / f"{name}.csv") for name in ("sensitivity", "heterogeneity"))
    assert len(sensitivity) == len(rules())
    assert heterogeneity["metric"].is_unique
    assert len(heterogeneity) >= 15


def test_the_python_interface_is_the_same_route(cells: pd.DataFrame) -> None:
    result = ctcfish.score(ctcfish.open_slide(SAMPLE), ctcfish.Config())
    pd.testing.assert_frame_equal(result.cells, cells)


def test_without_if_every_kind_is_unknown(tmp_path: Path) -> None:
    [image] = sorted((SAMPLE / "fish").iterdir())
    assert run("score", str(image), "--out", str(tmp_path / "out"), "--device", "cpu") == 0
    folder = next(p for p in (tmp_path / "out").iterdir() if p.is_dir())
    cells = read_parquet(folder / "cells.parquet", tables.CELLS)
    assert set(cells["kind"]) == {"unknown"}
    assert cells["call"].isin(["amplified", "not_amplified"]).any()
    assert pd.read_csv(tmp_path / "out" / "patients.csv")["eligible"].tolist() == ["not_evaluable"]


def test_an_if_scan_alone_is_read_by_its_protein(tmp_path: Path) -> None:
    [image] = sorted((SAMPLE / "if").iterdir())
    out = tmp_path / "out"
    assert run("score", image, "--modality", "if", "--preset", "if_detect", "--out", out, "--device", "cpu") == 0
    cells = pd.read_csv(out / "scan" / "cells.csv")
    truth = pd.read_csv(SAMPLE / "truth" / "cells.csv")
    assert set(cells["kind"]) == {"ctc"}
    assert abs(len(cells) - (truth["kind"] == "ctc").sum()) <= 1
    assert cells["call"].isin(["amplified", "not_amplified"]).all()
    assert set(cells["reason_guarded"]) == {"LOST"}
    assert pd.read_csv(out / "patients.csv")["n_ctc"].tolist() == [len(cells)]


def test_numpy_arrays_are_enough() -> None:
    slide = ctcfish.open_slide(SAMPLE)
    scene = slide.fish_scenes[0]
    labels = ctcfish.segment_nuclei(scene.read("nucleus").max(axis=0), pixel_um=scene.voxel_um[1])
    assert labels.dtype == np.int32
    assert labels.max() >= 15
    spots = ctcfish.detect_spots(scene.read("her2"), scene.voxel_um)
    assert (spots["status"] == "counted").sum() >= 30
    assert len(ctcfish.detect_spots(np.full((64, 64), 100, np.uint16), (0.0, 0.1, 0.1))) == 0


@pytest.mark.timeout(600)
def test_the_wheel_scores_in_an_empty_environment(tmp_path: Path) -> None:
    """Weights and presets travel with the wheel; libraries are lent by this environment, the package is not."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=False)
    [site] = (tmp_path / "env").glob("lib/python*/site-packages")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    libraries = Path(np.__file__).parent.parent
    (site / "libraries.pth").write_text(str(libraries))
    python = tmp_path / "env" / "bin" / "python"
    where = subprocess.run(
        [python, "-c", "import ctcfish; print(ctcfish.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip().startswith(str(site))
    score = [
        python,
        "-m",
        "ctcfish",
        "score",
        str(SAMPLE),
        "--out",
        "out",
        "--device",
        "cpu",
        "--preset",
        "circe_guarded",
    ]
    subprocess.run(score, cwd=tmp_path, check=True, capture_output=True)
    assert len(pd.read_csv(tmp_path / "out" / "sample" / "cells.csv")) > 15
