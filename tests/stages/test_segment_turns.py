"""Tiles are looked at two together, and come back in their order."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from ctcfish.parameters import Segment
from ctcfish.stages import segment as stage
from ctcfish.stages.nuclei.tiles import Tile
from tests import make


def cut(n: int) -> list[Any]:
    return [Tile((k, 0, k + 1, 1), (k, 0, k + 1, 1)) for k in range(n)]


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_tiles_come_back_in_order_and_few_are_held(n: int) -> None:
    lock, held, most = threading.Lock(), 0, 0

    def look(tile: Any) -> Any:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        time.sleep(0.002 * (n - tile.window[0]))  # the first take longest
        return tile.window[0]

    seen = []
    for number in stage._in_turn(look, cut(n)):
        seen.append(number)
        with lock:
            held -= 1
    assert seen == list(range(n))
    assert most <= stage._AHEAD + 1


def test_what_goes_wrong_in_a_tile_is_told() -> None:
    def look(tile: Any) -> Any:
        raise ValueError(f"tile {tile.window[0]}")

    with pytest.raises(ValueError, match="tile 0"):
        list(stage._in_turn(look, cut(3)))


def test_together_or_alone_the_bytes_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    outlines = make.nuclei(6).paint()
    image = (rng.poisson(20 + 300 * (outlines > 0))).astype(np.uint16)
    monkeypatch.setattr(stage, "_CORE_PX", 40)
    results = []
    for together in (1, 2, 3):
        monkeypatch.setattr(stage, "_AHEAD", together)
        nuclei = stage.segment(image[None], (0.0, 0.1, 0.1), Segment(), "cpu")
        results.append((nuclei.packed, nuclei.box_px.tolist(), nuclei.focus.tobytes(), nuclei.flags.tolist()))
    assert len(results[0][0]) >= 5
    assert results[0] == results[1] == results[2]
