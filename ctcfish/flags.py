"""Why a signal, a cell or a slide is doubtful: one bit and one sentence each.

Bits live in arrays inside the stages; tables carry names joined by ``|``.
"""

from enum import IntFlag, StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray


class SpotFlag(IntFlag):
    """Doubts about one detected signal."""

    CROSSTALK = 1 << 0
    BROAD = 1 << 1
    HOT_PIXEL = 1 << 2
    SATURATED = 1 << 3
    BOTH_COLOURS = 1 << 4
    POOR_FIT = 1 << 5
    EDGE = 1 << 6
    IF_RESIDUE = 1 << 7
    IN_CLUSTER = 1 << 8
    TWO_NUCLEI = 1 << 9
    DIM = 1 << 10
    OUTSIDE_NUCLEUS = 1 << 11
    SISTER = 1 << 12


class CellFlag(IntFlag):
    """Doubts about one cell."""

    OVERLAP = 1 << 0
    TRUNCATED = 1 << 1
    OUT_OF_FOCUS = 1 << 2
    APOPTOTIC = 1 << 3
    TOO_SMALL = 1 << 4
    TOO_LARGE = 1 << 5
    HIGH_BACKGROUND = 1 << 6
    CLUSTER = 1 << 7
    UNCOUNTABLE_CLUSTER = 1 << 8
    LOW_SNR = 1 << 9
    LOWER_BOUND = 1 << 10
    UNSURE_MATCH = 1 << 11
    UNSURE_KIND = 1 << 12
    SATURATED = 1 << 13
    DENSE_SIGNALS = 1 << 14
    IF_RESIDUE = 1 << 15


class SlideFlag(IntFlag):
    """Doubts about a whole slide."""

    NO_IF = 1 << 0
    UNCONTROLLED = 1 << 1
    COMPOSITE = 1 << 2
    LOSSY = 1 << 3
    COARSE_PIXELS = 1 << 4
    OUT_OF_RANGE = 1 << 5
    FEW_SIGNALS = 1 << 6
    NO_NUCLEI = 1 << 7
    NO_CTC = 1 << 8
    SINGLE_PLANE = 1 << 9
    GAIN_ESTIMATED = 1 << 10
    RELOCATION_FAILED = 1 << 11
    SCALE_MISMATCH = 1 << 12
    HYBRIDISATION_FAILED = 1 << 13
    FAINT_SIGNALS = 1 << 14


class Reason(StrEnum):
    """Why a cell is not evaluable."""

    LOST = "LOST"
    NO_HER2 = "NO_HER2"
    NO_CEP17 = "NO_CEP17"
    OVERLAP = "OVERLAP"
    OUT_OF_FOCUS = "OUT_OF_FOCUS"
    HIGH_BACKGROUND = "HIGH_BACKGROUND"
    TRUNCATED = "TRUNCATED"
    APOPTOTIC = "APOPTOTIC"
    UNCOUNTABLE_CLUSTER = "UNCOUNTABLE_CLUSTER"
    HYBRIDISATION = "HYBRIDISATION"
    UNCERTAIN = "UNCERTAIN"
    NO_HER2_PROTEIN = "NO_HER2_PROTEIN"


