"""Simulated spots on real smFISH backgrounds: ``detect_spots`` with its own threshold against the known places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ctcfish.stages.detect import detect_spots

HYBRID = Path(__file__).resolve().parents[2] / "shared" / "data" / "spots_hybrid" / "test"
_FAR = 1e3
_PIXEL_UM = 0.1  # the images name none; the width is measured on their own spots


def matched(found: np.ndarray, true: np.ndarray, reach_px: float) -> int:
    """Pairs one to one no further apart than the reach, as many as there can be."""
    if not len(found) or not len(true):
        return 0
    apart = cdist(found, true)
    one, two = linear_sum_assignment(np.where(apart <= reach_px, apart, _FAR))
    return int((apart[one, two] <= reach_px).sum())


def hybrid(folder: Path, every: int = 1) -> dict[str, object]:
    """Precision, recall and F1 inside 3 and 1 px over all images of a folder, or every n-th; a reason where none is."""
    files = sorted(folder.glob("*.tif"))[::every]
    if not files:
        return {"skipped": f"no images in {folder.name}"}
    hits, n_found, n_true = {3: 0, 1: 0}, 0, 0
    for file in files:
        spots = detect_spots(tifffile.imread(file), (0.0, _PIXEL_UM, _PIXEL_UM))
        found = spots[spots["status"] == "counted"][["y_um", "x_um"]].to_numpy(float) / _PIXEL_UM
        true = pd.read_csv(file.with_suffix(".csv"))[["y", "x"]].to_numpy(float)
        n_found, n_true = n_found + len(found), n_true + len(true)
        for reach in hits:
            hits[reach] += matched(found, true, reach)
    told: dict[str, object] = {"images": len(files), "spots": n_true, "found": n_found}
    for reach, n in hits.items():
        told[f"F1_{reach}px"] = round(2 * n / max(n_found + n_true, 1), 3)
        told[f"P_{reach}px"], told[f"R_{reach}px"] = round(n / max(n_found, 1), 3), round(n / max(n_true, 1), 3)
    return told
