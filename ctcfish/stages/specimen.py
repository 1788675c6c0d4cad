"""Specimen-level schemes for breast cancer tissue, descriptive on CTC; compared in integers, unrounded."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

MIN_NUCLEI = 20
"""ASCO/CAP asks for 20 nuclei; fewer are not evaluable by its schemes."""

Scheme = Literal["none", "asco_cap_2007", "asco_cap_2013", "asco_cap_2018", "cap_2009"]


def specimen_class(scheme: Scheme, evaluable: pd.DataFrame) -> str | None:
    """Class of a specimen.

    Parameters
    ----------
    scheme : {"none", "asco_cap_2007", "asco_cap_2013", "asco_cap_2018", "cap_2009"}
    evaluable : pandas.DataFrame
        ``her2_count`` and ``cep17_count`` of the evaluable cells.

    Returns
    -------
    str or None
        None where no scheme is asked for.
    """
    if scheme == "none":
        return None
    her2, cep17 = (evaluable[f"{probe}_count"].fillna(0).to_numpy(np.int64) for probe in ("her2", "cep17"))
    if len(her2) < MIN_NUCLEI:
        return f"not evaluable by {scheme} (under {MIN_NUCLEI} nuclei)"
    if scheme == "cap_2009":
        return _cap_2009(int((5 * her2 > 11 * cep17).sum()), len(her2))
    by_scheme = {"asco_cap_2007": _asco_2007, "asco_cap_2013": _asco_2013, "asco_cap_2018": _asco_2018}
    return by_scheme[scheme](int(her2.sum()), int(cep17.sum()), len(her2))


def _asco_2007(her2: int, cep17: int, _: int) -> str:
    """Wolff 2007: > 2.2 positive, 1.8 to 2.2 equivocal."""
    if 5 * her2 > 11 * cep17:
        return "positive"
    return "equivocal" if 5 * her2 >= 9 * cep17 else "negative"


def _asco_2013(her2: int, cep17: int, n: int) -> str:
    """Wolff 2013: ratio >= 2.0 or mean HER2 >= 6.0 positive; else mean HER2 >= 4.0 equivocal."""
    if her2 >= 2 * cep17 or her2 >= 6 * n:
        return "positive"
    return "equivocal" if her2 >= 4 * n else "negative"


def _asco_2018(her2: int, cep17: int, n: int) -> str:
    """Wolff 2018: groups 1 to 5 by ratio 2.0 and mean HER2 4.0 and 6.0; groups 2 to 4 need IHC, absent for CTC."""
    if her2 >= 2 * cep17:
        return "group 1" if her2 >= 4 * n else "group 2"
    if her2 >= 6 * n:
        return "group 3"
    return "group 4" if her2 >= 4 * n else "group 5"


def _cap_2009(above: int, n: int) -> str:
    """Vance 2009: heterogeneous where at least 5 % and under 50 % of cells have a ratio above 2.2."""
    return "heterogeneous" if 100 * above >= 5 * n and 2 * above < n else "not heterogeneous"
