"""The reliability picture: what ``p_amplified`` promised beside what came true, with a slide's own cells under it.

A slide has no truth for its CTC. The curve therefore comes from simulated slides and travels with the program, with its
origin; what a slide can show by itself is where its own probabilities lie, and how often its leukocytes, of which none
is amplified, are called amplified beside what its error rates predict.
"""

from __future__ import annotations

import html
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from ctcfish.resources import resource_dir
from ctcfish.stats.calibration import Reliability, reliability_of
from ctcfish.stats.checks import IntArray

STYLES = (("#0072B2", "circle", ""), ("#D55E00", "square", "6 3"), ("#009E73", "diamond", "8 3 2 3"))
"""Colour, marker and dashes of each curve (Okabe and Ito's palette): told apart in grey as well."""

KINDS = {"ctc": ("CTC", "#D55E00"), "wbc": ("leukocytes", "#999999")}
LOOKS = {"seen": ("circle", "#000000", ""), "predicted by the slide's error rates": ("square", "#0072B2", "#ffffff")}
INK, PALE = "#1c2430", "#c9ced6"
LEAST_SHARE = 1e-5
TICKS = ((LEAST_SHARE, "0"), (1e-4, "0.01 %"), (1e-3, "0.1 %"), (1e-2, "1 %"), (0.1, "10 %"), (1.0, "100 %"))
"""Shares of leukocytes below the least stand at the left edge, where 0 is."""


@dataclass(frozen=True)
class Measured:
    """A curve that travels with the program.

    Attributes
    ----------
    name, about : str
        What it is called, and on what it was measured.
    configuration_sha256 : str
        Of the configuration it holds for.
    curve : Reliability
    """

    name: str
    about: str
    configuration_sha256: str
    curve: Reliability


@cache
def measured() -> tuple[Measured, ...]:
    """Curves of ``models/calibration/p_amplified.toml``, as ``scripts/bench_calls.py`` wrote them."""
    text = (resource_dir("models") / "calibration" / "p_amplified.toml").read_text(encoding="utf-8")
    return tuple(
        Measured(
            own["name"],
            own["about"],
            own["configuration_sha256"],
            reliability_of(own["cells"], own["predicted"], own["amplified"]),
        )
        for own in tomllib.loads(text)["curves"]
    )


@dataclass(frozen=True)
class Check:
    """Share of a slide's leukocytes that a rule calls amplified, each with the ends of its 95 % interval."""

    rule: str
    amplified: int
    leukocytes: int
    observed: tuple[float, float, float]
    modelled: tuple[float, float, float]


@dataclass(frozen=True)
class Own:
    """What a slide shows by itself.

    Attributes
    ----------
    bins : mapping of str to ndarray of int
        Cells that can be called, by kind and by tenth of ``p_amplified``.
    checks : tuple of Check
    """

    bins: Mapping[str, IntArray]
    checks: tuple[Check, ...]


def own_cells(cells: pd.DataFrame, told: Mapping[str, Mapping[str, Any]], rules: Sequence[str], bins: int = 10) -> Own:
    """Gather what a slide shows by itself.

    Parameters
    ----------
    cells : pandas.DataFrame
        :data:`ctcfish.tables.CELLS`.
    told : mapping
        ``false_amplified`` of ``slide.json``.
    rules : sequence of str
        Names of the rules to show; those not in ``told`` are left out.
    bins : int
    """
    told_p = cells["p_amplified"].to_numpy(float, na_value=np.nan)
    shown = ~np.isnan(told_p) & (cells["call"] != "not_evaluable").to_numpy()
    own = {kind: told_p[shown & (cells["kind"] == kind).to_numpy()] for kind in KINDS}
    counted = {kind: np.histogram(values, bins, (0.0, 1.0))[0] for kind, values in own.items()}
    checks = []
    for name in dict.fromkeys(rules):
        if (said := told.get(name)) and said["leukocytes"]:
            observed, modelled = (
                (said[value], said[low], said[high])
                for value, low, high in (("observed", "low", "high"), ("modelled", "modelled_low", "modelled_high"))
            )
            checks.append(Check(name, said["amplified"], said["leukocytes"], observed, modelled))
    return Own(counted, tuple(checks))


