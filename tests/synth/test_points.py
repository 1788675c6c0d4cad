"""Light of loci and granules: width, depth, number and colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ctcfish.synth.loci import CEP17, HER2, Loci, joined, place_unspecific
from ctcfish.synth.points import granules, image_place_um, photograph_points, spot_profile, stuck_probe
from ctcfish.synth.population import Cell, populate
from ctcfish.synth.spec import FishScan, Nuisance, Population, Signals, SlideSpec
from ctcfish.synth.truth import signal_fwhm_um

SPEC = SlideSpec(
    seed=6,
    population=Population(ctc=0, leukocytes=1, touching_pairs=0),
    fish=FishScan(shape_px=(160, 160), planes=9, chromatic_shift_um=(0.0, 0.0, 0.0)),
    signals=Signals(her2_in_cep17=0.0, cep17_in_her2=0.0),
    nuisance=Nuisance(granules_per_nucleus=0.0),
)
MANY = SlideSpec(fish=FishScan(shape_px=(2048, 2048)), population=Population(ctc=20, leukocytes=180, touching_pairs=0))


def one_locus(probe: int, size_um: float, zyx_um: tuple[float, float, float] = (1.6, 8.0, 8.0)) -> Cell:
    """A cell of one locus at a place of the field."""
    cell = populate(SPEC)[0]
    at = np.array([zyx_um]) - np.array(cell.zyx_um)
    return replace(
        cell,
        loci=Loci(np.array([probe], np.int8), at, np.array([1000.0]), np.array([size_um]), np.zeros(1, np.int32)),
    )


def half_width_um(line: np.ndarray, step_um: float) -> float:
    """Width at half height of a profile, linear between samples."""
    fine = np.interp(np.arange(0, len(line) - 1, 0.01), np.arange(len(line)), line)
    return float((fine > fine.max() / 2).sum() * 0.01 * step_um)


@pytest.mark.parametrize(("probe", "size_um"), [(HER2, 0.4), (CEP17, 0.8)])
def test_width_of_a_signal_is_the_stated_one(probe: int, size_um: float) -> None:
    fine = SPEC.model_copy(update={"fish": SPEC.fish.model_copy(update={"pixel_um": 0.05, "shape_px": (320, 320)})})
    light = photograph_points(fine, [one_locus(probe, size_um)], (0.0, 0.0))[probe]
    sizes = {"her2_size_um": (size_um, size_um), "cep17_size_um": (size_um, size_um)}
    stated = signal_fwhm_um(fine.model_copy(update={"signals": Signals.model_validate(sizes)}), probe)
    assert half_width_um(light[4, 160], 0.05) == pytest.approx(stated, rel=0.04)
    assert half_width_um(light[4, :, 160], 0.05) == pytest.approx(stated, rel=0.04)


def test_a_signal_lies_in_its_channel_alone() -> None:
    for probe in (HER2, CEP17):
        light = photograph_points(SPEC, [one_locus(probe, 0.4)], (0.0, 0.0))
        assert light[probe, 4].sum() > 900
        assert light[1 - probe].sum() == 0.0


def test_light_per_plane_is_the_stated_one() -> None:
    light = photograph_points(SPEC, [one_locus(HER2, 0.4)], (0.0, 0.0))[HER2]
    assert light[4].sum() == pytest.approx(1000.0, rel=0.05)
    # widefield: a plane a micrometre away holds as much, only wider, and some of it beyond the crop
    assert light[1].sum() == pytest.approx(1000.0, rel=0.25)
    assert light[1].max() < 0.2 * light[4].max()


@pytest.mark.parametrize("offset_um", [-0.15, 0.0, 0.13])
def test_depth_of_a_signal(offset_um: float) -> None:
    light = photograph_points(SPEC, [one_locus(HER2, 0.3, (1.6 + offset_um, 8.0, 8.0))], (0.0, 0.0))[HER2]
    axis = light[:, 80, 80]
    z = np.arange(9) * 0.4
    near = slice(3, 6)
    middle = (z[near] * axis[near]).sum() / axis[near].sum()
    assert middle == pytest.approx(1.6 + offset_um, abs=0.16)
    assert axis.argmax() == round((1.6 + offset_um) / 0.4)


def test_origin_moves_the_field_not_the_signal() -> None:
    here = photograph_points(SPEC, [one_locus(HER2, 0.4)], (0.0, 0.0))
    moved = photograph_points(SPEC, [one_locus(HER2, 0.4)], (2.0, -1.0))
    np.testing.assert_allclose(moved[HER2][:, 40:100, 60:120], here[HER2][:, 60:120, 50:110], atol=1e-3)


def test_imaged_places() -> None:
    scan = FishScan(chromatic_shift_um=(0.3, 0.1, -0.2))
    at = np.ones((2, 3))
    moved = image_place_um(scan, np.array([HER2, CEP17]), at)
    np.testing.assert_allclose(moved, [[1, 1, 1], [0.7, 0.9, 1.2]])


def test_profiles_are_shared_between_like_sizes() -> None:
    scan = FishScan()
    assert spot_profile(scan, HER2, 0.41) is spot_profile(scan, HER2, 0.39)
    assert spot_profile(scan, HER2, 0.41) is not spot_profile(scan, HER2, 0.52)
    assert spot_profile(scan, HER2, 0.41) is not spot_profile(scan, CEP17, 0.41)


def test_granules_have_their_rate_and_are_alike_in_both_colours() -> None:
    found = [g for cell in populate(MANY) for g in granules(MANY, cell)]
    assert len(found) == pytest.approx(0.2 * 200, abs=4 * np.sqrt(40))
    ratio = np.log([photons[0] / photons[1] for _, photons, _ in found])
    assert np.abs(np.median(ratio)) < 0.15
    assert ratio.std() < 0.5
    assert all(0.4 <= size <= 1.2 for *_, size in found)


def test_granules_lie_at_their_cell() -> None:
    dense = MANY.model_copy(update={"nuisance": Nuisance(granules_per_nucleus=2.0)})
    for cell in populate(dense)[:40]:
        for place, _, _ in granules(dense, cell):
            assert np.hypot(*(place[1:] - cell.zyx_um[1:])) <= 1.3 * cell.shape.reach_um


def test_granules_do_not_depend_on_signals() -> None:
    dim = MANY.model_copy(update={"nuisance": Nuisance(missed=0.5)})
    for here, there in zip(populate(MANY)[:20], populate(dim)[:20], strict=True):
        for (a, *_), (b, *_) in zip(granules(MANY, here), granules(dim, there), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, 0.3), (2.0, 0.6)])
def test_stuck_probe_has_its_rate(ratio: float, expected: float) -> None:
    sticky = MANY.model_copy(
        update={
            "nuisance": Nuisance(unspecific_per_nucleus=0.3, ctc_error_ratio=ratio),
            "population": Population(ctc=200, leukocytes=0, touching_pairs=0),
        }
    )
    n = [len(stuck_probe(sticky, cell).probe) / 2 for cell in populate(sticky)]
    assert np.mean(n) == pytest.approx(expected, abs=0.12)


def test_stuck_probe_is_fainter_than_true_signals() -> None:
    shape = populate(SPEC)[0].shape
    stuck = place_unspecific(shape, Signals(), (300, 300), np.random.default_rng(0))
    assert np.median(stuck.photons) == pytest.approx(600, rel=0.05)
    assert (stuck.probe == HER2).sum() == 300


def test_joining_keeps_order_and_length() -> None:
    first, second = one_locus(HER2, 0.4).loci, one_locus(CEP17, 0.7).loci
    both = joined(first, second)
    assert both.probe.tolist() == [HER2, CEP17]
    assert both.size_um.tolist() == [0.4, 0.7]
    assert both.zyx_um.shape == (2, 3)
