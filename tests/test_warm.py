"""What workers are forked from: warm, and alone in its process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ctcfish.engine.workers import METHOD

ASKED = """
import json, os, sys
import ctcfish.warm
import numba, torch
from ctcfish.ops.compiled import spots
from ctcfish.report import slide
json.dump({
    "threads": len(os.listdir("/proc/self/task")),
    "cuda": torch.cuda.is_initialized(),
    "loaded": len(spots.fit_all.signatures),
    "template": slide.template.cache_info().currsize,
    "imported": sorted(name for name in sys.modules if name.count(".") == 0),
}, sys.stdout)
"""


@pytest.mark.skipif(METHOD != "forkserver", reason="processes are not forked here")
def test_what_is_forked_is_warm_and_has_no_other_thread() -> None:
    """A thread, a lock that it holds, or a graphics card in use would not survive the fork."""
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert (said["threads"], said["cuda"]) == (1, False)
    assert (said["loaded"], said["template"]) == (1, 1)
    assert {"distributed", "torch", "scipy", "skimage", "zarr", "duckdb", "matplotlib", "numba"} <= {*said["imported"]}
