"""What a cell's signals say of the cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish import flags
from ctcfish.flags import CellFlag, SpotFlag

_OF_THE_CELL = ((SpotFlag.SATURATED, CellFlag.SATURATED), (SpotFlag.IF_RESIDUE, CellFlag.IF_RESIDUE))


def of_cells(labels: NDArray[np.int32], spots: pd.DataFrame) -> NDArray[np.int64]:
    """Bits of :class:`~ctcfish.flags.CellFlag` that signals bring with them, ``(N,)``; rejected ones bring none.

    Parameters
    ----------
    labels : ndarray of int32, (N,)
        Nuclei.
    spots : pandas.DataFrame
        With ``label``, ``status`` and ``flags``.
    """
    kept = spots[spots["status"] != "vetoed"]
    bits, label = flags.from_text(kept["flags"].to_numpy(), SpotFlag), kept["label"].to_numpy(np.int64)
    result = np.zeros(len(labels), np.int64)
    for flag, of_cell in _OF_THE_CELL:
        result[np.isin(labels, label[(bits & int(flag)) != 0])] |= int(of_cell)
    return result
