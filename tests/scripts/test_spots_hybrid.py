"""Matching and scoring of spots on real backgrounds, by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from spots_hybrid import hybrid, matched, opponent


def test_pairs_are_one_to_one_and_no_further_than_the_reach() -> None:
    true = np.array([[10.0, 10.0], [20.0, 20.0]])
    assert matched(np.array([[10.0, 11.0], [10.0, 9.0]]), true, 3.0) == 1
    assert matched(np.array([[10.0, 12.0], [20.0, 20.5]]), true, 3.0) == 2
    assert matched(np.array([[10.0, 12.0], [20.0, 20.5]]), true, 1.0) == 1
    assert matched(true[:0], true, 3.0) == 0


def test_spots_of_a_plain_image_are_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:200, :200]
    places = np.array([(20 + 32 * i, 20 + 32 * j) for i in range(6) for j in range(6)])
    light = 30.0 + sum(60.0 * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * 1.4**2)) for a, b in places)
    tifffile.imwrite(tmp_path / "one.tif", rng.poisson(light).astype(np.uint8))
    pd.DataFrame(places, columns=["y", "x"]).to_csv(tmp_path / "one.csv", index=False)
    told = hybrid(tmp_path)
    assert told["spots"] == 36
    assert float(str(told["R_3px"])) > 0.95
    assert float(str(told["P_1px"])) > 0.9


def test_without_images_a_reason_is_given(tmp_path: Path) -> None:
    assert "skipped" in hybrid(tmp_path)


def test_an_opponent_gets_the_threshold_that_suits_it_best(tmp_path: Path) -> None:
    places = np.array([[10.0, 10.0], [30.0, 30.0], [50.0, 10.0]])
    for name in ("one", "two"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((64, 64), np.uint8))
        pd.DataFrame(places, columns=["y", "x"]).to_csv(tmp_path / f"{name}.csv", index=False)

    def seen(_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        false = np.array([[50.0, 50.0], [10.0, 40.0]])
        return np.concatenate([places, false]), np.array([5.0, 4.0, 3.0, 2.0, 1.0])

    assert opponent(tmp_path, seen) == {"F1_3px": 1.0, "P_3px": 1.0, "R_3px": 1.0}
