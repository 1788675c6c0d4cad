"""Figures and doubts in words."""

from __future__ import annotations

import math

import pandas as pd

from ctcfish import flags


def number(value: object, digits: int = 2) -> str:
    """A figure for people: a dash where it is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def sentences(text: str, kind: type[flags.SlideFlag]) -> dict[str, str]:
    """Sentence of every flag named in a table's text."""
    return {name: flags.sentence(kind[name]) for name in text.split("|") if name}


def percent(share: float | None, digits: int = 2) -> str:
    """A share in per cent with some significant figures; a dash where it is missing."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}g} %".replace("1e+02", "100")
