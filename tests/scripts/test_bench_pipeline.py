"""The end-to-end benchmark: stages timed, both programs asked in turns, the program's own run on a small stack."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

OPPONENT = {
    "common.py": "def run(*a, **k): raise RuntimeError('a benchmark of its own began')",
    "seg_common.py": "def run(*a, **k): raise RuntimeError('a benchmark of its own began')",
    "p_opencv_fast.py": """
import numpy as np
import common
def det(image, axes, thr):
    return np.argwhere(image > 900).astype(float), None
common.run("spots")
""",
    "s_opencv.py": """
import seg_common
def f(image):
    return (image > 400).astype(int)
seg_common.run("nuclei")
""",
}


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_pipeline_under_test", SCRIPTS / "bench_pipeline.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def stack(tmp_path):
    """Four channels of 3 planes: two disks of DAPI, three bright spots in each colour on the first."""
    import tifffile

    rng = np.random.default_rng(8)
    image = rng.poisson(30, (3, 4, 200, 260)).astype(np.uint16) + 100
    y, x = np.mgrid[:200, :260]
    for cy, cx in ((70, 70), (120, 180)):
        image[:, 0][:, (y - cy) ** 2 + (x - cx) ** 2 < 42**2] += 400
    for channel in (1, 2):
        for cy, cx in ((60, 60 + 4 * channel), (80, 75 + 4 * channel), (85, 55 + 4 * channel)):
            bell = 900 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 3.4)
            image[:, channel] += bell.astype(np.uint16)
    path = tmp_path / "e2e.tif"
    tifffile.imwrite(path, image, metadata={"axes": "ZCYX"}, photometric="minisblack", ome=False)
    path.with_suffix(".json").write_text('{"voxel_um": [0.4, 0.1, 0.1]}')
    return path


def told(cpu: float, wall: float, **stages: float) -> dict:
    return {
        "cpu_s": cpu,
        "wall_s": wall,
        "peak_gb": cpu / 10,
        "stages": {name: [2 * s, s] for name, s in stages.items()},
        "nuclei": 3,
        "her2_rows": 9,
    }


def test_a_stopwatch_gives_each_stage_its_own_time(bench, monkeypatch):
    wall, own = iter([0.0, 1.0, 5.0, 5.5]), iter([0.0, 0.5, 0.75, 1.0])
    clock = SimpleNamespace(perf_counter=lambda: next(wall), process_time=lambda: next(own))
    monkeypatch.setattr(bench, "time", clock)
    watch = bench.Stopwatch()
    for name in ("a", "b", "a", ""):
        watch.lap(name)
    assert watch.stages == {"a": [1.5, 0.75], "b": [4.0, 0.25]}
    assert watch.current == ""


def test_reading_is_a_stage_of_its_own_and_the_stage_before_goes_on(bench):
    class Source:
        shape, dtype = (1, 2, 3, 4), "uint16"

        def read(self, channel, planes, rows, columns):
            return np.full((2, 3, 4), channel)[planes, rows, columns]

    watch = bench.Stopwatch()
    watch.lap("nuclei")
    pixels = bench.Watched(Source(), watch)
    assert pixels.read(7, slice(None), slice(0, 2), slice(None)).tolist() == np.full((2, 2, 4), 7).tolist()
    assert (pixels.shape, pixels.dtype) == ((1, 2, 3, 4), np.dtype("uint16"))
    watch.lap("")
    assert list(watch.stages) == ["nuclei", "read"]


def test_figures_are_medians_of_pairs_that_ran_in_turns(bench):
    runs = {
        "opencv": [
            told(2.0, 4.0, read=1.0, nuclei=1.0),
            told(4.0, 8.0, read=1.0, nuclei=3.0),
            told(1.0, 2.0, read=1.0),
        ],
        "ours": [told(6.0, 4.0, read=0.5, survey=1.5), told(4.0, 8.0, read=0.5, survey=3.5), told(2.0, 6.0, read=0.5)],
    }
    out = bench.figures(runs, channel_bytes=10**9, bytes_per_s=1e10)
    assert out["ratio_cpu"] == 2.0
    assert out["ratio_wall"] == 1.0
    assert out["cpu_s"] == {"opencv": 2.0, "ours": 4.0}
    assert out["peak_gb"] == {"opencv": 0.4, "ours": 0.6}
    assert out["stages_cpu_s"]["ours"] == {"read": 0.5, "survey": 1.5}
    assert out["share"] == {"read": 0.25, "survey": 0.75}
    # five channels read and written, two channels looked at twice, at 10 GB/s
    assert out["times_roofline"] == {"read": 0.5, "survey": 3.8}
    assert out["found"]["ours"] == {"nuclei": 3, "her2_rows": 9, "her2": None}


def test_the_field_is_made_once_with_its_truth_beside_it(bench, tmp_path):
    import tifffile

    target = bench.make(tmp_path / "own" / "field.tif", 400, 3, (1, 3))
    image = tifffile.imread(target)
    assert image.shape == (3, 4, 400, 400)
    assert (image[:, 0] == image[:, 3]).all()
    assert not (image[:, 1] == image[:, 2]).all()
    truth = json.loads(target.with_suffix(".json").read_text())
    assert truth["nuclei"] == 4
    assert truth["her2"] > 0
    target.write_bytes(b"kept")
    bench.child("make", target, tmp_path)
    assert target.read_bytes() == b"kept"
    assert bench.own_command(target, tmp_path)[1:4] == [str(SCRIPTS / "bench_pipeline.py"), "--image", str(target)]


def test_both_programs_run_in_turns_on_one_stack(bench, stack, tmp_path):
    """The opponent's steps on a script whose answer is plain; this program's own nuclei and signals."""
    for name, text in OPPONENT.items():
        (tmp_path / name).write_text(text)
    runs = bench.turns(stack, tmp_path, 1)
    (other,), (own,) = runs["opencv"], runs["ours"]
    assert (other["nuclei"], list(other["stages"])) == (1, ["read", "nuclei", "signals"])
    assert own["nuclei"] == 2
    assert {"open", "read", "nuclei", "survey", "signals", "call"} <= set(own["stages"])
    assert sum(cpu for _, cpu in own["stages"].values()) == pytest.approx(own["cpu_s"], rel=0.2, abs=0.2)
    assert 0.1 < own["peak_gb"] < 4
    json.dumps(bench.figures(runs, 10**6, bench.bandwidth()))


def test_a_process_that_dies_is_told(bench):
    dead = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    dead.wait()
    with pytest.raises(SystemExit, match="ended before it was ready"):
        bench.ask(dead, first=True)
    dead.communicate()
