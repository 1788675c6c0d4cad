"""Memory that is used again: the first touch of fresh memory costs more than a filter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class Buffers:
    """Named arrays that grow when a larger one is asked for and are handed out again otherwise.

    What an array held before is lost when its name is asked for again.
    """

    def __init__(self) -> None:
        self._flat: dict[str, NDArray[np.float32]] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Contiguous float32 array of a shape, with arbitrary contents."""
        size = math.prod(shape)
        held = self._flat.get(name)
        if held is None or held.size < size:
            held = np.empty(size, np.float32)
            self._flat[name] = held
        return held[:size].reshape(shape)
