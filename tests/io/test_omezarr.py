"""OME-Zarr written by the tests: versions, axes, units, bioformats2raw's layout, and what is refused."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from ctcfish.errors import InputError
from ctcfish.io import Overrides, describe, open_slide

GIVEN = Overrides(pixel_um=0.1, z_step_um=0.4, channels={"nucleus": "0", "her2": "1"})
AXES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def write(path: Path, pixels: NDArray[Any], axes: str = "czyx", **options: Any) -> Path:
    """An image group; options: ``version, unit, scale, labels, chunks, outer, translation``."""
    version = options.get("version", "0.4")
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    chunks = options.get("chunks", tuple(min(n, 16) for n in pixels.shape))
    array = group.create_array("0", shape=pixels.shape, dtype=pixels.dtype, chunks=chunks)
    array[:] = pixels
    unit = options.get("unit", "micrometer")
    scale = options.get("scale", {"z": 0.4, "y": 0.1, "x": 0.1})
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": [scale.get(a, 1.0) for a in axes]}]
    if "translation" in options:
        steps.append({"type": "translation", "translation": [options["translation"].get(a, 0.0) for a in axes]})
    multiscale: dict[str, Any] = {
        "axes": [{"name": a, "type": AXES[a]} | ({"unit": unit} if unit and a in "zyx" else {}) for a in axes],
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
    }
    if "outer" in options:
        outer = [options["outer"] if a in "zyx" else 1.0 for a in axes]
        multiscale["coordinateTransformations"] = [{"type": "scale", "scale": outer}]
    about: dict[str, Any] = {"multiscales": [multiscale]}
    if options.get("labels"):
        about["omero"] = {"channels": [{"label": label} for label in options["labels"]]}
    if zarr_format == 2:
        multiscale["version"] = version
        group.attrs.update(about)
    else:
        group.attrs.update({"ome": about | {"version": version}})
    return path


NAMES = ("DAPI", "HER2", "CEP17")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_both_versions_say_everything_themselves(version: str, tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "slide7.ome.zarr", volume, version=version, labels=NAMES)
    slide = pickle.loads(pickle.dumps(open_slide(path)))
    (scene,) = slide.fish_scenes
    assert (slide.slide_id, scene.name) == ("slide7", "slide7")
    assert scene.voxel_um == pytest.approx((0.4, 0.1, 0.1))
    assert dict(scene.roles) == {"nucleus": 0, "her2": 1, "cep17": 2}
    np.testing.assert_array_equal(scene.read("cep17"), volume[2])
    np.testing.assert_array_equal(scene.read("her2", slice(3, 37), slice(15, 18)), volume[1, :, 3:37, 15:18])
    np.testing.assert_array_equal(
        scene.pixels.read(1, slice(None, None, -2), slice(5), slice(7)), volume[1, ::-2, :5, :7]
    )
    assert describe(path)["scenes"][0]["format"] == f"OME-Zarr {version}"


@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tczyx", "tcyx"])
def test_axes_may_be_missing(axes: str, tmp_path: Path) -> None:
    full = {"t": 1, "c": 2, "z": 3, "y": 20, "x": 21}
    pixels = np.arange(np.prod([full[a] for a in axes])).reshape([full[a] for a in axes]).astype(np.uint16)
    scene = describe(write(tmp_path / "a.zarr", pixels, axes), GIVEN)["scenes"][0]
    assert scene["size"] == {a.upper(): full[a] if a in axes else 1 for a in "czyx"}
    if "c" in axes:
        (opened,) = open_slide(tmp_path / "a.zarr", GIVEN).fish_scenes
        np.testing.assert_array_equal(opened.read("her2").squeeze(), pixels.squeeze()[1])


@pytest.mark.parametrize("axes", ["cxyz", "zcyx", "yxc", "xzcy"])
def test_axes_in_any_order(axes: str, tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    whole = volume if "z" in axes else volume[:, 0]
    letters = "czyx" if "z" in axes else "cyx"
    path = write(tmp_path / "a.zarr", whole.transpose([letters.index(a) for a in axes]), axes, labels=NAMES)
    (scene,) = open_slide(path).fish_scenes
    read = scene.read("her2", slice(3, 37), slice(15, 18))
    np.testing.assert_array_equal(read, whole[1].reshape(-1, 40, 50)[:, 3:37, 15:18])


@pytest.mark.parametrize(("unit", "factor"), [("nanometer", 1000.0), ("millimeter", 0.001), ("micrometer", 1.0)])
def test_units_and_both_scales(unit: str, factor: float, tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    scale = {"z": 0.2 * factor, "y": 0.05 * factor, "x": 0.05 * factor}
    path = write(tmp_path / "a.zarr", volume, unit=unit, scale=scale, outer=2.0, labels=NAMES)
    assert open_slide(path).fish_scenes[0].voxel_um == pytest.approx((0.4, 0.1, 0.1))


def test_a_scale_without_unit_is_no_pixel_size(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", volume, unit=None, labels=NAMES)
    with pytest.raises(InputError, match=r"found no pixel size and a scale of 0\.1 in no unit; 4 planes and no z step"):
        open_slide(path)


def test_translation_is_the_place_on_the_stage(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", volume, labels=NAMES, translation={"y": -50.0, "x": 7.5})
    assert open_slide(path).fish_scenes[0].stage_um == (-50.0, 7.5)


def test_series_of_bioformats2raw_with_their_xml(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    root = tmp_path / "converted.zarr"
    zarr.open_group(root, mode="w", zarr_format=2).attrs.update({"bioformats2raw.layout": 3})
    for k in range(3):
        write(root / str(k), volume[:, k : k + 1], unit=None)
    (root / "OME").mkdir()
    (root / "OME" / ".zattrs").write_text(json.dumps({"series": ["0", "1", "2"]}))
    image = (
        '<Image ID="Image:{k}" Name="{name}"><ObjectiveSettings ID="O:0"/><Pixels ID="P:{k}" SizeT="1" '
        'PhysicalSizeX="0.11" PhysicalSizeY="0.11"><Channel Name="DAPI"/><Channel Name="HER2"/>'
        '<Channel Name="CEP17" EmissionWavelength="530"/></Pixels></Image>'
    )
    images = "".join(image.format(k=k, name=name) for k, name in enumerate(("field 1", "field 2", "macro image")))
    (root / "OME" / "METADATA.ome.xml").write_text(
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Instrument ID="I:0">'
        f'<Objective ID="O:0" LensNA="1.4"/></Instrument>{images}</OME>'
    )
    first, second = open_slide(root).fish_scenes
    assert (first.name, second.name) == ("converted#0", "converted#1")
    assert second.voxel_um == (0.0, 0.11, 0.11)
    assert (second.optics.na, second.optics.emission_nm["cep17"]) == (1.4, 530.0)
    np.testing.assert_array_equal(second.read("cep17")[0], volume[2, 1])
    shutil.rmtree(root / "OME")
    assert [s["name"] for s in describe(root)["scenes"]] == ["converted#0", "converted#1", "converted#2"]


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3", "0.6"])
def test_other_versions_are_refused(version: str, tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", volume, version=version)
    with pytest.raises(InputError, match=f"found OME-Zarr of version {version}; needed version 0.4 or 0.5"):
        open_slide(path)


def spoil(path: Path, **changes: Any) -> None:
    """Change keys of the image's metadata; ``None`` takes one away."""
    tree = json.loads((path / ".zattrs").read_text())
    tree["multiscales"][0].update(changes)
    (path / ".zattrs").write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": []}, "bytes that cannot be read"),
        ({"datasets": [{"path": "../../other"}]}, "a series outside its folder"),
        ({"datasets": [{"path": "gone"}]}, "no such file"),
        ({"axes": [{"name": a} for a in "cyyx"]}, "axes cyyx; needed channels, planes, rows and columns"),
        ({"axes": [{"name": a} for a in "cqyx"]}, "axes cqyx"),
        ({"axes": [{"name": a} for a in "cyx"]}, "bytes that cannot be read"),
        ({"axes": 3}, "found OME-Zarr of version|bytes that cannot be read"),
    ],
)
def test_metadata_that_do_not_fit(
    changes: dict[str, Any], message: str, tmp_path: Path, volume: NDArray[np.uint16]
) -> None:
    path = write(tmp_path / "a.zarr", volume)
    spoil(path, **changes)
    with pytest.raises(InputError, match=message):
        open_slide(path, GIVEN)


