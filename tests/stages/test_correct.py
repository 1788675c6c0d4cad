"""Illumination out of IF markers: known surfaces are found and divided out, and nothing else is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ctcfish import pipeline, synth
from ctcfish.config import Config, load
from ctcfish.parameters import Correct, Phenotype
from ctcfish.stages.correct import Corrected, _fit, _terms, correct
from ctcfish.stages.immuno.markers import measure
from ctcfish.synth.memory import if_scene
from ctcfish.synth.stained import Staining, stain
from ctcfish.types import Scene
from tests import make

PARAMS = Correct()
SIDE_UM = (500.0, 800.0)
LIGHT = np.array([0.03, -0.05, -0.12, 0.02, -0.08])
ROLES = ("nucleus", "inclusion", "exclusion", "her2_protein")
LEVELS = {"nucleus": 900.0, "inclusion": 20.0, "exclusion": 350.0, "her2_protein": 8.0}
PARTS = ("nucleus", "ring", "cell", "max", "sd")


def terms(y: Any, x: Any, side: tuple[float, float] = SIDE_UM) -> Any:
    """The five terms, written down once more."""
    u, v = 2 * np.asarray(y) / side[0] - 1, 2 * np.asarray(x) / side[1] - 1
    return np.array([u, v, u**2 - 1 / 3, u * v, v**2 - 1 / 3]).T


def leukocytes(
    n: int, seed: int, slopes: Any = LIGHT, side: tuple[float, float] = SIDE_UM, spread: float = 0.15
) -> Any:
    """Measured leukocytes strewn over a field of that light, and their true brightness under even light."""
    rng = np.random.default_rng(seed)
    y, x = rng.uniform(0, side[0], n), rng.uniform(0, side[1], n)
    light = np.exp(terms(y, x, side) @ np.asarray(slopes))
    table: dict[str, Any] = {"if_y_um": y, "if_x_um": x, "area_um2": 40.0}
    for role, level in LEVELS.items():
        own = level * rng.lognormal(0, spread, n)
        table |= {f"if_{role}_{part}": own * light for part in PARTS}
        table |= {f"if_{role}_background": 100.0, f"if_{role}_noise": 8.0}
    return pd.DataFrame(table), light


def error(found: Corrected, light: Any, before: pd.DataFrame, role: str = "exclusion", name: str = "a") -> float:
    """Spread over cells of what is left of the light, in percent."""
    left = np.log(found.cells[name][f"if_{role}_cell"] * light / before[f"if_{role}_cell"])
    return float(100 * np.std(left))


def test_known_light_is_found_in_every_stain() -> None:
    table, light = leukocytes(4000, 1)
    found = correct({"a": table}, {"a": SIDE_UM}, PARAMS)
    [shading] = found.shading
    assert (shading.scenes, shading.frame_um) == (("a",), SIDE_UM)
    assert shading.n_leukocytes > 3900
    assert set(shading.slopes) == set(ROLES)
    for role in ROLES:
        np.testing.assert_allclose(shading.slopes[role], LIGHT, atol=0.02)
        assert error(found, light, table, role) < 1.5
    assert 100 * np.std(np.log(light)) > 5


def test_every_intensity_is_divided_and_nothing_else_changes() -> None:
    table, _ = leukocytes(500, 2)
    after = correct({"a": table}, {"a": SIDE_UM}, PARAMS).cells["a"]
    ratio = after["if_nucleus_cell"] / table["if_nucleus_cell"]
    for part in PARTS:
        np.testing.assert_allclose(after[f"if_nucleus_{part}"], table[f"if_nucleus_{part}"] * ratio)
    same = [c for c in table if not c.endswith(PARTS)]
    assert {"if_nucleus_noise", "if_nucleus_background", "if_y_um", "area_um2"} <= set(same)
    pd.testing.assert_frame_equal(after[same], table[same])
    assert after.columns.tolist() == table.columns.tolist()


def test_many_fields_are_pooled() -> None:
    """Thirty cells say nothing of a field's light; those of forty fields under one light do."""
    parts = {f"f{k:02d}": leukocytes(30, 100 + k) for k in range(40)}
    found = correct({n: t for n, (t, _) in parts.items()}, dict.fromkeys(parts, SIDE_UM), PARAMS)
    [shading] = found.shading
    assert shading.scenes == tuple(parts)
    np.testing.assert_allclose(shading.slopes["nucleus"], LIGHT, atol=0.03)
    assert np.mean([error(found, light, t, "nucleus", n) for n, (t, light) in parts.items()]) < 2
    alone = correct({"a": parts["f00"][0]}, {"a": SIDE_UM}, PARAMS)
    assert alone.shading == ()


