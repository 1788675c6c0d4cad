"""Is this image fit to score? Measured before scoring, on the image itself and on some of its nuclei."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.config import Config
from ctcfish.errors import UsageError
from ctcfish.qc import tables as declared
from ctcfish.stages.count import count
from ctcfish.stages.detect import detect
from ctcfish.stages.segment import segment
from ctcfish.stages.signals.regions import sample
from ctcfish.stages.survey import SceneInfo, merge, survey
from ctcfish.types import Nuclei, Scene, Slide

Limits = Mapping[str, tuple[float, float]]
Pixels = NDArray[Any]

MOST_NUCLEI = 60
"""Nuclei on which signals are looked for; enough to tell a failed hybridisation from a good one."""
MOST_PIXELS = 100_000_000
"""Voxels of a channel that are looked at before every scoring; more would be read twice for a line of text."""
MOST_DOUBTS = 4
TILES = 8
PROBES = ("her2", "cep17")


def light(name: str, value: float, limits: Limits) -> str:
    """Traffic light of a figure.

    Examples
    --------
    >>> [light("focus", value, {"focus": (0.6, 0.3)}) for value in (0.7, 0.5, 0.2, float("nan"))]
    ['green', 'amber', 'red', 'red']
    >>> light("crosstalk_percent", 3.0, {"crosstalk_percent": (5.0, 15.0)})
    'green'
    """
    green, red = limits[name]
    sign = 1.0 if green > red else -1.0
    if sign * value >= sign * green:
        return "green"
    return "amber" if sign * value > sign * red else "red"


def slide_checks(slide: Slide, config: Config, device: str) -> pd.DataFrame:
    """Checks of every FISH scene of a slide: :data:`ctcfish.qc.tables.CHECKS`.

    Raises
    ------
    UsageError
        The slide has no FISH scene.
    """
    if not slide.fish_scenes:
        raise UsageError(f"{slide.slide_id} has no FISH scan: these checks are of FISH images.")
    return _table(slide, config, lambda scene: _scene_figures(scene, config, device))


def pixel_lights(slide: Slide, config: Config) -> str:
    """Lights of exposure, saturation and shading in one line: what the pixels say before anything is looked for.

    Empty without a FISH scene; scenes of more than ``MOST_PIXELS`` voxels a channel are left to `slide_checks`.
    """
    small = [scene for scene in slide.fish_scenes if math.prod(scene.pixels.shape[1:]) <= MOST_PIXELS]
    if not small:
        return ""
    checks = _table(slide, config, _pixel_figures, small)
    tones = checks["light"].value_counts()
    doubts = checks[checks["light"].isin(["amber", "red"])]
    said = [f"{row['scene']} {row['about'].partition(':')[0]} {row['check']} {row['value']:.3g} {row['light']}"
            for row in doubts.to_dict("records")]  # fmt: skip
    numbers = ", ".join(f"{int(tones.get(tone, 0))} {tone}" for tone in ("green", "amber", "red"))
    more = f"; {len(said) - MOST_DOUBTS} more" if len(said) > MOST_DOUBTS else ""
    return "; ".join([f"image before scoring: {numbers}", *said[:MOST_DOUBTS]]) + more


def _table(
    slide: Slide,
    config: Config,
    figures: Callable[[Scene], Iterator[tuple[str, float, str]]],
    scenes: Sequence[Scene] | None = None,
) -> pd.DataFrame:
    rows = []
    for scene in slide.fish_scenes if scenes is None else scenes:
        for name, value, about in figures(scene):
            limit = config.qc.limits.get(name)
            tone = "" if limit is None else light(name, value, config.qc.limits)
            green, red = limit or (None, None)
            keys = {"slide_id": slide.slide_id, "scene": scene.name, "check": name, "value": value, "light": tone}
            rows.append(keys | {"green": green, "red": red, "about": about})
    return declared.CHECKS.check(pd.DataFrame(rows))


def _pixel_figures(scene: Scene) -> Iterator[tuple[str, float, str]]:
    yield "planes", float(scene.pixels.shape[1]), f"planes of {scene.voxel_um[0]:g} um"
    for role in ("nucleus", *PROBES):
        if role in scene.roles:
            yield from exposure(role, scene.read(role))


def _scene_figures(scene: Scene, config: Config, device: str) -> Iterator[tuple[str, float, str]]:
    yield from _pixel_figures(scene)
    pixels = {role: scene.read(role) for role in ("nucleus", *PROBES) if role in scene.roles}
    nuclei = segment(pixels["nucleus"], scene.voxel_um, config.segment, device)
    yield "nuclei", float(len(nuclei)), "nuclei found"
    focus = nuclei.focus[np.isfinite(nuclei.focus)]
    yield "focus", float(np.median(focus)) if focus.size else math.nan, "median focus of the nuclei, 0 to 1"
    yield from _signal_figures(scene, pixels, nuclei, config, device)


def exposure(role: str, stack: Pixels) -> Iterator[tuple[str, float, str]]:
    """Saturated pixels, use of the camera's range, and uneven light of one channel, in per cent.

    Parameters
    ----------
    role : str
    stack : ndarray, (Z, Y, X)
    """
    top = int(stack.max(initial=0))
    full = 2 ** max(8, math.ceil(math.log2(top + 1))) - 1 if stack.dtype.kind in "ui" else float(top)
    clipped = float((stack == top).mean()) if top >= full else 0.0
    yield "saturated_percent", 100 * clipped, f"{role}: pixels at the camera's end of range"
    low, high = np.percentile(stack, [1.0, 99.9])
    yield (
        "exposure_percent",
        100 * float(high - low) / max(float(full), 1.0),
        f"{role}: range of light over the camera's",
    )
    yield "shading_percent", shading_percent(stack), f"{role}: background lost towards the dimmest part of the field"


def shading_percent(stack: Pixels) -> float:
    """How much dimmer the darkest part of the field is than the brightest, in per cent.

    A surface of second order through low percentiles of tiles of the middle plane, so that cells do not count; the
    camera's offset is not known here and makes the figure a lower bound.
    """
    plane = stack[stack.shape[0] // 2].astype(np.float64)
    height, width = (max(1, size // TILES) for size in plane.shape)
    tiles = [
        (
            row,
            column,
            float(np.percentile(plane[row * height : (row + 1) * height, column * width : (column + 1) * width], 20)),
        )
        for row in range(min(TILES, plane.shape[0]))
        for column in range(min(TILES, plane.shape[1]))
    ]
    y, x, level = np.array(tiles).T
    terms = np.stack([np.ones_like(y), y, x, y * y, x * x, x * y], axis=1)
    surface = terms @ np.linalg.lstsq(terms, level, rcond=None)[0]
    brightest = float(surface.max())
    return 100 * (1 - max(float(surface.min()), 0.0) / brightest) if brightest > 0 else 0.0


def _signal_figures(
    scene: Scene, pixels: Mapping[str, Pixels], nuclei: Nuclei, config: Config, device: str
) -> Iterator[tuple[str, float, str]]:
    """What the signals of some nuclei say; nothing where there is no nucleus or no probe."""
    stacks = {role: pixels[role] for role in PROBES if role in pixels}
    picked = sample(nuclei, MOST_NUCLEI)
    if not len(picked) or not stacks:
        return
    info = SceneInfo(scene.voxel_um, scene.optics)
    model = merge([survey(stacks, picked, info, config.survey, config.detect, device)], config.survey, config.detect)
    shift = float(np.hypot(*model.chromatic_shift_um[1:]))
    yield "chromatic_shift_um", shift, "lateral shift between the colours; scoring takes it into account"
    for pair, share in model.crosstalk.items():
        yield (
            "crosstalk_percent",
            100 * share,
            f"{pair}: light seen in the other channel; scoring takes it into account",
        )
    found = detect(stacks, picked, scene.voxel_um, model, config.detect, device)
    cells, spots = count(picked, found, model, config.count, ("image", scene.name))
    counted = spots[spots["status"] == "counted"]
    for role in stacks:
        snr = counted.loc[counted["probe"] == role.upper(), "snr"]
        yield f"{role}_snr", float(snr.median()) if len(snr) else 0.0, "median of the signals counted"
    if len(stacks) == len(PROBES):
        both = (cells["her2_count"] > 0) & (cells["cep17_count"] > 0)
        yield "hybridised_percent", 100 * float(both.mean()), f"of {len(cells)} nuclei show both colours"
    step, planes = scene.voxel_um[0], scene.pixels.shape[1]
    if step > 0 and planes > 1 and len(counted):
        ends = (counted["z_um"] < 0.5 * step) | (counted["z_um"] > (planes - 1.5) * step)
        yield "out_of_range_percent", 100 * float(ends.mean()), "signals in the first or last plane: the stack is cut"
