"""The part of an image that a reader is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Rows ``y0`` to ``y1`` and columns ``x0`` to ``x1``, half open, inside the image."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def height(self) -> int:
        """Rows in the window."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Columns in the window."""
        return self.x1 - self.x0

    @property
    def rows(self) -> slice:
        """Rows as a slice of the image."""
        return slice(self.y0, self.y1)

    @property
    def columns(self) -> slice:
        """Columns as a slice of the image."""
        return slice(self.x0, self.x1)

    def overlap(self, y: int, x: int, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where a block lies in the window, and which part of the block that is.

        Parameters
        ----------
        y, x, height, width : int
            First pixel and size of a block of the image that meets the window.

        Returns
        -------
        target, source : tuple of slice
            ``(rows, columns)`` counted from the window's and from the block's first pixel.
        """
        top, bottom = max(self.y0, y), min(self.y1, y + height)
        left, right = max(self.x0, x), min(self.x1, x + width)
        return (
            (slice(top - self.y0, bottom - self.y0), slice(left - self.x0, right - self.x0)),
            (slice(top - y, bottom - y), slice(left - x, right - x)),
        )


def window_of(shape: tuple[int, int, int, int], planes: slice, rows: slice, columns: slice) -> tuple[range, Window]:
    """Planes and window that slices choose from an image ``(C, Z, Y, X)``.

    Raises
    ------
    ValueError
        Rows or columns with a step: only whole windows are read.

    Examples
    --------
    >>> window_of((1, 3, 9, 9), slice(None), slice(-4, None), slice(2, 99))
    (range(0, 3), Window(y0=5, y1=9, x0=2, x1=9))
    """
    y0, y1, y_step = rows.indices(shape[2])
    x0, x1, x_step = columns.indices(shape[3])
    if y_step != 1 or x_step != 1:
        raise ValueError("rows and columns are read without a step; read the window and take every n-th pixel of it")
    return range(shape[1])[planes], Window(y0, max(y0, y1), x0, max(x0, x1))
