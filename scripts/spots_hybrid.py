"""Simulated spots on real smFISH backgrounds: ``detect_spots`` with its own threshold against the known places.

Opponents get the one threshold for all images that suits them best, chosen with the truth, which flatters them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from scipy.ndimage import gaussian_laplace
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from skimage.feature import peak_local_max

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


Scored = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""An image (Y, X) to places (N, 2) and scores (N,)."""


def log_maxima(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local maxima of the Laplacian of a Gaussian of the bench's width, as scikit-image finds them."""
    response = -gaussian_laplace(image.astype(np.float32), 1.3)
    place = peak_local_max(response, min_distance=1, threshold_abs=0.5, exclude_border=False)
    return place.astype(float), response[tuple(place.T)]


def opponent(folder: Path, detect: Scored, every: int = 1, reach_px: float = 3.0) -> dict[str, float]:
    """Best F1 of an opponent over all thresholds, one for all images."""
    seen = []
    for file in sorted(folder.glob("*.tif"))[::every]:
        true = pd.read_csv(file.with_suffix(".csv"))[["y", "x"]].to_numpy(float)
        seen.append((*detect(tifffile.imread(file)), true))
    levels = np.quantile(np.concatenate([score for _, score, _ in seen]), np.linspace(0, 0.995, 60))
    best = {"F1_3px": 0.0}
    for level in levels:
        hits = sum(matched(place[score > level], true, reach_px) for place, score, true in seen)
        found, known = sum(int((score > level).sum()) for _, score, _ in seen), sum(len(true) for *_, true in seen)
        told = {"F1_3px": 2 * hits / (found + known), "P_3px": hits / max(found, 1), "R_3px": hits / known}
        best = max(best, told, key=lambda own: own["F1_3px"])
    return {name: round(value, 3) for name, value in best.items()}


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
