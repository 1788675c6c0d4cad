"""Who the patients are: every characteristic in the screened, in those with amplified CTC and in the treated."""

from __future__ import annotations

import pandas as pd

from ctcfish.trial.subjects import CHARACTERISTICS, CLASSES, Study

COLUMNS = ["population", "n", "characteristic", "known", "count", "median", "least", "most"]


def characteristics(study: Study) -> pd.DataFrame:
    """Return a row per population and characteristic, :data:`COLUMNS`; nothing is imputed.

    ``known`` patients of ``n``; of them ``median``, ``least`` and ``most`` of a number, ``count`` of a marked class.
    """
    s = study.subjects
    populations = {"screened": s, "with amplified CTC": s[s["positive"]], "treated": s[s["treated"]]}
    rows: list[tuple[object, ...]] = []
    for name, own in populations.items():
        for column, title in CHARACTERISTICS.items():
            known = own[column].dropna().astype(float)
            spread = (known.median(), known.min(), known.max()) if len(known) else (None, None, None)
            rows.append((name, len(own), title, len(known), None, *spread))
        for column, (marked, title) in CLASSES.items():
            known = own[column].dropna()
            rows.append((name, len(own), title, len(known), int((known == marked).sum()), None, None, None))
    return pd.DataFrame(rows, columns=COLUMNS)
