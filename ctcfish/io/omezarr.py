"""OME-Zarr 0.4 and 0.5: one image, or the series that bioformats2raw writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctcfish.errors import InputError
from ctcfish.io import ome_xml
from ctcfish.io.failures import FREE_BYTES, MAX_RATIO, check_bytes, check_type, damaged, refusing
from ctcfish.io.image import FileImage
from ctcfish.io.names import stem
from ctcfish.io.units import to_um
from ctcfish.io.zarr_pixels import ZarrPixels, open_array

VERSIONS = ("0.4", "0.5")


@dataclass(frozen=True)
class _Group:
    """Attributes of one Zarr group."""

    path: Path
    zarr_format: int
    attributes: Mapping[str, Any]


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs", ".zarray"))


def open_omezarr(path: Path) -> tuple[FileImage, ...]:
    """Images of an OME-Zarr folder, none of their pixels read.

    Raises
    ------
    InputError
        Other versions than 0.4 and 0.5, plates, arrays without OME metadata, damaged metadata, a time axis.
    """
    with refusing(path):
        group = _group(path, path)
        series = _series(path, group)
        about = _about(path)
        images = [_image(path, _group(path, path / name), number) for number, name in enumerate(series)]
    told = [_add(image, about[k]) if k < len(about) else image for k, image in enumerate(images)]
    kept = [i for k, i in enumerate(told) if k >= len(about) or not _is_side(about[k])]
    if len(kept) == 1:
        return (replace(kept[0], name=stem(path)),)
    return tuple(kept)


def _is_side(about: ome_xml.OmeImage) -> bool:
    return about.name.strip().lower() in ome_xml.SIDE_IMAGES


def _group(root: Path, path: Path) -> _Group:
    """Attributes of a group; Zarr 3 keeps OME's under ``ome``."""
    if (path / "zarr.json").is_file():
        tree = _read_json(root, path / "zarr.json")
        attributes = tree.get("attributes", {})
        return _Group(path, 3, {**attributes, **_mapping(attributes.get("ome"))})
    if (path / ".zattrs").is_file():
        return _Group(path, 2, _read_json(root, path / ".zattrs"))
    return _Group(path, 2, {})


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_json(root: Path, path: Path) -> dict[str, Any]:
    tree = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(tree, dict):
        raise damaged(root, f"metadata in {path.name} that are no object")
    return tree


def _series(path: Path, group: _Group) -> Sequence[str]:
    """Folders of the images: the group itself, or those of bioformats2raw's layout 3."""
    if "plate" in group.attributes or "well" in group.attributes:
        raise InputError(
            path.name,
            "a plate of many wells",
            "one image, or the series of one scan",
            "Give one of its images (row/column/field).",
        )
    if "multiscales" in group.attributes:
        return (".",)
    listed = _group(path, path / "OME").attributes.get("series") if (path / "OME").is_dir() else None
    if isinstance(listed, list) and listed:
        return [_inside(path, str(name)) for name in listed]
    if "bioformats2raw.layout" in group.attributes:
        numbered = sorted((p.name for p in path.iterdir() if p.is_dir() and p.name.isdigit()), key=int)
        if numbered:
            return numbered
    raise InputError(
        path.name,
        "a Zarr folder without OME metadata (multiscales)",
        "OME-Zarr 0.4 or 0.5",
        "Convert the original file with bioformats2raw.",
    )


def _inside(path: Path, name: str) -> str:
    if name.startswith(("/", "\\")) or ".." in Path(name).parts:
        raise damaged(path, f"a series outside its folder ({name})")
    return name


def _image(path: Path, group: _Group, number: int) -> FileImage:
    scales = group.attributes.get("multiscales")
    if not isinstance(scales, list) or not scales:
        raise damaged(path, f"no image in {group.path.name}")
    first = scales[0]
    version = str(first.get("version") or group.attributes.get("version") or "unstated")
    axes = first.get("axes")
    known = version.startswith(VERSIONS) or (version == "unstated" and bool(axes) and isinstance(axes[0], dict))
    if not known or not axes:
        raise InputError(
            path.name,
            f"OME-Zarr of version {version}",
            f"version {' or '.join(VERSIONS)}",
            "Convert the original file again with a current bioformats2raw.",
        )
    dataset = first["datasets"][0]
    pixels = _pixels(path, group, axes, str(dataset["path"]))
    y, x, z = (_length(axes, dataset, first, name) for name in "yxz")
    names = _names(group, pixels.shape[0])
    return FileImage(
        name=f"{stem(path)}#{number}",
        path=path,
        kind=f"OME-Zarr {version}",
        pixels=pixels,
        pixel_um=(y, x) if y and x else None,
        z_step_um=z,
        channel_names=names,
        stage_um=_translation(axes, dataset, first),
        notes=() if y and x else _unitless(axes, dataset),
        files=(path,),
    )


