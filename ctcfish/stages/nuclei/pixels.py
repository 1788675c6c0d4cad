"""Pixels that are read where they are sliced, so that no step holds more of a scene than it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ctcfish.types import Scene


class Stack(Protocol):
    """Pixels ``(Z, Y, X)`` of one channel: an array, or anything that reads a window when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size ``(Z, Y, X)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""

    def __getitem__(self, window: tuple[slice, slice, slice], /) -> NDArray[Any]:
        """Pixels of a window."""


@dataclass(frozen=True)
class Channel:
    """One channel of a scene."""

    scene: Scene
    role: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size ``(Z, Y, X)``."""
        return self.scene.pixels.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""
        return self.scene.pixels.dtype

    def __getitem__(self, window: tuple[slice, slice, slice], /) -> NDArray[Any]:
        """Pixels of a window."""
        planes, rows, columns = window
        return self.scene.pixels.read(self.scene.roles[self.role], planes, rows, columns)
