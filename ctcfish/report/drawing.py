"""Pixels to pictures: contrast, colours, outlines, marks and scale bars, as PNG inside SVG."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ctcfish.store.pictures import Picture

Limits = Mapping[str, tuple[float, float]]

COLOURS: Mapping[str, tuple[float, float, float]] = {
    "nucleus": (0.25, 0.45, 1.0),
    "her2": (1.0, 0.45, 0.1),
    "cep17": (0.2, 1.0, 0.35),
    "inclusion": (0.2, 0.9, 0.3),
    "exclusion": (1.0, 0.25, 0.25),
    "her2_protein": (1.0, 0.8, 0.2),
}
"""Red, green and blue share of each role in a composite."""

GREY = (1.0, 1.0, 1.0)


PERCENTILES: Mapping[str, tuple[float, float]] = {"her2": (88.0, 99.8), "cep17": (88.0, 99.8)}
"""Display range of roles whose signals are points on a haze; the others are shown from 5 to 99.7 %."""


PLANE_PERCENTILES: Mapping[str, tuple[float, float]] = {"her2": (96.0, 99.9), "cep17": (96.0, 99.9)}
"""The same of single planes, where most of the haze is noise."""


def limits_of(pictures: Iterable[Picture], percentiles: Limits = PERCENTILES) -> dict[str, tuple[float, float]]:
    """Display range of each role over all windows of a slide, so that cells can be compared by eye."""
    values: dict[str, list[NDArray[Any]]] = {}
    for picture in pictures:
        for role, plane in zip(picture.roles, picture.pixels, strict=True):
            values.setdefault(role, []).append(plane.ravel())
    limits = {}
    for role, planes in values.items():
        bottom, top = np.percentile(np.concatenate(planes), percentiles.get(role, (5.0, 99.7)))
        limits[role] = (float(bottom), float(max(top, bottom + 1e-6)))
    return limits


def composite(picture: Picture, roles: Sequence[str], limits: Limits) -> NDArray[np.uint8]:
    """Colour image ``(Y, X, 3)`` of some roles; one role alone is grey."""
    image = np.zeros((*picture.pixels.shape[1:], 3))
    for role in roles:
        bottom, top = limits[role]
        scaled = np.clip((picture.pixels[picture.roles.index(role)] - bottom) / (top - bottom), 0, 1)
        image += scaled[..., None] * (COLOURS[role] if len(roles) > 1 else GREY)
    return (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


def data_uri(image: NDArray[np.uint8]) -> str:
    """PNG of an RGB or grey image as a data URI; a grey one is written as such, in half the bytes."""
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = image[..., 0]
    written = image[..., ::-1] if image.ndim == 3 else image
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(written), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return "data:image/png;base64," + base64.b64encode(encoded.tobytes()).decode()


def outline_path(mask: NDArray[np.bool_]) -> str:
    """SVG path around the pixels of a mask, in pixels of its own image (pixel centres at integers)."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = [" ".join(f"{x},{y}" for x, y in contour[:, 0, :].tolist()) for contour in contours if len(contour) > 2]
    return " ".join(f"M{ring}Z" for ring in rings)


_NUMBER_HEIGHT = 0.8
"""Of a cluster's number, micrometres in the picture."""


@dataclass(frozen=True)
class Mark:
    """A signal, or a cluster of several, to draw: place and radius in pixels of the window, and what became of it."""

    x_px: float
    y_px: float
    radius_px: float
    probe: str
    status: str
    what: str
    number: int = 1


def svg_tile(image: NDArray[np.uint8], title: str, inner: str, pixel_um: float, side: int = 132) -> str:
    """One picture with drawings over it, a title and a scale bar.

    Parameters
    ----------
    image : ndarray of uint8, (Y, X, 3)
    title : str
    inner : str
        SVG drawn over it, in pixels of the image.
    pixel_um : float
    side : int
        Width on the page.
    """
    height, width = image.shape[:2]
    bar_um = _bar_um(width * pixel_um)
    bar, stroke = bar_um / pixel_um, 1.8 * width / side
    y = height - 2 * stroke
    text = (
        f'<line x1="{1.5 * stroke:.1f}" x2="{1.5 * stroke + bar:.1f}" y1="{y:.1f}" y2="{y:.1f}" class="bar" '
        f'stroke-width="{stroke:.1f}"/>'
        f'<text x="{1.5 * stroke:.1f}" y="{y - stroke:.1f}" font-size="{5.5 * stroke:.1f}" class="bar">'
        f"{bar_um:g} µm</text>"
    )
    said = html.escape(title)
    frame = f'viewBox="-0.5 -0.5 {width} {height}" width="{side}" role="img" aria-label="{said}"'
    return (
        f'<figure class="tile"><svg {frame}>'
        f'<image href="{data_uri(image)}" x="-0.5" y="-0.5" width="{width}" height="{height}"/>{inner}{text}</svg>'
        f"<figcaption>{said}</figcaption></figure>"
    )


def _bar_um(width_um: float) -> float:
    """A round length of about a third of the picture."""
    return max(length for length in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if length <= max(width_um / 3, 0.5))


def svg_marks(marks: Iterable[Mark], pixel_um: float) -> str:
    """Circles for counted signals, with their number round a cluster; dashed for doublets, crosses for vetoed ones."""
    drawn = []
    for mark in marks:
        hover, x, y = f"<title>{mark.what}</title>", mark.x_px, mark.y_px
        if mark.status in ("counted", "doublet"):
            place = f'cx="{x:.1f}" cy="{y:.1f}" r="{mark.radius_px:.1f}"'
            drawn.append(f'<circle {place} class="{mark.probe} {mark.status}">{hover}</circle>')
        else:
            r = mark.radius_px * 0.6
            cross = f"M{x - r:.1f},{y - r:.1f} l{2 * r:.1f},{2 * r:.1f} m0,{-2 * r:.1f} l{-2 * r:.1f},{2 * r:.1f}"
            drawn.append(f'<path d="{cross}" class="{mark.probe} {mark.status}">{hover}</path>')
        if mark.number > 1:
            height = f'font-size="{_NUMBER_HEIGHT / pixel_um:.1f}"'
            drawn.append(
                f'<text x="{x + mark.radius_px:.1f}" y="{y:.1f}" {height} class="{mark.probe}">{mark.number}</text>'
            )
    return "".join(drawn)
