"""Where in its file(s) every plane of a TIFF series lies, checked before a pixel is read."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import tifffile

from ctcfish.errors import InputError
from ctcfish.io.codestream import jpeg_2000_frame, jpeg_frame
from ctcfish.io.failures import MAX_PLANES, check_bytes, check_type, damaged, refusing


@dataclass(frozen=True)
class Plane:
    """One page: its file and its strips or tiles, in the file's order."""

    file: Path
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """A series of pages of one shape.

    Attributes
    ----------
    page : tifffile.TiffPage
        The page whose tags hold for all of them; it decodes without an open file.
    lead : tuple of int
        Sizes of the series' axes that are spread over pages.
    planes : tuple of Plane
        One per page, last axis of ``lead`` fastest.
    raw : bool
        Whether every page is one uncompressed run of bytes.
    """

    page: Any
    lead: tuple[int, ...]
    planes: tuple[Plane, ...]
    raw: bool


def read_layout(path: Path, series: int) -> Layout:
    """Layout of a series, from a small cache of this process.

    Raises
    ------
    InputError
        A file that is gone or damaged.
    """
    with refusing(path):
        state = path.stat()
        return _cached(path, series, state.st_size, state.st_mtime_ns)


# an open handle cannot be shared nor pickled; what was learnt from the file's tags can be kept
@lru_cache(maxsize=16)
def _cached(path: Path, series: int, _size: int, _mtime_ns: int) -> Layout:
    with tifffile.TiffFile(path) as file:
        return make_layout(path, file.series[series])


def make_layout(path: Path, series: Any) -> Layout:
    """Locate and check every plane of an open file's series.

    Raises
    ------
    InputError
        Planes that are missing, lie outside their file, or declare more pixels than the file can hold.
    """
    page = series.keyframe
    _decodable(path, page)
    lead = tuple(series.shape[: len(series.shape) - len(page.shape)])
    if tuple(series.shape[len(lead) :]) != tuple(page.shape):
        raise damaged(path, f"pages of shape {page.shape} in a series of shape {series.shape}")
    n_pages = math.prod(lead)
    if min(series.shape) < 1 or n_pages > MAX_PLANES:
        raise damaged(path, f"an image of size {tuple(series.shape)}")
    start = series.dataoffset if page.is_final else None
    if start is not None:
        planes = tuple(Plane(path, (start + k * page.nbytes,), (page.nbytes,)) for k in range(n_pages))
    else:
        planes = _listed(path, series, n_pages)
    layout = Layout(page, lead, planes, raw=bool(page.is_final) and all(_is_run(p, page.nbytes) for p in planes))
    _check_extent(path, layout)
    # the decoder and its tables are made here, while the file is open
    _ = page.decode, page.jpegtables
    return layout


def check_chain(path: Path, file: Any) -> None:
    """Refuse a file whose list of pages breaks off, or whose description is cut: both would go without a word.

    Every page ends with the place of the next one, 0 after the last (TIFF 6.0, section 2).

    Raises
    ------
    InputError
    """
    first = file.pages[0]
    codes, _ = _directory(file, first.offset)
    if _DESCRIPTION in codes and first.tags.get(_DESCRIPTION) is None:
        raise damaged(path, "a description that lies beyond the end of the file")
    _, following = _directory(file, file.pages[len(file.pages) - 1].offset)
    if following:
        raise damaged(path, f"page {len(file.pages)} named at byte {following:,} and not there")


_DESCRIPTION = 270


