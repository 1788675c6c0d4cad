"""The nuclei of the IF scan laid on those of FISH: where every CTC was found again, and which are lost."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.report.drawing import composite, limits_of, svg_tile
from ctcfish.store.pictures import Picture

MOST_PANELS = 12
WIDE, NARROW = 1100, 540
"""Width of a panel on the page: of one alone, and of several."""

_MARGIN_UM = 8.0
_CTC_UM = 7.0
_OTHER_UM = 3.2


def constellations(
    cells: pd.DataFrame,
    if_cells: pd.DataFrame,
    pictures: Mapping[str, Picture],
    transforms: Sequence[Mapping[str, Any]],
) -> list[dict[str, str]]:
    """One panel per FISH scene that an IF scene was laid on, those with most CTC first.

    Parameters
    ----------
    cells, if_cells : pandas.DataFrame
    pictures : mapping of str to Picture
        Of these the ``view/fish/...`` are the ground.
    transforms : sequence of mapping
        As in ``slide.json``: ``if_scene, scene, matrix`` (IF um to FISH um), ``n_matched, rms_um``.

    Returns
    -------
    list of dict
        ``title`` and ``figure`` of each panel.
    """
    laid = [
        (one, pictures[f"view/fish/{one['scene']}"]) for one in transforms if f"view/fish/{one['scene']}" in pictures
    ]
    side = WIDE if len(laid) == 1 else NARROW
    panels = [_panel(cells, _moved(if_cells, cells, one), (one, view), side) for one, view in laid]
    panels.sort(key=lambda panel: -panel[0])
    return [{"title": title, "figure": figure} for _, title, figure in panels[:MOST_PANELS]]


def _moved(if_cells: pd.DataFrame, cells: pd.DataFrame, transform: Mapping[str, Any]) -> pd.DataFrame:
    """IF nuclei of the scene at their place in FISH, with what each was matched to."""
    own = if_cells[if_cells["if_scene"] == transform["if_scene"]]
    points = np.column_stack([own[["if_y_um", "if_x_um"]].to_numpy(float), np.ones(len(own))])
    y, x = np.array(transform["matrix"], float) @ points.T
    found = cells.loc[
        cells["scene"].notna() & (cells["if_scene"] == transform["if_scene"]),
        ["if_label", "scene", "y_um", "x_um", "relocation_residual_um", "relocation_probability"],
    ]
    placed = own[["if_label", "kind"]].assign(moved_y_um=y, moved_x_um=x)
    return placed.merge(found, on="if_label", how="left")


def _panel(
    cells: pd.DataFrame, moved: pd.DataFrame, laid: tuple[Mapping[str, Any], Picture], side: int
) -> tuple[int, str, str]:
    transform, view = laid
    high, wide = (n * view.pixel_um for n in view.pixels.shape[1:])
    inside = moved["moved_y_um"].between(-_MARGIN_UM, high + _MARGIN_UM) & moved["moved_x_um"].between(
        -_MARGIN_UM, wide + _MARGIN_UM
    )
    here = moved["scene"] == transform["scene"]
    shown = moved[here | (inside & moved["scene"].isna())]
    ctc = shown[shown["kind"] == "ctc"]
    lost = ctc["scene"].isna().to_numpy()
    found = int((~lost).sum())
    title = (
        f"{transform['if_scene']} on {transform['scene']}: {transform['n_matched']} nuclei paired, rms "
        f"{transform['rms_um']:.1f} µm; {found} CTC found again, {int(lost.sum())} lost"
    )
    own = cells[cells["scene"] == transform["scene"]]
    drawn = _rings(own, view, side) + "".join(_star(row, view, side) for row in shown.to_dict("records"))
    ground = composite(view, ["nucleus"], limits_of([view])) // 2
    return found, title, svg_tile(ground, title, drawn, view.pixel_um, side)


def _px(y_um: float, x_um: float, view: Picture) -> tuple[float, float]:
    return (x_um - view.origin_um[1]) / view.pixel_um, (y_um - view.origin_um[0]) / view.pixel_um


def _rings(cells: pd.DataFrame, view: Picture, side: int) -> str:
    """Every FISH nucleus as a circle of its area; dashed where no IF nucleus belongs to it."""
    radius: NDArray[np.float64] = np.sqrt(cells["area_um2"].to_numpy(float) / np.pi) / view.pixel_um
    width = 1.2 * view.pixels.shape[2] / side
    drawn = []
    for r, row in zip(radius, cells.to_dict("records"), strict=True):
        x, y = _px(row["y_um"], row["x_um"], view)
        alone = "" if isinstance(row["if_scene"], str) else " alone"
        drawn.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" class="fish{alone}" style="stroke-width:{width:.2f}"/>'
        )
    return "".join(drawn)


def _star(row: Mapping[str, Any], view: Picture, side: int) -> str:
    """One IF nucleus: a cross at its moved place, a line to its partner; CTC ringed, lost ones red."""
    x, y = _px(row["moved_y_um"], row["moved_x_um"], view)
    ctc, lost = row["kind"] == "ctc", not isinstance(row["scene"], str)
    arm = _OTHER_UM / 2 / view.pixel_um
    unit = view.pixels.shape[2] / side
    marks = f"M{x - arm:.1f},{y:.1f}h{2 * arm:.1f}M{x:.1f},{y - arm:.1f}v{2 * arm:.1f}"
    said = f"IF {row['if_label']} {row['kind']}, lost"
    if not lost:
        to_x, to_y = _px(row["y_um"], row["x_um"], view)
        marks += f"M{x:.1f},{y:.1f}L{to_x:.1f},{to_y:.1f}"
        said = (
            f"IF {row['if_label']} {row['kind']}, {row['relocation_residual_um']:.1f} um off, "
            f"p {row['relocation_probability']:.3f}"
        )
    kind = f"star{' ctc' if ctc else ''}{' lost' if lost else ''}"
    stroke = (2.4 if ctc else 1.2) * unit
    ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_CTC_UM / view.pixel_um:.1f}"/>' if ctc else ""
    return (
        f'<g class="{kind}" style="stroke-width:{stroke:.2f}"><title>{html.escape(said)}</title>'
        f'<path d="{marks}"/>{ring}</g>'
    )
