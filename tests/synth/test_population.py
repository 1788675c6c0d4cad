"""Who is on the slide: shares, fates, sizes and seeds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ctcfish.errors import ConfigError
from ctcfish.synth.population import field_origins_um, generator, populate, scraps_of, world_um
from ctcfish.synth.spec import FishScan, Nuisance, Population, SlideSpec

WIDE = FishScan(shape_px=(2048, 2048))


def spec(seed: int = 1, nuisance: Nuisance | None = None, **population: object) -> SlideSpec:
    base = {"ctc": 20, "leukocytes": 80, "touching_pairs": 2} | population
    return SlideSpec(seed=seed, fish=WIDE, population=Population.model_validate(base), nuisance=nuisance or Nuisance())


def test_numbers_and_kinds() -> None:
    cells = populate(spec())
    assert Counter(c.kind for c in cells) == {"ctc": 20, "wbc": 80}
    assert [c.number for c in cells] == list(range(1, 101))


def test_mixes_are_shares() -> None:
    cells = populate(spec(ctc_mix={"diploid": 3, "amplified_low": 1}, leukocyte_mix={"diploid": 1}))
    assert Counter(c.copy_class for c in cells if c.kind == "ctc") == {"diploid": 15, "amplified_low": 5}
    assert {c.copy_class for c in cells if c.kind == "wbc"} == {"diploid"}


@pytest.mark.parametrize("n", [1, 7, 8, 13])
def test_shares_add_up(n: int) -> None:
    mix = {"diploid": 1.0, "g2": 1.0, "polysomy": 1.0}
    counts = Counter(c.copy_class for c in populate(spec(ctc=n, leukocytes=10, ctc_mix=mix)) if c.kind == "ctc")
    assert sum(counts.values()) == n
    assert max(counts.values()) - min([counts[k] for k in mix]) <= 1  # type: ignore[index]


def test_empty_mix_is_refused() -> None:
    with pytest.raises(ConfigError, match="a mix of copy classes sums to 0"):
        populate(spec(ctc_mix={"diploid": 0}))


def test_no_cells_is_a_slide() -> None:
    assert populate(spec(ctc=0, leukocytes=0, touching_pairs=0)) == ()


def test_sizes_by_kind() -> None:
    cells = populate(spec(ctc=60, leukocytes=60))
    diameter = {k: np.array([2 * c.shape.radius_um for c in cells if c.kind == k]) for k in ("ctc", "wbc")}
    assert diameter["wbc"].min() >= 6.0
    assert diameter["wbc"].max() <= 8.0
    assert diameter["ctc"].min() >= 7.0
    assert diameter["ctc"].max() <= 15.0
    assert np.median(diameter["ctc"]) > np.median(diameter["wbc"]) + 1


def test_fates() -> None:
    nuisance = Nuisance(out_of_focus=7, apoptotic=5)
    cells = populate(spec(nuisance=nuisance))
    assert sum(c.blurred for c in cells) == 7
    assert sum(c.dying for c in cells) == 5
    assert not any(c.blurred and c.dying for c in cells)
    assert all(len(c.shape.balls) > 0 for c in cells if c.dying)
    depth = (WIDE.planes - 1) * WIDE.z_step_um
    assert all(c.zyx_um[0] < -2 or c.zyx_um[0] > depth + 2 for c in cells if c.blurred)
    assert all(0 < c.zyx_um[0] < depth for c in cells if not c.blurred)


def test_lost_and_extra_cells() -> None:
    cells = populate(spec(ctc=100, leukocytes=100, nuisance=Nuisance(lost_share=0.3, extra_share=0.2)))
    lost, extra = sum(not c.in_fish for c in cells), sum(not c.in_if for c in cells)
    assert 40 <= lost <= 80
    assert 12 <= extra <= 48
    assert all(c.in_fish or c.in_if for c in cells)


def test_the_probe_errs_oftener_in_ctc_where_asked() -> None:
    cells = populate(spec(ctc=60, leukocytes=60, nuisance=Nuisance(missed=0.1, ctc_error_ratio=3.0)))
    share = {
        kind: 1
        - sum(len(c.loci.probe) for c in cells if c.kind == kind)
        / sum(c.copies.her2 + c.copies.cep17 for c in cells if c.kind == kind)
        for kind in ("ctc", "wbc")
    }
    assert share["ctc"] == pytest.approx(0.3, abs=0.06)
    assert share["wbc"] == pytest.approx(0.1, abs=0.06)


def test_overlap_needs_both_partners() -> None:
    both = populate(spec(overlap_pairs=15))
    some = populate(spec(overlap_pairs=15, nuisance=Nuisance(lost_share=0.4)))
    assert sum(c.overlap for c in both) == 30
    shown = [c for c in some if c.overlap and c.in_fish]
    assert 2 <= len(shown) <= 24
    assert len(shown) % 2 == 0


def test_missed_loci_and_failed_hybridisation() -> None:
    full = sum(len(c.loci.probe) for c in populate(spec()))
    missed = sum(len(c.loci.probe) for c in populate(spec(nuisance=Nuisance(missed=0.25))))
    assert missed == pytest.approx(0.75 * full, rel=0.1)
    dark = [len(c.loci.probe) for c in populate(spec(nuisance=Nuisance(unhybridised_share=0.5)))]
    assert 30 <= dark.count(0) <= 70


def test_true_copies_do_not_depend_on_hybridisation() -> None:
    ordinary, failed = populate(spec()), populate(spec(nuisance=Nuisance(missed=0.5)))
    assert [c.copies for c in ordinary] == [c.copies for c in failed]


def test_seeds() -> None:
    same, other = populate(spec(4)), populate(spec(5))
    assert [c.zyx_um for c in populate(spec(4))] == [c.zyx_um for c in same]
    assert [c.zyx_um for c in other] != [c.zyx_um for c in same]


def test_streams_are_independent() -> None:
    a, b = generator(spec(), "cell", 1).random(3), generator(spec(), "field", 1).random(3)
    assert not np.allclose(a, b)
    np.testing.assert_array_equal(a, generator(spec(), "cell", 1).random(3))


def test_brightness_changes_no_place() -> None:
    """A slide of half the light is the same slide, so that levels can be compared cell by cell."""
    dim = spec().model_copy(update={"signals": spec().signals.model_copy(update={"photons": 450.0})})
    for bright, faint in zip(populate(spec()), populate(dim), strict=True):
        np.testing.assert_array_equal(bright.loci.zyx_um, faint.loci.zyx_um)
        np.testing.assert_allclose(bright.loci.photons, 2 * faint.loci.photons)


def test_geometry_of_fields() -> None:
    scan = FishScan(shape_px=(100, 200), pixel_um=0.1, fields=(2, 3), spacing_um=-2.0)
    assert world_um(scan) == pytest.approx((18.0, 56.0))
    assert field_origins_um(scan)[:2] == [(0.0, 0.0), (0.0, 18.0)]
    assert len(field_origins_um(scan)) == 6
    assert field_origins_um(scan)[5] == pytest.approx((8.0, 36.0))


def test_scraps() -> None:
    assert scraps_of(spec()) == ()
    scraps = scraps_of(spec(nuisance=Nuisance(debris=9)))
    assert [s.number for s in scraps] == list(range(1, 10))
    assert all(s.shape.radius_um <= 2.25 and s.stain.shape == (4,) for s in scraps)
