"""Lazy pixels of a TIFF series: a window costs the strips or tiles it touches, nothing else."""

from __future__ import annotations

import io
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.io.failures import damaged, finite, refusing
from ctcfish.io.tiff_layout import Layout, Plane, check_block, grid, read_layout
from ctcfish.io.window import Window, window_of


@dataclass(frozen=True)
class TiffPixels:
    """Pixels of one series; holds no open file and can be sent to another process.

    Attributes
    ----------
    path : Path
    series : int
    shape : tuple of int
        ``(C, Z, Y, X)``.
    dtype : numpy.dtype
    axes : str
        One letter per axis of the series: ``C``, ``Z``, ``Y``, ``X``.
    stored : tuple of int
        Size of those axes.
    tail : str
        Letters of the axes inside a page, as the page names them (``YX``, ``YXS``, ``SYX``, ``ZYX``).
    """

    path: Path
    series: int
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    axes: str
    stored: tuple[int, ...]
    tail: str

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Read ``(Z, Y, X)`` pixels of one channel.

        Raises
        ------
        InputError
            A damaged file, NaN or infinite pixels.
        """
        layout = read_layout(self.path, self.series)
        if (*layout.lead, *layout.page.shape) != self.stored:
            raise damaged(self.path, "another image than when it was opened")
        depths, window = window_of(self.shape, planes, rows, columns)
        out = np.empty((len(depths), window.height, window.width), self.dtype)
        for row, z in enumerate(depths if out.size else ()):
            where = {"C": channel, "Z": z}
            plane = layout.planes[self._page(layout, where)]
            with refusing(self.path):
                _read_plane(layout, plane, self._inside(where), window, out[row])
        return finite(self.path, out)

    def _page(self, layout: Layout, where: dict[str, int]) -> int:
        number = 0
        for letter, size in zip(self.axes, layout.lead, strict=False):
            number = number * size + where[letter]
        return number

    def _inside(self, where: dict[str, int]) -> tuple[int, int, int]:
        """Separate sample, depth and contiguous sample of the page that hold the channel and plane."""
        separate = depth = contiguous = 0
        tail = self.axes[len(self.axes) - len(self.tail) :]
        for position, (stored, meaning) in enumerate(zip(self.tail, tail, strict=True)):
            if stored == "S" and position == 0:
                separate = where[meaning]
            elif stored == "S":
                contiguous = where[meaning]
            elif stored == "Z":
                depth = where[meaning]
        return separate, depth, contiguous


def _read_plane(layout: Layout, plane: Plane, inside: tuple[int, int, int], window: Window, out: NDArray[Any]) -> None:
    if layout.raw:
        _read_raw(layout, plane, inside, window, out)
    else:
        _read_blocks(layout, plane, inside, window, out)


def _read_raw(layout: Layout, plane: Plane, inside: tuple[int, int, int], window: Window, out: NDArray[Any]) -> None:
    """Copy the window: whole rows straight into the array, parts of rows by a map of the page.

    Either way the bytes of other rows are never touched.
    """
    page = layout.page
    separate, depth, sample = inside
    _, n_depth, height, width, n_samples = page.shaped
    stored = page.dtype.newbyteorder(page.parent.byteorder)
    with plane.file.open("rb", buffering=0) as file:
        start = plane.offsets[0]
        if n_samples == 1 and window.width == width and stored.itemsize == out.itemsize:
            row = (separate * n_depth + depth) * height + window.y0
            file.seek(start + row * width * stored.itemsize)
            _fill(plane.file, file, out)
            if not stored.isnative:
                out.byteswap(inplace=True)
            return
        base = start - start % mmap.ALLOCATIONGRANULARITY
        with mmap.mmap(file.fileno(), start - base + page.nbytes, access=mmap.ACCESS_READ, offset=base) as mapped:
            pixels = np.frombuffer(mapped, stored, count=page.nbytes // stored.itemsize, offset=start - base)
            out[...] = pixels.reshape(page.shaped)[separate, depth, window.rows, window.columns, sample]
            del pixels  # the map cannot be closed while an array looks at it


def _fill(path: Path, file: io.FileIO, out: NDArray[Any]) -> None:
    """Read as many bytes as the array holds; one call may return fewer than are there."""
    room = out.data.cast("B")
    while room:
        count = file.readinto(room)
        if not count:
            raise damaged(path, "fewer bytes than declared")
        room = room[count:]


def _read_blocks(layout: Layout, plane: Plane, inside: tuple[int, int, int], window: Window, out: NDArray[Any]) -> None:
    """Decode the strips or tiles that the window touches."""
    page = layout.page
    separate, depth, sample = inside
    block_depth, block_rows, block_columns = grid(page)
    _, n_depth, height, width, _ = page.shaped
    across, down = -(-width // block_columns), -(-height // block_rows)
    first = (separate * -(-n_depth // block_depth) + depth // block_depth) * down
    with plane.file.open("rb") as file:
        for row in range(window.y0 // block_rows, -(-window.y1 // block_rows)):
            for column in range(window.x0 // block_columns, -(-window.x1 // block_columns)):
                index = (first + row) * across + column
                file.seek(plane.offsets[index])
                data = file.read(plane.sizes[index])
                if len(data) < plane.sizes[index]:
                    raise damaged(plane.file, "fewer bytes than declared")
                check_block(plane.file, page, data)
                # an empty block is how sparse files store one that is all black
                block, _, _ = page.decode(data or None, index, jpegtables=page.jpegtables)
                target, source = window.overlap(row * block_rows, column * block_columns, block_rows, block_columns)
                out[target] = 0 if block is None else block[depth % block_depth, source[0], source[1], sample]
