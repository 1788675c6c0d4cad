"""Every way a TIFF can hold the same pixels, read back whole and by window against the writer's array."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ctcfish.errors import InputError
from ctcfish.flags import SlideFlag
from ctcfish.io import Overrides, open_slide

ALL = slice(None)
GIVEN = Overrides(pixel_um=0.1, z_step_um=0.4, channels={"nucleus": "0", "her2": "1"})

CONTAINERS: dict[str, dict[str, Any]] = {
    "one run": {},
    "big endian": {"byteorder": ">"},
    "bigtiff": {"bigtiff": True},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 32)},
    "zlib tiles": {"tile": (16, 16), "compression": "zlib"},
    "zlib tiles, big endian, predictor": {
        "tile": (16, 16),
        "compression": "zlib",
        "predictor": True,
        "byteorder": ">",
    },
    "lzw strips": {"rowsperstrip": 3, "compression": "lzw", "predictor": True},
    "zstd": {"compression": "zstd"},
    "lossless jpeg 2000": {"compression": "jpeg2000", "tile": (32, 32)},
}


@pytest.mark.parametrize("options", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_every_container_gives_the_same_pixels(
    options: dict[str, Any], ome_tiff: Callable[..., Path], volume: NDArray[np.uint16]
) -> None:
    (scene,) = open_slide(ome_tiff(options=options)).fish_scenes
    assert scene.pixels.dtype == np.uint16
    assert not scene.flags & SlideFlag.LOSSY
    for channel in range(3):
        np.testing.assert_array_equal(scene.pixels.read(channel, ALL, ALL, ALL), volume[channel])
    rng = np.random.default_rng(3)
    for _ in range(20):
        y, x, z = (np.sort(rng.integers(0, n + 1, 2)) for n in (40, 50, 4))
        window = (slice(*z.tolist()), slice(*y.tolist()), slice(*x.tolist()))
        np.testing.assert_array_equal(scene.pixels.read(1, *window), volume[1][window])


def test_rows_with_a_step_are_refused(ome_tiff: Callable[..., Path]) -> None:
    (scene,) = open_slide(ome_tiff()).fish_scenes
    with pytest.raises(ValueError, match="read without a step"):
        scene.pixels.read(0, ALL, slice(None, None, 2), ALL)


def test_planes_may_have_a_step(ome_tiff: Callable[..., Path], volume: NDArray[np.uint16]) -> None:
    (scene,) = open_slide(ome_tiff()).fish_scenes
    np.testing.assert_array_equal(scene.pixels.read(0, slice(None, None, -2), ALL, ALL), volume[0, ::-2])


def test_pyramid_gives_its_full_resolution(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = tmp_path / "pyramid.ome.tif"
    metadata = {"axes": "CZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.3}
    names = {"Channel": {"Name": ["DAPI", "HER2", "CEP17"]}}
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
        writer.write(volume, subifds=2, tile=(16, 16), metadata=metadata | names, photometric="minisblack")
        for factor in (2, 4):
            writer.write(volume[..., ::factor, ::factor], subfiletype=1, tile=(16, 16), photometric="minisblack")
    (scene,) = open_slide(path).fish_scenes
    assert scene.pixels.shape == volume.shape
    np.testing.assert_array_equal(scene.read("cep17"), volume[2])


def test_several_series_are_several_scenes(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = tmp_path / "fields.ome.tif"
    stated = {"axes": "CYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "Channel": {"Name": ["DAPI", "HER2", "CEP17"]}}
    with tifffile.TiffWriter(path, ome=True) as writer:
        for z in range(2):
            writer.write(volume[:, z], metadata=stated | {"Name": f"field {z}"}, photometric="minisblack")
        writer.write(volume[:, 3, :8, :8], metadata={"axes": "CYX", "Name": "label image"}, photometric="minisblack")
    scenes = open_slide(path).fish_scenes
    assert [s.name for s in scenes] == ["fields#0", "fields#1"]
    for z, scene in enumerate(scenes):
        np.testing.assert_array_equal(scene.read("her2")[0], volume[1, z])


def test_physical_sizes_in_other_units(ome_tiff: Callable[..., Path]) -> None:
    path = ome_tiff(
        PhysicalSizeX=110.0,
        PhysicalSizeXUnit="nm",
        PhysicalSizeY=1.1e-4,
        PhysicalSizeYUnit="mm",
        PhysicalSizeZ=4e-7,
        PhysicalSizeZUnit="m",
    )
    assert open_slide(path).fish_scenes[0].voxel_um == pytest.approx((0.4, 0.11, 0.11))


def test_sizes_in_pixels_are_no_sizes(ome_tiff: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="found no pixel size; needed the size of a pixel"):
        open_slide(ome_tiff(PhysicalSizeXUnit="pixel", PhysicalSizeYUnit="pixel"))


def test_imagej_hyperstack(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = tmp_path / "stack.tif"
    labels = ["DAPI", "HER2", "CEP17"] * 4
    tifffile.imwrite(
        path,
        volume.transpose(1, 0, 2, 3),
        imagej=True,
        resolution=(1 / 0.1, 1 / 0.1),
        metadata={"axes": "ZCYX", "unit": "\\u00B5m", "spacing": 0.35, "Labels": labels},
    )
    (scene,) = open_slide(path).fish_scenes
    assert scene.voxel_um == pytest.approx((0.35, 0.1, 0.1))
    assert scene.channel_names == ("DAPI", "HER2", "CEP17")
    np.testing.assert_array_equal(scene.read("cep17"), volume[2])


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1.0), ("um", 1.0), ("nm", 1000.0), ("mm", 0.001)])
def test_imagej_units(unit: str, factor: float, tmp_path: Path) -> None:
    path = tmp_path / "plane.tif"
    per_unit = 1 / (0.2 * factor)
    stored = (round(per_unit * 10**6), 10**6)
    pixels = np.ones((3, 9, 9), np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, resolution=(stored, stored), metadata={"axes": "CYX", "unit": unit})
    (scene,) = open_slide(path, Overrides(channels={"nucleus": "0", "her2": "1"})).fish_scenes
    assert scene.voxel_um == pytest.approx((0.0, 0.2, 0.2), rel=1e-3)


def test_imagej_without_unit_says_what_it_found(tmp_path: Path) -> None:
    path = tmp_path / "plane.tif"
    tifffile.imwrite(
        path, np.ones((2, 9, 9), np.uint16), imagej=True, resolution=(10, 10), metadata={"axes": "CYX", "unit": "pixel"}
    )
    with pytest.raises(InputError, match="found no pixel size and ImageJ unit 'pixel'"):
        open_slide(path, Overrides(channels={"nucleus": "0", "her2": "1"}))


def test_time_axis_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, np.ones((5, 2, 9, 9), np.uint16), imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(InputError, match="found a time axis of 5 points; needed one time point"):
        open_slide(path, GIVEN)


def test_other_axes_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "odd.tif"
    tifffile.imwrite(path, np.ones((2, 3, 9, 9), np.uint16), metadata={"axes": "ACYX"}, photometric="minisblack")
    with pytest.raises(InputError, match=r"found axes ACYX of size \(2, 3, 9, 9\)"):
        open_slide(path, GIVEN)


def test_pages_without_axis_are_channels_or_with_a_z_step_planes(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, volume[:, 0], photometric="minisblack", metadata=None)
    (scene,) = open_slide(path, Overrides(pixel_um=0.1, channels={"nucleus": "0", "her2": "2"})).fish_scenes
    assert scene.pixels.shape == (3, 1, 40, 50)
    np.testing.assert_array_equal(scene.read("her2")[0], volume[2, 0])
    with pytest.raises(InputError, match=r"no channel '2' in 1 channel \(0: unnamed\)"):
        open_slide(path, Overrides(pixel_um=0.1, z_step_um=0.3, channels={"nucleus": "0", "her2": "2"}))


@pytest.mark.parametrize(("unit", "um_per_unit"), [("CENTIMETER", 1e4), ("INCH", 25400.0)])
def test_plausible_resolution_tags_are_used(unit: str, um_per_unit: float, tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    per_unit = um_per_unit / 0.125
    tifffile.imwrite(
        path,
        np.ones((2, 9, 9), np.uint16),
        photometric="minisblack",
        resolution=(per_unit, per_unit),
        resolutionunit=unit,
        metadata=None,
    )
    (scene,) = open_slide(path, Overrides(channels={"nucleus": "0", "her2": "1"})).fish_scenes
    assert scene.voxel_um[1] == pytest.approx(0.125, rel=1e-3)


def test_dots_per_inch_of_a_screen_are_no_pixel_size(tmp_path: Path) -> None:
    path = tmp_path / "screen.tif"
    pixels = np.ones((2, 9, 9), np.uint16)
    tifffile.imwrite(path, pixels, photometric="minisblack", resolution=(72, 72), resolutionunit="INCH", metadata=None)
    with pytest.raises(InputError, match=r"a resolution tag of 352\.778 um per pixel, which no microscope has"):
        open_slide(path, Overrides(channels={"nucleus": "0", "her2": "1"}))


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_is_read_as_three_channels(planar: str, dtype: type, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (30, 20, 3)).astype(dtype)
    path = tmp_path / "capture.tif"
    stored = pixels if planar == "contig" else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar)
    given = Overrides(pixel_um=0.1, channels={"her2": "R", "cep17": "G", "nucleus": "B"})
    slide = open_slide(path, given)
    (scene,) = slide.fish_scenes
    assert dict(scene.roles) == {"nucleus": 2, "her2": 0, "cep17": 1}
    assert slide.flags & SlideFlag.COMPOSITE
    assert not slide.flags & SlideFlag.LOSSY
    np.testing.assert_array_equal(scene.read("cep17", slice(3, 8), slice(2, 9))[0], pixels[3:8, 2:9, 1])
    with pytest.raises(InputError, match=r"no nucleus channel in 3 channels \(0: R, 1: G, 2: B\)"):
        open_slide(path, Overrides(pixel_um=0.1))


def test_alpha_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "alpha.tif"
    tifffile.imwrite(path, np.ones((9, 9, 4), np.uint8), photometric="rgb", extrasamples=["unassalpha"])
    given = Overrides(pixel_um=0.1, channels={"her2": "R", "cep17": "G", "nucleus": "B"})
    (scene,) = open_slide(path, given).fish_scenes
    assert scene.channel_names == ("R", "G", "B")
    assert scene.pixels.shape == (3, 1, 9, 9)


def test_jpeg_inside_tiff_is_lossy(tmp_path: Path) -> None:
    path = tmp_path / "lossy.tif"
    pixels = np.tile(np.arange(64, dtype=np.uint8), (64, 1))[..., None].repeat(3, axis=2)
    tifffile.imwrite(path, pixels, photometric="rgb", compression="jpeg")
    slide = open_slide(path, Overrides(pixel_um=0.1, channels={"her2": "R", "nucleus": "B"}))
    assert slide.flags & SlideFlag.LOSSY
    assert slide.flags & SlideFlag.COMPOSITE
    read = slide.fish_scenes[0].read("her2")[0].astype(int)
    assert np.abs(read - pixels[..., 0]).mean() < 3


def test_irreversible_jpeg_2000_is_lossy(ome_tiff: Callable[..., Path]) -> None:
    options = {"compression": "jpeg2000", "tile": (32, 32), "compressionargs": {"level": 30, "reversible": False}}
    assert open_slide(ome_tiff(options=options)).flags & SlideFlag.LOSSY


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, np.float16, np.float32, np.float64])
def test_every_grey_type_is_read_as_it_is(dtype: type, tmp_path: Path) -> None:
    pixels = np.arange(2 * 30).reshape(2, 5, 6).astype(dtype)
    path = tmp_path / "grey.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack")
    (scene,) = open_slide(path, GIVEN_FLAT).fish_scenes
    read = scene.read("her2")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read[0], pixels[1])


GIVEN_FLAT = Overrides(pixel_um=0.1, channels={"nucleus": "0", "her2": "1"})


def test_an_empty_tile_of_a_sparse_file_is_black(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tif"
    tile = np.full((16, 16), 9, np.uint16)

    def tiles() -> Any:
        for page in range(2):
            yield None if page else tile
            yield None

    tifffile.imwrite(
        path, tiles(), shape=(2, 16, 32), dtype=np.uint16, tile=(16, 16), photometric="minisblack", metadata=None
    )
    (scene,) = open_slide(path, GIVEN_FLAT).fish_scenes
    assert scene.read("nucleus")[0].mean(axis=0).tolist() == [9] * 16 + [0] * 16
    np.testing.assert_array_equal(scene.read("her2")[0], tifffile.imread(path)[1])


def test_ome_tiff_of_several_files(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    paths = _several_files(tmp_path, volume)
    (scene,) = open_slide(paths[0]).fish_scenes
    np.testing.assert_array_equal(scene.read("cep17")[0], volume[2, 0])
    assert [f.name for f in open_slide(paths[0]).files] == [p.name for p in paths]
    paths[2].unlink()
    with pytest.raises(InputError, match="found no page 2 of the 3 declared; needed every page, and every file"):
        open_slide(paths[0])


def _several_files(folder: Path, volume: NDArray[np.uint16]) -> list[Path]:
    """An OME-TIFF whose channels lie in a file each, every file carrying the whole description."""
    names = [f"scan_c{k}.ome.tif" for k in range(3)]
    channels = "".join(f'<Channel ID="Channel:0:{k}" Name="{n}"/>' for k, n in enumerate(("DAPI", "HER2", "CEP17")))
    data = "".join(
        f'<TiffData FirstC="{k}" IFD="0" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{k}</UUID></TiffData>'
        for k, name in enumerate(names)
    )
    for k, name in enumerate(names):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{k}"><Image ID="Image:0">'
            '<Pixels ID="P:0" DimensionOrder="XYZCT" Type="uint16" SizeX="50" SizeY="40" SizeZ="1" SizeC="3" SizeT="1" '
            f'PhysicalSizeX="0.1" PhysicalSizeY="0.1">{channels}{data}</Pixels></Image></OME>'
        )
        tifffile.imwrite(folder / name, volume[k, 0], description=xml, metadata=None, photometric="minisblack")
    return [folder / name for name in names]


def test_files_of_one_ome_tiff_in_a_folder_are_one_scene(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    fish = tmp_path / "S1" / "fish"
    fish.mkdir(parents=True)
    _several_files(fish, volume)
    assert [s.name for s in open_slide(tmp_path / "S1").fish_scenes] == ["scan_c0"]


def test_a_part_without_its_master_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.ome.tif"
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<BinaryOnly MetadataFile="master.ome.tif" UUID="urn:uuid:1"/></OME>'
    )
    tifffile.imwrite(path, np.ones((9, 9), np.uint16), description=xml, metadata=None)
    with pytest.raises(InputError, match=r"needed its master file \(master\.ome\.tif\)"):
        open_slide(path, GIVEN_FLAT)


def test_paths_stay_as_they_were_given(
    tmp_path: Path, volume: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("one.tif", volume[:2, 0], photometric="minisblack", compression="zlib")
    assert open_slide(Path("one.tif"), GIVEN_FLAT).files == (Path("one.tif"),)
    paths = [p.relative_to(tmp_path) for p in _several_files(tmp_path / "sub", volume)]
    assert open_slide(Path("sub") / "scan_c1.ome.tif").files == tuple(paths)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("marked", [0, 1])
def test_reduced_copies_are_no_scenes_of_their_own(factor: int, marked: int, tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    pixels = np.ones((2, 200, 300), np.uint16)
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels, photometric="minisblack", metadata=None)
        copies = pixels[:, ::factor, ::factor]
        writer.write(copies, photometric="minisblack", metadata=None, subfiletype=marked)
    (scene,) = open_slide(path, GIVEN_FLAT).fish_scenes
    assert (scene.name, scene.pixels.shape) == ("pyramid", (2, 1, 200, 300))


def test_links_are_followed_and_keep_their_names(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    store, links = tmp_path / "store", tmp_path / "links"
    store.mkdir()
    links.mkdir()
    tifffile.imwrite(store / "x.tif", volume[:2, 0], photometric="minisblack", compression="zlib")
    (links / "slide.tif").symlink_to(store / "x.tif")
    slide = open_slide(links / "slide.tif", GIVEN_FLAT)
    assert (slide.slide_id, slide.files) == ("slide", (links / "slide.tif",))
    np.testing.assert_array_equal(slide.fish_scenes[0].read("her2")[0], volume[1, 0])
    paths = _several_files(store, volume)
    (links / "scan.ome.tif").symlink_to(paths[0])
    slide = open_slide(links / "scan.ome.tif")
    assert slide.files == tuple(sorted([links / "scan.ome.tif", *paths[1:]]))
    np.testing.assert_array_equal(slide.fish_scenes[0].read("cep17")[0], volume[2, 0])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_grey_samples_are_channels_and_no_composite(compression: str | None, tmp_path: Path) -> None:
    path = tmp_path / "samples.tif"
    pixels = np.random.default_rng(1).integers(0, 4000, (30, 20, 3)).astype(np.uint16)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig", compression=compression)
    slide = open_slide(path, GIVEN_FLAT)
    assert not slide.flags & SlideFlag.COMPOSITE
    (scene,) = slide.fish_scenes
    assert scene.channel_names == ("", "", "")
    np.testing.assert_array_equal(scene.read("her2", slice(4, 9))[0], pixels[4:9, :, 1])


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiles_may_be_deep(compression: str | None, tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    pixels = np.random.default_rng(1).integers(0, 4000, (2, 20, 40, 50)).astype(np.uint16)
    tifffile.imwrite(
        path,
        pixels,
        photometric="minisblack",
        volumetric=True,
        tile=(16, 16, 16),
        compression=compression,
        metadata={"axes": "CZYX"},
    )
    (scene,) = open_slide(path, GIVEN).fish_scenes
    assert scene.pixels.shape == pixels.shape
    np.testing.assert_array_equal(scene.pixels.read(1, ALL, slice(9, 33), slice(15, 50)), pixels[1, :, 9:33, 15:50])
