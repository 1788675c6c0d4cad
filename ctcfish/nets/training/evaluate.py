"""How well a nucleus network does on annotated images, in the measure other people report."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from ctcfish.nets.architecture import NATIVE_DIAMETER_PX, NucleusNet
from ctcfish.nets.predict import predict_labels
from ctcfish.nets.rescale import resize_labels
from ctcfish.nets.scale import estimate_zoom, resample
from ctcfish.nets.training.data import median_diameter_px

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass(frozen=True)
class Figures:
    """Nuclei of several images, pooled.

    Attributes
    ----------
    images, true, found : int
        Images, annotated nuclei, nuclei found.
    matched : tuple of int
        Nuclei matched at each of `THRESHOLDS` of intersection over union.
    """

    images: int
    true: int
    found: int
    matched: tuple[int, ...]

    def average_precision(self, threshold: float) -> float:
        """Return TP / (TP + FP + FN) at a threshold; 1 where there is nothing to find and nothing was found."""
        hits = self.matched[THRESHOLDS.index(threshold)]
        every = self.true + self.found - hits
        return hits / every if every else 1.0

    def mean_average_precision(self) -> float:
        """Return the mean over `THRESHOLDS`."""
        return float(np.mean([self.average_precision(threshold) for threshold in THRESHOLDS]))


def count_matches(found: NDArray[np.integer], true: NDArray[np.integer]) -> Figures:
    """Count the nuclei of one image that are matched at each threshold.

    Above an intersection over union of one half a nucleus has at most one partner, so no assignment is needed; of the
    rare equals at exactly one half one is counted.

    Parameters
    ----------
    found, true : ndarray of int, shape (Y, X)
        Labels, 0 background.
    """
    shape = (int(found.max()) + 1, int(true.max()) + 1)
    pairs = coo_matrix((np.ones(found.size, np.int64), (found.ravel(), true.ravel())), shape=shape).tocsr().tocoo()
    area_found, area_true = np.bincount(found.ravel()), np.bincount(true.ravel())
    both = (pairs.row > 0) & (pairs.col > 0)
    row, column, common = pairs.row[both], pairs.col[both], pairs.data[both]
    overlap = common / (area_found[row] + area_true[column] - common)
    matched = tuple(
        min(len(np.unique(row[overlap >= threshold])), len(np.unique(column[overlap >= threshold])))
        for threshold in THRESHOLDS
    )
    return Figures(1, int((area_true[1:] > 0).sum()), int((area_found[1:] > 0).sum()), matched)


def pool(figures: Iterable[Figures]) -> Figures:
    """Add up the nuclei of several images."""
    rows = list(figures)
    matched = tuple(int(total) for total in np.sum([row.matched for row in rows], axis=0)) if rows else (0,) * 9
    return Figures(
        sum(row.images for row in rows), sum(row.true for row in rows), sum(row.found for row in rows), matched
    )


def evaluate(net: NucleusNet, folder: Path, names: list[str] | None = None, scale_known: bool = True) -> Figures:
    """Segment annotated images at their original pixels and pool the counts.

    Parameters
    ----------
    net : NucleusNet
        On the CPU.
    folder : Path
        With `images/NAME.tif` and `masks/NAME.tif`.
    names : list of str, optional
        Images to use; all by default.
    scale_known : bool
        True: each image is brought to a median nucleus of native width. False: the scale is estimated from the image.

    Returns
    -------
    Figures
    """
    rows = []
    for path in sorted((folder / "images").glob("*.tif")):
        if names is not None and path.stem not in names:
            continue
        image, true = tifffile.imread(path), tifffile.imread(folder / "masks" / path.name).astype(np.int32)
        zoom = NATIVE_DIAMETER_PX / median_diameter_px(true) if scale_known else estimate_zoom(image, net)
        labels = predict_labels(resample(image, zoom), net).labels
        rows.append(count_matches(resize_labels(labels, true.shape), true))
    return pool(rows)
