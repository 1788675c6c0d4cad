"""Nuclei outlines as OME-Zarr 0.5 label images, one group a scene, written tile by tile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import ZstdCodec

from ctcfish.types import Nuclei

TILE_PX = 1024


def write_labels(nuclei: Mapping[str, Nuclei], target: Path) -> None:
    """Write label images below ``target/labels``.

    Parameters
    ----------
    nuclei : mapping of str to Nuclei
        By ``fish/<scene>`` or ``if/<scene>``; the slash becomes an underscore, as label groups lie on one level.
    target : Path
        A new ``.ome.zarr`` folder.
    """
    root = zarr.open_group(str(target), mode="w", zarr_format=3)
    names = [key.replace("/", "_") for key in nuclei]
    labels = root.create_group("labels", attributes={"ome": {"version": "0.5", "labels": names}})
    for name, (key, own) in zip(names, nuclei.items(), strict=True):
        _write_scene(labels.create_group(name, attributes=_metadata(name, own) | {"scene": key}), own)


def read_labels(source: Path) -> dict[str, zarr.Array[Any]]:
    """Label images by ``fish/<scene>`` or ``if/<scene>``; pixels are read where they are asked for."""
    root = zarr.open_group(str(source / "labels"), mode="r")
    return {str(group.attrs["scene"]): zarr.open_array(group.store_path / "0", mode="r") for _, group in root.groups()}


def _write_scene(group: zarr.Group, nuclei: Nuclei) -> None:
    rows, columns = nuclei.shape_px
    array = group.create_array(
        "0",
        shape=nuclei.shape_px,
        chunks=(min(TILE_PX, max(rows, 1)), min(TILE_PX, max(columns, 1))),
        dtype="int32",
        fill_value=0,
        dimension_names=("y", "x"),
        compressors=ZstdCodec(level=3),
    )
    for top in range(0, rows, TILE_PX):
        for left in range(0, columns, TILE_PX):
            window = (slice(top, min(top + TILE_PX, rows)), slice(left, min(left + TILE_PX, columns)))
            array[window] = nuclei.paint(*window)


def _metadata(name: str, nuclei: Nuclei) -> dict[str, Any]:
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in ("y", "x")]
    scale = {"type": "scale", "scale": [float(v) for v in nuclei.pixel_um]}
    multiscale = {"name": name, "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
    return {"ome": {"version": "0.5", "multiscales": [multiscale], "image-label": {"version": "0.5"}}}
