"""CellTracks export: a folder of frames (one TIFF each, one page a filter) and an XML file, as one lazy mosaic.

Frames run in a snake: the first row from left to right, the next back, and so on down. The pixels of a page were
stretched when they were stored; its two private tags hold the values its darkest and brightest pixel had on the
camera's scale of 0 to 4095, and are used to undo that. Values above 32767 carry an offset of 2^15, which is taken off
first. The reader was written from this description; the tests generate what it reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ctcfish.errors import InputError
from ctcfish.io.celltracks_xml import USUAL_FRAMES, Event, Export, find_export
from ctcfish.io.failures import damaged, refusing
from ctcfish.io.image import FileImage
from ctcfish.io.names import TIFF
from ctcfish.io.tiff_layout import check_chain, make_layout
from ctcfish.io.tiff_pixels import TiffPixels
from ctcfish.io.window import window_of

PIXEL_UM, NA = 0.64, 0.45
"""The analyser's one objective, 10x."""
FULL_SCALE = 4095
OFFSET = 1 << 15
PRIVATE = 32768
"""First number of the tags that TIFF leaves to manufacturers."""


@dataclass(frozen=True)
class CellTracksPixels:
    """Pixels of the mosaic; a window costs the frames it touches.

    Attributes
    ----------
    frames : tuple of Path
        File of each place of the mosaic, row by row from left to right.
    grid : tuple of int
        Rows and columns of frames.
    frame_shape : tuple of int
        ``(Y, X)`` of one frame.
    n_channels : int
    """

    frames: tuple[Path, ...]
    grid: tuple[int, int]
    frame_shape: tuple[int, int]
    n_channels: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Size ``(C, Z, Y, X)`` of the mosaic."""
        return self.n_channels, 1, self.grid[0] * self.frame_shape[0], self.grid[1] * self.frame_shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The camera's 12 bits, in 16."""
        return np.dtype(np.uint16)

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Read ``(Z, Y, X)`` pixels of one channel.

        Raises
        ------
        InputError
            A damaged frame.
        """
        depths, window = window_of(self.shape, planes, rows, columns)
        height, width = self.frame_shape
        out = np.empty((len(depths), window.height, window.width), self.dtype)
        for row in range(window.y0 // height, -(-window.y1 // height)) if out.size else ():
            for column in range(window.x0 // width, -(-window.x1 // width)):
                file = self.frames[row * self.grid[1] + column]
                target, source = window.overlap(row * height, column * width, height, width)
                with refusing(file):
                    state = file.stat().st_mtime_ns
                out[:, *target] = _page(file, channel, (self.n_channels, *self.frame_shape), state)[source]
        return out


# neighbouring windows share frames
@lru_cache(maxsize=16)
def _page(file: Path, channel: int, stored: tuple[int, int, int], _mtime_ns: int) -> NDArray[np.uint16]:
    with refusing(file), tifffile.TiffFile(file) as tiff:
        dtype = np.dtype(tiff.series[0].dtype).newbyteorder("=")
        limits = _range(file, tiff.pages[channel])
    n_channels, height, width = stored
    axes, sizes = ("CYX", stored) if n_channels > 1 else ("YX", stored[1:])
    pixels = TiffPixels(file, 0, (n_channels, 1, height, width), dtype, axes, sizes, "YX")
    return rescale(pixels.read(channel, slice(None), slice(None), slice(None))[0], limits)


def rescale(stored: NDArray[Any], limits: tuple[float, float] | None) -> NDArray[np.uint16]:
    """Undo the stretching of a page.

    Parameters
    ----------
    stored : ndarray of unsigned int, (Y, X)
        As in the file.
    limits : tuple of float or None
        Values, from 0 to 4095, of a stored 0 and of the brightest stored pixel; ``None``: nothing was stretched.

    Returns
    -------
    ndarray of uint16, (Y, X)
        ``low + stored * (high - low) / max(stored)``, rounded, after the offset was taken off.

    Examples
    --------
    >>> rescale(np.array([[0, 100, 32768 + 200]], np.uint16), (50, 450)).tolist()
    [[50, 250, 450]]
    """
    values = np.where(stored >= OFFSET, stored - OFFSET, stored) if stored.dtype.itemsize > 1 else stored
    top = int(values.max()) if values.size else 0
    if limits is None or top == 0:
        base = 0.0 if limits is None else limits[0]
        return (values + base).astype(np.uint16)
    low, high = limits
    return np.rint(low + values * ((high - low) / top)).astype(np.uint16)


def _range(file: Path, page: Any) -> tuple[float, float] | None:
    """Low and high value of a page: its two private tags of one number, in the order of their codes."""
    numbers = [
        float(tag.value)
        for tag in sorted(page.tags.values(), key=lambda tag: tag.code)
        if tag.code >= PRIVATE and tag.name == str(tag.code) and isinstance(tag.value, int | float)
    ]
    if not numbers:
        return None
    if len(numbers) != 2 or not 0 <= numbers[0] < numbers[1] <= FULL_SCALE:
        raise damaged(file, f"private tags {numbers} where a low and a high value up to {FULL_SCALE} were looked for")
    return numbers[0], numbers[1]


def is_celltracks(path: Path) -> bool:
    """Whether a folder is a CellTracks export."""
    return path.is_dir() and find_export(path) is not None


def open_celltracks(folder: Path) -> tuple[FileImage, ...]:
    """The mosaic of a CellTracks export, none of its pixels read.

    Raises
    ------
    InputError
        Frames that are missing, damaged or differ, pages that are not the filters, events outside the frames.
    """
    found = find_export(folder)
    if found is None:
        raise damaged(folder, "no XML file with filters and events")
    xml, export = found
    files = _frame_files(folder)
    numbers = _numbers(folder, files)
    grid = _grid(folder, export, len(files))
    order = [files[number] for number in numbers]
    shape = _check_frames(folder, order, len(export.filters))
    frames = [
        order[row * grid[1] + _snake(row, column, grid[1])] for row in range(grid[0]) for column in range(grid[1])
    ]
    pixels = CellTracksPixels(tuple(frames), grid, shape, len(export.filters))
    chosen = tuple(_place(xml, event, numbers, pixels) for event in export.events if event.selected)
    return (
        FileImage(
            name=folder.name,
            path=folder,
            kind="CellTracks export",
            pixels=pixels,
            pixel_um=(PIXEL_UM, PIXEL_UM),
            channel_names=export.filters,
            na=NA,
            notes=(f"{len(export.events)} events, {len(chosen)} chosen by the operator",),
            files=(*order, xml),
            chosen_px=chosen,
            frame_px=shape,
            device=True,
        ),
    )


def _frame_files(folder: Path) -> dict[int, Path]:
    """Frames by the last number in their name."""
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        numbers = re.findall(r"\d+", path.stem)
        if path.suffix.lower() not in TIFF or not numbers:
            continue
        if int(numbers[-1]) in files:
            raise InputError(
                folder.name,
                f"two frames of number {numbers[-1]} ({files[int(numbers[-1])].name}, {path.name})",
                "one file a frame",
                "Give each cartridge a folder of its own.",
            )
        files[int(numbers[-1])] = path
    return files


def _numbers(folder: Path, files: dict[int, Path]) -> list[int]:
    numbers = sorted(files)
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing or numbers[0] > 1:
        raise InputError(
            folder.name,
            f"frames {numbers[0]} to {numbers[-1]} without {missing[:5]}",
            "every frame, numbered from 0 or 1",
            "Copy or export the cartridge again.",
        )
    return numbers


def _grid(folder: Path, export: Export, n_frames: int) -> tuple[int, int]:
    grid = export.grid or USUAL_FRAMES.get(n_frames)
    if grid is None or grid[0] * grid[1] != n_frames:
        stated = f"{grid[0]} rows of {grid[1]}" if grid else "no rows and columns"
        raise InputError(
            folder.name,
            f"{n_frames} frames and {stated}",
            "as many frames as rows times columns",
            "Copy or export the cartridge again.",
        )
    return grid


def _snake(row: int, column: int, n_columns: int) -> int:
    """Place in its row's order of the frame that lies in a column.

    Examples
    --------
    >>> [_snake(0, 1, 35), _snake(1, 1, 35)]
    [1, 33]
    """
    return column if row % 2 == 0 else n_columns - 1 - column


def _check_frames(folder: Path, frames: list[Path], n_filters: int) -> tuple[int, int]:
    """Size of the frames, from their tags; every page of every frame is located and must have it."""
    shapes = set()
    for file in frames:
        with refusing(file), tifffile.TiffFile(file) as tiff:
            check_chain(file, tiff)
            n_pages, n_series = len(tiff.pages), len(tiff.series)
            page = make_layout(file, tiff.series[0]).page
            shapes.add(tuple(page.shape))
        if n_pages != n_filters or n_series != 1 or page.dtype.kind != "u" or page.dtype.itemsize > 2:
            raise InputError(
                file.name,
                f"{n_pages} pages of {page.dtype}",
                f"one page of 8 or 16 bit for each of the {n_filters} filters",
                "Export the cartridge again.",
            )
    if len(shapes) != 1 or len(shape := shapes.pop()) != 2:
        raise damaged(folder, "frames of different size")
    return int(shape[0]), int(shape[1])


def _place(xml: Path, event: Event, numbers: list[int], pixels: CellTracksPixels) -> tuple[float, float]:
    """Centre ``(y, x)`` of an event in the mosaic, in pixels."""
    height, width = pixels.frame_shape
    y, x = event.centre_px
    if event.frame not in numbers or not (0 <= y <= height and 0 <= x <= width):
        raise InputError(
            xml.name,
            f"an event at ({y:g}, {x:g}) of frame {event.frame}",
            f"frames {numbers[0]} to {numbers[-1]} of {height} x {width} pixels",
            "Export the cartridge again.",
        )
    row, place = divmod(event.frame - numbers[0], pixels.grid[1])
    return row * height + y, _snake(row, place, pixels.grid[1]) * width + x
