"""Lengths with a unit, as files write them, in micrometres."""

from __future__ import annotations

import math

_UM = {
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "inch": 25400.0,
    "in": 25400.0,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
}

MIN_PIXEL_UM, MAX_PIXEL_UM = 0.01, 5.0
"""No light microscope samples finer, none that shows nuclei coarser."""


def to_um(value: float | str | None, unit: str | None) -> float | None:
    """Length in micrometres; ``None`` where the number or the unit says nothing.

    Examples
    --------
    >>> to_um("100", "nm"), to_um(1.0, "pixel"), to_um(0.0, "um")
    (0.1, None, None)
    """
    factor = _UM.get(normal_unit(unit))
    number = to_number(value)
    return number * factor if factor is not None and number is not None and number > 0 else None


def normal_unit(unit: str | None) -> str:
    """Unit in lower case with both micro signs, and ImageJ's escape of them, written as ``u``."""
    text = (unit or "").strip()
    for micro in ("\\u00b5", "\\u00B5", "\u00b5", "\u03bc"):
        text = text.replace(micro, "u")
    return text.lower()


def to_number(value: float | str | None) -> float | None:
    """Finite number, else ``None``."""
    try:
        number = float(value) if value is not None else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def plausible_pixel(value: float) -> bool:
    """Whether a pixel size can be that of a light microscope."""
    return MIN_PIXEL_UM < value <= MAX_PIXEL_UM
