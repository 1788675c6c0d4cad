"""The quick IF scan: its truth is what its pixels show."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.synth.stained import ROLES, StainedScan, Staining, stain

SPEC = Staining(leukocytes=120, ctc=15, debris=10, doublets=3, bare=6)


@pytest.fixture(scope="module")
def scan() -> StainedScan:
    return stain(SPEC, 1)


def _inside(scan: StainedScan, role: str) -> np.ndarray:
    labels = scan.nuclei.paint()
    total = np.bincount(labels.ravel(), scan.pixels[role].ravel().astype(float), len(scan.nuclei) + 1)
    return total[1:] / np.maximum(np.bincount(labels.ravel(), minlength=len(scan.nuclei) + 1)[1:], 1)


def test_counts_and_shapes(scan: StainedScan) -> None:
    assert scan.truth["kind"].value_counts().to_dict() == {"wbc": 120, "ctc": 15, "other": 6}
    assert len(scan.nuclei) == 141
    assert set(scan.pixels) == set(ROLES)
    assert all(image.shape == scan.nuclei.shape_px for image in scan.pixels.values())


def test_shading_takes_its_share_of_the_light_in_the_corners() -> None:
    dark, even = (stain(Staining(leukocytes=60, ctc=2, debris=0, doublets=0, bare=0, shading=s), 3) for s in (0.4, 0.0))
    ratio = (dark.pixels["nucleus"] - 100.0) / (even.pixels["nucleus"] - 100.0)
    rows, columns = ratio.shape
    middle = ratio[rows // 2 - 20 : rows // 2 + 20, columns // 2 - 20 : columns // 2 + 20]
    assert np.median(middle) == pytest.approx(1.0, abs=0.02)
    assert np.median(ratio[:20, :20]) == pytest.approx(0.6, abs=0.04)
    assert (dark.truth == even.truth).all(axis=None)


def test_each_kind_shows_its_stains(scan: StainedScan) -> None:
    kind = scan.truth["kind"].to_numpy()
    ck, cd45, dna = (_inside(scan, role) for role in ("inclusion", "exclusion", "nucleus"))
    assert np.median(ck[kind == "ctc"]) > 4 * np.median(ck[kind == "wbc"])
    assert np.median(cd45[kind == "wbc"]) > 3 * np.median(cd45[kind == "ctc"])
    assert dna.min() > 500
    amplified = scan.truth["her2_amplified"].to_numpy()
    her2 = _inside(scan, "her2_protein")
    assert her2[amplified].min() > np.median(her2[(kind == "ctc") & ~amplified])


def test_outlines_hold_the_dna(scan: StainedScan) -> None:
    inside = scan.nuclei.paint() > 0
    dna = scan.pixels["nucleus"].astype(float)
    assert np.median(dna[inside]) > 4 * np.median(dna[~inside])
    assert scan.nuclei.area_um2.min() > 12


def test_same_seed_same_pixels(scan: StainedScan) -> None:
    again = stain(SPEC, 1)
    assert all(np.array_equal(scan.pixels[role], again.pixels[role]) for role in ROLES)
    assert not np.array_equal(scan.pixels["nucleus"][:50, :50], stain(SPEC, 2).pixels["nucleus"][:50, :50])
