"""A study whose slides go wrong in one way each, and the runs to compare with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ctcfish.config import Config, load
from tests.faults import methods

STUDY = Callable[..., Path]

collect_ignore = ["small.py"]  # it changes the process that imports it


def write_slide(folder: Path, grey: int) -> None:
    """A slide of one even field."""
    (folder / "fish").mkdir(parents=True)
    about = {
        "axes": "CYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeY": 0.1,
        "Channel": {"Name": ["DAPI", "HER2", "CEP17"]},
    }
    pixels = np.full((3, 64, 64), grey, np.uint16)
    tifffile.imwrite(folder / "fish" / "a.ome.tif", pixels, metadata=about, photometric="minisblack")


@pytest.fixture
def study(tmp_path: Path) -> STUDY:
    """Make a study: a slide for each keyword, named after it, of that grey value."""

    def make(**slides: int) -> Path:
        for name, grey in slides.items():
            write_slide(tmp_path / "study" / name, grey)
        return tmp_path / "study"

    return make


@pytest.fixture
def armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Faults happen."""
    folder = tmp_path / "faults"
    folder.mkdir()
    monkeypatch.setenv(methods.ARM, str(folder))
    return folder


@pytest.fixture
def config() -> Config:
    method = "{method = 'custom', function = 'tests.faults.methods:nuclei'}"
    return load(sets=[f"segment.nuclei={method}"])


def results(out: Path) -> dict[str, bytes]:
    """Every file of a run but its log and what is hidden."""
    files = [p.relative_to(out) for p in sorted(out.rglob("*")) if p.is_file()]
    shown = [f for f in files if f.name != "run.log" and not any(part.startswith(".") for part in f.parts)]
    return {f.as_posix(): (out / f).read_bytes() for f in shown}
