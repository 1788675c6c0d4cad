"""Scenes are looked at window by window: nothing of them is held, and what is found is what the whole shows."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from ctcfish.errors import InputError
from ctcfish.flags import CellFlag, from_text
from ctcfish.parameters import ClassicalNuclei, Phenotype, Segment
from ctcfish.stages import segment as stage
from ctcfish.stages.immuno import markers
from ctcfish.stages.immuno.markers import Projection, measure
from ctcfish.stages.nuclei.pixels import Channel
from ctcfish.stages.segment import segment
from ctcfish.synth.stained import ROLES, StainedScan, Staining, stain
from ctcfish.types import Nuclei, Scene

CLASSICAL = Segment(nuclei=ClassicalNuclei())
VOXEL_UM = (0.4, 0.2, 0.2)


@dataclass(frozen=True)
class _Watched:
    """Pixels that note every window that is read of them."""

    pixels: np.ndarray
    seen: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.pixels.shape  # type: ignore[return-value]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.pixels.dtype

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> np.ndarray:
        part = self.pixels[channel, planes, rows, columns]
        self.seen.append((channel, *part.shape[1:]))
        return part


@dataclass(frozen=True)
class _Endless:
    """Discs on a lattice of 100 px, drawn where they are read."""

    side: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return 1, 1, self.side, self.side

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint16)

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> np.ndarray:
        y, x = (np.arange(self.side)[part] % 100 - 50 for part in (rows, columns))
        speckle = (7 * y[:, None] + 13 * x) % 19
        disc = np.where(y[:, None] ** 2 + x**2 < 400, 900, 100) + speckle
        return disc.astype(np.uint16)[None][planes]


def _same(one: Nuclei, other: Nuclei) -> None:
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_CORE_PX", 128)
    monkeypatch.setattr(stage, "_MARGIN_PX", 32)


@pytest.fixture(scope="module")
def discs() -> np.ndarray:
    plane = _Endless(900).read(0, slice(None), slice(None), slice(None))[0]
    return np.stack([plane // 2, plane, plane // 3])


@pytest.mark.usefixtures("small_tiles")
def test_a_channel_read_in_windows_gives_what_the_array_gives(discs: np.ndarray) -> None:
    watched = _Watched(np.stack([np.zeros_like(discs), discs]))
    scene = Scene("s", "fish", watched, VOXEL_UM, {"her2": 0, "nucleus": 1})
    lazy = segment(Channel(scene, "nucleus"), VOXEL_UM, CLASSICAL, "cpu")
    _same(lazy, segment(discs, VOXEL_UM, CLASSICAL, "cpu"))
    assert len(lazy) == 81
    assert {channel for channel, *_ in watched.seen} == {1}
    assert max(max(sides) for _, *sides in watched.seen) <= 2 * (128 + 2 * 32)
    assert len(watched.seen) == 16 * len(discs)  # each tile plane by plane


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_tiles_looked_at_together_change_nothing(discs: np.ndarray, ahead: int, monkeypatch: Any) -> None:
    usual = segment(discs, VOXEL_UM, CLASSICAL, "cpu")
    monkeypatch.setattr(stage, "_AHEAD", ahead)
    _same(segment(discs, VOXEL_UM, CLASSICAL, "cpu"), usual)


def _peak_mb(side: int) -> tuple[int, float]:
    scene = Scene("s", "if", _Endless(side), (0.0, 0.2, 0.2), {"nucleus": 0})
    tracemalloc.start()
    try:
        nuclei = segment(Channel(scene, "nucleus"), scene.voxel_um, CLASSICAL, "cpu")
        measure({"nucleus": Projection(scene, "nucleus")}, nuclei, Phenotype(background_um=5.0))
        return len(nuclei), tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("small_tiles")
def test_memory_does_not_grow_with_the_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markers, "_BLOCKS_PER_WINDOW", (8, 8))
    (few, small), (many, large) = _peak_mb(600), _peak_mb(1200)
    assert (few, many) == (36, 144)
    assert large < 1.3 * small + 1.0


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("place", [(1, 3, 3), (0, 850, 20), (2, 899, 899)])
def test_a_pixel_that_is_no_number_is_refused_wherever_it_lies(discs: np.ndarray, place: tuple[int, int, int]) -> None:
    broken = discs.astype(np.float32)
    broken[place] = np.nan
    with pytest.raises(InputError, match="no finite numbers"):
        segment(broken, VOXEL_UM, CLASSICAL, "cpu")


def test_a_channel_is_sliced_like_its_array() -> None:
    pixels = np.random.default_rng(1).integers(0, 900, (2, 3, 40, 50)).astype(np.uint16)
    channel = Channel(Scene("s", "fish", _Watched(pixels), VOXEL_UM, {"nucleus": 1}), "nucleus")
    assert (channel.shape, channel.dtype) == ((3, 40, 50), np.dtype(np.uint16))
    for window in (np.s_[:, 3:9, 4:44], np.s_[1:2, :, :], np.s_[:, 39:, :1]):
        np.testing.assert_array_equal(channel[window], pixels[1][window])


# --- markers ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scan() -> StainedScan:
    return stain(Staining(leukocytes=260, ctc=10, debris=12, doublets=3, bare=4), seed=8)


@pytest.mark.parametrize("blocks", [(16, 3), (2, 5), (4, 4)])
def test_markers_do_not_depend_on_the_windows(scan: StainedScan, blocks: tuple[int, int], monkeypatch: Any) -> None:
    monkeypatch.setattr(markers, "_BLOCKS_PER_WINDOW", (1000, 1000))
    whole = measure(scan.pixels, scan.nuclei, Phenotype())
    monkeypatch.setattr(markers, "_BLOCKS_PER_WINDOW", blocks)
    parts = measure(scan.pixels, scan.nuclei, Phenotype())
    assert len(whole) == len(scan.nuclei)
    for name in whole.columns:
        if whole[name].dtype.kind == "f":
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6, atol=1e-6, err_msg=name)
        else:
            assert parts[name].tolist() == whole[name].tolist(), name


def test_a_window_reads_its_own_ground_and_a_margin(scan: StainedScan, monkeypatch: Any) -> None:
    monkeypatch.setattr(markers, "_BLOCKS_PER_WINDOW", (4, 3))
    watched = _Watched(np.stack([scan.pixels[role] for role in ROLES])[:, None])
    scene = Scene("s", "if", watched, (0.0, 0.64, 0.64), {role: k for k, role in enumerate(ROLES)})
    found = measure({role: Projection(scene, role) for role in ROLES}, scan.nuclei, Phenotype())
    block = round(Phenotype().background_um / 0.64)
    assert max(height for _, height, _ in watched.seen) == (4 + 6) * block
    assert max(width for _, _, width in watched.seen) == (3 + 6) * block
    assert found["if_inclusion_cell"].notna().all()
    assert not (from_text(found["flags"].to_numpy(object), CellFlag) & int(CellFlag.SATURATED)).any()


def test_no_nuclei_means_that_nothing_is_read(scan: StainedScan) -> None:
    none = segment(np.full((1, 300, 300), 7, np.uint16), (0.0, 0.64, 0.64), CLASSICAL, "cpu")
    watched = _Watched(np.zeros((1, 1, 300, 300), np.uint16))
    scene = Scene("s", "if", watched, (0.0, 0.64, 0.64), {"nucleus": 0})
    assert len(measure({"nucleus": Projection(scene, "nucleus")}, none, Phenotype())) == 0
    assert watched.seen == []
