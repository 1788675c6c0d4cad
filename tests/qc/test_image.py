"""Checks of an image before scoring: lights, exposure, shading, and a simulated field good and spoiled."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ctcfish.config import Config
from ctcfish.errors import UsageError
from ctcfish.qc.image import exposure, light, pixel_lights, shading_percent, slide_checks
from ctcfish.synth import slide_in_memory
from ctcfish.synth.spec import FishScan, Population, Signals, SlideSpec
from tests import make
from tests.conftest import REPOSITORY

LIMITS = {"focus": (0.6, 0.3), "crosstalk_percent": (5.0, 15.0)}
SAMPLE = REPOSITORY / "data_samples" / "sample" / "fish" / "field001.ome.tif"


@pytest.mark.parametrize(
    ("name", "value", "tone"),
    [
        ("focus", 0.6, "green"),
        ("focus", 0.59, "amber"),
        ("focus", 0.3, "red"),
        ("focus", float("nan"), "red"),
        ("crosstalk_percent", 5.0, "green"),
        ("crosstalk_percent", 14.9, "amber"),
        ("crosstalk_percent", 15.0, "red"),
    ],
)
def test_lights_at_their_borders(name: str, value: float, tone: str) -> None:
    assert light(name, value, LIMITS) == tone


def figures(stack: np.ndarray) -> dict[str, float]:
    return {name: value for name, value, _ in exposure("her2", stack)}


def test_saturation_is_counted_at_the_end_of_the_cameras_range() -> None:
    dark = np.full((2, 64, 64), 100, np.uint16)
    assert figures(dark)["saturated_percent"] == 0.0
    clipped = dark.copy()
    clipped[0, :8, :8] = 4095  # a 12-bit camera
    assert figures(clipped)["saturated_percent"] == pytest.approx(100 * 64 / 8192)
    bright = dark.copy()
    bright[0, :8, :8] = 4000
    assert figures(bright)["saturated_percent"] == 0.0
    assert figures(np.zeros((1, 16, 16), np.uint8))["exposure_percent"] == 0.0


def test_exposure_is_the_range_of_light_over_the_cameras() -> None:
    ramp = np.linspace(0, 4095, 128 * 128).reshape(1, 128, 128).astype(np.uint16)
    assert figures(ramp)["exposure_percent"] == pytest.approx(98.9, abs=0.2)


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.5])
def test_shading_is_recovered_and_cells_do_not_count(loss: float) -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:256, 0:256] / 255
    field = 1000 * (1 - loss * 2 * ((y - 0.5) ** 2 + (x - 0.5) ** 2))
    for row, column in rng.integers(10, 230, (20, 2)):
        field[row : row + 15, column : column + 15] *= 3
    stack = rng.poisson(field)[None].astype(np.uint16)
    # tiles end half a tile before the corner, so a little less is seen than is lost there
    assert shading_percent(stack) == pytest.approx(100 * loss, abs=20 * loss + 2)


def spec(**signals: Any) -> SlideSpec:
    return SlideSpec(
        seed=3,
        with_if=False,
        fish=FishScan(shape_px=(400, 400), planes=9, na=1.25),
        population=Population(ctc=2, leukocytes=10, touching_pairs=0),
        signals=Signals(**signals),
    )


def lights(spec_: SlideSpec) -> dict[str, tuple[float, str]]:
    slide, _ = slide_in_memory(spec_)
    checks = slide_checks(slide, Config(), "cpu")
    return {row["check"]: (row["value"], row["light"]) for row in checks.to_dict("records")}


def test_a_good_field_and_one_without_hybridisation() -> None:
    good = lights(spec())
    assert good["hybridised_percent"][0] >= 80
    assert good["her2_snr"][1] == good["cep17_snr"][1] == "green"
    assert good["chromatic_shift_um"][1] == "green"
    assert good["planes"] == (9.0, "green")
    assert good["saturated_percent"][1] == "green"
    faint = lights(spec(photons=20.0))
    assert faint["hybridised_percent"][1] == "red"
    assert faint["hybridised_percent"][0] < 60


def test_a_field_without_nuclei_says_so() -> None:
    checks = slide_checks(make.slide(fish_scenes=(dark(),)), Config(), "cpu").set_index("check")
    assert checks.loc["nuclei", ["value", "light"]].tolist() == [0.0, "red"]
    assert checks.loc["focus", "light"] == "red"
    assert "her2_snr" not in checks.index
    with pytest.raises(UsageError, match="s has no FISH scan"):
        slide_checks(make.slide(fish_scenes=()), Config(), "cpu")


def dark() -> Any:
    pixels = make.ArraySource(np.full((3, 1, 64, 64), 100, np.uint16))
    scene = make.SCENE
    return type(scene)("f", "fish", pixels, (0.0, 0.1, 0.1), {"nucleus": 0, "her2": 1, "cep17": 2})


def test_one_line_before_scoring_names_what_is_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    slide = make.slide(fish_scenes=(dark(),))
    line = pixel_lights(slide, Config())
    wide = slide_checks(slide, Config(), "cpu")
    shown = wide[wide["check"].isin(["planes", "saturated_percent", "exposure_percent", "shading_percent"])]
    tones = shown["light"].value_counts()
    assert line.startswith(f"image before scoring: {tones['green']} green, ")
    assert f"{tones['red']} red" in line
    assert "f her2 exposure_percent 0 red" in line
    assert line.count(" red") + line.count(" amber") <= 2 + 4
    assert pixel_lights(make.slide(fish_scenes=()), Config()) == ""
    monkeypatch.setattr("ctcfish.qc.image.MOST_PIXELS", 64 * 64 - 1)
    assert pixel_lights(slide, Config()) == ""


def test_many_doubts_are_counted_not_listed() -> None:
    scenes = tuple(replace(dark(), name=f"f{k}") for k in range(3))
    line = pixel_lights(make.slide(fish_scenes=scenes), Config())
    assert line.endswith(" more")
    assert line.count("exposure_percent") <= 4


def test_scoring_shows_the_lights_of_the_image_first(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    assert make.run("score", SAMPLE, "--out", tmp_path / "out", "--json") == 0
    shown = capsys.readouterr()
    assert "image before scoring: " in shown.err.splitlines()[0]
    assert json.loads(shown.out)["program"] == "ctcfish"


def test_the_command_shows_every_number_and_takes_limits_from_the_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    assert make.run("qc", "image", SAMPLE, "--out", tmp_path / "out", "--set", "qc.limits.planes=[20,8]") == 0
    shown = capsys.readouterr().out
    for name in ("focus", "saturated_percent", "her2_snr", "hybridised_percent", "out_of_range_percent"):
        assert name in shown
    assert "Research use only" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "report.pdf").is_file()
    assert make.run("qc", "image", SAMPLE, "--json", "--set", "qc.limits.planes=[20,8]") == 0
    rows = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["planes"]["value"], rows["planes"]["light"]) == (7.0, "red")