def reliability_plot(curves: Mapping[str, Reliability], own: Own | None = None) -> str:
    """SVG: share truly amplified against the probability given, with exact 95 % intervals; below, how many cells.

    Parameters
    ----------
    curves : mapping of str to Reliability
        At most three, by name, of the same bins.
    own : Own, optional
        A slide: its cells take the lower part, and its leukocytes a part of their own. Without, the lower part counts
        the cells of the curves.
    """
    main, below, beside = _Frame(54, 26, 300, 300), _Frame(54, 346, 300, 84), _Frame(430, 60, 250, 0)
    styled = list(zip(curves.items(), STYLES, strict=False))
    drawn = [*_grid(main), *(part for (_, curve), style in styled for part in _curve(main, curve, style))]
    drawn += _legend(380, 330, [(f"{name} (ECE {curve.error:.3f})", style) for (name, curve), style in styled])
    bars = [(KINDS[kind], counts) for kind, counts in own.bins.items()] if own else []
    bars = bars or [((name, style[0]), curve.n) for (name, curve), style in styled]
    drawn += _bars(below, bars)
    drawn += _leukocytes(beside, own.checks) if own is not None else []
    width = 760 if own is not None else 620
    frame = f'viewBox="0 0 {width} 472" width="{width}" height="472" font-family="sans-serif" font-size="11"'
    title = "Reliability of p_amplified"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {frame} role="img" aria-label="{title}">{"".join(drawn)}</svg>'


