"""A strip of pictures per cell: FISH with marks, its channels, and the same cell in the IF scan."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import count, takewhile
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.report.drawing import (
    PLANE_PERCENTILES,
    Limits,
    Mark,
    composite,
    limits_of,
    outline_path,
    svg_marks,
    svg_tile,
)
from ctcfish.store.pictures import Picture

TITLES = {
    "nucleus": "nucleus",
    "her2": "HER2",
    "cep17": "CEP17",
    "inclusion": "cytokeratin",
    "exclusion": "CD45",
    "her2_protein": "HER2 protein",
}

MARK_RADIUS_UM = 0.6
PLANE_SIDE = 104
"""Width of a plane on the page."""


class LabelImage(Protocol):
    """What gives a window ``(Y, X)`` of a label image when sliced."""

    def __getitem__(self, window: tuple[slice, slice]) -> Any: ...


def strips(
    cells: pd.DataFrame, spots: pd.DataFrame, pictures: Mapping[str, Picture], labels: Mapping[str, LabelImage]
) -> list[dict[str, Any]]:
    """Tiles of each cell that has a picture.

    Parameters
    ----------
    cells, spots : pandas.DataFrame
    pictures : mapping of str to Picture
        As of :func:`ctcfish.report.windows.take_pictures`.
    labels : mapping of str to label image
        By ``fish/<scene>`` and ``if/<scene>``.

    Returns
    -------
    list of dict
        ``cell`` (the row), ``tiles`` and ``planes`` (SVG figures).
    """
    shots = [(_kind(key), picture) for key, picture in pictures.items() if key.startswith("cell/")]
    limits = {kind: limits_of(p for own, p in shots if own == kind) for kind in ("if", "fish")}
    limits["plane"] = limits_of((p for own, p in shots if own == "plane"), PLANE_PERCENTILES)
    by_cell = dict(tuple(spots.groupby("cell_id"))) if len(spots) else {}
    shown = []
    for cell in cells.to_dict("records"):
        own = {kind: pictures.get(f"cell/{cell['cell_id']}/{kind}") for kind in ("fish", "if")}
        tiles: list[str] = []
        planes: list[str] = []
        if (seen := own["if"]) is not None:
            tiles += _if_tiles(seen, _outline(seen, labels, "if", int(cell["if_label"])), limits["if"])
        if (fish := own["fish"]) is not None:
            marks, outline = by_cell.get(cell["cell_id"], spots.iloc[:0]), _outline(fish, labels, "fish", cell["label"])
            tiles += _fish_tiles(fish, marks, outline, limits["fish"])
            own_planes = _planes(cell["cell_id"], pictures)
            outline = _outline(own_planes[0], labels, "fish", cell["label"]) if own_planes else ""
            planes = _plane_tiles(own_planes, marks, outline, limits["plane"])
        if tiles:
            shown.append({"cell": cell, "tiles": tiles, "planes": planes})
    return shown


def _kind(key: str) -> str:
    """``if``, ``fish`` or ``plane``."""
    *_, before, last = key.split("/")
    return before if before == "plane" else last


def _planes(cell_id: str, pictures: Mapping[str, Picture]) -> list[Picture]:
    keys = (f"cell/{cell_id}/plane/{k}" for k in count())
    return [pictures[key] for key in takewhile(pictures.__contains__, keys)]


def _plane_tiles(planes: list[Picture], spots: pd.DataFrame, outline: str, limits: Limits) -> list[str]:
    """Planes in both colours; a signal is marked in the plane shown that is nearest to it."""
    heights = np.array([plane.z_um or 0.0 for plane in planes])
    nearest = np.abs(spots["z_um"].to_numpy(float)[:, None] - heights).argmin(axis=1) if len(planes) else None
    return [
        svg_tile(
            composite(plane, plane.roles, limits),
            f"z {heights[k]:.1f} µm",
            outline + svg_marks(_marks(spots[nearest == k], plane), plane.pixel_um),
            plane.pixel_um,
            PLANE_SIDE,
        )
        for k, plane in enumerate(planes)
    ]


def _fish_tiles(picture: Picture, spots: pd.DataFrame, outline: str, limits: Limits) -> list[str]:
    colours = [role for role in ("nucleus", "her2", "cep17") if role in picture.roles]
    tiles = [svg_tile(composite(picture, colours, limits), "FISH", outline, picture.pixel_um)]
    for role in colours[1:]:
        own = spots[spots["probe"] == role.upper()]
        marks = svg_marks(_marks(own, picture), picture.pixel_um)
        tiles.append(svg_tile(composite(picture, [role], limits), TITLES[role], outline + marks, picture.pixel_um))
    return tiles


def _if_tiles(picture: Picture, outline: str, limits: Limits) -> list[str]:
    colours = [role for role in ("nucleus", "inclusion", "exclusion") if role in picture.roles]
    tiles = [svg_tile(composite(picture, colours, limits), "IF", outline, picture.pixel_um)]
    singles = [role for role in ("inclusion", "exclusion", "her2_protein") if role in picture.roles]
    return tiles + [svg_tile(composite(picture, [r], limits), TITLES[r], outline, picture.pixel_um) for r in singles]


def _marks(spots: pd.DataFrame, picture: Picture) -> list[Mark]:
    """One mark a signal, and one round all the signals that the light of a cluster was taken for."""
    member = (spots["cluster"] > 0) & (spots["status"] == "counted")
    groups = [[one] for one in spots[~member].to_dict("records")]
    if member.any():
        groups += [own.to_dict("records") for _, own in spots[member].groupby(["probe", "cluster"])]
    return [_mark(own, picture) for own in groups]


def _mark(own: list[dict[Hashable, Any]], picture: Picture) -> Mark:
    """Mark of one signal or, as one ring, of several."""
    place = np.array([[s["y_um"], s["x_um"]] for s in own])
    middle, first = place.mean(axis=0), own[0]
    spread_um = float(np.hypot(*(place - middle).T).max())
    y, x = ((middle - picture.origin_um) / picture.pixel_um).tolist()
    light = f"{sum(s['photons'] for s in own):.0f} photons"
    if len(own) > 1:
        what = f"{first['probe']} cluster of {len(own)}, {light}"
    else:
        what = f"{first['probe']} {first['status']}, {light}, p {first['probability']:.2f} {first['flags']}"
    radius = (MARK_RADIUS_UM + spread_um) / picture.pixel_um
    return Mark(x, y, radius, str(first["probe"]), str(first["status"]), what, len(own))


def _outline(picture: Picture, labels: Mapping[str, LabelImage], kind: str, label: int) -> str:
    image = labels[f"{kind}/{picture.scene}"]
    start = [round(origin / picture.pixel_um) for origin in picture.origin_um]
    stop = [a + n for a, n in zip(start, picture.pixels.shape[1:], strict=True)]
    inside = np.asarray(image[max(0, start[0]) : max(0, stop[0]), max(0, start[1]) : max(0, stop[1])])
    before = [max(0, -a) for a in start]
    window: NDArray[np.int32] = np.pad(inside, [(b, 0) for b in before])
    neighbours = "".join(
        f'<path d="{outline_path(window == n)}" class="neighbour"/>' for n in np.unique(window) if n not in (0, label)
    )
    return neighbours + f'<path d="{outline_path(window == label)}" class="nucleus"/>'
