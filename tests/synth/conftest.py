"""Small simulated slides shared by the tests of the simulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctcfish.synth import Field, IfField, SlideSpec, field, if_field, simulate_slide
from ctcfish.synth.spec import FishScan, Nuisance, Population

SMALL = SlideSpec(
    slide_id="small",
    seed=5,
    population=Population(ctc=4, leukocytes=16, touching_pairs=1, overlap_pairs=2),
    fish=FishScan(shape_px=(560, 520), planes=9),
    nuisance=Nuisance(out_of_focus=1, apoptotic=2, debris=3),
)
TWO_FIELDS = SlideSpec(
    slide_id="two",
    seed=8,
    population=Population(ctc=3, leukocytes=13, touching_pairs=0),
    fish=FishScan(shape_px=(300, 360), planes=5, fields=(1, 2), spacing_um=-6.0),
    nuisance=Nuisance(lost_share=0.15, extra_share=0.2),
)


@pytest.fixture(scope="session")
def small_spec() -> SlideSpec:
    return SMALL


@pytest.fixture(scope="session")
def small_field() -> Field:
    return field(SMALL)


@pytest.fixture(scope="session")
def small_if() -> IfField:
    return if_field(SMALL)


@pytest.fixture(scope="session")
def two_fields_spec() -> SlideSpec:
    return TWO_FIELDS


@pytest.fixture(scope="session")
def two_fields_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_slide(TWO_FIELDS, tmp_path_factory.mktemp("study"))
