"""Windows and the blocks that cover them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctcfish.io.window import Window, window_of

SIZE = st.integers(1, 40)


@st.composite
def images(draw: st.DrawFn) -> tuple[int, int, Window, int, int]:
    """Size of an image, a window in it, and the size of its blocks."""
    height, width = draw(SIZE), draw(SIZE)
    y0, x0 = draw(st.integers(0, height)), draw(st.integers(0, width))
    window = Window(y0, draw(st.integers(y0, height)), x0, draw(st.integers(x0, width)))
    return height, width, window, draw(SIZE), draw(SIZE)


@given(images())
def test_blocks_fill_a_window_once(case: tuple[int, int, Window, int, int]) -> None:
    height, width, window, block_rows, block_columns = case
    image = np.arange(height * width).reshape(height, width)
    padded = np.full((-(-height // block_rows) * block_rows, -(-width // block_columns) * block_columns), -1)
    padded[:height, :width] = image
    filled = np.full((window.height, window.width), -7)
    times = np.zeros(filled.shape, int)
    for y in range(window.y0 // block_rows * block_rows, window.y1, block_rows):
        for x in range(window.x0 // block_columns * block_columns, window.x1, block_columns):
            if window.height == 0 or window.width == 0:
                continue
            target, source = window.overlap(y, x, block_rows, block_columns)
            filled[target] = padded[y : y + block_rows, x : x + block_columns][source]
            times[target] += 1
    np.testing.assert_array_equal(filled, image[window.rows, window.columns])
    assert (times == 1).all()


SLICES = st.builds(slice, *(st.one_of(st.none(), st.integers(-50, 50)),) * 2)


@given(SIZE, SIZE, SLICES, SLICES, SLICES)
def test_slices_mean_what_they_mean_to_numpy(
    height: int, width: int, planes: slice, rows: slice, columns: slice
) -> None:
    volume = np.arange(5 * height * width).reshape(5, height, width)
    depths, window = window_of((1, 5, height, width), planes, rows, columns)
    np.testing.assert_array_equal(volume[list(depths)][:, window.rows, window.columns], volume[planes, rows, columns])
    assert (window.height, window.width) == volume[planes, rows, columns].shape[1:]


@pytest.mark.parametrize("step", [2, -1])
def test_steps_of_rows_and_columns_are_refused(step: int) -> None:
    for rows, columns in ((slice(None, None, step), slice(None)), (slice(None), slice(None, None, step))):
        with pytest.raises(ValueError, match="take every n-th pixel of it"):
            window_of((1, 1, 9, 9), slice(None), rows, columns)
