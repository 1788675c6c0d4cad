"""The benchmark of nuclei: other people's scripts loaded without running, cells matched, pairs told apart."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

OPPONENT = """
from seg_common import *
import sys
local = "--local" in sys.argv
def f(x):
    return (x > np.median(x) + (100 if local else 1000)).astype(np.int32)
run("threshold", f)
"""

GENERATOR = """
import numpy as np
def gen_dapi():
    truth = np.zeros((120, 160), np.int32)
    truth[20:60, 20:60], truth[70:110, 90:130] = 1, 2
    noise = np.random.default_rng(0).integers(0, 9, truth.shape)
    return (100 + 500 * (truth > 0) + noise).astype(np.uint16), truth
"""


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_nuclei_under_test", SCRIPTS / "bench_nuclei.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def opponents(tmp_path):
    for name in ("s_skimage.py", "s_opencv.py"):
        (tmp_path / name).write_text(OPPONENT)
    (tmp_path / "gen.py").write_text(GENERATOR)
    return tmp_path


def test_an_opponents_function_is_taken_and_its_flag_heard(bench, opponents):
    methods = bench.opponent_methods(opponents)
    assert list(methods) == ["scikit-image", "scikit-image Otsu", "OpenCV"]
    image = np.zeros((4, 4))
    image[0, 0] = 500
    assert methods["scikit-image"](image, 0.1).sum() == 1
    assert methods["scikit-image Otsu"](image, 0.1).sum() == 0
    assert methods["OpenCV"](image, 0.1).sum() == 1


def test_loading_an_opponent_leaves_no_trace(bench, opponents):
    before = list(sys.argv)
    bench.opponent_methods(opponents)
    assert sys.argv == before
    assert "seg_common" not in sys.modules


def test_methods_are_compared_on_every_image(bench, opponents):
    cases = bench.synthetic_cases(opponents)
    methods = {"network": lambda _image, _: cases[0].truth, "nothing": lambda image, _: np.zeros(image.shape, int)}
    table = bench.compare("synthetic", cases * 2, methods, 2).set_index("method")
    assert table.loc["network", ["AP50", "AP75", "AP50-90", "found"]].tolist() == [1.0] * 4
    assert table.loc["nothing", "AP50"] == 0.0
    assert table["nuclei"].tolist() == [4, 4]
    assert (table[["ms/MP", "CPU ms/MP"]] >= 0).all().all()


def test_speed_is_given_at_both_scales(bench, opponents):
    table = bench.speed(bench.synthetic_cases(opponents), {"nothing": lambda image, _: image}, 1)
    assert table["scale"].tolist() == ["0.1 um/px", "0.375 um/px"]


def test_real_images_get_the_pixel_that_makes_their_median_nucleus_nine_um_wide(bench, tmp_path):
    import tifffile

    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    truth = np.zeros((90, 90), np.uint16)
    axis = np.arange(90)
    truth[(axis[:, None] - 45) ** 2 + (axis - 45) ** 2 <= 30**2] = 1
    tifffile.imwrite(tmp_path / "images" / "a.tif", truth * 200)
    tifffile.imwrite(tmp_path / "masks" / "a.tif", truth)
    (case,) = bench.real_cases(tmp_path)
    assert case.pixel_um == pytest.approx(9 / 60, rel=0.02)


def _cells():
    labels = np.zeros((40, 90), np.int32)
    labels[5:25, 5:25], labels[5:25, 26:46], labels[5:25, 60:72], labels[5:25, 72:85] = 1, 2, 3, 4
    truth = pd.DataFrame(
        {"label": [1, 2, 3, 4, 5], "flags": ["", None, "OVERLAP", "OVERLAP", "APOPTOTIC"], "y_um": 1.0, "x_um": 2.0}
    )
    return labels, truth


def test_cells_are_matched_to_the_outline_that_covers_them(bench):
    labels, truth = _cells()
    found = np.zeros_like(labels)
    found[5:25, 5:25], found[5:25, 27:46], found[5:25, 60:85] = 7, 8, 9
    flags = np.full(10, "", object)
    flags[9] = "OVERLAP"
    table = bench._matched(found, labels, truth, flags)
    assert table["label"].tolist() == [7, 8, 9, 9, 0]
    assert table["kind"].tolist() == ["ordinary", "ordinary", "OVERLAP", "OVERLAP", "APOPTOTIC"]
    assert table["merged"].tolist() == [False, False, True, True, False]
    assert table["found"].tolist() == [True] * 4 + [False]


def test_pairs_are_told_apart_by_the_truth(bench):
    labels, truth = _cells()
    flags = np.array(["", "OVERLAP", "", "OVERLAP", "OVERLAP"], object)
    table = bench._matched(labels, labels, truth, flags)
    assert bench._pairs(table, labels) == [("touching", False, True), ("overlapping", True, True)]


def test_the_command_prints_a_table(bench, opponents, capsys):
    assert bench.main(["--opponents", str(opponents), "--sets", "synthetic", "--repeats", "1", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "network, scale guessed" in out
    assert "OpenCV" in out
    assert "AP50-90" in out
