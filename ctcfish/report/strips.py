"""A strip of pictures per cell: FISH with marks, its channels, and the same cell in the IF scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.report.drawing import Limits, Mark, composite, limits_of, outline_path, svg_marks, svg_tile
from ctcfish.store.pictures import Picture

TITLES = {
    "nucleus": "nucleus",
    "her2": "HER2",
    "cep17": "CEP17",
    "inclusion": "cytokeratin",
    "exclusion": "CD45",
    "her2_protein": "HER2 protein",
}

MARK_RADIUS_UM = 0.45


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
        ``cell`` (the row) and ``tiles`` (SVG figures).
    """
    limits = {
        kind: limits_of(p for key, p in pictures.items() if key.startswith("cell/") and key.endswith(f"/{kind}"))
        for kind in ("if", "fish")
    }
    by_cell = dict(tuple(spots.groupby("cell_id"))) if len(spots) else {}
    shown = []
    for cell in cells.to_dict("records"):
        own = {kind: pictures.get(f"cell/{cell['cell_id']}/{kind}") for kind in ("fish", "if")}
        tiles: list[str] = []
        if (fish := own["fish"]) is not None:
            marks = by_cell.get(cell["cell_id"], spots.iloc[:0])
            tiles += _fish_tiles(fish, marks, _outline(fish, labels, "fish", int(cell["label"])), limits["fish"])
        if (seen := own["if"]) is not None:
            tiles += _if_tiles(seen, _outline(seen, labels, "if", int(cell["if_label"])), limits["if"])
        if tiles:
            shown.append({"cell": cell, "tiles": tiles})
    return shown


def _fish_tiles(picture: Picture, spots: pd.DataFrame, outline: str, limits: Limits) -> list[str]:
    colours = [role for role in ("nucleus", "her2", "cep17") if role in picture.roles]
    tiles = [svg_tile(composite(picture, colours, limits), "FISH", outline, picture.pixel_um)]
    for role in colours[1:]:
        own = spots[spots["probe"] == role.upper()]
        marks = svg_marks(_marks(own, picture), MARK_RADIUS_UM / picture.pixel_um)
        tiles.append(svg_tile(composite(picture, [role], limits), TITLES[role], outline + marks, picture.pixel_um))
    return tiles


def _if_tiles(picture: Picture, outline: str, limits: Limits) -> list[str]:
    colours = [role for role in ("nucleus", "inclusion", "exclusion") if role in picture.roles]
    tiles = [svg_tile(composite(picture, colours, limits), "IF", outline, picture.pixel_um)]
    singles = [role for role in ("inclusion", "exclusion", "her2_protein") if role in picture.roles]
    return tiles + [svg_tile(composite(picture, [r], limits), TITLES[r], outline, picture.pixel_um) for r in singles]


def _marks(spots: pd.DataFrame, picture: Picture) -> list[Mark]:
    y0, x0 = picture.origin_um
    return [
        Mark(
            (s["x_um"] - x0) / picture.pixel_um,
            (s["y_um"] - y0) / picture.pixel_um,
            str(s["probe"]),
            str(s["status"]),
            f"{s['probe']} {s['status']}, {s['photons']:.0f} photons, p {s['probability']:.2f} {s['flags']}",
        )
        for s in spots.to_dict("records")
    ]


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
