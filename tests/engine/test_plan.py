"""The plan of a batch: every slide opened, no pixel read, nothing written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ctcfish.config import Config
from ctcfish.engine import plan as module
from ctcfish.engine.plan import plan_of, plan_text
from ctcfish.io import study_slides
from ctcfish.io.tiff_pixels import TiffPixels
from tests.make import run


def write(file: Path, *channels: str, pixel_um: float | None = 0.1) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    size = {} if pixel_um is None else {"PhysicalSizeX": pixel_um, "PhysicalSizeY": pixel_um}
    metadata = {"axes": "CYX", "Channel": {"Name": list(channels)}} | size
    pixels = np.full((len(channels), 64, 96), 100, np.uint16)
    tifffile.imwrite(file, pixels, metadata=metadata, photometric="minisblack")
    return file


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    write(folder / "both" / "fish" / "f.ome.tif", "DAPI", "HER2", "CEP17")
    write(folder / "both" / "if" / "i.ome.tif", "DAPI", "CK", "CD45", pixel_um=0.6)
    write(folder / "half" / "fish" / "f.ome.tif", "DAPI", "HER2")
    write(folder / "unscaled" / "fish" / "f.ome.tif", "DAPI", "HER2", "CEP17", pixel_um=None)
    return folder


def test_every_slide_is_looked_at_and_no_pixel_read(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TiffPixels, "read", lambda *_: pytest.fail("pixels were read"))
    plan = plan_of(study_slides(study), Config(), study / "out", 2)
    both, half, unscaled = plan.slides
    assert (both.if_scenes, both.fish_scenes, both.voxels, both.largest) == (1, 1, 6 * 64 * 96, 3 * 64 * 96)
    assert both.notes == ()
    assert half.notes == ("no IF scan", "no CEP17 channel in f")
    assert plan.refused == (unscaled,)
    assert "needed the size of a pixel" in unscaled.refused or "pixel size" in unscaled.refused
    assert plan.hours == pytest.approx(sum(s.voxels for s in plan.slides) / 1e6 * module.SECONDS_PER_MEGAVOXEL / 7200)
    assert plan.ram_gb > module.BASE_GB
    assert plan.free_gb == pytest.approx(shutil.disk_usage(study).free / 1e9, rel=0.05)


@pytest.mark.parametrize(("most", "held"), [(10**9, 3 * 64 * 96), (1000, 1000)])
def test_memory_grows_with_the_largest_scene_up_to_a_part_of_it(
    study: Path, monkeypatch: pytest.MonkeyPatch, most: int, held: int
) -> None:
    monkeypatch.setattr(module, "MOST_HELD", most)
    plan = plan_of(study_slides(study), Config(), study / "out", 1)
    assert plan.ram_gb == pytest.approx(module.BASE_GB + module.BYTES_PER_VOXEL * held / 1e9)


def test_the_plan_is_told_to_people_and_programs(study: Path) -> None:
    plan = plan_of(study_slides(study), Config(), study / "out", 1)
    text = plan_text(plan)
    assert "  both: IF 1, FISH 1, 0 megavoxels\n" in text
    assert "! unscaled: " in text
    assert "2 of 3 slides can be scored." in text
    assert "too small" not in text
    assert "GB of memory per worker" in text
    assert json.loads(json.dumps(plan.told()))["slides"][1]["notes"] == ["no IF scan", "no CEP17 channel in f"]


def test_a_disk_that_is_too_small_is_told_beforehand(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESULT_SHARE", 1e9)
    assert "! The disk of the results is too small" in plan_text(
        plan_of(study_slides(study), Config(), study / "out", 1)
    )


def test_one_file_of_two_slides_is_told(tmp_path: Path) -> None:
    write(tmp_path / "scans" / "f.ome.tif", "DAPI", "HER2", "CEP17")
    (tmp_path / "study.csv").write_text("slide_id,fish\na,scans/f.ome.tif\nb,scans/f.ome.tif\n")
    first, second = plan_of(study_slides(tmp_path), Config(), tmp_path / "out", 1).slides
    assert first.notes == ("no IF scan",)
    assert second.notes == ("no IF scan", "f.ome.tif is slide a's too")


def test_a_dry_run_writes_nothing_and_ends_as_the_batch_would(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("batch", study, "--out", tmp_path / "out", "--dry-run") == 4
    said = capsys.readouterr()
    assert "! unscaled: " in said.out
    assert "1 of 3 slides would fail; nothing was scored" in said.err
    shutil.rmtree(study / "unscaled")
    assert run("batch", study, "--out", tmp_path / "out", "--dry-run", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["slides"]) == 2
    assert not (tmp_path / "out").exists()


def test_long_times_are_told_in_hours() -> None:
    assert (module._time(0.5), module._time(30.0)) == ("30 min", "30.0 h")
