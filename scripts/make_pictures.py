"""Draw the pictures of docs/counting.md: one small SVG per counting rule."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "counting"
ORANGE, GREEN = "#ff8c42", "#3ddc68"
Signal = tuple[float, float, float, str]

RULES: dict[str, tuple[list[Signal], str]] = {
    "apart": ([(70, 80, 9, ORANGE), (120, 90, 9, ORANGE)], "HER2 2"),
    "sisters": ([(88, 84, 9, ORANGE), (101, 88, 8, ORANGE)], "HER2 1"),
    "unlike": ([(88, 84, 13, ORANGE), (103, 88, 5, ORANGE)], "HER2 2"),
    "diffuse": ([(84 + 4 * k, 80 + 2 * k, 9, ORANGE) for k in range(6)], "HER2 1"),
    "cluster": ([(92 + 11 * x, 82 + 10 * y, 8, ORANGE) for x in (-1, 0, 1) for y in (-1, 0, 1)], "HER2 9 (7-11)"),
    "colours": ([(92, 84, 9, ORANGE), (97, 88, 8, GREEN)], "HER2 1, CEP17 1"),
    "outside": ([(92, 84, 9, ORANGE), (172, 40, 9, ORANGE)], "HER2 1, one outside"),
}
"""Signals (x, y, radius, colour) drawn in a nucleus, and what is counted."""


def picture(signals: list[Signal], counted: str) -> str:
    """One nucleus with its signals and the count below it."""
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="{r}" fill="{c}" filter="url(#soft)"/>' for x, y, r, c in signals)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 190" width="200" height="190">'
        '<defs><filter id="soft"><feGaussianBlur stdDeviation="2"/></filter></defs>'
        '<rect width="200" height="165" fill="#05070d"/>'
        '<ellipse cx="95" cy="85" rx="62" ry="56" fill="#1b2f6b" stroke="#ffe066" stroke-width="1.5"/>'
        f'{dots}<text x="100" y="183" text-anchor="middle" font-family="sans-serif" font-size="14">'
        f"{counted}</text></svg>\n"
    )


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (signals, counted) in RULES.items():
        (FOLDER / f"{name}.svg").write_text(picture(signals, counted), encoding="utf-8")


if __name__ == "__main__":
    main()
