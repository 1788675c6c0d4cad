"""Label images brought to another scale with smooth outlines, without a loop over nuclei."""

import cv2
import numpy as np
from numpy.typing import NDArray

_BAND_ROWS = 512


def resize_labels(labels: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Resize a label image; every output pixel takes the label with the largest weight around it.

    The sixteen nearest input pixels vote with the weights of a cubic B-spline, so an outline enlarged tenfold is round
    where nearest-neighbour resizing gives stairs, and two nuclei that touch still touch. Where all sixteen agree, which
    is nearly everywhere, the vote is not counted.

    Parameters
    ----------
    labels : ndarray of int32, shape (Y, X)
        0 is background.
    shape : tuple of int
        Rows and columns wanted; the two images cover the same field.

    Returns
    -------
    ndarray of int32, shape `shape`
    """
    padded = np.pad(labels, 2, mode="edge")
    rows, row_weights = _taps(labels.shape[0], shape[0])
    columns, column_weights = _taps(labels.shape[1], shape[1])
    uniform = _uniform(padded)
    result = np.empty(shape, np.int32)
    for start in range(0, shape[0], _BAND_ROWS):
        band = slice(start, min(start + _BAND_ROWS, shape[0]))
        first = rows[band]
        result[band] = padded[first + 1][:, columns + 1]
        at_row, at_column = np.nonzero(~uniform[first][:, columns])
        result[start + at_row, at_column] = _vote(
            padded, (first[at_row], columns[at_column]), (row_weights[band][at_row], column_weights[at_column])
        )
    return result


def _taps(before: int, after: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return each output pixel's first of four taps in the padded input, and the four cubic B-spline weights."""
    at = (np.arange(after, dtype=np.float64) + 0.5) * (before / after) - 0.5
    whole = np.floor(at)
    t = at - whole
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6.0
    return (whole.astype(np.intp) + 1), weights.astype(np.float32)


def _uniform(padded: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell, for the top left of each 4 x 4 block of the padded labels, whether the block holds one label."""
    ends = np.empty((2, *padded.shape), np.float32)
    window = np.ones((4, 4), np.uint8)
    values = padded.astype(np.float32)
    cv2.erode(values, window, dst=ends[0], anchor=(0, 0))
    cv2.dilate(values, window, dst=ends[1], anchor=(0, 0))
    result: NDArray[np.bool_] = ends[0] == ends[1]
    return result


def _vote(
    padded: NDArray[np.int32],
    corner: tuple[NDArray[np.intp], NDArray[np.intp]],
    weights: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.int32]:
    """Return the label with the largest summed weight in the 4 x 4 block at each corner; ties go to the first met."""
    row, column = corner
    found = np.stack([padded[row + i, column + j] for i in range(4) for j in range(4)], axis=1)
    weight = np.stack([weights[0][:, i] * weights[1][:, j] for i in range(4) for j in range(4)], axis=1)
    score = np.zeros_like(weight)
    for k in range(16):
        score += np.where(found == found[:, k : k + 1], weight[:, k : k + 1], np.float32(0.0))
    best = np.argmax(score, axis=1)
    result: NDArray[np.int32] = found[np.arange(len(best)), best]
    return result
