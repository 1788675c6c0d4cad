"""Any image file, by its suffix and its first bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctcfish.errors import InputError, UsageError
from ctcfish.io import names
from ctcfish.io.celltracks import is_celltracks, open_celltracks
from ctcfish.io.failures import damaged, refusing
from ctcfish.io.image import FileImage
from ctcfish.io.omezarr import is_zarr, open_omezarr
from ctcfish.io.picture import open_picture
from ctcfish.io.stack import stack
from ctcfish.io.tiff import open_tiff


def read_images(path: Path, *, pages_are_planes: bool = False) -> tuple[FileImage, ...]:
    """Images of one file, or of one OME-Zarr folder, without their pixels.

    Parameters
    ----------
    path : Path
    pages_are_planes : bool
        See :func:`ctcfish.io.tiff.open_tiff`.

    Raises
    ------
    InputError
        A file that is missing, empty, damaged, or of a format that is not read.
    """
    names.refuse_vendor(path)
    if not path.exists():
        raise InputError(path.name, "no such file", "an existing image", "Check the path.")
    suffix = path.suffix.lower()
    with refusing(path):
        empty = path.is_file() and path.stat().st_size == 0
    if empty:
        raise damaged(path, "an empty file")
    if is_zarr(path):
        return open_omezarr(path)
    if is_celltracks(path):
        return open_celltracks(path)
    if suffix in names.TIFF and path.is_file():
        return open_tiff(path, pages_are_planes=pages_are_planes)
    if suffix in names.PICTURE and path.is_file():
        return open_picture(path)
    if path.is_dir():
        raise InputError(
            path.name,
            "a folder that is neither an image nor a slide",
            "a slide folder with if/ and fish/, or an OME-Zarr",
            "Put its images into fish/ and if/; a study of many slides is scored by `ctcfish batch`.",
        )
    raise InputError(
        path.name,
        "a file that is no known image",
        "OME-TIFF, ImageJ or plain TIFF, PNG, JPEG or OME-Zarr",
        "Convert it to OME-Zarr with bioformats2raw, or export OME-TIFF.",
    )


def read_stack(paths: Sequence[Path]) -> FileImage:
    """Several one-channel files as one image, channels in the order given.

    Raises
    ------
    UsageError
        No file, or one given twice.
    InputError
        Files that cannot be the channels of one image.
    """
    if len(set(paths)) != len(paths) or not paths:
        raise UsageError("Several files are the channels of one image; give each file once.")
    images = []
    for path in paths:
        found = read_images(path, pages_are_planes=True)
        if len(found) != 1:
            raise InputError(
                path.name, f"{len(found)} images", "one image with one channel", "Give one image per channel."
            )
        images.append(found[0])
    return stack(images)
