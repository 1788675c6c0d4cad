"""Relocation on real nuclei: two imaging rounds of one field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctcfish.parameters import Relocate
from ctcfish.stages.relocate import relocate
from tests.stages.test_phenotype_relocate_bench import load_bench

BENCH = load_bench("bench_relocate")


@pytest.fixture(scope="module")
def rounds(shared_data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    assert shared_data.is_dir()
    return BENCH.two_rounds()


@pytest.mark.parametrize("turned", [False, True])
def test_two_rounds_of_one_field(rounds: tuple[pd.DataFrame, pd.DataFrame], turned: bool) -> None:
    here, there = rounds
    if turned:
        there = there.assign(y_um=there["x_um"] + 70, x_um=there["y_um"] - 300)
    result = relocate(
        here.rename(columns={"label": "if_label"}).assign(if_scene="anchor"), there.assign(scene="r1"), Relocate()
    )
    assert result.trusted
    transform = result.transforms[0]
    assert transform["n_matched"] > 200
    assert transform["scale"] == pytest.approx(1.0, abs=0.003)
    assert transform["mirrored"] == turned
    matrix = np.array(transform["matrix"])
    if turned:
        matrix = (matrix - [[0, 0, 70], [0, 0, -300]])[::-1]
    # The published shift of the pair: about (-11.4, 3.8) px from the second round to the first.
    np.testing.assert_allclose(BENCH.shift_px(matrix), [11.4, -3.8], atol=1.0)
    assert result.matches["residual_um"].median() < 1.0


def test_the_bench_tells_where_the_real_pair_lies(rounds: tuple[pd.DataFrame, pd.DataFrame], monkeypatch) -> None:
    monkeypatch.setattr(BENCH, "two_rounds", lambda: rounds)
    first, second = BENCH.real_pair()
    assert f"{len(rounds[0])} and {len(rounds[1])} nuclei" in first
    assert second.startswith("shift at the middle (11.")
    assert "published about (11.4, -3.8)" in second


def test_a_shift_is_measured_where_the_field_has_its_middle() -> None:
    still = np.array([[1.0, 0.0, 0.52 * 3], [0.0, 1.0, -0.52]])
    np.testing.assert_allclose(BENCH.shift_px(still), [3.0, -1.0])
    turned = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(BENCH.shift_px(turned), [310 - 450, 450 - 310])