def test_fields_of_two_sizes_have_a_light_each() -> None:
    other = (300.0, 300.0)
    tables = {"a": leukocytes(2000, 3)[0], "b": leukocytes(2000, 4, -LIGHT, other)[0], "c": leukocytes(40, 5)[0]}
    found = correct(tables, {"a": SIDE_UM, "b": other, "c": SIDE_UM}, PARAMS)
    by_size = {shading.frame_um: shading for shading in found.shading}
    assert by_size[SIDE_UM].scenes == ("a", "c")
    np.testing.assert_allclose(by_size[SIDE_UM].slopes["nucleus"], LIGHT, atol=0.03)
    np.testing.assert_allclose(by_size[other].slopes["nucleus"], -LIGHT, atol=0.03)


def mosaic() -> tuple[pd.DataFrame, Any]:
    """Three by four fields of one light, side by side."""
    table, light = leukocytes(6000, 6)
    rng = np.random.default_rng(7)
    for axis, (side, times) in zip("yx", zip(SIDE_UM, (3, 4), strict=True), strict=True):
        table[f"if_{axis}_um"] += side * rng.integers(0, times, len(table))
    return table, light


def test_a_mosaic_of_known_fields_is_corrected_field_by_field() -> None:
    table, light = mosaic()
    found = correct({"a": table}, {"a": SIDE_UM}, PARAMS)
    assert error(found, light, table) < 1.5
    np.testing.assert_allclose(found.shading[0].slopes["nucleus"], LIGHT, atol=0.02)


def test_a_mosaic_of_unknown_fields_is_not_flattened_as_one() -> None:
    """What repeats from field to field averages out over the whole: hardly anything is divided."""
    table, _ = mosaic()
    whole = (3 * SIDE_UM[0], 4 * SIDE_UM[1])
    after = correct({"a": table}, {"a": whole}, PARAMS).cells["a"]
    assert 100 * np.std(np.log(after["if_exclusion_cell"] / table["if_exclusion_cell"])) < 1.5


def test_even_light_stays_even() -> None:
    table, light = leukocytes(3000, 8, np.zeros(5))
    assert error(correct({"a": table}, {"a": SIDE_UM}, PARAMS), light, table) < 1


@pytest.mark.parametrize(("n", "corrected"), [(99, False), (100, True)])
def test_few_leukocytes_are_no_evidence(n: int, corrected: bool) -> None:
    table, _ = leukocytes(300, 9, spread=0.1)
    table = table.iloc[:n]
    found = correct({"a": table}, {"a": SIDE_UM}, PARAMS)
    assert bool(found.shading) is corrected
    if not corrected:
        pd.testing.assert_frame_equal(found.cells["a"], table)


def test_tumour_cells_do_not_pass_for_light() -> None:
    """CTC crowd in one corner, ten times as bright in cytokeratin and HER2 protein, twice in the nucleus."""
    table, light = leukocytes(3000, 10)
    corner = ((table["if_y_um"] < 120) & (table["if_x_um"] < 200)).to_numpy()
    assert corner.sum() > 100
    for role, times in (("inclusion", 40.0), ("her2_protein", 10.0), ("nucleus", 2.0), ("exclusion", 0.01)):
        for part in PARTS:
            table.loc[corner, f"if_{role}_{part}"] *= times
    found = correct({"a": table}, {"a": SIDE_UM}, PARAMS)
    np.testing.assert_allclose(found.shading[0].slopes["nucleus"], LIGHT, atol=0.03)
    assert error(found, light, table, "inclusion") < 2


