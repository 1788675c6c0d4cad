"""The benches count what they say they count."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish.flags import SlideFlag
from ctcfish.synth.constellations import Pair
from ctcfish.synth.stained import Staining, stain
from ctcfish.types import Relocation

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def load_bench(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def relocation() -> ModuleType:
    return load_bench("bench_relocate")


@pytest.fixture(scope="module")
def phenotypes() -> ModuleType:
    return load_bench("bench_phenotype")


def _case() -> tuple[Relocation, Pair]:
    if_points = pd.DataFrame({"if_scene": "i", "if_label": [1, 2, 3, 4], "y_um": 0.0, "x_um": 0.0, "area_um2": 1.0})
    matches = if_points[["if_scene", "if_label"]].assign(
        scene=["f", "f", None, "f"],
        label=pd.array([1, 9, None, 4], dtype="Int64"),
        residual_um=[0.5, 0.7, np.nan, 0.9],
        probability=[0.99, 0.97, 0.1, 0.6],
    )
    truth = np.array([1, 2, 0, 0])
    return Relocation(matches, (), True, ""), Pair(if_points, pd.DataFrame(), truth)


def test_tally_counts_right_wrong_and_lost(relocation: ModuleType) -> None:
    found = relocation.tally(*_case(), 1.5)
    assert (found.present, found.right) == (2, 1)
    assert (found.gone, found.declared_lost) == (2, 1)
    assert (found.sure, found.sure_wrong) == (2, 1)
    assert found.residual_um == 0.7


def test_line_leaves_refused_slides_out_of_the_shares(relocation: ModuleType) -> None:
    good = relocation.tally(*_case(), 1.5)
    refused = replace(good, trusted=False, flags=SlideFlag.RELOCATION_FAILED, seconds=4.0)
    text = relocation.line("x", [good, refused])
    assert text == "| x | 2 | 1 | 0 | 50.00 | 1/2 | 50.00 | 0.70 | 4.00 |"
    assert relocation.line("x", [refused]) == "| x | 1 | 1 | 0 | - | 0/0 | - | nan | 4.00 |"


def test_partly_shared_scans_keep_their_truth(relocation: ModuleType) -> None:
    pair = relocation.partly(200, 1, (0.4, 1.0), 0.6)
    labels = set(pair.fish_points["label"])
    assert set(pair.truth[pair.truth > 0]) <= labels
    assert 0 < (pair.truth > 0).sum() < 120


def test_calibration_error_of_honest_and_of_boastful_probabilities(phenotypes: ModuleType) -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0, 1, 50_000)
    truth = rng.random(50_000) < p
    assert phenotypes.calibration_error(p, truth) < 0.01
    assert phenotypes.calibration_error(np.full(100, 0.9), np.zeros(100, bool)) == pytest.approx(0.9)
    assert phenotypes.calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


def test_spread_is_that_of_the_logarithm_and_heeds_no_outlier(phenotypes: ModuleType) -> None:
    ratio = pd.Series(np.random.default_rng(2).lognormal(0.7, 0.05, 20_000))
    assert phenotypes.spread(ratio) == pytest.approx(0.05, rel=0.03)
    ratio.iloc[:200] = -5.0
    assert phenotypes.spread(ratio) == pytest.approx(0.05, rel=0.05)
    assert phenotypes.spread(pd.Series([3.0, 3.0])) == 0.0


def test_the_shading_table_has_a_row_per_number_and_stain(phenotypes: ModuleType, monkeypatch: Any) -> None:
    small = Staining(leukocytes=40, ctc=4, debris=2, doublets=1, bare=1)
    monkeypatch.setattr(phenotypes, "stain", lambda spec, seed: stain(replace(small, shading=spec.shading), seed))
    lines = list(phenotypes.shading(True))
    assert [line.split("|")[2].strip() for line in lines[2:5]] == [
        "exclusion, wbc",
        "inclusion, ctc",
        "her2_protein, ctc",
    ]
    assert len(lines) == 2 + 4 * 3
    before, after = (float(cell) for cell in lines[2].split("|")[3:5])
    assert before == after > 1


def test_a_repeated_scan_is_the_tiled_one(phenotypes: ModuleType) -> None:
    tile = np.random.default_rng(3).integers(0, 99, (2, 30, 40)).astype(np.uint16)
    lazy = phenotypes.Repeated(tile, (75, 110))
    whole = np.tile(tile, (1, 3, 3))[:, None, :75, :110]
    assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
    for rows, columns in ((slice(25, 65), slice(3, 90)), (slice(None), slice(100, None)), (slice(7, 8), slice(0, 110))):
        np.testing.assert_array_equal(lazy.read(1, slice(None), rows, columns), whole[1, :, rows, columns])


def test_a_cartridge_goes_the_whole_route(phenotypes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phenotypes, "FRAME", (150, 220))
    small = stain(Staining(leukocytes=60, ctc=5, debris=2, doublets=1, bare=1), 1)
    monkeypatch.setattr(phenotypes, "stain", lambda _spec, _seed: small)
    text = " ".join(phenotypes.cartridge((2, 3)))
    said = re.search(r"(\d+) nuclei with (\d+) CTC: (\d+) and (\d+) found .*peak memory \d+ MB", text)
    assert said is not None
    nuclei, ctc, found, found_ctc = (int(number) for number in said.groups())
    assert nuclei == pytest.approx(len(small.nuclei) * 300 * 660 / small.pixels["nucleus"].size, rel=0.3)
    assert found == pytest.approx(nuclei, rel=0.2)
    assert 0 < found_ctc <= 1.3 * ctc


def test_places_are_counted_as_often_as_they_are_repeated(phenotypes: ModuleType) -> None:
    places = np.array([[0.0, 0.0], [4.0, 9.0], [5.0, 5.0]])
    tile = np.zeros((10, 10), int)
    for k, (y, x) in enumerate(places.astype(int), start=1):
        tile[y, x] = k
    whole = phenotypes.Repeated(tile[None], (25, 32)).read(0, slice(None), slice(None), slice(None))
    np.testing.assert_array_equal(phenotypes.repeats(places, (10, 10), (25, 32)), np.bincount(whole.ravel())[1:])
