"""Draw the pictures of docs/counting.md: one small SVG per counting rule and per reason of rejection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "counting"
ORANGE, GREEN, BOTH, WHITE, BLUE = "#ff8c42", "#3ddc68", "#e8d44d", "#ffffff", "#1b2f6b"
NUCLEUS = (95.0, 85.0, 62.0, 56.0)


@dataclass(frozen=True)
class Dot:
    """One round thing: place, radius, colour, how much of it shows, and whether its border is soft."""

    x: float
    y: float
    radius: float
    colour: str = ORANGE
    shows: float = 1.0
    soft: bool = True


@dataclass(frozen=True)
class Picture:
    """What is drawn in or around nuclei ``(x, y, rx, ry)``, and what is counted."""

    dots: tuple[Dot, ...]
    counted: str
    nuclei: tuple[tuple[float, float, float, float], ...] = (NUCLEUS,)
    haze: str = ""


PICTURES: dict[str, Picture] = {
    "apart": Picture((Dot(70, 80, 9), Dot(120, 90, 9)), "HER2 2"),
    "sisters": Picture((Dot(88, 84, 9), Dot(101, 88, 8)), "HER2 1"),
    "unlike": Picture((Dot(88, 84, 13), Dot(103, 88, 5)), "HER2 2"),
    "diffuse": Picture(tuple(Dot(84 + 4 * k, 80 + 2 * k, 9) for k in range(6)), "HER2 1"),
    "cluster": Picture(
        tuple(Dot(92 + 11 * x, 82 + 10 * y, 8) for x in (-1, 0, 1) for y in (-1, 0, 1)), "HER2 9 (7-11)"
    ),
    "colours": Picture((Dot(92, 84, 9), Dot(97, 88, 8, GREEN)), "HER2 1, CEP17 1"),
    "outside": Picture((Dot(92, 84, 9), Dot(172, 40, 9)), "HER2 1, one outside"),
    "two_nuclei": Picture(
        (Dot(98, 84, 9), Dot(55, 78, 9), Dot(140, 92, 9)),
        "HER2 1 each, 1 unsure",
        ((65, 80, 48, 46), (133, 88, 48, 46)),
    ),
    "crosstalk": Picture(
        (Dot(95, 84, 13, ORANGE), Dot(97, 86, 6, GREEN, 0.55), Dot(62, 70, 9, GREEN)), "HER2 1, CEP17 1"
    ),
    "granule": Picture((Dot(96, 86, 15, BOTH), Dot(62, 70, 9), Dot(120, 110, 9, GREEN)), "HER2 1, CEP17 1"),
    "broad": Picture((Dot(104, 88, 30, ORANGE, 0.45), Dot(58, 68, 9)), "HER2 1"),
    "hot_pixel": Picture((Dot(106, 92, 2.2, WHITE, 1.0, False), Dot(70, 76, 9)), "HER2 1"),
    "dim": Picture((Dot(110, 96, 8, ORANGE, 0.28), Dot(70, 76, 9)), "HER2 1, one ambiguous"),
    "saturated": Picture((Dot(92, 84, 15), Dot(92, 84, 8, WHITE, 1.0, False)), "HER2 1, cell SATURATED"),
    "residue": Picture((Dot(80, 76, 9), Dot(116, 98, 9)), "HER2 2, flagged", haze=ORANGE),
}
"""Pictures by the name of their file."""


def drawn(dot: Dot) -> str:
    """One thing as SVG."""
    soft = ' filter="url(#soft)"' if dot.soft else ""
    return f'<circle cx="{dot.x}" cy="{dot.y}" r="{dot.radius}" fill="{dot.colour}" fill-opacity="{dot.shows}"{soft}/>'


def svg(picture: Picture) -> str:
    """Nuclei with what lies in them, and the count below."""
    haze = "".join(
        f'<ellipse cx="{x}" cy="{y}" rx="{rx + 12}" ry="{ry + 12}" fill="none" stroke="{picture.haze}" '
        'stroke-opacity="0.55" stroke-width="18" filter="url(#haze)"/>'
        for x, y, rx, ry in picture.nuclei
        if picture.haze
    )
    bodies = "".join(
        f'<ellipse cx="{x}" cy="{y}" rx="{rx}" ry="{ry}" fill="{BLUE}" fill-opacity="0.8" stroke="#ffe066" '
        'stroke-width="1.5"/>'
        for x, y, rx, ry in picture.nuclei
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 190" width="200" height="190">'
        '<defs><filter id="soft" x="-50%" y="-50%" width="200%" height="200%"><feGaussianBlur stdDeviation="2"/>'
        '</filter><filter id="haze"><feGaussianBlur stdDeviation="5"/></filter></defs>'
        f'<rect width="200" height="165" fill="#05070d"/>{haze}{bodies}{"".join(map(drawn, picture.dots))}'
        '<text x="100" y="183" text-anchor="middle" font-family="sans-serif" font-size="14">'
        f"{picture.counted}</text></svg>\n"
    )


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, picture in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(svg(picture), encoding="utf-8")


if __name__ == "__main__":
    main()
