"""Marker intensities against a plain loop over nuclei, and what must not change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from ctcfish.parameters import Phenotype
from ctcfish.stages.immuno.markers import Projection, measure
from ctcfish.synth.stained import StainedScan, Staining, stain
from ctcfish.types import Nuclei, Scene

PARAMS = Phenotype()


@pytest.fixture(scope="module")
def scan() -> StainedScan:
    return stain(Staining(leukocytes=150, ctc=6, debris=10, doublets=2, bare=3), seed=2)


def _nuclei(masks: dict[tuple[int, int], np.ndarray], shape: tuple[int, int], um: float = 0.64) -> Nuclei:
    boxes = [(y, x, y + m.shape[0], x + m.shape[1]) for (y, x), m in masks.items()]
    places = [((y + (m.shape[0] - 1) / 2) * um, (x + (m.shape[1] - 1) / 2) * um) for (y, x), m in masks.items()]
    n = len(boxes)
    return Nuclei(
        label=np.arange(1, n + 1, dtype=np.int32),
        box_px=np.array(boxes, np.int32).reshape(n, 4),
        packed=tuple(np.packbits(m).tobytes() for m in masks.values()),
        pixel_um=(um, um),
        centroid_um=np.array(places, float).reshape(n, 2),
        area_um2=np.array([m.sum() * um * um for m in masks.values()], float),
        z_um=np.zeros(n),
        thickness_um=np.zeros(n),
        focus=np.full(n, np.nan),
        flags=np.zeros(n, np.int64),
        shape_px=shape,
    )


def test_equals_a_plain_loop_on_a_flat_background() -> None:
    rng = np.random.default_rng(1)
    block = np.ones((11, 11), bool)
    nuclei = _nuclei({(40, 40): block, (40, 56): block, (90, 100): block}, (160, 160))
    image = np.full((160, 160), 50.0) + rng.normal(0, 0.01, (160, 160))
    labels = nuclei.paint()
    near = distance_transform_edt(labels == 0) * 0.64 <= PARAMS.ring_um
    image[near] += rng.uniform(100, 300, int(near.sum()))
    found = measure({"inclusion": image}, nuclei, PARAMS)
    nearest = distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    owner = labels[tuple(nearest)]
    for row in range(3):
        own = (owner == row + 1) & near
        assert found["if_inclusion_nucleus"][row] == pytest.approx(image[labels == row + 1].mean() - 50, abs=0.1)
        assert found["if_inclusion_cell"][row] == pytest.approx(np.median(image[own]) - 50, abs=2.0)
        assert found["if_inclusion_max"][row] == pytest.approx(image[own].max() - 50, abs=0.1)
        assert found["if_inclusion_sd"][row] == pytest.approx(image[own].std(), rel=0.02)
        assert found["if_inclusion_ring"][row] == pytest.approx(np.median(image[own & (labels == 0)]) - 50, abs=3.0)
    assert found["if_inclusion_background"].to_numpy() == pytest.approx(50, abs=0.1)
    assert found["if_inclusion_overlap"].tolist() == [1.0, 1.0, 1.0]


def test_what_was_not_measured_is_missing_and_not_zero(scan: StainedScan) -> None:
    found = measure({"nucleus": scan.pixels["nucleus"]}, scan.nuclei, PARAMS)
    assert found["if_exclusion_cell"].isna().all()
    assert found["if_inclusion_overlap"].isna().all()
    assert found["if_nucleus_cell"].notna().all()


def test_a_sloping_background_changes_little(scan: StainedScan) -> None:
    plain = measure(scan.pixels, scan.nuclei, PARAMS)
    height, width = scan.nuclei.shape_px
    slope = np.linspace(0, 400, width)[None] + np.linspace(0, 200, height)[:, None]
    tilted = {role: image + slope for role, image in scan.pixels.items()}
    other = measure(tilted, scan.nuclei, PARAMS)
    difference = (other["if_inclusion_cell"] - plain["if_inclusion_cell"]).abs()
    assert difference.median() < 8
    assert difference.quantile(0.95) < 30


def test_bands_do_not_show(scan: StainedScan) -> None:
    """The same nuclei, with the image continued above by more than a band."""
    block = round(PARAMS.background_um / 0.64)
    shift = 5 * block
    plain = measure(scan.pixels, scan.nuclei, PARAMS)
    lower = replace(
        scan.nuclei,
        box_px=scan.nuclei.box_px + np.array([shift, 0, shift, 0], np.int32),
        centroid_um=scan.nuclei.centroid_um + np.array([shift * 0.64, 0.0]),
        shape_px=(scan.nuclei.shape_px[0] + shift, scan.nuclei.shape_px[1]),
    )
    taller = {role: np.pad(image, ((shift, 0), (0, 0)), mode="reflect") for role, image in scan.pixels.items()}
    moved = measure(taller, lower, PARAMS)
    inner = scan.nuclei.centroid_um[:, 0] > 3 * PARAMS.background_um
    for column in ("if_inclusion_cell", "if_exclusion_ring", "if_nucleus_nucleus"):
        np.testing.assert_allclose(moved[column][inner], plain[column][inner], atol=3.0)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_saturation_is_seen_at_full_scale(bits: int) -> None:
    full = 2**bits - 1
    block = np.ones((11, 11), bool)
    nuclei = _nuclei({(40, 40): block, (80, 80): block}, (130, 130))
    image = np.full((130, 130), 20, np.uint16)
    image[42:49, 42:49] = full
    image[80:91, 80:91] = full // 2
    found = measure({"inclusion": image.astype(np.uint8) if bits == 8 else image}, nuclei, PARAMS)
    assert found["flags"].tolist() == ["SATURATED", ""]


def test_stain_on_one_side_does_not_cover_the_nucleus() -> None:
    block = np.ones((12, 12), bool)
    nuclei = _nuclei({(50, 50): block}, (120, 120))
    image = np.random.default_rng(1).normal(100, 5, (120, 120))
    image[50:62, 56:72] += 800
    found = measure({"inclusion": image}, nuclei, PARAMS)
    assert found["if_inclusion_overlap"][0] == pytest.approx(0.5, abs=0.05)


def test_elongation_of_a_bar_is_its_sides_ratio() -> None:
    nuclei = _nuclei({(50, 50): np.ones((8, 24), bool), (90, 20): np.ones((10, 10), bool)}, (130, 130))
    found = measure({"nucleus": np.ones((130, 130))}, nuclei, PARAMS)
    assert found["if_elongation"].to_numpy() == pytest.approx([3.0, 1.0], rel=0.01)


def test_nothing_but_nuclei_has_a_background_all_the_same() -> None:
    nuclei = _nuclei({(0, 0): np.ones((20, 20), bool)}, (20, 20))
    found = measure({"inclusion": np.full((20, 20), 7.0)}, nuclei, PARAMS)
    assert found["if_inclusion_cell"][0] == pytest.approx(0.0)
    assert np.isnan(found["if_inclusion_ring"][0])


class _Stack:
    """Pixels of two planes and one channel."""

    shape = (1, 2, 30, 40)
    dtype = np.dtype(np.uint16)

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> np.ndarray:
        stack = np.arange(2 * 30 * 40, dtype=np.uint16).reshape(2, 30, 40)
        return stack[planes, rows, columns]


def test_projection_reads_the_brightest_plane_of_a_window() -> None:
    scene = Scene("a", "if", _Stack(), (0.5, 0.64, 0.64), {"nucleus": 0})
    plane = Projection(scene, "nucleus")
    assert plane.shape == (30, 40)
    np.testing.assert_array_equal(plane[5:9, slice(None)], np.arange(1200, 2400).reshape(30, 40)[5:9].astype(np.uint16))
