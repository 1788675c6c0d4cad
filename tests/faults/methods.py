"""A stranger's method to find nuclei that goes wrong on purpose: the brightest pixel says how.

The folder named by the environment variable ``FAULTS`` arms it, and remembers what happened once; without it every
image is one without nuclei.
"""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARM = "FAULTS"
NOTES = "FAULTS_WORKERS"
"""Names the folder in which each worker leaves its number."""

SOUND, BUG, DEADLY_ONCE, FULL, UNREADABLE, INTERRUPTED = range(100, 106)
"""Grey values and what they do."""


def nuclei(image: NDArray[Any], pixel_um: float) -> NDArray[np.int32]:
    """No nucleus, or a fault."""
    folder = os.environ.get(ARM)
    if folder:
        _fault(round(float(image.max())), Path(folder))
    return np.zeros(image.shape, np.int32)


def _fault(code: int, folder: Path) -> None:
    once = folder / f"{code}"
    happened = once.exists()
    once.touch()
    if code == BUG:
        raise ZeroDivisionError("by zero")
    if code == DEADLY_ONCE and not happened:
        os.kill(os.getpid(), signal.SIGKILL)
    if code == FULL:
        raise OSError(errno.ENOSPC, "No space left on device", "/a/path/of/this/machine/cells.csv")
    if code == UNREADABLE:
        raise OSError(errno.EIO, "Input/output error", "/a/path/of/this/machine/scan.tif")
    if code == INTERRUPTED and not happened:
        raise KeyboardInterrupt