def _directory(file: Any, offset: int) -> tuple[set[int], int]:
    """Codes of the tags of the page at ``offset``, and the place of the next page."""
    form, handle = file.tiff, file.filehandle
    handle.seek(offset)
    (n_tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
    entries = handle.read(n_tags * form.tagsize)
    (following,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
    starts = range(0, len(entries), form.tagsize)
    return {struct.unpack_from(form.byteorder + "H", entries, start)[0] for start in starts}, int(following)


def _listed(path: Path, series: Any, n_pages: int) -> tuple[Plane, ...]:
    if len(series) != n_pages:
        raise damaged(path, f"{len(series)} pages where {n_pages} are declared")
    planes = []
    for number in range(n_pages):
        page = series[number]
        if page is None:
            raise InputError(
                path.name,
                f"no page {number} of the {n_pages} declared",
                "every page, and every file of an OME-TIFF of several files",
                "Put all its files into one folder under their own names, or export one file per image.",
            )
        file = _as_given(path, Path(page.parent.filehandle.path))
        planes.append(Plane(file, tuple(page.dataoffsets), tuple(page.databytecounts)))
    return tuple(planes)


def _as_given(path: Path, file: Path) -> Path:
    """A file of the series, named from where the user named the first one (the library resolves every path)."""
    real = path.resolve()
    if file == real:
        return path
    near = path.parent / file.relative_to(real.parent) if file.is_relative_to(real.parent) else file
    return near if near.exists() else file


def _is_run(plane: Plane, nbytes: int) -> bool:
    ends = [o + s for o, s in zip(plane.offsets, plane.sizes, strict=True)]
    return sum(plane.sizes) == nbytes and all(e == o for e, o in zip(ends, plane.offsets[1:], strict=False))


def _decodable(path: Path, page: Any) -> None:
    check_type(path, page.dtype, "" if page.dtype is not None else f"{page.bitspersample}-bit pixels")
    photometric = int(page.photometric)
    if photometric in _REFUSED_PHOTOMETRIC:
        raise InputError(
            path.name,
            f"a {_REFUSED_PHOTOMETRIC[photometric]} image",
            "grey values or RGB",
            "Save it as grey values (black is zero) or RGB.",
        )
    if 0 in page.shaped:
        raise damaged(path, f"an image of size {page.shape}")


_REFUSED_PHOTOMETRIC = {0: "white-is-zero", 3: "palette", 4: "mask", 5: "CMYK", 8: "CIELAB", 32803: "raw colour mosaic"}


def _check_extent(path: Path, layout: Layout) -> None:
    page = layout.page
    lengths = {file: file.stat().st_size for file in {p.file for p in layout.planes}}
    expected = _segments(page)
    for number, plane in enumerate(layout.planes):
        if len(plane.offsets) < (1 if layout.raw else expected) or len(plane.offsets) != len(plane.sizes):
            raise damaged(path, f"{len(plane.offsets)} of {expected} strips or tiles in plane {number}")
        end = max((o + s for o, s in zip(plane.offsets, plane.sizes, strict=True)), default=0)
        if end > lengths[plane.file]:
            raise damaged(path, f"plane {number} ends at byte {end:,} of a file of {lengths[plane.file]:,}")
    stored = sum(sum(p.sizes) for p in layout.planes)
    declared = page.nbytes * len(layout.planes)
    if int(page.compression) == 1 and not page.is_tiled and page.bitspersample % 8 == 0 and declared > stored:
        raise damaged(path, f"{declared:,} bytes of uncompressed pixels declared, {stored:,} stored")
    check_bytes(path, declared, stored, block=0 if layout.raw else _block_bytes(page))


JPEG = {6, 7, 33007, 34892}
JPEG_2000 = {33003, 33004, 33005, 34712}


def check_block(path: Path, page: Any, data: bytes) -> None:
    """Refuse a tile or strip whose own header declares far more pixels than its page does.

    The decoder would make room for what the inner header says.

    Raises
    ------
    InputError
    """
    compression = int(page.compression)
    if compression in JPEG:
        frame = jpeg_frame(data)
    elif compression in JPEG_2000:
        frame = jpeg_2000_frame(data)
    else:
        return
    _, rows, columns = grid(page)
    if frame is not None and frame.height * frame.width > 4 * rows * columns:
        raise damaged(path, f"a block of {frame.height} x {frame.width} pixels in place of {rows} x {columns}")


def grid(page: Any) -> tuple[int, int, int]:
    """Size ``(depth, rows, columns)`` of a tile or strip of the page."""
    if page.is_tiled:
        return int(page.tiledepth), int(page.tilelength), int(page.tilewidth)
    _, _, height, width, _ = page.shaped
    return 1, min(int(page.rowsperstrip), int(height)), int(width)


def _segments(page: Any) -> int:
    separate, *size, _ = page.shaped
    return int(separate) * math.prod(-(-int(n) // b) for n, b in zip(size, grid(page), strict=True))


def _block_bytes(page: Any) -> int:
    return math.prod(grid(page)) * int(page.shaped[4]) * int(page.dtype.itemsize)
