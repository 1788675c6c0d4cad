"""The shipped sample: unharmed, small, made again from its specification, and read by the program."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import tifffile

from ctcfish.io import open_slide

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data_samples"


def listed() -> dict[str, str]:
    lines = (SAMPLES / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ") for line in lines)}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "scripts" / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def remade(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    script.make_sample(folder)
    return folder


def test_every_file_is_listed_and_unharmed() -> None:
    files = {p.relative_to(SAMPLES).as_posix(): p for p in (SAMPLES / "sample").rglob("*") if p.is_file()}
    assert {k: hashlib.sha256(p.read_bytes()).hexdigest() for k, p in files.items()} == listed()


def test_small_enough_to_ship() -> None:
    assert sum(p.stat().st_size for p in SAMPLES.rglob("*") if p.is_file()) <= 5_000_000


def test_made_again_with_the_same_truth(remade: Path) -> None:
    for name in ("truth/cells.csv", "truth/spots.csv", "truth/if_cells.csv", "slide.toml"):
        assert (remade / "sample" / name).read_bytes() == (SAMPLES / "sample" / name).read_bytes()


@pytest.mark.parametrize("name", ["if/scan.ome.tif", "fish/field001.ome.tif"])
def test_made_again_with_the_same_pixels(remade: Path, name: str) -> None:
    """Byte for byte on one kind of processor; another may round one pixel in a thousand otherwise."""
    again, shipped = (tifffile.imread(folder / "sample" / name) for folder in (remade, SAMPLES))
    assert again.shape == shipped.shape
    assert (again != shipped).mean() < 1e-3


def test_checksums_are_of_the_form_sha256sum_reads(remade: Path, script: ModuleType) -> None:
    text = (remade / "SHA256SUMS").read_text(encoding="utf-8")
    assert text == script.checksums(remade / "sample", remade)
    assert all(len(line.split("  ")[0]) == 64 for line in text.splitlines())


def test_making_it_twice_replaces_it(remade: Path, script: ModuleType) -> None:
    (remade / "sample" / "stray.txt").write_text("old")
    script.make_sample(remade)
    assert not (remade / "sample" / "stray.txt").exists()


def test_program_reads_it_without_help() -> None:
    slide = open_slide(SAMPLES / "sample")
    assert (slide.slide_id, slide.patient_id) == ("sample", "sample-patient")
    fish, seen = slide.fish_scenes[0], slide.if_scenes[0]
    assert set(fish.roles) == {"nucleus", "her2", "cep17"}
    assert set(seen.roles) == {"nucleus", "inclusion", "exclusion", "her2_protein"}
    assert fish.voxel_um == pytest.approx((0.6, 0.13, 0.13))
    assert fish.optics.na == 1.25


def test_truth_tells_amplified_from_not() -> None:
    cells = pd.read_csv(SAMPLES / "sample" / "truth" / "cells.csv")
    ctc = cells[cells["kind"] == "ctc"].set_index("copy_class")["call"]
    assert ctc.to_dict() == {
        "diploid": "not_amplified",
        "polysomy": "not_amplified",
        "amplified_dispersed": "amplified",
        "amplified_cluster": "amplified",
    }
    assert (cells.loc[cells["kind"] == "wbc", "call"] != "amplified").all()


def test_no_pixel_is_saturated() -> None:
    for name in ("if/scan.ome.tif", "fish/field001.ome.tif"):
        image = tifffile.imread(SAMPLES / "sample" / name)
        assert image.max() < 4095
        assert np.percentile(image, 1) > 90
