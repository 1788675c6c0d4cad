"""Lazy pixels of a Zarr array: a window costs the chunks it touches."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctcfish.io.failures import finite, refusing
from ctcfish.io.window import window_of


@dataclass(frozen=True)
class ZarrPixels:
    """Pixels of one array; holds no open store and can be sent to another process.

    Attributes
    ----------
    path : Path
        The OME-Zarr folder.
    array : str
        Path of the array inside it.
    shape : tuple of int
        ``(C, Z, Y, X)``.
    dtype : numpy.dtype
    axes : str
        One letter per axis of the array, of ``tczyx``.
    """

    path: Path
    array: str
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    axes: str

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Read ``(Z, Y, X)`` pixels of one channel.

        Raises
        ------
        InputError
            Damaged chunks, NaN or infinite pixels.
        """
        depths, window = window_of(self.shape, planes, rows, columns)
        z = slice(depths.start, depths.stop) if depths.step == 1 else list(depths)
        chosen: dict[str, Any] = {"t": 0, "c": channel, "z": z, "y": window.rows, "x": window.columns}
        with refusing(self.path):
            array = open_array(self.path, self.array)
            part = array.oindex[tuple(chosen[letter] for letter in self.axes)]
        left = [letter for letter in self.axes if letter in "zyx"]
        ordered = np.transpose(part, [left.index(letter) for letter in "zyx" if letter in left])
        pixels = ordered if "z" in left else np.repeat(ordered[None], len(depths), axis=0)
        return finite(self.path, np.ascontiguousarray(pixels))


def open_array(path: Path, array: str) -> Any:
    """Open an array of a Zarr folder, from a small cache of this process."""
    folder = path / array
    metadata = next((folder / name for name in ("zarr.json", ".zarray") if (folder / name).is_file()), folder)
    return _cached(folder, metadata.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _cached(folder: Path, _mtime_ns: int) -> Any:
    import zarr  # half a second that reading a TIFF need not pay

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of codecs whose specification is a draft
        return zarr.open_array(folder, mode="r")
