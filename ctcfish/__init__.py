"""HER2 FISH on circulating tumour cells: nuclei, signals, calibrated calls, patients.

Names are loaded where they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "open_slide": "ctcfish.io",
    "score": "ctcfish.pipeline",
    "segment_nuclei": "ctcfish.stages.segment",
    "detect_spots": "ctcfish.stages.detect",
    "Config": "ctcfish.config",
}

if TYPE_CHECKING:
    from ctcfish.config import Config
    from ctcfish.io import open_slide
    from ctcfish.pipeline import score
    from ctcfish.stages.detect import detect_spots
    from ctcfish.stages.segment import segment_nuclei

__all__ = ["Config", "__version__", "detect_spots", "open_slide", "score", "segment_nuclei"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'ctcfish' has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name]), name)