@dataclass(frozen=True)
class _Frame:
    """A part of the picture: left, top, width and height."""

    left: float
    top: float
    width: float
    height: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point given in shares of the frame, upwards."""
        return self.left + x * self.width, self.top + (1.0 - y) * self.height


def _text(x: float, y: float, said: str, anchor: str = "middle", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}" {more}>{html.escape(said)}</text>'


def _line(points: Iterable[tuple[float, float]], colour: str, width: float = 1.0, dashes: str = "") -> str:
    path = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dashes}"/>'


def _mark(x: float, y: float, shape: str, colour: str, fill: str = "") -> str:
    r, d = 3.6, 4.7
    outlines = {
        "circle": f"M{x - r:.1f},{y:.1f} a{r},{r} 0 1,0 {2 * r},0 a{r},{r} 0 1,0 {-2 * r},0Z",
        "square": f"M{x - r:.1f},{y - r:.1f} h{2 * r} v{2 * r} h{-2 * r}Z",
        "diamond": f"M{x:.1f},{y - d:.1f} l{d},{d} l{-d},{d} l{-d},{-d}Z",
    }
    return f'<path d="{outlines[shape]}" fill="{fill or colour}" stroke="{colour}" stroke-width="1.4"/>'


def _grid(frame: _Frame) -> list[str]:
    """Frame of the curves: tenths up and across, and the line of perfect probabilities."""
    drawn = [_text(frame.left + frame.width / 2, 14, "Posterior against truth", more='font-size="12"')]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = frame.at(tick, tick)
        drawn += [_line([(frame.left, y), (frame.left + frame.width, y)], PALE, 0.6)]
        drawn += [_line([(x, frame.top), (x, frame.top + frame.height)], PALE, 0.6)]
        drawn += [_text(frame.left - 6, y + 4, f"{tick:g}", "end")]
    drawn.append(_line([frame.at(0, 0), frame.at(1, 1)], "#777777", 1.0, "2 3"))
    turned = f'transform="rotate(-90 14 {frame.top + frame.height / 2})"'
    return [*drawn, _text(14, frame.top + frame.height / 2, "share truly amplified", more=turned)]


def _curve(frame: _Frame, curve: Reliability, style: tuple[str, str, str]) -> list[str]:
    colour, shape, dashes = style
    used = np.flatnonzero(curve.n > 0)
    points = [frame.at(float(curve.predicted[k]), float(curve.observed[k])) for k in used]
    drawn = [_line(points, colour, 1.2, dashes)] if points else []
    for k, (x, y) in zip(used, points, strict=True):
        ends = [frame.at(float(curve.predicted[k]), float(end[k])) for end in (curve.low, curve.high)]
        drawn += [_line(ends, colour, 1.0), _mark(x, y, shape, colour)]
    return drawn


def _legend(left: float, top: float, entries: Sequence[tuple[str, tuple[str, str, str]]]) -> list[str]:
    drawn = []
    for row, (said, (colour, shape, dashes)) in enumerate([*entries, ("perfect", ("#777777", "", "2 3"))]):
        y = top - 16 * (len(entries) - row)
        drawn.append(_line([(left, y), (left + 24, y)], colour, 1.2, dashes))
        drawn += [_mark(left + 12, y, shape, colour)] if shape else []
        drawn.append(_text(left + 32, y + 4, said, "start"))
    return drawn


def _bars(frame: _Frame, bars: Sequence[tuple[tuple[str, str], IntArray]]) -> list[str]:
    """Numbers of cells by tenth, on a logarithmic scale that has room for 0."""
    top = math.log1p(max([10, *(int(counts.max(initial=0)) for _, counts in bars)]))
    drawn = []
    for tick in (0, 1, 10, 100, 1000, 10_000, 100_000):
        if math.log1p(tick) <= top:
            y = frame.at(0, math.log1p(tick) / top)[1]
            drawn += [_line([(frame.left, y), (frame.left + frame.width, y)], PALE, 0.6)]
            drawn += [_text(frame.left - 6, y + 4, str(tick), "end")]
    for place, ((name, colour), counts) in enumerate(bars):
        wide = 0.8 * frame.width / max(len(counts), 1) / len(bars)
        for k, n in enumerate(counts.tolist()):
            x = frame.left + (k + 0.1) * frame.width / len(counts) + place * wide
            y = frame.at(0, math.log1p(n) / top)[1]
            box = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{frame.top + frame.height - y:.1f}"'
            drawn.append(f'<rect {box} fill="{colour}"><title>{html.escape(name)}: {n}</title></rect>')
        key, foot = frame.left + frame.width + 26, frame.top + 34.0 + 16 * place
        drawn.append(f'<rect x="{key}" y="{foot - 9}" width="9" height="9" fill="{colour}"/>')
        drawn.append(_text(key + 16, foot, f"{name}: {int(counts.sum())} cells", "start"))
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        drawn.append(_text(frame.at(share, 0)[0], frame.top + frame.height + 13, f"{share:g}"))
    drawn.append(_text(frame.left + frame.width / 2, frame.top + frame.height + 26, "p_amplified"))
    turned = f'transform="rotate(-90 14 {frame.top + frame.height / 2})"'
    return [*drawn, _text(14, frame.top + frame.height / 2, "cells", more=turned)]


def _leukocytes(frame: _Frame, checks: Sequence[Check]) -> list[str]:
    """Share of leukocytes called amplified by each rule: seen, and predicted by the slide's error rates."""
    middle = frame.left + frame.width / 2
    drawn = [_text(middle, 14, "This slide's leukocytes, of which none is amplified", more='font-size="12"')]
    if not checks:
        return [*drawn, _text(middle, 60, "no leukocyte that shows both colours: not controlled")]
    foot = frame.top + 64 * len(checks)
    for tick, said in TICKS:
        x = _share_at(frame, tick)
        drawn += [_line([(x, frame.top - 16), (x, foot - 22)], PALE, 0.6), _text(x, foot - 8, said)]
    drawn.append(_text(middle, foot + 8, "share called amplified, 95 %"))
    for row, check in enumerate(checks):
        y = frame.top + 64 * row
        drawn.append(_text(frame.left, y - 20, f"{check.rule}: {check.amplified} of {check.leukocytes}", "start"))
        for down, shares, look in zip((y, y + 18), (check.observed, check.modelled), LOOKS.values(), strict=True):
            x, low, high = (_share_at(frame, share) for share in shares)
            drawn += [_line([(low, down), (high, down)], look[1], 1.4), _mark(x, down, *look)]
    for row, (said, look) in enumerate(LOOKS.items()):
        y = foot + 28 + 16 * row
        drawn += [_mark(frame.left + 8, y, *look), _text(frame.left + 20, y + 4, said, "start")]
    return drawn


def _share_at(frame: _Frame, share: float) -> float:
    decades = math.log10(max(share, LEAST_SHARE) / LEAST_SHARE) / -math.log10(LEAST_SHARE)
    return frame.left + decades * frame.width
