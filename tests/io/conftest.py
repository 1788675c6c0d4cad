"""Images written by the tests themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ctcfish.io import Overrides

GIVEN = Overrides(pixel_um=0.1, z_step_um=0.4, channels={"nucleus": "0", "her2": "1"})


@pytest.fixture
def volume() -> NDArray[np.uint16]:
    """Known pixels (C 3, Z 4, Y 40, X 50), all different from their neighbours."""
    return np.random.default_rng(7).integers(1, 4000, (3, 4, 40, 50)).astype(np.uint16)


@pytest.fixture
def ome_tiff(tmp_path: Path, volume: NDArray[np.uint16]) -> Callable[..., Path]:
    """Write an OME-TIFF that says everything; keywords go to metadata, ``options`` to the writer."""

    def write(name: str = "slide7.ome.tif", options: dict[str, Any] | None = None, **metadata: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stated: dict[str, Any] = {
            "axes": "CZYX",
            "PhysicalSizeX": 0.1,
            "PhysicalSizeY": 0.1,
            "PhysicalSizeZ": 0.4,
            "Channel": {"Name": ["DAPI", "HER2", "CEP17"]},
        }
        stated |= metadata
        stated = {key: value for key, value in stated.items() if value is not None}
        tifffile.imwrite(path, volume, metadata=stated, photometric="minisblack", ome=True, **(options or {}))
        return path

    return write