def test_time_axis_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", np.ones((4, 2, 5, 5), np.uint8), "tcyx")
    with pytest.raises(InputError, match="found a time axis of 4 points"):
        open_slide(path, GIVEN)


def test_plates_and_bare_arrays_are_refused(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    group = zarr.open_group(tmp_path / "plate.zarr", mode="w", zarr_format=2)
    group.attrs.update({"plate": {"wells": []}})
    with pytest.raises(InputError, match="found a plate of many wells; needed one image"):
        open_slide(tmp_path / "plate.zarr", GIVEN)
    path = write(tmp_path / "a.zarr", volume)
    with pytest.raises(InputError, match="found a Zarr folder without OME metadata"):
        open_slide(path / "0", GIVEN)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"multiscales": 3}', '{"multiscales": []}', '{"multiscales": [4]}'])
def test_broken_metadata(text: str, tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", volume)
    (path / ".zattrs").write_text(text)
    with pytest.raises(InputError, match=r"a\.zarr: found"):
        open_slide(path, GIVEN)


def test_damaged_chunk_is_refused_when_read(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", volume, chunks=(1, 4, 16, 16))
    (path / "0" / "1.0.0.0").write_bytes(b"not compressed pixels")
    (scene,) = open_slide(path, GIVEN).fish_scenes
    with pytest.raises(InputError, match="bytes that cannot be read"):
        scene.read("her2")
    scene.read("nucleus", slice(20, 30), slice(20, 30))


@pytest.mark.parametrize("dtype", [np.complex64, np.bool_])
def test_types_that_are_no_grey_values(dtype: type, tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", np.ones((2, 5, 5), dtype), "cyx")
    with pytest.raises(InputError, match=f"found pixels of type {np.dtype(dtype)}; needed integer or floating-point"):
        open_slide(path, GIVEN)


def test_declared_terabytes_without_chunks_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", np.ones((2, 5, 5), np.uint16), "cyx")
    array = json.loads((path / "0" / ".zarray").read_text())
    for shape, chunks, message in (
        ([2, 10**7, 10**7], [1, 1024, 1024], "bytes of pixels declared by"),
        ([2, 60000, 60000], [1, 60000, 60000], "blocks of 7,200,000,000 bytes|bytes of pixels declared by"),
        ([2, 0, 5], [1, 1, 5], r"an image of size \(2, 0, 5\)"),
    ):
        (path / "0" / ".zarray").write_text(json.dumps(array | {"shape": shape, "chunks": chunks}))
        with pytest.raises(InputError, match=message):
            open_slide(path, GIVEN)


@pytest.mark.parametrize("dull", [False, True])
def test_chunks_are_weighed_where_much_is_declared(
    dull: bool, tmp_path: Path, volume: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("omezarr", "failures"):
        monkeypatch.setattr(f"ctcfish.io.{module}.FREE_BYTES", 1000)
        monkeypatch.setattr(f"ctcfish.io.{module}.MAX_RATIO", 10)
    path = write(tmp_path / "a.zarr", np.ones_like(volume) if dull else volume, labels=NAMES)
    if dull:
        with pytest.raises(InputError, match=r"found 48,000 bytes of pixels declared by [\d,]+ bytes of file"):
            open_slide(path)
    else:
        assert open_slide(path).fish_scenes[0].pixels.shape == volume.shape


def test_scan_folder_may_hold_zarr(tmp_path: Path, volume: NDArray[np.uint16]) -> None:
    write(tmp_path / "S1" / "fish" / "f.ome.zarr", volume, labels=NAMES)
    assert [s.name for s in open_slide(tmp_path / "S1").fish_scenes] == ["f"]


@pytest.mark.parametrize("name", ["blobs_image_v04.ome.zarr", "blobs_image_v05.ome.zarr"])
def test_real_images(name: str, shared_data: Path) -> None:
    path = shared_data / "formats" / "valid" / "viv-ome-zarr" / name
    with pytest.raises(InputError, match="found no pixel size and a scale of 1 in no unit"):
        open_slide(path)
    (scene,) = open_slide(path, GIVEN).fish_scenes
    assert scene.pixels.shape == (3, 1, 12, 12)
    np.testing.assert_array_equal(scene.read("her2")[0], zarr.open_array(path / "0", mode="r")[1])


@pytest.mark.parametrize("version", ["1", "2"])
def test_real_images_of_old_versions(version: str, shared_data: Path) -> None:
    with pytest.raises(InputError, match=f"found OME-Zarr of version 0.{version}; .* current bioformats2raw"):
        open_slide(shared_data / "formats" / "valid" / "ome-zarr-py" / f"v{version}", GIVEN)
