"""Cells of one reading found again in another, whatever moved, went or came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ctcfish.parameters import Relocate
from ctcfish.qc.matching import Matched, as_first, identical, match
from ctcfish.qc.replicates import FACTORS, Scored, groups
from tests.qc.conftest import cells_of

PARAMS = Relocate()
N = 40
Places = Callable[[int], np.ndarray]
CONFIGURATION = "c" * 64


def scored(name: str, cells: pd.DataFrame, image: str = "", **other: object) -> Scored:
    fields: dict[str, object] = {
        "name": f"run/{name}",
        "slide_id": name,
        "patient_id": "P",
        "repeats": "a",
        "factors": tuple((factor, None) for factor in FACTORS),
        "cells": cells,
        "inputs": frozenset({image or name}),
        "outputs": ("x",),
        "configuration": CONFIGURATION,
    }
    return Scored(**(fields | other))  # type: ignore[arg-type]


def whole(name: str, here: np.ndarray, her2: object = None) -> pd.DataFrame:
    n = len(here)
    return cells_of(name, np.arange(n) % 9 if her2 is None else her2, np.full(n, 2), here)


def turned(here: np.ndarray, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(degrees)
    return here @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) + np.array(shift)


def right(found: Matched, first: pd.DataFrame) -> float:
    """Share of matched cells whose HER2 count, a number of their own modulo 9, is that of the first reading."""
    counts = first.set_index("cell_id")["her2_count"]
    return float((found.readings["her2"].to_numpy() == counts[found.readings["item"]].to_numpy()).mean())


@pytest.mark.parametrize(
    ("degrees", "shift"), [(0.0, (0.0, 0.0)), (0.0, (40.0, -30.0)), (3.0, (5.0, 9.0)), (-170.0, (100.0, 50.0))]
)
def test_shifted_and_turned_slides_are_the_same(places: Places, degrees: float, shift: tuple[float, float]) -> None:
    here = places(N)
    first, other = whole("a", here), whole("b", turned(here, degrees, shift))
    found = match(scored("a", first), scored("b", other), PARAMS)
    assert found.about["relation"] == "rescan"
    assert found.about["n_matched"] == N
    assert right(found, first) == 1.0
    assert set(found.readings["relation"]) == {"rescan"}


def test_jitter_is_told_as_residual(places: Places) -> None:
    here, rng = places(N), np.random.default_rng(0)
    found = match(scored("a", whole("a", here)), scored("b", whole("b", here + rng.normal(0, 0.3, (N, 2)))), PARAMS)
    assert found.about["n_matched"] == N
    assert 0.2 < np.sqrt((found.readings["residual_um"] ** 2).mean()) < 0.6


def test_labels_in_another_order_do_not_matter(places: Places) -> None:
    here, order = places(N), np.random.default_rng(1).permutation(N)
    first = whole("a", here)
    found = match(scored("a", first), scored("b", whole("b", here[order], (np.arange(N) % 9)[order])), PARAMS)
    assert right(found, first) == 1.0
    assert not (found.readings["item"].str[2:] == found.readings["cell_id"].str[2:]).all()


@pytest.mark.parametrize("gone", [1, 10])
def test_cells_that_went_are_not_matched_with_neighbours(places: Places, gone: int) -> None:
    here = places(N)
    first = whole("a", here)
    found = match(scored("a", first), scored("b", whole("b", here[gone:] + 2.0, (np.arange(N) % 9)[gone:])), PARAMS)
    assert found.about["n_matched"] == N - gone
    assert right(found, first) == 1.0
    assert not found.readings["item"].isin([f"a/f/{k}" for k in range(1, gone + 1)]).any()


def test_cells_that_came_stay_alone(places: Places) -> None:
    here = places(N)
    more = np.concatenate([here, here[:5] + 4.5])
    found = match(scored("a", whole("a", here)), scored("b", whole("b", more)), PARAMS)
    assert found.about["n_here"] == N + 5
    assert found.about["n_matched"] == N
    assert not found.readings["cell_id"].duplicated().any()


def test_another_slide_has_no_cell_in_common() -> None:
    rng = np.random.default_rng(2)
    first, other = (whole(name, rng.uniform(0, 120, (N, 2))) for name in ("a", "b"))
    found = match(scored("a", first), scored("b", other), PARAMS)
    assert found.about["relation"] == "other_slide"
    assert found.about["n_matched"] == 0
    assert len(found.readings) == 0
    assert "are needed before the scans are taken for the same slide" in found.about["evidence"]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_nuclei_make_no_constellation(places: Places, n: int) -> None:
    here = places(N)
    found = match(scored("a", whole("a", here[:n])), scored("b", whole("b", here[:n])), PARAMS)
    assert found.about["relation"] == "other_slide"
    assert found.about["n_first"] == n
    assert len(found.readings) == 0


def test_equal_images_need_no_constellation(places: Places) -> None:
    few = whole("a", places(N)[:3])
    found = match(scored("a", few, "i"), scored("b", few.assign(cell_id=["b/f/1", "b/f/2", "b/f/3"]), "i"), PARAMS)
    assert found.about["relation"] == "same_image"
    assert found.readings["item"].tolist() == ["a/f/1", "a/f/2", "a/f/3"]
    assert found.readings["cell_id"].tolist() == ["b/f/1", "b/f/2", "b/f/3"]


def test_tables_must_be_equal_only_by_one_configuration(places: Places) -> None:
    cells = whole("a", places(N))
    first, same = scored("a", cells, "i"), scored("a", cells, "i")
    differs, scan = scored("b", cells, "i", outputs=("y",)), scored("c", cells, "j")
    assert identical([first], same) is True
    assert identical([first], differs) is False
    assert identical([first], replace(differs, configuration="d" * 64)) is None
    assert identical([first], scan) is None
    assert identical([], first) is None


def test_repeats_of_a_rescan_are_held_against_the_rescan(places: Places) -> None:
    cells = whole("a", places(N))
    first, scan = scored("a", cells, "i"), scored("b", cells, "j")
    assert identical([first, scan], scored("b", cells, "j")) is True
    assert identical([first, scan, scored("b", cells, "j")], scored("b", cells, "j", outputs=("y",))) is False


def test_slides_without_input_hashes_are_never_the_same_image(places: Places) -> None:
    cells = whole("a", places(N))
    nothing = frozenset[str]()
    found = match(scored("a", cells, inputs=nothing), scored("b", cells, inputs=nothing), PARAMS)
    assert found.about["relation"] == "rescan"


def test_kinds_and_factors_come_from_where_they_are_known(places: Places) -> None:
    here = places(N)
    first, other = whole("a", here), whole("b", here).assign(kind="unknown")
    found = match(scored("a", first), scored("b", other, factors=(("site", "north"), ("day", "2"))), PARAMS)
    assert set(found.readings["kind"]) == {"ctc"}
    assert found.about["site"] == "north"
    assert found.about["day"] == "2"


def test_lost_cells_of_either_reading_are_left_out(places: Places) -> None:
    here = places(N)
    first = whole("a", here)
    lost = first.assign(label=first["label"].where(first.index >= 4))
    own = as_first(scored("a", lost))
    assert own.about["n_first"] == N - 4
    assert len(own.readings) == N - 4
    found = match(scored("a", lost), scored("b", whole("b", here)), PARAMS)
    assert found.about["n_matched"] == N - 4


def test_two_fields_of_one_slide(places: Places) -> None:
    here = places(N)
    first = whole("a", here)
    second = whole("a2", here + 200.0)
    both = pd.concat([first, second.assign(scene="g", cell_id=[f"a/g/{k}" for k in range(N)])], ignore_index=True)
    found = match(scored("a", both), scored("b", both.assign(y_um=both["y_um"] + 3.0)), PARAMS)
    assert found.about["relation"] == "rescan"
    assert found.about["n_matched"] >= N
    assert right(found, both) == 1.0


def test_the_repeated_slide_comes_first_whatever_the_order(places: Places) -> None:
    cells = whole("a", places(N))
    slides = [scored("c", cells), scored("a", cells), scored("b", cells), scored("alone", cells, repeats="alone")]
    (found,) = groups(slides)
    assert [one.slide_id for one in found] == ["a", "c", "b"]
    (orphans,) = groups([slides[0], slides[2]])  # the first one was not scored
    assert [one.slide_id for one in orphans] == ["c", "b"]