@pytest.mark.parametrize("role", ["inclusion", "exclusion"])
def test_without_the_stains_that_tell_leukocytes_nothing_is_corrected(role: str) -> None:
    table, _ = leukocytes(500, 11)
    table[[c for c in table if f"_{role}_" in c]] = np.nan
    found = correct({"a": table}, {"a": SIDE_UM}, PARAMS)
    assert found.shading == ()
    pd.testing.assert_frame_equal(found.cells["a"], table)


def test_an_absent_stain_stays_missing_and_the_others_are_corrected() -> None:
    table, light = leukocytes(3000, 12)
    table[[c for c in table if "_her2_protein_" in c]] = np.nan
    table.loc[5, "if_nucleus_nucleus"] = np.nan
    found = correct({"a": table}, {"a": SIDE_UM}, PARAMS)
    assert set(found.shading[0].slopes) == {"nucleus", "inclusion", "exclusion"}
    assert found.cells["a"]["if_her2_protein_cell"].isna().all()
    assert error(found, light, table) < 1.5


def test_a_faint_stain_takes_the_light_of_the_others() -> None:
    table, light = leukocytes(3000, 13)
    noise = np.random.default_rng(14).normal(0, 60, len(table))
    table["if_her2_protein_cell"] += noise
    assert (table["if_her2_protein_cell"] < 0).mean() > 0.3
    found = correct({"a": table}, {"a": SIDE_UM}, PARAMS)
    np.testing.assert_allclose(found.shading[0].slopes["her2_protein"], LIGHT, atol=0.05)
    assert error(found, light, table, "her2_protein") < 4


def test_gain_changes_no_slope() -> None:
    table, _ = leukocytes(800, 15)
    bright = table.assign(**{c: table[c] * 7 for c in table if c.startswith("if_exclusion")})
    one, two = (correct({"a": t}, {"a": SIDE_UM}, PARAMS) for t in (table, bright))
    np.testing.assert_allclose(two.shading[0].slopes["exclusion"], one.shading[0].slopes["exclusion"], atol=1e-6)
    np.testing.assert_allclose(two.cells["a"]["if_exclusion_cell"], 7 * one.cells["a"]["if_exclusion_cell"], rtol=1e-6)


def test_turning_the_field_turns_the_light() -> None:
    table, _ = leukocytes(900, 16)
    turned = table.rename(columns={"if_y_um": "if_x_um", "if_x_um": "if_y_um"})
    one = correct({"a": table}, {"a": SIDE_UM}, PARAMS).shading[0].slopes["nucleus"]
    two = correct({"a": turned}, {"a": SIDE_UM[::-1]}, PARAMS).shading[0].slopes["nucleus"]
    np.testing.assert_allclose(two, np.array(one)[[1, 0, 4, 3, 2]], atol=1e-6)


def test_slopes_are_least_squares_where_cells_are_alike() -> None:
    """Oracle: with small log-normal spread, a wide prior and no outlier, linear regression of the logarithm."""
    table, _ = leukocytes(2000, 17, spread=0.05)
    place = terms(table["if_y_um"], table["if_x_um"])
    value = table["if_nucleus_nucleus"].to_numpy()
    design = np.column_stack([place, np.ones(len(place))])
    wanted = np.linalg.lstsq(design, np.log(value), rcond=None)[0][:5]
    np.testing.assert_allclose(_fit(place, [value], np.zeros(5), 10.0), wanted, atol=0.004)


