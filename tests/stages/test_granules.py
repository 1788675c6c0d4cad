"""Granules against signals of both colours that lie on each other by chance."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.parameters import Detect
from ctcfish.stages.signals.granules import Objects, granules
from ctcfish.types import ProbeModel, SlideModel

HER2 = ProbeModel(40.0, 0.15, 0.45, 0.35, 1500.0, 0.3, 5.5, (5.5, 5.5), 0.005, 50)
CEP17 = ProbeModel(36.0, 0.21, 0.48, 0.49, 2400.0, 0.35, 5.7, (5.7, 5.7), 0.005, 50)


def slide(shift: tuple[float, float, float] = (0.0, 0.0, 0.0), green_in_red: float = 0.0) -> SlideModel:
    leak = {"CEP17>HER2": green_in_red}
    return SlideModel({"HER2": HER2, "CEP17": CEP17}, 2.0, 100.0, 2.0, "metadata", leak, shift)


def objects(*rows: tuple[float, float, float, float, float]) -> Objects:
    """Rows of ``(z, y, x, photons, width)``."""
    table = np.array(rows, float).reshape(-1, 5)
    return Objects(table[:, :3], table[:, 3], table[:, 4])


def told(her2: Objects, cep17: Objects, model: SlideModel | None = None, axes: int = 3) -> list[list[bool]]:
    found = granules({"HER2": her2, "CEP17": cep17}, axes, model or slide(), Detect())
    return [found["HER2"].tolist(), found["CEP17"].tolist()]


@pytest.mark.parametrize(
    ("offset", "photons", "widths", "granule"),
    [
        ((0.0, 0.0, 0.02), (1500, 2400), (0.20, 0.26), True),
        ((0.0, 0.0, 0.02), (9000, 15000), (0.16, 0.22), True),
        ((0.0, 0.0, 0.15), (1500, 2400), (0.16, 0.24), False),
        ((0.6, 0.0, 0.02), (1500, 2400), (0.16, 0.24), False),
        ((0.0, 0.0, 0.02), (6000, 1200), (0.16, 0.24), False),
    ],
    ids=["wide", "bright", "beside", "in another plane", "unlike"],
)
def test_one_object_or_two_signals(offset, photons, widths, granule) -> None:
    z, y, x = offset
    her2 = objects((2.0, 5.0, 5.0, photons[0], widths[0]))
    cep17 = objects((2.0 + z, 5.0 + y, 5.0 + x, photons[1], widths[1]))
    assert told(her2, cep17) == [[granule], [granule]]


@pytest.mark.parametrize(("widths", "granule"), [((0.21, 0.21), True), ((0.15, 0.294), False)])
def test_a_granule_has_one_size_in_both_colours(widths: tuple[float, float], granule: bool) -> None:
    """Equally wide beside the slide's signals, taken together: one body, or two loci of which CEP17's is large."""
    her2, cep17 = objects((2, 5, 5, 1800, widths[0])), objects((2.05, 5, 5.06, 2700, widths[1]))
    assert told(her2, cep17) == [[granule], [granule]]


def test_the_chromatic_shift_comes_first() -> None:
    her2, cep17 = objects((2, 5, 5, 1500, 0.2)), objects((1.8, 4.8, 5.2, 2400, 0.26))
    assert told(her2, cep17) == [[False], [False]]
    assert told(her2, cep17, slide((0.2, 0.2, -0.2))) == [[True], [True]]


def test_a_ghost_in_a_colour_composite_is_no_granule() -> None:
    """A green signal shines in red too, at one place: nearly all of the red is the green's."""
    her2, cep17 = objects((2, 5, 5, 940, 0.24)), objects((2, 5, 5.02, 2400, 0.24))
    assert told(her2, cep17) == [[True], [True]]
    assert told(her2, cep17, slide(green_in_red=0.6)) == [[False], [False]]


