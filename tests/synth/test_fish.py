"""A field and its truth: what the tables say stands in the pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import center_of_mass, gaussian_filter, label

from ctcfish import tables
from ctcfish.synth import Field, SlideSpec, field
from ctcfish.synth.body import enlarge, paint, photograph_nuclei, window
from ctcfish.synth.fish import render_field
from ctcfish.synth.loci import HER2, Loci
from ctcfish.synth.points import photograph_points, stuck_probe
from ctcfish.synth.population import populate
from ctcfish.synth.spec import Camera, FishScan, Nuisance, Population, Signals
from ctcfish.synth.truth import called, signal_fwhm_um

QUIET = Nuisance(granules_per_nucleus=0.0, hot_pixels_per_megapixel=0.0)
CLEAN = SlideSpec(
    seed=3,
    population=Population(
        ctc=0, leukocytes=10, touching_pairs=0, leukocyte_mix={"diploid": 0.6, "monosomy": 0.4}, gap_um=2.0
    ),
    signals=Signals(photons_log_sd=0.0, her2_in_cep17=0.0, cep17_in_her2=0.0, background_relative_sd=0.0),
    fish=FishScan(shape_px=(480, 480), shading=0.0, camera=Camera(read_noise_photons=0.0)),
    nuisance=QUIET,
)


@pytest.fixture(scope="module")
def clean() -> Field:
    return field(CLEAN)


@pytest.fixture(scope="module")
def dark() -> Field:
    """The same field, cell for cell and photon for photon, in which no probe hybridised."""
    return field(CLEAN.model_copy(update={"nuisance": QUIET.model_copy(update={"unhybridised_share": 1.0})}))


def photons(seen: Field, channel: int, camera: Camera = CLEAN.fish.camera) -> np.ndarray:
    return (seen.pixels[channel].astype(float) - camera.offset_adu) / camera.gain_adu_per_photon


def test_shapes_types_and_columns(small_field: Field) -> None:
    assert small_field.pixels.shape == (3, 9, 560, 520)
    assert small_field.pixels.dtype == np.uint16
    assert small_field.labels.shape == (560, 520)
    assert small_field.labels.dtype == np.int32
    assert small_field.voxel_um == (0.4, 0.1, 0.1)
    assert small_field.channels == ("DAPI", "HER2", "CEP17")
    assert list(small_field.cells.columns[: len(tables.CELLS.names)]) == tables.CELLS.names
    assert list(small_field.spots.columns[: len(tables.SPOTS.names)]) == tables.SPOTS.names


def test_truth_satisfies_the_tables(small_field: Field) -> None:
    cells = tables.CELLS.check(small_field.cells[tables.CELLS.names])
    assert len(cells) == len(small_field.cells)
    assert len(tables.SPOTS.check(small_field.spots[tables.SPOTS.names])) == len(small_field.spots)


def test_labels_and_rows_agree(small_field: Field) -> None:
    painted = set(np.unique(small_field.labels).tolist()) - {0}
    assert painted <= set(small_field.cells["label"].tolist())
    assert len(small_field.cells) - len(painted) <= 1  # one may be wholly hidden
    area = np.bincount(small_field.labels.ravel(), minlength=len(small_field.cells) + 1)[1:] * 0.01
    free = (small_field.cells["flags"] == "").to_numpy()
    np.testing.assert_allclose(area[free], small_field.cells["area_um2"][free], rtol=0.06)


def test_spots_lie_in_their_nucleus(small_field: Field) -> None:
    spots = small_field.spots.merge(small_field.cells[["label", "flags"]], on="label", suffixes=("", "_cell"))
    plain = spots[spots["flags_cell"] == ""]
    at = np.rint(plain[["true_y_um", "true_x_um"]].to_numpy() / 0.1).astype(int)
    inside = small_field.labels[at[:, 0], at[:, 1]] == plain["label"].to_numpy()
    assert inside.mean() > 0.97


def test_flags_follow_fates(small_field: Field) -> None:
    flags = small_field.cells["flags"]
    assert flags.str.contains("OVERLAP").sum() >= 3
    assert flags.str.contains("APOPTOTIC").sum() >= 1
    doubtful = small_field.cells[flags != ""]
    assert (doubtful["call"] == "not_evaluable").all()
    assert doubtful["reason"].isin(["OVERLAP", "TRUNCATED", "OUT_OF_FOCUS", "APOPTOTIC"]).all()
    edge = small_field.labels[[0, -1]].ravel().tolist() + small_field.labels[:, [0, -1]].ravel().tolist()
    cut = set(edge) - {0}
    assert set(small_field.cells.loc[flags.str.contains("TRUNCATED"), "label"]) == cut


def test_counts_of_cells_are_counts_of_spots(small_field: Field) -> None:
    counted = small_field.spots[small_field.spots["status"] == "counted"]
    for probe in ("HER2", "CEP17"):
        n = counted[counted["probe"] == probe].groupby("label").size()
        column = small_field.cells.set_index("label")[f"countable_{probe.lower()}"]
        pd.testing.assert_series_equal(
            column.astype(int), n.reindex(column.index, fill_value=0).astype(int), check_names=False
        )


def test_countable_never_exceeds_copies(small_field: Field) -> None:
    for probe in ("her2", "cep17"):
        assert (small_field.cells[f"countable_{probe}"] <= small_field.cells[f"true_{probe}"]).all()


@pytest.mark.parametrize(("channel", "probe"), [(1, "HER2"), (2, "CEP17")])
def test_signals_stand_where_the_truth_says(clean: Field, dark: Field, channel: int, probe: str) -> None:
    """The brightest voxel near each isolated true place lies within a pixel and a plane of it."""
    spots = clean.spots[clean.spots["probe"] == probe]
    at = spots[["z_um", "y_um", "x_um"]].to_numpy() / np.array(clean.voxel_um)
    image, checked = photons(clean, channel) - photons(dark, channel), 0
    for k, (z, y, x) in enumerate(at):
        others = np.delete(at, k, axis=0)
        if len(others) and np.hypot(*(others[:, 1:] - (y, x)).T).min() < 14:
            continue
        if not (8 < y < 470 and 8 < x < 470 and 1 < z < 13):
            continue
        y0, x0 = round(y) - 6, round(x) - 6
        crop = image[:, y0 : y0 + 13, x0 : x0 + 13]
        top = np.array(np.unravel_index(crop.argmax(), crop.shape))
        assert abs(top[0] - z) <= 1.6
        middle = np.add(center_of_mass(crop[round(z)]), (y0, x0))
        np.testing.assert_allclose(middle, (y, x), atol=0.35)
        checked += 1
    assert checked >= 5


@pytest.mark.parametrize(("channel", "probe"), [(1, "HER2"), (2, "CEP17")])
def test_signal_light_is_what_was_asked(clean: Field, dark: Field, channel: int, probe: str) -> None:
    """Against the same field without hybridisation, each plane holds 900 photons a signal, less the farthest rings."""
    light = photons(clean, channel) - photons(dark, channel)
    spots = clean.spots[clean.spots["probe"] == probe]
    # spots on the very border lose half their light
    n = spots["y_um"].between(1, 47).mul(spots["x_um"].between(1, 47)).sum()
    assert light[7].sum() / 900 == pytest.approx(n, rel=0.12)
    at = np.rint(spots[["y_um", "x_um"]].to_numpy() / 0.1).astype(int)
    near = np.zeros(light.shape[1:], bool)
    for y, x in at:
        near[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7] = True
    assert light[7][near].sum() > 0.6 * light[7].sum()


def test_background_level(clean: Field) -> None:
    her2, inside = photons(clean, 1)[7], clean.labels > 0
    nuclei = np.median(her2[inside])
    free = np.median(her2[center_distance(clean.labels) > 25])
    assert nuclei == pytest.approx(40.0, rel=0.15)
    assert free == pytest.approx(24.0, rel=0.1)


def center_distance(labels: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(labels == 0))


def test_nuclei_shine_where_the_labels_are(clean: Field) -> None:
    dapi = gaussian_filter(photons(clean, 0)[7], 2)
    inside = clean.labels > 0
    seen = dapi > 0.5 * np.median(dapi[inside])
    overlap = (seen & inside).sum() / (seen | inside).sum()
    assert overlap > 0.85
    assert label(seen)[1] == pytest.approx(len(clean.cells), abs=2)


def test_nuclei_are_not_off_by_a_coarse_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNA is computed on coarse pixels: without texture its centre is the outline's."""
    monkeypatch.setattr("ctcfish.synth.body.chromatin", lambda shape, *_: np.ones(shape, np.float32))
    cells = [replace(c, shape=replace(c.shape, nucleoli=np.zeros((0, 4)))) for c in populate(CLEAN)]
    dapi = photograph_nuclei(CLEAN, cells, (), (0.0, 0.0)).sum(axis=0)
    labels, shown, _ = paint(cells, (0.0, 0.0), CLEAN.fish)
    whole = [k for k, c in enumerate(shown, 1) if all(6 < v < 42 for v in c.zyx_um[1:])]
    light = np.array(center_of_mass(dapi, labels, whole))
    shape = np.array(center_of_mass(labels > 0, labels, whole))
    assert len(whole) >= 4
    np.testing.assert_allclose((light - shape).mean(axis=0) * 0.1, 0.0, atol=0.02)


