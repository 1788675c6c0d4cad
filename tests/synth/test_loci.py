"""Copies by class, and loci inside their nucleus."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.synth.loci import CEP17, HER2, Copies, Loci, draw_copies, place_loci
from ctcfish.synth.nucleus import apoptotic, draw_shape
from ctcfish.synth.spec import COPY_CLASSES, Signals


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def placed(copies: Copies, seed: int = 0, signals: Signals | None = None) -> Loci:
    chance = rng(seed)
    return place_loci(copies, draw_shape(9.0, 0.5, False, chance), signals or Signals(), chance)


@pytest.mark.parametrize(
    ("name", "her2", "cep17"),
    [("diploid", 2, 2), ("g2", 4, 4), ("gain_3_2", 3, 2), ("gain_4_2", 4, 2), ("monosomy", 1, 1), ("cep17_loss", 2, 1)],
)
def test_fixed_classes(name: str, her2: int, cep17: int) -> None:
    copies = draw_copies(name, rng())  # type: ignore[arg-type]
    assert (copies.her2, copies.cep17) == (her2, cep17)


@pytest.mark.parametrize("seed", range(30))
def test_ranges_of_drawn_classes(seed: int) -> None:
    polysomy = draw_copies("polysomy", rng(seed))
    assert polysomy.her2 == polysomy.cep17
    assert 3 <= polysomy.cep17 <= 5
    low = draw_copies("amplified_low", rng(seed))
    assert 2.2 <= low.her2 / low.cep17 <= 4.0
    assert not low.clusters
    dispersed = draw_copies("amplified_dispersed", rng(seed))
    assert dispersed.scattered >= 8
    for name, compact in (("amplified_cluster", False), ("amplified_hsr", True)):
        copies = draw_copies(name, rng(seed))  # type: ignore[arg-type]
        assert copies.compact is compact
        assert 1 <= len(copies.clusters) <= 2
        assert all(6 <= n <= 16 for n in copies.clusters)
        assert copies.her2 / copies.cep17 > 2.2


@pytest.mark.parametrize("seed", range(10))
def test_coamplified_cells_have_both_colours_in_one_cluster(seed: int) -> None:
    copies = draw_copies("coamplified", rng(seed))
    loci = placed(copies, seed)
    assert copies.cep17 > copies.chromosomes
    assert copies.her2 / copies.cep17 < 2.2
    her2, cep17 = (loci.zyx_um[(loci.probe == p) & (loci.group == 1)] for p in (HER2, CEP17))
    assert (len(her2), len(cep17)) == (copies.clusters[0], copies.gained_centromeres)
    assert np.linalg.norm(her2.mean(axis=0) - cep17.mean(axis=0)) < 1.0


@pytest.mark.parametrize("name", COPY_CLASSES)
@pytest.mark.parametrize("seed", range(3))
def test_every_copy_is_placed_inside(name: str, seed: int) -> None:
    chance = rng(seed)
    shape = draw_shape(8.5, 0.5, False, chance)
    copies = draw_copies(name, chance)  # type: ignore[arg-type]
    loci = place_loci(copies, shape, Signals(), chance)
    assert (loci.probe == HER2).sum() == copies.her2
    assert (loci.probe == CEP17).sum() == copies.cep17
    depth = shape.depth(loci.zyx_um[:, 1], loci.zyx_um[:, 2])
    # sisters may stand half their distance outside the sampled volume
    margin = 0.4 if copies.doubled else 0.0
    assert (depth <= 1.0 + margin / shape.radius_um).all()
    assert (np.abs(loci.zyx_um[:, 0]) <= shape.thickness_um / 2 + margin).all()


def test_columns_are_of_one_length_and_kind() -> None:
    loci = placed(Copies(2, clusters=(7,)))
    assert {len(loci.probe), len(loci.zyx_um), len(loci.photons), len(loci.size_um), len(loci.group)} == {11}
    assert loci.group[loci.probe == CEP17].tolist() == [0, 0]
    assert (loci.group == 1).sum() == 7


def test_brightness_is_log_normal_about_its_median() -> None:
    photons = np.concatenate([placed(Copies(2, scattered=400), seed).photons for seed in range(5)])
    assert np.median(photons) == pytest.approx(900.0, rel=0.03)
    assert np.log(photons).std() == pytest.approx(0.3, rel=0.05)


def test_probes_may_differ_in_brightness() -> None:
    loci = placed(Copies(200), signals=Signals(cep17_brightness=0.5, photons_log_sd=0.0))
    assert set(loci.photons[loci.probe == CEP17]) == {450.0}
    assert set(loci.photons[loci.probe == HER2]) == {900.0}


def test_sizes_lie_in_their_ranges() -> None:
    loci = placed(Copies(150))
    her2, cep17 = loci.size_um[loci.probe == HER2], loci.size_um[loci.probe == CEP17]
    assert her2.min() >= 0.3
    assert her2.max() <= 0.6
    assert cep17.min() >= 0.5
    assert cep17.max() <= 1.0


def test_sisters_stand_at_their_distance() -> None:
    loci = placed(Copies(3, doubled=True), 4)
    for probe in (HER2, CEP17):
        at = loci.zyx_um[loci.probe == probe]
        assert len(at) == 6
        gap = np.linalg.norm(at[:3] - at[3:], axis=1)
        assert ((gap >= 0.2 - 1e-9) & (gap <= 0.7 + 1e-9)).all()


def test_gene_lies_near_its_centromere() -> None:
    gaps = []
    for seed in range(40):
        loci = placed(Copies(2), seed)
        gaps.extend(np.linalg.norm(loci.zyx_um[loci.probe == HER2] - loci.zyx_um[loci.probe == CEP17], axis=1))
    assert 0.6 < np.median(gaps) < 1.7


def test_compact_clusters_are_tighter_than_loose_ones() -> None:
    def spread(compact: bool) -> float:
        runs = [placed(Copies(2, clusters=(14,), compact=compact), seed) for seed in range(12)]
        return float(np.median([run.zyx_um[run.group == 1][:, 1:].std(axis=0).mean() for run in runs]))

    assert spread(True) < 0.25
    assert 0.25 < spread(False) < 0.65


def test_apoptotic_loci_lie_in_fragments() -> None:
    chance = rng(3)
    shape = apoptotic(draw_shape(9.0, 0.5, False, chance), chance)
    loci = place_loci(Copies(2), shape, Signals(), chance)
    away = np.linalg.norm(loci.zyx_um[:, None] - shape.balls[:, :3], axis=2) - shape.balls[:, 3]
    assert (away.min(axis=1) <= 0.01).all()


def test_same_seed_same_loci() -> None:
    np.testing.assert_array_equal(placed(Copies(4), 9).zyx_um, placed(Copies(4), 9).zyx_um)
