"""The same pixels from every container, in threads and in other processes."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

from ctcfish.io import Overrides, open_slide
from ctcfish.types import Scene

GIVEN = Overrides(pixel_um=0.1, z_step_um=0.4, channels={"nucleus": "0", "her2": "1", "cep17": "2"})
PIXELS = np.random.default_rng(4).integers(0, 255, (3, 1, 90, 70)).astype(np.uint8)


def tiff(path: Path, **options: Any) -> Path:
    tifffile.imwrite(path, PIXELS, photometric="minisblack", metadata={"axes": "CZYX"}, **options)
    return path


def raw(folder: Path) -> Path:
    return tiff(folder / "raw.tif")


def tiled(folder: Path) -> Path:
    return tiff(folder / "tiled.tif", tile=(16, 16), compression="zlib")


def picture(folder: Path) -> Path:
    path = folder / "picture.png"
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(PIXELS[:, 0].transpose(1, 2, 0))))
    return path


def omezarr(folder: Path) -> Path:
    path = folder / "image.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", shape=PIXELS.shape, dtype=PIXELS.dtype, chunks=(1, 1, 32, 32))[:] = PIXELS
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": [{"name": a} for a in "czyx"], "datasets": [{"path": "0"}]}
    ]
    return path


WRITERS = (raw, tiled, picture, omezarr)
WINDOWS = [(c, slice(y, y + 31), slice(x, x + 17)) for c in range(3) for y in (0, 20, 59) for x in (0, 33, 53)]


def digest(scene: Scene, window: tuple[int, slice, slice]) -> str:
    channel, rows, columns = window
    read: NDArray[Any] = scene.pixels.read(channel, slice(None), rows, columns)
    return hashlib.sha256(np.ascontiguousarray(read).tobytes()).hexdigest()


def expected() -> list[str]:
    parts = (PIXELS[channel][:, rows, columns] for channel, rows, columns in WINDOWS)
    return [hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest() for part in parts]


@pytest.mark.parametrize("writer", WRITERS, ids=lambda w: w.__name__)
def test_threads_read_the_same(writer: Callable[[Path], Path], tmp_path: Path) -> None:
    (scene,) = open_slide(writer(tmp_path), GIVEN).fish_scenes
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda w: digest(scene, w), WINDOWS * 3)) == expected() * 3


def test_processes_read_the_same(tmp_path: Path) -> None:
    scenes = [open_slide(writer(tmp_path), GIVEN).fish_scenes[0] for writer in WRITERS]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for scene in scenes:
            assert pool.submit(digests, scene).result(timeout=60) == expected()


def digests(scene: Scene) -> list[str]:
    return [digest(scene, window) for window in WINDOWS]
