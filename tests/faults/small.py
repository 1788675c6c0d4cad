"""Imported by a process, it cuts scenes small there: the sample's field is several parts and several tiles."""

from __future__ import annotations

import os
from pathlib import Path

from ctcfish.stages import parts, segment
from tests.faults.methods import NOTES

parts.MOST_VOXELS = 200 * 200 * 7
segment._CORE_PX, segment._MARGIN_PX = 64, 32


def dask_setup(_: object) -> None:
    """Called by dask in every worker that begins."""
    (Path(os.environ[NOTES]) / str(os.getpid())).touch()
