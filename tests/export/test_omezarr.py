"""OME-Zarr 0.5: a validator accepts it, Zarr reads the pixels back, and every level lies where the first one does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from yaozarrs import validate_zarr_store

import ctcfish
from ctcfish.export import pyramid
from ctcfish.export.pyramid import blocks, halved, level_sizes
from tests import make, runs
from tests.export.conftest import names_no_folder

SHAPES = {"fish/f": (3, 4, 80, 170), "if/i": (4, 1, 80, 90)}
CHANNELS = {"fish/f": ["DAPI", "HER2", "CEP17"], "if/i": ["DAPI", "CK", "CD45", "spare"]}


def pixels(name: str, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    return np.random.default_rng(len(name)).integers(0, 60000, shape, dtype=np.uint16)


def write_scan(folder: Path, key: str, shape: tuple[int, ...]) -> Path:
    file = folder / f"{key}.ome.tif"
    file.parent.mkdir(parents=True, exist_ok=True)
    said: dict[str, Any] = {"axes": "CZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.5}
    channels = {"Channel": {"Name": CHANNELS[key]}}
    tifffile.imwrite(file, pixels(key, shape), metadata=said | channels, photometric="minisblack", ome=True)
    return file


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans") / "study"
    for slide in "ab":
        for key, shape in SHAPES.items():
            write_scan(folder / slide, key, shape)
    return folder


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Several chunks and levels on small images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "CHUNK_PX", 64)
        patch.setattr(pyramid, "SMALLEST_PX", 32)
        yield


@pytest.fixture(scope="module")
def exported(small: None, run: Path, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ome-zarr") / "out"
    assert make.run("export", run, "--to", "ome-zarr", "--study", study, "--out", out) == 0
    return out


def ome(store: Path, group: str = "") -> dict[str, Any]:
    return dict(zarr.open_group(str(store / group), mode="r").attrs["ome"])  # type: ignore[arg-type]


def levels(store: Path, group: str = "") -> list[NDArray[Any]]:
    (scales,) = ome(store, group)["multiscales"]
    return [np.asarray(zarr.open_array(str(store / group / s["path"]), mode="r")[...]) for s in scales["datasets"]]


def test_a_validator_accepts_every_store(exported: Path, run: Path) -> None:
    stores = sorted(exported.rglob("*.ome.zarr"))
    assert [s.relative_to(exported).as_posix() for s in stores] == [
        f"{slide}/{scene}.ome.zarr" for slide in "ab" for scene in ("fish_f", "if_i")
    ]
    for store in stores:
        validate_zarr_store(str(store))
        validate_zarr_store(str(store / "labels" / "nuclei"))
    names_no_folder(exported, run)


def test_a_validator_refuses_a_spoilt_store(exported: Path, tmp_path: Path) -> None:
    """So that its silence above means something."""
    store = shutil.copytree(exported / "a" / "fish_f.ome.zarr", tmp_path / "store.ome.zarr")
    (store / "1" / "zarr.json").unlink()
    with pytest.raises(Exception, match="1"):
        validate_zarr_store(str(store))


@pytest.mark.parametrize("key", SHAPES)
def test_pixels_and_labels_are_those_of_the_scan_and_the_run(exported: Path, key: str) -> None:
    store = exported / "a" / f"{key.replace('/', '_')}.ome.zarr"
    np.testing.assert_array_equal(levels(store)[0], pixels(key, SHAPES[key]))
    expected = make.nuclei(2 if key == "fish/f" else 1).paint()
    for number, label in enumerate(levels(store, "labels/nuclei")):
        assert label.dtype.kind == "i"
        np.testing.assert_array_equal(label, expected[:: 2**number, :: 2**number])


def test_every_level_is_the_mean_of_four(exported: Path) -> None:
    found = levels(exported / "a" / "fish_f.ome.zarr")
    assert [level.shape[2:] for level in found] == [(80, 170), (40, 85), (20, 43), (10, 22)]
    for above, level in pairwise(found):
        whole = above[..., : above.shape[-1] // 2 * 2].astype(float)
        mean = (whole[..., ::2, ::2] + whole[..., 1::2, ::2] + whole[..., ::2, 1::2] + whole[..., 1::2, 1::2]) / 4
        assert np.abs(level[..., : mean.shape[-1]] - mean).max() <= 0.5


@pytest.mark.parametrize("group", ["", "labels/nuclei"])
def test_every_level_begins_at_the_same_edge(exported: Path, group: str) -> None:
    (scales,) = ome(exported / "a" / "fish_f.ome.zarr", group)["multiscales"]
    names = [axis["name"] for axis in scales["axes"]]
    assert names == (["y", "x"] if group else ["c", "z", "y", "x"])
    edges = []
    for k, level in enumerate(scales["datasets"]):
        scale, move = (t[t["type"]] for t in level["coordinateTransformations"])
        assert scale[-2:] == pytest.approx([0.1 * 2**k] * 2)
        assert group or scale[1] == 0.5
        edges.append([m - s / 2 for m, s in zip(move[-2:], scale[-2:], strict=True)])
    np.testing.assert_allclose(edges, -0.05)


def test_channels_have_name_colour_and_a_range_of_the_view(exported: Path) -> None:
    channels = ome(exported / "a" / "fish_f.ome.zarr")["omero"]["channels"]
    assert [c["label"] for c in channels] == ["nucleus", "her2", "cep17"]
    assert len({c["color"] for c in channels}) == 3
    windows = [c["window"] for c in channels]
    assert all((w["min"], w["max"]) == (0, 65535) for w in windows)
    assert 0 < windows[0]["start"] < windows[0]["end"] < 3400
    assert (windows[2]["start"], windows[2]["end"]) == (0, 65535), "no view of this channel was stored"
    other = ome(exported / "a" / "if_i.ome.zarr")["omero"]["channels"]
    assert [c["label"] for c in other] == ["nucleus", "inclusion", "exclusion", "channel 3"]


def test_this_program_opens_it_as_an_image(exported: Path) -> None:
    given = {"nucleus": "0", "her2": "1", "cep17": "2"}
    slide = ctcfish.open_slide(exported / "a" / "fish_f.ome.zarr", ctcfish.io.Overrides(channels=given))
    (scene,) = slide.fish_scenes
    assert scene.voxel_um == pytest.approx((0.5, 0.1, 0.1))
    np.testing.assert_array_equal(scene.read("her2"), pixels("fish/f", SHAPES["fish/f"])[1])


def test_without_the_study_the_image_is_the_reduced_view(run: Path, tmp_path: Path) -> None:
    assert make.run("export", run, "--to", "ome-zarr", "--out", tmp_path / "out") == 0
    store = tmp_path / "out" / "b" / "fish_f.ome.zarr"
    validate_zarr_store(str(store))
    (scales,) = ome(store)["multiscales"]
    assert scales["name"] == "f (reduced view)"
    np.testing.assert_array_equal(levels(store)[0][:, 0], runs.pictures()["view/fish/f"].pixels)
    scale, move = (t[t["type"]] for t in scales["datasets"][0]["coordinateTransformations"])
    assert (scale, move) == ([1.0, 1.0, 0.2, 0.2], [0.0, 0.0, 0.05, 0.05])
    np.testing.assert_array_equal(levels(store, "labels/nuclei")[0], make.nuclei(2).paint())
    names_no_folder(tmp_path / "out", run)


def test_one_image_is_a_study_of_its_own(tmp_path: Path) -> None:
    file = write_scan(tmp_path, "fish/f", SHAPES["fish/f"])
    scenes = [scene for scene in runs.SCENES if scene["modality"] == "fish"]
    lone = runs.write(tmp_path / "lone", runs.result("f", scenes=scenes))
    assert make.run("export", lone, "--to", "ome-zarr", "--study", file, "--out", tmp_path / "out") == 0
    np.testing.assert_array_equal(
        levels(tmp_path / "out" / "f" / "fish_f.ome.zarr")[0], pixels("fish/f", SHAPES["fish/f"])
    )


def test_another_study_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(study: Path) -> str:
        assert make.run("export", run, "--to", "ome-zarr", "--study", study, "--out", tmp_path / "out") == 3
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    write_scan(tmp_path / "one" / "b", "fish/f", SHAPES["fish/f"])
    write_scan(tmp_path / "one" / "b", "if/i", SHAPES["if/i"])
    assert "one: found no slide a; needed every slide of the run" in refused(tmp_path / "one")
    write_scan(tmp_path / "two" / "a", "if/i", SHAPES["if/i"])
    write_scan(tmp_path / "two" / "a", "fish/f", (3, 4, 80, 171))
    said = refused(tmp_path / "two")
    assert "slide a: found FISH scene f of shape (3, 4, 80, 171); needed the one that was scored" in said
    write_scan(tmp_path / "three" / "a", "fish/f", SHAPES["fish/f"])
    assert "slide a: found no IF scene i" in refused(tmp_path / "three")


def test_a_study_is_for_pixels_alone(run: Path, study: Path, tmp_path: Path) -> None:
    assert make.run("export", run, "--to", "csv", "--study", study, "--out", tmp_path / "out") == 2


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 1), (130, 70)])
def test_blocks_cover_a_level_once(size: tuple[int, int]) -> None:
    count = np.zeros(size, int)
    for window in blocks(size):
        count[window] += 1
    assert (count == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_halving_keeps_the_type_and_never_overflows(dtype: type) -> None:
    most = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1e30
    block = np.full((3, 5), most, dtype)
    half = halved(block)
    assert (half.dtype, half.shape) == (np.dtype(dtype), (2, 3))
    assert (half == block[0, 0]).all()
    assert level_sizes((33, 1)) == [(33, 1), (17, 1)]