_SENTENCES: dict[type[IntFlag], dict[str, str]] = {
    SpotFlag: {
        "CROSSTALK": "The signal is the other dye seen through this channel's filter.",
        "BROAD": "The object is wider than a signal of this dye can be.",
        "HOT_PIXEL": "A single camera pixel, narrower than the optics allow.",
        "SATURATED": "The camera was saturated in the signal's core; its brightness is a lower bound.",
        "BOTH_COLOURS": "Equally bright in both colours, as autofluorescent granules are.",
        "POOR_FIT": "The shape does not fit the slide's isolated signals.",
        "EDGE": "The signal touches the border of the image or of the stack.",
        "IF_RESIDUE": "Stain left from the immunofluorescence scan shines in this channel.",
        "IN_CLUSTER": "One of three or more unresolved signals, counted by its cluster's estimate.",
        "TWO_NUCLEI": "The signal lies in two nuclei.",
        "DIM": "Fainter than this slide's signals are.",
        "OUTSIDE_NUCLEUS": "The signal lies outside every nucleus.",
        "SISTER": "Within one signal diameter of a brighter signal of the same colour; the pair counts as one.",
    },
    CellFlag: {
        "OVERLAP": "The nucleus lies on or under another nucleus.",
        "TRUNCATED": "The nucleus is cut by the border of the image.",
        "OUT_OF_FOCUS": "No plane of the stack shows the nucleus in focus.",
        "APOPTOTIC": "The nucleus is condensed or fragmented.",
        "TOO_SMALL": "Smaller than a nucleus of this slide can be.",
        "TOO_LARGE": "Larger than a nucleus of this slide can be; it may be several.",
        "HIGH_BACKGROUND": "The background in the nucleus hides signals of ordinary brightness.",
        "CLUSTER": "Some signals could not be separated; their number is an estimate with an interval.",
        "UNCOUNTABLE_CLUSTER": "A cluster could not be counted; its count is a lower bound.",
        "LOW_SNR": "Signals of this nucleus barely stand out from the background.",
        "LOWER_BOUND": "The count is a lower bound.",
        "UNSURE_MATCH": "The cell could be confused with a neighbour when found again in the FISH scan.",
        "UNSURE_KIND": "CTC or leukocyte: the markers do not decide.",
        "SATURATED": "Part of the cell is saturated in some channel.",
        "IF_RESIDUE": "Stain left from the immunofluorescence scan shines around the nucleus in a probe's channel.",
        "DENSE_SIGNALS": "So many signals that neighbours overlap; the count may be low.",
    },
    SlideFlag: {
        "NO_IF": "No immunofluorescence scan: no cell is known to be a CTC.",
        "UNCONTROLLED": "Too few leukocytes to measure this slide's error rates; defaults were used.",
        "COMPOSITE": "A colour composite: channels leak into each other and 8-bit export clips them.",
        "LOSSY": "Lossy compression: faint signals may be gone and false ones made.",
        "COARSE_PIXELS": "Pixels above 0.25 um: signals close together cannot be counted.",
        "OUT_OF_RANGE": "Brightness, background or camera outside the range the program was validated for.",
        "FEW_SIGNALS": "Too few isolated signals to measure the slide; start values from the panel were used.",
        "NO_NUCLEI": "No nucleus was found.",
        "NO_CTC": "No CTC was found (a valid result).",
        "SINGLE_PLANE": "One plane only: signals above and below it are missed.",
        "GAIN_ESTIMATED": "Camera gain and offset were estimated from the images.",
        "RELOCATION_FAILED": "The IF and FISH scans could not be brought together.",
        "SCALE_MISMATCH": "The two scans' pixel sizes contradict each other.",
        "HYBRIDISATION_FAILED": "The leukocytes lack signals: the hybridisation failed.",
        "FAINT_SIGNALS": "Isolated signals hardly pass the threshold; more than one in ten may be missed.",
    },
}


def sentence(flag: IntFlag) -> str:
    """What a flag means, in one sentence."""
    return _SENTENCES[type(flag)][flag.name or ""]


def to_text(bits: ArrayLike, kind: type[IntFlag]) -> NDArray[np.object_]:
    """Names of set bits, joined by ``|``, for each element.

    Parameters
    ----------
    bits : array_like of int, (N,)
    kind : type of IntFlag

    Returns
    -------
    ndarray of str, (N,)

    Examples
    --------
    >>> list(to_text([0, 3], CellFlag))
    ['', 'OVERLAP|TRUNCATED']
    """
    values = np.atleast_1d(np.asarray(bits, dtype=np.int64))
    names = {v: "|".join(f.name or "" for f in kind if v & f) for v in np.unique(values).tolist()}
    return np.array([names[v] for v in values.tolist()], dtype=object)


def from_text(text: ArrayLike, kind: type[IntFlag]) -> NDArray[np.int64]:
    """Inverse of :func:`to_text`; missing and empty texts are 0.

    Examples
    --------
    >>> from_text(['', 'OVERLAP|TRUNCATED'], CellFlag).tolist()
    [0, 3]
    """
    values = np.atleast_1d(np.asarray(text, dtype=object))
    bits = {
        t: sum(int(kind[name]) for name in t.split("|") if name) for t in set(values.tolist()) if isinstance(t, str)
    }
    return np.array([bits.get(t, 0) for t in values.tolist()], dtype=np.int64)
