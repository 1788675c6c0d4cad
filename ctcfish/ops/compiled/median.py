"""Medians without sorting."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ctcfish.ops.compiled.kernel import kernel

_Array = NDArray[Any]


@kernel
def lower_median(values: _Array, number: int) -> float:
    """Lower median of the first values, which are put in another order (Hoare 1961, Commun. ACM 4:321)."""
    low, high, middle = 0, number - 1, (number - 1) // 2
    while low < high:
        pivot, i, j = values[middle], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        low, high = (i if j < middle else low), (j if i > middle else high)
    return float(values[middle])
