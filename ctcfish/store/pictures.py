"""The pixels a report shows: small windows of chosen cells and reduced views of scenes, one Zarr array each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec


@dataclass(frozen=True)
class Picture:
    """One window or view.

    Attributes
    ----------
    pixels : ndarray, (C, Y, X)
        In the file's own type.
    roles : tuple of str, (C,)
    pixel_um : float
    origin_um : tuple of float
        ``(y, x)`` of the first pixel centre in its scene.
    scene : str
    z_um : float or None
        Height of the plane shown; None: projected over z.
    """

    pixels: NDArray[Any]
    roles: tuple[str, ...]
    pixel_um: float
    origin_um: tuple[float, float]
    scene: str
    z_um: float | None = None


def write_pictures(pictures: Mapping[str, Picture], target: Path) -> None:
    """Write pictures below ``target``; a key such as ``cells/<cell_id>/fish`` is an attribute, never a path."""
    root = zarr.open_group(str(target), mode="w", zarr_format=3)
    for number, (key, picture) in enumerate(pictures.items()):
        array = root.create_array(
            f"{number:05d}",
            shape=picture.pixels.shape,
            chunks=picture.pixels.shape,
            dtype=picture.pixels.dtype,
            compressors=ZstdCodec(level=3),
            attributes={
                "key": key,
                "roles": list(picture.roles),
                "pixel_um": picture.pixel_um,
                "origin_um": list(picture.origin_um),
                "scene": picture.scene,
                "z_um": picture.z_um,
            },
        )
        array[...] = picture.pixels


def read_pictures(source: Path) -> dict[str, Picture]:
    """Read what :func:`write_pictures` wrote."""
    root = zarr.open_group(str(source), mode="r")
    pictures = {}
    for name in sorted(root.array_keys()):
        array = root[name]
        if not isinstance(array, zarr.Array):
            continue
        about: dict[str, Any] = dict(array.attrs)
        y_um, x_um = about["origin_um"]
        pixels = np.asarray(array[...])
        shown = tuple(about["roles"]), about["pixel_um"], (y_um, x_um), about["scene"], about["z_um"]
        pictures[about["key"]] = Picture(pixels, *shown)
    return pictures
