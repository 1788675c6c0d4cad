"""Outlines over the nucleus channel of a whole scene, doubtful nuclei in another colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from ctcfish.report.drawing import composite, limits_of, outline_path, svg_tile
from ctcfish.store.pictures import Picture

SIDE = 1100
"""Width of an overlay on the page."""

About = Mapping[int, tuple[str, str]]


def overlays(
    cells: pd.DataFrame, if_cells: pd.DataFrame, pictures: Mapping[str, Picture], labels: Mapping[str, Any]
) -> list[dict[str, str]]:
    """One overlay per scene: ``title`` and ``figure``.

    Parameters
    ----------
    cells, if_cells : pandas.DataFrame
        Kinds and doubts of the nuclei of the FISH and of the IF scenes.
    pictures : mapping of str to Picture
        Of these the ``view/...`` are drawn.
    labels : mapping of str to label image
    """
    shown = []
    for key, picture in pictures.items():
        if not key.startswith("view/"):
            continue
        modality = key.split("/")[1]
        table, label, scene = (cells, "label", "scene") if modality == "fish" else (if_cells, "if_label", "if_scene")
        own = table[(table[scene] == picture.scene) & table[label].notna()]
        about = {int(n): (str(k), str(f)) for n, k, f in zip(own[label], own["kind"], own["flags"], strict=True)}
        image = labels[f"{modality}/{picture.scene}"]
        height, width = picture.pixels.shape[1:]
        factor = max(1, round(image.shape[1] / width))
        reduced = np.asarray(image[factor // 2 :: factor, factor // 2 :: factor])[:height, :width]
        title = f"{modality.upper()} scene {picture.scene}: {len(own)} nuclei"
        view = composite(picture, ["nucleus"], limits_of([picture]))
        figure = svg_tile(view, title, outlines(reduced, about), picture.pixel_um, SIDE)
        shown.append({"title": title, "figure": figure})
    return shown


def outlines(labels: NDArray[np.int32], about: About) -> str:
    """SVG outlines of a label image.

    Parameters
    ----------
    labels : ndarray of int32, (Y, X)
    about : mapping of int to (str, str)
        Kind and flags of each label.
    """
    drawn = []
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        kind, doubts = about.get(label, ("unknown", ""))
        path = outline_path(np.pad(labels[box] == label, 1))
        place = f"translate({box[1].start - 1} {box[0].start - 1})"
        classes = f"outline {kind}" + (" doubtful" if doubts else "")
        title = f"<title>{label} {kind} {doubts}</title>"
        drawn.append(f'<path d="{path}" transform="{place}" class="{classes}">{title}</path>')
    return "".join(drawn)
