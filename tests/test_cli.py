"""What a person types, and what comes back: results on stdout, errors with their remedy and exit code."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from ctcfish.config import Config
from tests.conftest import REPOSITORY
from tests.make import run

SAMPLE = REPOSITORY / "data_samples" / "sample"
TILE = {"photometric": "minisblack", "metadata": {"axes": "CYX"}}


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """Three channels of nothing, without pixel size or names."""
    file = tmp_path / "blank.ome.tif"
    tifffile.imwrite(file, np.full((3, 64, 64), 100, np.uint16), photometric="minisblack", metadata={"axes": "CYX"})
    return file


GIVEN = ("--pixel-size-um", "0.1", "--channel", "nucleus=0", "--channel", "her2=1", "--channel", "cep17=2")


def test_help_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "ctcfish", "--help"], capture_output=True, text=True, check=True)
    for command in ("score", "batch", "info", "config", "models", "simulate", "report", "power", "doctor"):
        assert command in done.stdout
    assert "Research use only" in done.stdout


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return time.perf_counter() - start


def test_help_is_as_quick_as_its_libraries() -> None:
    """At most 1.5 times the time of importing typer and pydantic, interleaved."""
    ours, theirs = [], []
    for _ in range(5):
        ours.append(
            seconds(
                "from ctcfish.cli import app; from typer.testing import CliRunner; CliRunner().invoke(app, ['--help'])"
            )
        )
        theirs.append(seconds("import typer, pydantic, rich.console, typer.testing"))
    assert statistics.median(ours) < 1.5 * statistics.median(theirs) + 0.05


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert capsys.readouterr().out.strip() == project["version"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("score",), 2, "Missing argument"),
        (("score", "x.tif", "--wrong"), 2, "No such option"),
        (("score", "nothing.tif"), 3, "nothing.tif"),
        (("score", "x.tif", "--preset", "circe"), 2, "Did you mean 'circe_tdm1'?"),
        (("score", "x.tif", "--set", "call.rule.cutt=2"), 2, "Did you mean 'call.rule.cut'?"),
        (("score", "x.tif", "--channel", "her2"), 2, "expected role=channel"),
        (("score", "x.tif", "--channel", "her2=1", "--channel", "her2=2"), 2, "twice"),
        (("score", "x.tif", "--modality", "xray"), 2, "xray"),
        (("batch", "nothing", "--out", "o"), 3, "no such folder"),
        (("config", "check", "nothing.toml"), 2, "cannot be read"),
        (("simulate", "slide", "nothing.toml", "--out", "o"), 2, "nothing.toml"),
        (("simulate", "cohort", "nothing.toml", "--out", "o"), 2, "nothing.toml"),
        (("report", "nothing"), 2, "no slide.json"),
    ],
)
def test_a_wrong_word_says_what_to_do(
    arguments: tuple[str, ...],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == code
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there_is_an_error(blank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    absent = "mps" if torch.cuda.is_available() or not torch.backends.mps.is_available() else "cuda"
    assert run("score", blank, *GIVEN, "--device", absent) == 2
    assert f"device '{absent}' is not present here" in capsys.readouterr().err


def test_an_image_without_size_or_names_is_refused_then_scored(
    blank: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("score", blank, "--out", tmp_path / "out") == 3
    said = capsys.readouterr().err
    assert "--pixel-size-um" in said or "--channel" in said
    assert not (tmp_path / "out").exists()
    assert run("score", blank, *GIVEN, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr()
    assert "No nucleus was found" in printed.out
    assert len(pd.read_csv(tmp_path / "out" / "blank" / "cells.csv")) == 0


def test_an_existing_result_is_left_alone(blank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    assert run("score", blank, *GIVEN, "--out", out) == 2
    assert "left alone" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_json_is_the_slides_summary(blank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("score", blank, *GIVEN, "--out", tmp_path / "out", "--json") == 0
    said = capsys.readouterr()
    written = json.loads((tmp_path / "out" / "blank" / "slide.json").read_text(encoding="utf-8"))
    assert json.loads(said.out)["slide"] == written["slide"]
    assert "report" in said.err
    assert written["scenes"][0]["origin"]["pixel_size"] == "option"


def test_info_says_what_is_missing(blank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", blank) == 0
    said = capsys.readouterr().out
    assert "cannot be scored yet" in said
    assert "--pixel-size-um" in said
    assert run("info", blank, *GIVEN, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ready"] is True


def test_configurations_are_shown_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config", "show", "--preset", "meng_2004") == 0
    shown = capsys.readouterr().out
    assert tomllib.loads(shown)["call"]["rule"]["cut"] == "2"
    assert "# sha256 " in shown
    file = tmp_path / "shown.toml"
    file.write_text(shown)
    assert run("config", "check", file) == 0
    capsys.readouterr()
    file.write_text("[count]\ndiamter_per_fwhm = 2")
    assert run("config", "check", file) == 2
    assert "count.diameter_per_fwhm" in capsys.readouterr().err
    assert run("config", "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == Config.__name__


def test_models_are_listed_and_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "list") == 0
    assert "nuclei" in capsys.readouterr().out
    assert run("models", "verify") == 0
    assert "SHA-256 as on its card" in capsys.readouterr().out


def test_doctor_names_devices_presets_and_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    said = capsys.readouterr().out
    for word in ("devices: cpu", "circe_tdm1", "weights: nuclei"):
        assert word in said


@pytest.mark.xdist_group("route")
def test_a_batch_keeps_good_slides_and_lists_bad_ones(
    tmp_path: Path, blank: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    for name in ("good", "bad"):
        (study / name / "fish").mkdir(parents=True)
    channels = {
        "axes": "CYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeY": 0.1,
        "Channel": {"Name": ["DAPI", "HER2", "CEP17"]},
    }
    tifffile.imwrite(
        study / "good" / "fish" / "a.ome.tif",
        np.full((3, 64, 64), 100, np.uint16),
        metadata=channels,
        photometric="minisblack",
    )
    shutil.copy(blank, study / "bad" / "fish" / "a.ome.tif")
    out = tmp_path / "out"
    assert run("batch", study, "--out", out) == 4
    assert "bad" in capsys.readouterr().err
    failures = pd.read_csv(out / "failures.csv")
    assert failures["slide_id"].tolist() == ["bad"]
    assert "InputError" in failures["cause"].tolist()
    assert pd.read_csv(out / "slides.csv")["slide_id"].tolist() == ["good"]
    assert (out / "good" / "report.html").is_file()
    assert not (out / "bad").exists()
    assert "bad" in (out / "run.log").read_text(encoding="utf-8")
    assert run("batch", study, "--out", out) == 2
    before = (out / "manifest.json").read_bytes()
    assert run("batch", study, "--out", out, "--resume") == 4
    assert (out / "manifest.json").read_bytes() == before


def test_on_error_stop_ends_the_batch(tmp_path: Path, blank: Path) -> None:
    study = tmp_path / "study"
    for name in ("a", "b"):
        (study / name / "fish").mkdir(parents=True)
        shutil.copy(blank, study / name / "fish" / "x.ome.tif")
    assert run("batch", study, "--out", tmp_path / "out", "--on-error", "stop") == 4
    assert pd.read_csv(tmp_path / "out" / "failures.csv")["slide_id"].tolist() == ["a"]


def test_an_interrupt_leaves_nothing(
    blank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ctcfish.unit.write_slide", interrupted)
    before = sorted(p.name for p in tmp_path.iterdir())
    assert run("score", blank, *GIVEN, "--out", tmp_path / "out") == 130
    assert sorted(p.name for p in tmp_path.iterdir()) == before