def _pixels(path: Path, group: _Group, axes: Sequence[Mapping[str, Any]], level: str) -> ZarrPixels:
    relative = os.path.normpath(f"{group.path.relative_to(path)}/{_inside(path, level)}")
    array = open_array(path, relative)
    letters = "".join(str(axis["name"]).lower() for axis in axes)
    sizes = dict(zip(letters, array.shape, strict=True))
    if sizes.get("t", 1) > 1:
        raise InputError(path.name, f"a time axis of {sizes['t']} points", "one time point", "Export one time point.")
    if len(sizes) != len(letters) or not {"y", "x"} <= set(letters) or set(letters) - set("tczyx"):
        raise InputError(
            path.name, f"axes {letters}", "channels, planes, rows and columns, each once", "Convert the image again."
        )
    if 0 in array.shape:
        raise damaged(path, f"an image of size {array.shape}")
    dtype = array.dtype
    check_type(path, dtype)
    blocks = [min(c, n) for c, n in zip(array.chunks, array.shape, strict=True)]
    block = dtype.itemsize
    for size in blocks:
        block *= size
    declared = array.size * dtype.itemsize
    stored = _stored(path / relative, declared // MAX_RATIO + 1) if declared > FREE_BYTES else declared
    check_bytes(path, declared, stored, block=block)
    shape = (sizes.get("c", 1), sizes.get("z", 1), sizes["y"], sizes["x"])
    return ZarrPixels(path, relative, shape, dtype.newbyteorder("="), letters)


def _stored(folder: Path, enough: int) -> int:
    """Bytes of the chunk files, added up only until they are enough."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            total += (Path(parent) / name).stat().st_size
            if total >= enough:
                return total
    return total


def _transformed(dataset: Mapping[str, Any], scales: Mapping[str, Any], kind: str, n: int) -> list[list[float]]:
    """Vectors of one kind of transformation, the dataset's first, then the image's."""
    vectors = []
    for owner in (dataset, scales):
        for transformation in owner.get("coordinateTransformations") or ():
            values = transformation.get(kind)
            if transformation.get("type") == kind and isinstance(values, list) and len(values) == n:
                vectors.append([float(v) for v in values])
    return vectors


def _length(
    axes: Sequence[Mapping[str, Any]], dataset: Mapping[str, Any], scales: Mapping[str, Any], name: str
) -> float | None:
    """Scale of one axis in micrometres: dataset scale times image scale."""
    where = [k for k, axis in enumerate(axes) if axis["name"] == name]
    vectors = _transformed(dataset, scales, "scale", len(axes))
    if not where or not vectors:
        return None
    product = 1.0
    for vector in vectors:
        product *= vector[where[0]]
    return to_um(product, axes[where[0]].get("unit"))


def _translation(
    axes: Sequence[Mapping[str, Any]], dataset: Mapping[str, Any], scales: Mapping[str, Any]
) -> tuple[float, float] | None:
    vectors = _transformed(dataset, scales, "translation", len(axes))
    position = []
    for name in "yx":
        where = next(k for k, axis in enumerate(axes) if axis["name"] == name)
        unit_um = to_um(1.0, axes[where].get("unit"))
        if unit_um is None or not vectors:
            return None
        position.append(sum(vector[where] for vector in vectors) * unit_um)
    return (position[0], position[1]) if any(position) else None


def _unitless(axes: Sequence[Mapping[str, Any]], dataset: Mapping[str, Any]) -> tuple[str, ...]:
    vectors = _transformed(dataset, {}, "scale", len(axes))
    where = next(k for k, axis in enumerate(axes) if axis["name"] == "x")
    unit = axes[where].get("unit")
    return (f"a scale of {vectors[0][where]:g} in {f'unit {unit!r}' if unit else 'no unit'}",) if vectors else ()


def _names(group: _Group, n_channels: int) -> tuple[str, ...]:
    channels = _mapping(group.attributes.get("omero")).get("channels") or []
    if len(channels) != n_channels:
        return ("",) * n_channels
    return tuple(str(_mapping(channel).get("label", "")) for channel in channels)


def _about(path: Path) -> tuple[ome_xml.OmeImage, ...]:
    """What the OME-XML that bioformats2raw keeps beside the series says of them."""
    file = path / "OME" / "METADATA.ome.xml"
    return ome_xml.parse(file.read_text(encoding="utf-8"), path) if file.is_file() else ()


def _add(image: FileImage, about: ome_xml.OmeImage) -> FileImage:
    same = len(about.channel_names) == image.pixels.shape[0]
    named = any(image.channel_names) or not same
    return replace(
        image,
        pixel_um=image.pixel_um or about.pixel_um,
        z_step_um=image.z_step_um or about.z_step_um,
        channel_names=image.channel_names if named else about.channel_names,
        emission_nm=about.emission_nm if same else (),
        na=about.na,
        gain_adu_per_photon=about.gain,
        offset_adu=about.offset,
        stage_um=image.stage_um or about.stage_um,
    )
