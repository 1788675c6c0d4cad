"""Stain left from the IF scan: where, how deep, and how patchy."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.synth import SlideSpec
from ctcfish.synth.body import paint
from ctcfish.synth.population import populate
from ctcfish.synth.residue import photograph_residue
from ctcfish.synth.spec import FishScan, Population

SPEC = SlideSpec(
    seed=9,
    fish=FishScan(shape_px=(620, 600), planes=5, z_step_um=1.0),
    population=Population(ctc=3, leukocytes=3, touching_pairs=0, ctc_border_um=9.0, gap_um=4.0),
)


@pytest.fixture(scope="module")
def residue() -> np.ndarray:
    return photograph_residue(SPEC, populate(SPEC), (0.0, 0.0))


def test_shape_and_sign(residue: np.ndarray) -> None:
    assert residue.shape == (2, 5, 620, 600)
    assert residue.min() >= 0


def test_ctc_are_stained_and_leukocytes_are_not(residue: np.ndarray) -> None:
    labels, shown, _ = paint(populate(SPEC), (0.0, 0.0), SPEC.fish)
    for channel in (0, 1):
        level = {k: [] for k in ("ctc", "wbc")}
        for number, cell in enumerate(shown, 1):
            level[cell.kind].append(residue[channel, 2][labels == number].mean())
        assert min(level["ctc"]) > 0.05
        assert max(level["wbc"]) < 0.3 * min(level["ctc"])


def test_stain_is_fainter_over_the_nucleus_than_around_it(residue: np.ndarray) -> None:
    for cell in (c for c in populate(SPEC) if c.kind == "ctc"):
        y, x = (np.arange(n)[:, None] * 0.1 if k == 0 else np.arange(n) * 0.1 for k, n in enumerate((620, 600)))
        depth = cell.shape.depth(y - cell.zyx_um[1], x - cell.zyx_um[2])
        over, around = (depth < 0.8), (depth > 1.1) & (depth < 1.35)
        assert residue[0, 2][around].mean() > 1.2 * residue[0, 2][over].mean()
        edge = (depth > 1.3) & (depth < 1.45)
        assert residue[1, 2][edge].mean() > 1.5 * residue[1, 2][over].mean()
        assert residue[:, 2][:, (depth > 2.2) & (depth < 2.4)].mean() < 0.3


def test_stain_fades_with_defocus(residue: np.ndarray) -> None:
    light = residue.sum(axis=(0, 2, 3))
    assert light.argmax() == 2
    assert light[0] < 0.9 * light[2]


def test_same_cells_same_stain(residue: np.ndarray) -> None:
    np.testing.assert_array_equal(photograph_residue(SPEC, populate(SPEC), (0.0, 0.0)), residue)


def test_nobody_no_stain() -> None:
    assert not photograph_residue(SPEC, [], (0.0, 0.0)).any()
