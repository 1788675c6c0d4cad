"""Many FISH fields, the stage as prior, cells seen twice, and the odds of chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ctcfish.parameters import Relocate
from ctcfish.stages.relocate import relocate
from ctcfish.stages.relocation.alignment import Cloud, covered, lay, log10_chance
from ctcfish.stages.relocation.constellation import Search, index, locate, neighbours_for
from ctcfish.synth.constellations import Pair, Remounting, into_fields, remount
from ctcfish.types import Relocation

PARAMS = Relocate()
SPEC = Remounting(n_common=250, missing=0.15, extra=0.15, rotation_deg=12, jitter_um=0.6)


def _share_right(pair: Pair, result: Relocation, fish_points: pd.DataFrame) -> float:
    table = pair.if_points[["if_scene", "if_label"]].assign(truth=pair.truth).merge(result.matches, how="left")
    present = np.isin(table["truth"], fish_points["label"]) & (table["truth"] > 0)
    return float((table["label"].fillna(0).astype(int) == table["truth"])[present].mean())


def test_fields_are_laid_one_by_one() -> None:
    pair = remount(SPEC, 1)
    cut = into_fields(pair.fish_points, 220.0, 220.0, 10.0, 1)
    result = relocate(pair.if_points, cut.fish_points, PARAMS)
    assert result.trusted
    assert len(result.transforms) == len(cut.stage_um)
    assert _share_right(pair, result, cut.fish_points) > 0.97
    assert not result.matches.duplicated(["if_scene", "if_label"]).any()


@pytest.mark.parametrize("signs", [(1.0, 1.0), (-1.0, 1.0)])
def test_the_stage_places_small_fields_whatever_its_axes(signs: tuple[float, float]) -> None:
    pair = remount(SPEC, 2)
    cut = into_fields(pair.fish_points, 125.0, 150.0, 5.0, 2)
    stage = {name: (y * signs[0], x * signs[1]) for name, (y, x) in cut.stage_um.items()}
    without = relocate(pair.if_points, cut.fish_points, PARAMS)
    aided = relocate(pair.if_points, cut.fish_points, PARAMS, stage)
    assert aided.trusted
    assert len(aided.transforms) >= len(without.transforms)
    assert _share_right(pair, aided, cut.fish_points) > 0.8


def test_fields_too_small_alone_are_laid_together_by_the_stage() -> None:
    pair = remount(Remounting(n_common=120, missing=0.1, extra=0.1, jitter_um=0.5), 3)
    cut = into_fields(pair.fish_points, 100.0, 100.0, 1.0, 3)
    assert cut.fish_points.groupby("scene").size().max() < 14
    result = relocate(pair.if_points, cut.fish_points, PARAMS, cut.stage_um)
    assert result.trusted
    assert _share_right(pair, result, cut.fish_points) > 0.6


def test_overlapping_fields_give_a_cell_one_partner() -> None:
    pair = remount(SPEC, 4)
    cut = into_fields(pair.fish_points, 250.0, 180.0, 5.0, 4)
    result = relocate(pair.if_points, cut.fish_points, PARAMS)
    assert cut.fish_points["label"].duplicated().any()
    assert len(result.matches) == len(pair.if_points)
    assert _share_right(pair, result, cut.fish_points) > 0.97


def test_a_cell_two_if_fields_show_is_one_row() -> None:
    pair = remount(SPEC, 5)
    second = pair.if_points[pair.if_points["x_um"] > 200].assign(if_scene="second")
    second["x_um"] -= 190.0
    both = pd.concat([pair.if_points, second], ignore_index=True)
    result = relocate(both, pair.fish_points, PARAMS)
    labels = result.matches["label"].dropna()
    assert {t["if_scene"] for t in result.transforms} == {"if", "second"}
    assert labels.is_unique
    assert len(result.matches) < len(both)


def test_a_field_of_another_slide_is_not_laid() -> None:
    pair, other = remount(SPEC, 6), remount(SPEC, 7)
    cut = into_fields(pair.fish_points, 220.0, 220.0, 10.0, 6)
    alien = into_fields(other.fish_points, 220.0, 220.0, 10.0, 7).fish_points
    alien = alien[alien["scene"] == "field000"].assign(scene="alien")
    result = relocate(pair.if_points, pd.concat([cut.fish_points, alien], ignore_index=True), PARAMS)
    assert "alien" not in {t["scene"] for t in result.transforms}
    assert "alien" not in set(result.matches["scene"].dropna())


def test_empty_and_tiny_scenes_are_passed_over() -> None:
    few = np.array([[0.0, 0.0], [30.0, 5.0]])
    many = np.random.default_rng(1).uniform(0, 500, (50, 2))
    assert lay(Cloud("a", few), Cloud("b", many)) is None
    assert lay(Cloud("a", many), Cloud("b", few)) is None


def test_unrelated_constellations_are_never_beyond_chance() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        part, whole = rng.uniform(0, 300, (40, 2)), rng.uniform(0, 900, (500, 2))
        k = neighbours_for(len(whole))
        searched = index(whole, k, Search(k).noise)
        found = locate(part, searched, Search(k))
        assert found is None or log10_chance(part, searched, found) > -1.5


def test_more_pairs_are_less_chance() -> None:
    whole = np.random.default_rng(1).uniform(0, 700, (300, 2))
    k = neighbours_for(300)
    searched = index(whole, k, Search(k).noise)
    chances = []
    for n in (8, 14, 25):
        part = whole[np.argsort(np.hypot(*(whole - 350).T))[:n]]
        found = locate(part, searched, Search(k))
        assert found is not None
        chances.append(log10_chance(part, searched, found))
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] < -20


def test_covered_is_the_area_and_its_edge() -> None:
    grid = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2) * 10
    points = np.array([[45.0, 45.0], [-8.0, 50.0], [-60.0, 50.0]])
    assert covered(points, grid).tolist() == [True, True, False]