def test_chromatic_shift_moves_cep17_only(clean: Field) -> None:
    moved = clean.spots[["z_um", "y_um", "x_um"]].to_numpy() - clean.spots[["true_z_um", "true_y_um", "true_x_um"]]
    her2 = (clean.spots["probe"] == "HER2").to_numpy()
    assert (moved[her2] == 0).all().all()
    np.testing.assert_allclose(
        moved[~her2] + np.array(CLEAN.fish.chromatic_shift_um), 0.0, atol=1e-12
    )  # adding the shift brings CEP17 back onto HER2's frame


def brightest(image: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centre of light, in pixels, around a place ``(z, y, x)``."""
    z, y, x = (max(0, round(v) - r) for v, r in zip(near, (3, 5, 5), strict=True))
    return np.add(center_of_mass(np.clip(image[z : z + 7, y : y + 11, x : x + 11], 0, None) ** 2), (z, y, x))


def test_light_of_a_channel_is_shifted_with_it() -> None:
    """Granules and crosstalk, seen in both channels, tell the chromatic shift."""
    shift = (0.4, 0.3, -0.2)
    leaky = CLEAN.model_copy(
        update={
            "signals": CLEAN.signals.model_copy(update={"her2_in_cep17": 0.9, "photons": 9000.0}),
            "fish": CLEAN.fish.model_copy(update={"chromatic_shift_um": shift}),
        }
    )
    only_her2 = [replace(c, loci=her2_alone(c.loci)) for c in populate(leaky)]
    light = photograph_points(leaky, only_her2, (0.0, 0.0))
    at = np.concatenate([c.loci.zyx_um + np.array(c.zyx_um) for c in only_her2]) / (0.4, 0.1, 0.1)
    alone = [k for k in range(len(at)) if np.hypot(*(np.delete(at, k, 0) - at[k]).T[1:]).min() > 25]
    kept = [k for k in alone if 4 < at[k, 0] < 11 and (at[k, 1:] > 12).all() and (at[k, 1:] < 468).all()]
    moved = [brightest(light[0], at[k]) - brightest(light[1], at[k] - np.array(shift) / (0.4, 0.1, 0.1)) for k in kept]
    assert len(kept) >= 4
    np.testing.assert_allclose(np.median(moved, axis=0) * (0.4, 0.1, 0.1), shift, atol=0.04)


def her2_alone(loci: Loci) -> Loci:
    keep = loci.probe == HER2
    return Loci(loci.probe[keep], loci.zyx_um[keep], loci.photons[keep], loci.size_um[keep], loci.group[keep])


def test_crosstalk_shows_the_other_dye() -> None:
    leaky = CLEAN.model_copy(
        update={
            "signals": CLEAN.signals.model_copy(update={"her2_in_cep17": 0.5, "cep17_brightness": 1e-6}),
            "fish": CLEAN.fish.model_copy(update={"chromatic_shift_um": (0.0, 0.0, 0.0)}),
        }
    )
    seen = field(leaky)
    spots = seen.spots[(seen.spots["probe"] == "HER2") & seen.spots["y_um"].between(2, 45)]
    at = np.rint(spots[["z_um", "y_um", "x_um"]].to_numpy() / np.array(seen.voxel_um)).astype(int).clip(1, 470)
    at[:, 0] = at[:, 0].clip(0, 14)
    her2, cep17 = (
        np.array([photons(seen, c)[z, y - 1 : y + 2, x - 1 : x + 2].mean() for z, y, x in at]) for c in (1, 2)
    )
    assert np.median((cep17 - 40) / (her2 - 40)) == pytest.approx(0.5, abs=0.12)


def test_same_spec_same_bytes() -> None:
    again = field(CLEAN)
    np.testing.assert_array_equal(again.pixels, field(CLEAN).pixels)


def test_seed_changes_the_picture(clean: Field) -> None:
    other = field(CLEAN.model_copy(update={"seed": 99}))
    assert (other.pixels != clean.pixels).mean() > 0.5


def test_granules_shine_in_both_colours() -> None:
    dense = CLEAN.model_copy(update={"nuisance": Nuisance(granules_per_nucleus=3.0, hot_pixels_per_megapixel=0.0)})
    with_granules, without = field(dense), field(CLEAN)
    more = [float((photons(with_granules, c) - photons(without, c))[7].sum()) for c in (1, 2)]
    # about 30 granules of some 1,200 photons
    assert min(more) > 15_000
    assert more[0] == pytest.approx(more[1], rel=0.3)
    assert len(with_granules.spots) == len(without.spots)


def test_stuck_probe_adds_light_and_no_truth(clean: Field) -> None:
    sticky = CLEAN.model_copy(update={"nuisance": QUIET.model_copy(update={"unspecific_per_nucleus": 1.5})})
    seen = field(sticky)
    pd.testing.assert_frame_equal(seen.spots, clean.spots)
    n = sum((stuck_probe(sticky, c).probe == 0).sum() for c in populate(sticky))
    more = (photons(seen, 1) - photons(clean, 1))[7].sum()
    assert more == pytest.approx(n * 0.67 * 900, rel=0.25)
    assert not len(stuck_probe(CLEAN, populate(CLEAN)[0]).probe)


def test_residue_lights_ctc_only_when_asked() -> None:
    base = CLEAN.model_copy(update={"population": Population(ctc=3, leukocytes=3, touching_pairs=0)})
    stained = base.model_copy(update={"nuisance": QUIET.model_copy(update={"if_residue_photons": 60.0})})
    before, after = field(base), field(stained)
    more = photons(after, 1)[7] - photons(before, 1)[7]
    kind = after.cells.set_index("label")["kind"]
    gain = {k: np.mean([more[after.labels == i].mean() for i in kind.index[kind == k]]) for k in ("ctc", "wbc")}
    assert gain["ctc"] > 15
    assert abs(gain["wbc"]) < 8
    np.testing.assert_array_equal(before.pixels[0], after.pixels[0])


def test_cells_in_two_fields_are_the_same_cells(two_fields_spec: SlideSpec) -> None:
    cells = populate(two_fields_spec)
    left, right = render_field(two_fields_spec, cells, 0), render_field(two_fields_spec, cells, 1)
    assert right.origin_um == pytest.approx((0.0, 30.0))
    both = left.cells.merge(right.cells, on="cell", suffixes=("_l", "_r"))
    np.testing.assert_allclose(both["x_um_l"], both["x_um_r"] + 30.0)
    assert (both["true_her2_l"] == both["true_her2_r"]).all()
    assert left.scene != right.scene


def test_cells_in_two_fields_have_the_same_texture() -> None:
    scan = FishScan(shape_px=(400, 300), planes=1, fields=(1, 2), spacing_um=-10.0, shading=0.0)
    spec = SlideSpec(
        seed=2,
        fish=scan,
        population=Population(ctc=0, leukocytes=16, touching_pairs=0),
        signals=Signals(nucleus_photons=9000.0),
        nuisance=QUIET,
    )
    cells = populate(spec)
    left, right = (render_field(spec, cells, index).pixels[0, 0].astype(float) - 100 for index in (0, 1))
    here, there = left[:, 200:], right[:, :100]
    inside = here > 6000
    assert inside.sum() > 3000
    np.testing.assert_allclose(np.median(np.abs(here / there - 1)[inside]), 0.0, atol=0.02)


def test_one_plane() -> None:
    flat = CLEAN.model_copy(update={"fish": CLEAN.fish.model_copy(update={"planes": 1})})
    assert field(flat).pixels.shape == (3, 1, 480, 480)


def test_empty_field_has_tables_of_no_rows() -> None:
    nobody = CLEAN.model_copy(update={"population": Population(ctc=0, leukocytes=0, touching_pairs=0)})
    seen = field(nobody)
    assert len(seen.cells) == len(seen.spots) == 0
    assert list(seen.cells.columns[: len(tables.CELLS.names)]) == tables.CELLS.names
    assert not seen.labels.any()
    assert seen.pixels[1].mean() == pytest.approx(100 + 2 * 24, rel=0.02)


def test_no_signals_at_all() -> None:
    unhybridised = CLEAN.model_copy(update={"nuisance": Nuisance(unhybridised_share=1.0)})
    seen = field(unhybridised)
    assert len(seen.spots) == 0
    assert len(seen.cells) >= 9
    assert (seen.cells["call"] == "not_evaluable").all()
    assert seen.cells["ratio"].isna().all()


@pytest.mark.parametrize("pixel_um", [0.065, 0.17])
def test_other_pixels(pixel_um: float) -> None:
    scan = FishScan(shape_px=(301, 277), pixel_um=pixel_um, planes=3)
    seen = field(SlideSpec(fish=scan, population=Population(ctc=1, leukocytes=2, touching_pairs=0)))
    assert seen.pixels.shape == (3, 3, 301, 277)
    assert seen.cells["y_um"].between(0, 301 * pixel_um).all()


def test_signal_width_by_optics() -> None:
    oil, air = SlideSpec(), SlideSpec(fish=FishScan(na=0.75, immersion_index=1.0))
    # a point's 0.231 um and a locus of 0.45 um; variances add
    assert signal_fwhm_um(oil, 0) == pytest.approx(np.hypot(0.231, 2.355 * 0.45 / 20**0.5), rel=0.08)
    assert signal_fwhm_um(air, 0) > signal_fwhm_um(oil, 0)
    assert signal_fwhm_um(oil, 1) > signal_fwhm_um(oil, 0)


@pytest.mark.parametrize(
    ("her2", "cep17", "call"),
    [(2, 2, "not_amplified"), (11, 5, "amplified"), (10, 5, "not_amplified"), (3, 1, "amplified"),
     (2, 1, "not_amplified"), (0, 2, "not_evaluable"), (4, 0, "not_evaluable")],
)  # fmt: skip
def test_true_calls(her2: int, cep17: int, call: str) -> None:
    assert called(pd.Series([her2]), pd.Series([cep17])).tolist() == [call]


@pytest.mark.parametrize(
    ("centre", "rows"), [((5.0, 5.0), slice(34, 67)), ((0.0, 5.0), slice(0, 17)), ((-50.0, 5.0), slice(0, 0))]
)
def test_windows_are_clipped(centre: tuple[float, float], rows: slice) -> None:
    seen = window(centre, 1.5, 0.1, (100, 100))
    assert seen.rows == rows
    assert seen.dy_um.shape == (rows.stop - rows.start, 33)
    if rows.stop > rows.start:
        np.testing.assert_allclose(seen.dy_um[0, 0], rows.start * 0.1 - centre[0], atol=1e-9)
        assert seen.cut_px[0] == rows.start - (round(centre[0] * 10) - 16)


def test_enlarging_keeps_places() -> None:
    coarse = np.zeros((1, 20, 20), np.float32)
    coarse[0, 8:12, 5:9] = 1
    fine = enlarge(coarse, 4, (78, 80))
    assert fine.shape == (1, 78, 80)
    np.testing.assert_allclose(center_of_mass(fine[0]), (4 * 9.5 + 1.5, 4 * 6.5 + 1.5), atol=0.05)