def test_without_cells_to_speak_the_belief_stands() -> None:
    believed = np.array([0.1, 0.0, -0.2, 0.0, 0.05])
    np.testing.assert_allclose(_fit(np.zeros((4, 5)), [np.ones(4)], believed, 0.1), believed)


def test_terms_average_to_nothing_over_the_field() -> None:
    u, v = np.meshgrid(*((np.arange(400) + 0.5) / 200 - 1,) * 2)
    np.testing.assert_allclose(_terms(u.ravel(), v.ravel()).mean(axis=0), 0, atol=1e-5)


def test_the_summary_says_how_dark_the_darkest_place_is() -> None:
    table, _ = leukocytes(4000, 18)
    said = correct({"a": table}, {"a": SIDE_UM}, PARAMS).shading[0].summary()
    u, v = np.meshgrid(*(np.linspace(-1, 1, 21),) * 2)
    surface = terms(250 * (u + 1), 400 * (v + 1)).T.reshape(5, -1).T @ LIGHT
    assert said["darkest_over_brightest"]["nucleus"] == pytest.approx(np.exp(-np.ptp(surface)), abs=0.03)
    assert (said["scenes"], said["frame_um"]) == (["a"], list(SIDE_UM))


def test_no_scene_is_no_table() -> None:
    assert correct({}, {}, PARAMS) == Corrected({}, ())


def test_pixels_shaded_by_a_fifth_are_measured_as_if_they_were_not() -> None:
    """The same cells photographed twice, under shaded and under even light."""
    spec = Staining(leukocytes=800, ctc=30, debris=20, doublets=2, bare=4)
    shaded, even = (stain(spec.__class__(**(vars(spec) | {"shading": s})), seed=21) for s in (0.2, 0.0))
    before, true = (measure(scan.pixels, scan.nuclei, Phenotype()) for scan in (shaded, even))
    side = tuple(n * spec.pixel_um for n in shaded.nuclei.shape_px)
    after = correct({"a": before}, {"a": (side[0], side[1])}, PARAMS).cells["a"]
    for kind, role in (("wbc", "exclusion"), ("ctc", "inclusion"), ("ctc", "her2_protein")):
        own = (shaded.truth["kind"] == kind).to_numpy()
        left = [np.log(t.loc[own, f"if_{role}_cell"] / true.loc[own, f"if_{role}_cell"]) for t in (before, after)]
        spread = [float(np.median(np.abs(v - v.median()))) for v in left]
        assert spread[1] < 0.65 * spread[0], (role, spread)


def test_a_scenes_field_is_that_of_the_mosaic_where_it_is_known() -> None:
    pixels = make.ArraySource(np.zeros((1, 1, 30, 80)))
    scene = Scene("a", "if", pixels, (0.0, 0.5, 0.5), {"nucleus": 0})
    assert scene.frame_um == (15.0, 40.0)
    assert Scene("a", "if", pixels, (0.0, 0.5, 0.5), {"nucleus": 0}, frame_px=(10, 20)).frame_um == (5.0, 10.0)


def test_the_configuration_decides_whether_a_slide_is_corrected() -> None:
    spec = synth.SlideSpec.model_validate(
        {
            "seed": 9,
            "population": {"ctc": 2, "leukocytes": 60, "touching_pairs": 0},
            "fish": {"shape_px": [1600, 1600]},
            "if": {"shading": 0.2},
        }
    )
    scene = if_scene(spec, synth.if_field(spec))
    slide = make.slide(if_scenes=(scene,), fish_scenes=())
    left, taken = (pipeline.score(slide, c) for c in (Config(), load(sets=["correct.min_leukocytes=30"])))
    assert left.summary["shading"] == []
    [said] = taken.summary["shading"]
    assert said["scenes"] == ["scan"]
    assert said["n_leukocytes"] > 30
    assert said["darkest_over_brightest"]["exclusion"] < 0.95
    ratio = taken.if_cells["if_exclusion_cell"] / left.if_cells["if_exclusion_cell"]
    assert ratio.max() / ratio.min() > 1.03
