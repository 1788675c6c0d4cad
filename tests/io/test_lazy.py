"""What opening and reading cost: metadata and the bytes of the window, nothing more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ctcfish.errors import InputError
from ctcfish.io import open_slide

WINDOW = """
import resource, sys
from pathlib import Path
from ctcfish.io import open_slide
(scene,) = open_slide(Path(sys.argv[1])).fish_scenes
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
window = scene.read("cep17", slice(9_000, 9_050), slice(100, 200))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(scene.pixels.shape, window.shape, int(window.sum()), after - before)
"""


def names() -> dict[str, object]:
    return {
        "axes": "CZYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeY": 0.1,
        "PhysicalSizeZ": 0.3,
        "Channel": {"Name": ["DAPI", "HER2", "CEP17"]},
    }


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux does")
def test_a_window_of_a_huge_file_costs_the_window(tmp_path: Path) -> None:
    path = tmp_path / "huge.ome.tif"
    # 12 GB of pixels of which none is written: the file system keeps a hole
    shape = (3, 5, 20_000, 20_000)
    tifffile.imwrite(path, shape=shape, dtype=np.uint16, bigtiff=True, ome=True, metadata=names())
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.skip("this file system keeps no holes")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WINDOW, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("(3, 5, 20000, 20000) (5, 50, 100) 0 ")
    assert int(done.stdout.split()[-1]) < 20_000  # kB; one plane would be 800,000


def test_only_touched_tiles_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "tiles.ome.tif"
    pixels = np.random.default_rng(0).integers(0, 9, (3, 2, 128, 128)).astype(np.uint16)
    tifffile.imwrite(path, pixels, ome=True, tile=(32, 32), compression="zlib", metadata=names())
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for number, page in enumerate(file.pages):
            for tile, (start, size) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
                if number != 3 or tile not in (1, 5, 9):
                    content[start : start + size] = bytes(size)  # no deflate stream
    path.write_bytes(content)
    (scene,) = open_slide(path).fish_scenes
    window = scene.pixels.read(1, slice(1, 2), slice(30, 70), slice(33, 60))
    np.testing.assert_array_equal(window[0], pixels[1, 1, 30:70, 33:60])
    with pytest.raises(InputError, match="bytes that cannot be read"):
        scene.pixels.read(1, slice(1, 2), slice(30, 70), slice(31, 60))


def test_opening_reads_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    pixels = np.random.default_rng(0).integers(0, 9, (3, 2, 64, 64)).astype(np.uint16)
    tifffile.imwrite(path, pixels, ome=True, tile=(16, 16), compression="zlib", metadata=names())
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        start, size = file.pages[0].dataoffsets[0], sum(file.pages[0].databytecounts)
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    (scene,) = open_slide(path).fish_scenes
    np.testing.assert_array_equal(scene.read("her2"), pixels[1])
