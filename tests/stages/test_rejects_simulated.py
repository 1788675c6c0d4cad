"""Rejects on simulated slides, end to end: what is rejected stays, what is true counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from ctcfish.parameters import Detect, Survey
from ctcfish.stages.detect import detect
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.survey import SceneInfo, merge, survey
from ctcfish.synth.memory import slide_in_memory
from ctcfish.synth.spec import FishScan, Nuisance, Population, Signals, SlideSpec
from ctcfish.types import SlideModel

SHIFT = (0.2, 0.1, -0.15)
APART_UM = np.array([0.6, 0.25, 0.25])


def looked(cep17_in_her2: float) -> tuple[SlideModel, pd.DataFrame, pd.DataFrame]:
    """A small slide of leukocytes without anything that spoils it but the leak, read with its true outlines."""
    spec = SlideSpec(
        seed=7090,
        with_if=False,
        population=Population(ctc=0, leukocytes=16, touching_pairs=0),
        signals=Signals(cep17_in_her2=cep17_in_her2),
        fish=FishScan(shape_px=(520, 520), planes=11, chromatic_shift_um=SHIFT),
        nuisance=Nuisance(granules_per_nucleus=0.0, hot_pixels_per_megapixel=5.0),
    )
    slide, truth = slide_in_memory(spec)
    scene = slide.fish_scenes[0]
    pixels = {role: scene.read(role) for role in ("her2", "cep17")}
    nuclei = from_labels(truth.labels[0], scene.voxel_um[1:])
    field = survey(pixels, nuclei, SceneInfo(scene.voxel_um, scene.optics), Survey(), Detect())
    model = merge([field], Survey(), Detect())
    return model, detect(pixels, nuclei, scene.voxel_um, model, Detect()).spots, truth.spots


@pytest.fixture(scope="module", params=[0.0, 0.6], ids=["no leak", "60 % of green in red"])
def seen(request: pytest.FixtureRequest) -> tuple[float, SlideModel, pd.DataFrame, pd.DataFrame]:
    return request.param, *looked(request.param)


def found(spots: pd.DataFrame, truth: pd.DataFrame, probe: str) -> tuple[int, int, int]:
    """True signals, those found among the counted ones, and counted ones that are none."""
    true = truth[(truth["probe"] == probe) & (truth["status"] == "counted") & (truth["label"] > 0)]
    own = spots[(spots["probe"] == probe) & (spots["status"] == "counted")]
    places = [
        t[names].to_numpy() / APART_UM
        for t, names in ((true, ["true_z_um", "true_y_um", "true_x_um"]), (own, ["z_um", "y_um", "x_um"]))
    ]
    missed = (cKDTree(places[1]).query(places[0])[0] > 1).sum()
    extra = (cKDTree(places[0]).query(places[1])[0] > 2).sum()
    return len(true), len(true) - int(missed), int(extra)


@pytest.mark.parametrize("probe", ["HER2", "CEP17"])
def test_counts_hold_whatever_leaks(seen, probe: str) -> None:
    _, _, spots, truth = seen
    true, right, extra = found(spots, truth, probe)
    assert true > 25
    assert right >= 0.9 * true
    assert extra <= 2


def test_the_model_knows_leak_and_shift(seen) -> None:
    leak, model, _, _ = seen
    assert model.crosstalk["CEP17>HER2"] == pytest.approx(leak, abs=0.02 + 0.1 * leak)
    assert model.crosstalk["HER2>CEP17"] == pytest.approx(0.04, abs=0.02)
    if leak:
        assert model.chromatic_shift_um == pytest.approx(SHIFT, abs=0.06)
    assert model.probes["HER2"].photons_median == pytest.approx(1500, rel=0.2)


def test_ghosts_stay_in_the_table_with_their_reason(seen) -> None:
    leak, _, spots, truth = seen
    ghosts = spots[(spots["probe"] == "HER2") & spots["flags"].str.contains("CROSSTALK")]
    assert (ghosts["status"] == "vetoed").all()
    green = (truth["probe"] == "CEP17").sum()
    assert len(ghosts) > 0.6 * green if leak else len(ghosts) == 0