@pytest.mark.parametrize("leaking", ["HER2", "CEP17"])
def test_what_leaks_of_a_dazzling_signal_is_no_partner_of_it(leaking: str) -> None:
    """At such light four hundredths of a signal are found in the other colour, at one place, wide or narrow."""
    for share in (0.02, 0.05, 0.1):
        light = {"HER2": 1500.0, "CEP17": 2400.0}
        light[leaking] = share * light["CEP17" if leaking == "HER2" else "HER2"]
        for wide in (0.5, 1.2):
            her2 = objects((2, 5, 5, light["HER2"], 0.15 * (wide if leaking == "HER2" else 1.2)))
            cep17 = objects((2, 5, 5.01, light["CEP17"], 0.21 * (wide if leaking == "CEP17" else 1.2)))
            assert told(her2, cep17, slide(green_in_red=0.03)) == [[False], [False]]


def test_a_plane_has_no_depth_to_agree_in() -> None:
    """At 0.06 um the depth that agrees decides; a plane has none, and two narrow signals stay signals."""
    her2, cep17 = objects((0, 5, 5, 1500, 0.16)), objects((0, 5, 5.09, 2400, 0.22))
    stack = granules({"HER2": her2, "CEP17": cep17}, 3, slide(), Detect())
    plane = granules({"HER2": her2, "CEP17": cep17}, 2, slide(), Detect())
    assert (stack["HER2"].tolist(), plane["HER2"].tolist()) == ([True], [False])


def test_only_the_nearest_of_both_are_one_object_and_the_brightest_around() -> None:
    her2 = objects((2, 5, 5, 1500, 0.2), (2, 5, 5.3, 1500, 0.2))
    cep17 = objects((2, 5, 5.01, 2400, 0.26))
    assert told(her2, cep17) == [[True, False], [True]]
    beside_brighter = objects((2, 5, 5, 1500, 0.2), (2, 5, 5.3, 3000, 0.2))
    assert told(beside_brighter, cep17) == [[True, False], [True]]
    hardly = objects((0, 5, 5.09, 2400, 0.22))
    assert told(objects((0, 5, 5, 1500, 0.16)), hardly) == [[True], [True]]
    assert told(objects((0, 5, 5, 1500, 0.16), (0, 4.8, 4.7, 3000, 0.16)), hardly) == [[False, False], [False]]


def test_loci_on_each_other_by_chance_are_rarely_taken_for_granules() -> None:
    """HER2 within about a micrometre of its centromere: the rate of the model's own second hypothesis."""
    rng = np.random.default_rng(3)
    n = 4000
    centre = np.stack([np.full(n, 2.0), np.arange(n) * 20.0, np.full(n, 5.0)], 1)
    gene = centre + rng.normal(0, 1, (n, 3)) * (0.6, 0.8, 0.8)
    light = np.exp(rng.normal(0, 0.3, (2, n)))
    width = np.exp(rng.normal(0.15, 0.12, (2, n)))
    her2 = Objects(gene, 1500 * light[0], 0.15 * width[0])
    cep17 = Objects(centre, 2400 * light[1], 0.21 * width[1])
    lost = granules({"HER2": her2, "CEP17": cep17}, 3, slide(), Detect())["HER2"].mean()
    assert 0.001 < lost < 0.012
    seen = Objects(
        centre + rng.normal(0, 1, (n, 3)) * (0.08, 0.03, 0.03),
        1500 * np.exp(rng.normal(0.4, 0.5, n)),
        0.15 * np.exp(rng.normal(0.3, 0.2, n)),
    )
    alike = Objects(centre, seen.photons / 1500 * 2400 * np.exp(rng.normal(0, 0.2, n)), seen.width_um / 0.15 * 0.21)
    assert granules({"HER2": seen, "CEP17": alike}, 3, slide(), Detect())["CEP17"].mean() > 0.93


def test_nothing_and_one_colour() -> None:
    none = objects()
    assert told(none, objects((0, 0, 0, 1, 1))) == [[], [False]]
    assert granules({"HER2": objects((0, 0, 0, 1, 1))}, 3, slide(), Detect())["HER2"].tolist() == [False]
    never = granules(
        {"HER2": objects((2, 5, 5, 1500, 0.2)), "CEP17": objects((2, 5, 5, 2400, 0.26))},
        3,
        slide(),
        Detect(granule_odds=0.0),
    )
    assert never["HER2"].tolist() == [False]
