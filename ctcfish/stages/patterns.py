"""Patterns of copies that a cytogeneticist names, each by a definition on the counts of one nucleus.

``polysomy``
    3 or more CEP17 signals, and no co-amplification. A nucleus in G2 (4/4) and one with four chromosomes 17 have the
    same counts and the same name here. (A specimen is polysomic from a mean of 3.0 CEP17 signals: Wolff et al. 2013.)
``monosomy``
    Exactly one CEP17 signal with nothing left open by its interval. A missed signal looks the same.
``co_amplification``
    6 or more HER2 signals together with 6 or more CEP17 signals, or with CEP17 signals in an unresolved cluster: the
    centromere was gained with the gene, so that the ratio hides the amplification (group 3 of Wolff et al. 2018 has
    6 or more HER2 signals at a ratio under 2.0).
``compact_amplification``
    The counts reach the ratio 2.2 with 4 or more HER2 signals, at least half of which lie in unresolved clusters, the
    largest of them compact: as a homogeneously staining region.
``dispersed_amplification``
    The counts reach the ratio 2.2 with 4 or more HER2 signals, and more than half lie apart or in loose clusters: as
    double minutes, or single extra copies.

Amplified patterns ask for 4 HER2 signals, the least that ASCO/CAP call amplified; so 3/1 is a monosomy alone. Where a
cluster could not be counted, the lower end stands for HER2 and the upper end for CEP17.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish import flags
from ctcfish.flags import CellFlag
from ctcfish.stats.ratio_rule import reaches

PATTERNS = ("polysomy", "monosomy", "co_amplification", "compact_amplification", "dispersed_amplification")
"""Names in the order in which they are joined."""

CUT = Fraction(11, 5)
MANY = 6
"""Signals of a colour from which it is gained beyond what chromosome numbers explain."""
LEAST_HER2 = 4
POLYSOMIC = 3


def patterns(cells: pd.DataFrame, scored: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Name the patterns of every nucleus.

    Parameters
    ----------
    cells : pandas.DataFrame, N rows
        Counts, intervals and flags; ``her2_in_clusters``, ``cep17_in_clusters`` and ``her2_compact`` where clusters
        were looked for.
    scored : ndarray of bool, (N,)
        Nuclei that can be scored; others have no pattern.

    Returns
    -------
    ndarray of object, (N,)
        Names joined by ``|``, empty for none of them; None where not scored or a colour is wanting.
    """
    bits = flags.from_text(cells["flags"].to_numpy(), CellFlag)
    bound = bits & int(CellFlag.UNCOUNTABLE_CLUSTER) != 0
    her2 = np.where(bound, _whole(cells, "her2_low"), _whole(cells, "her2_count"))
    cep17 = np.where(bound, _whole(cells, "cep17_high"), _whole(cells, "cep17_count"))
    shown = scored & (_whole(cells, "her2_count") > 0) & (_whole(cells, "cep17_count") > 0)
    co_amplified = (her2 >= MANY) & ((cep17 >= MANY) | (_whole(cells, "cep17_in_clusters") > 0))
    amplified = reaches(her2, cep17, CUT) & (her2 >= LEAST_HER2)
    clustered = 2 * _whole(cells, "her2_in_clusters") >= _whole(cells, "her2_count")
    compact = amplified & clustered & (_whole(cells, "her2_compact") > 0)
    holds = (
        (cep17 >= POLYSOMIC) & ~co_amplified,
        (cep17 == 1) & (_whole(cells, "cep17_high") == 1),
        co_amplified,
        compact,
        amplified & ~compact,
    )
    names = ["|".join(n for n, yes in zip(PATTERNS, row, strict=True) if yes) for row in np.stack(holds, 1).tolist()]
    return np.array([name if yes else None for name, yes in zip(names, shown.tolist(), strict=True)], dtype=object)


def count_patterns(cells: pd.DataFrame) -> dict[str, int]:
    """How many cells show each pattern, under the names ``n_<pattern>``."""
    named = cells["patterns"].fillna("").astype(str).str.split("|")
    return {f"n_{pattern}": int(sum(pattern in own for own in named)) for pattern in PATTERNS}


def _whole(cells: pd.DataFrame, column: str) -> NDArray[np.int64]:
    """A column as integers; 0 where it is missing, or no cluster was looked for."""
    if column not in cells:
        return np.zeros(len(cells), np.int64)
    return np.asarray(np.nan_to_num(cells[column].to_numpy(float, na_value=np.nan))).astype(np.int64)
