"""What the other channel says of a signal: ghosts of the other dye, and true signals that lie on its light."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ctcfish.flags import SpotFlag
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.probe import Signals
from ctcfish.stages.signals.vetoes import colour_flags
from ctcfish.types import ProbeModel, SlideModel

VOXEL_UM = (0.4, 0.1, 0.1)
SHAPE = (9, 60, 60)
WIDTH_UM, DEPTH_UM = 0.14, 0.4
MEDIAN, LEVEL = 1000.0, 40.0
MIDDLE_UM = 1.6
Row = tuple[float, ...]
"""``(y, x, photons)``, and where wanted width, z; in micrometres."""


def image(rows: list[Row]) -> NDArray[np.float64]:
    """Expected photons of Gaussian objects on a level background."""
    z, y, x = (np.arange(n) * step for n, step in zip(SHAPE, VOXEL_UM, strict=True))
    result = np.full(SHAPE, LEVEL)
    for row in rows:
        at_y, at_x, photons, width, at_z = (*row, WIDTH_UM, MIDDLE_UM)[:5]
        parts = [
            np.exp(-0.5 * ((axis - at) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma / step)
            for axis, at, sigma, step in zip(
                (z, y, x), (at_z, at_y, at_x), (DEPTH_UM, width, width), VOXEL_UM, strict=True
            )
        ]
        result += photons * np.einsum("z,y,x->zyx", *parts)
    return result


def signals(rows: list[Row]) -> Signals:
    table = np.array([(*row, WIDTH_UM, MIDDLE_UM)[:5] for row in rows], float).reshape(-1, 5)
    n, zero = len(table), np.zeros(len(table))
    ints = np.zeros(n, np.int64)
    place = table[:, [4, 0, 1]]
    return Signals(place, table[:, 2], zero + LEVEL, table[:, 3], zero + 20, zero + 1, ints + 1, ints, ints)


def slide(crosstalk: dict[str, float], shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> SlideModel:
    probe = ProbeModel(LEVEL, WIDTH_UM, DEPTH_UM, 0.33, MEDIAN, 0.3, 5.0, (5.0, 5.0), 0.005, 50)
    return SlideModel({"HER2": probe, "CEP17": probe}, 1.0, 0.0, 2.0, "metadata", crosstalk, shift)


def flags_of(
    found: tuple[list[Row], list[Row]],
    model: SlideModel,
    also: tuple[list[Row], list[Row]] = ([], []),
    noise: np.random.Generator | None = None,
) -> tuple[list[int], list[int]]:
    """Flags of HER2 and CEP17 rows; the rows' own light is drawn, and that of ``also``, and what leaks of both."""
    own = [image([*rows, *more]) - LEVEL for rows, more in zip(found, also, strict=True)]
    leak = (model.crosstalk.get("CEP17>HER2", 0.0), model.crosstalk.get("HER2>CEP17", 0.0))
    light = [LEVEL + own[0] + leak[0] * own[1], LEVEL + own[1] + leak[1] * own[0]]
    stacks = [light[k] if noise is None else noise.poisson(light[k]).astype(float) for k in range(2)]
    bits = colour_flags(
        {"HER2": signals(found[0]), "CEP17": signals(found[1])},
        {"HER2": stacks[0], "CEP17": stacks[1]},
        VOXEL_UM,
        (model, Camera(1.0, 0.0, 2.0, "metadata")),
    )
    return bits["HER2"].tolist(), bits["CEP17"].tolist()


GHOST = int(SpotFlag.CROSSTALK)


@pytest.mark.parametrize(
    ("cep17", "flag"),
    [((3.0, 3.0, 0.0), GHOST), ((3.0, 3.05, 800.0), 0), ((3.0, 3.0, 400.0), 0), ((3.0, 4.2, 0.0), 0)],
    ids=["nothing but leak", "a signal on a bright one", "a faint signal on a bright one", "nothing and no leak"],
)
def test_what_the_other_colour_says(cep17: Row, flag: int) -> None:
    """A row of no light of its own stands for the maximum that leak makes."""
    assert flags_of(([(3.0, 3.0, 8000)], [cep17]), slide({"HER2>CEP17": 0.05})) == ([0], [flag])


def test_the_ghost_of_a_cluster_is_told_though_no_single_signal_explains_it() -> None:
    """Sixteen signals that are resolved badly leak like one object, however many of them were found."""
    rng = np.random.default_rng(3)
    members = [(3.0 + y, 3.0 + x, 1500.0) for y, x in rng.normal(0, 0.12, (16, 2))]
    ghost = [(3.0, 3.0, 0.0)]
    for n in (1, 4, 16):
        assert flags_of((members[:n], ghost), slide({"HER2>CEP17": 0.06}), (members[n:], []))[1] == [GHOST]


def test_the_shape_of_what_leaks_does_not_matter() -> None:
    for width in (0.1, 0.14, 0.2):
        assert flags_of(([(3.0, 3.0, 9000, width, MIDDLE_UM)], [(3.0, 3.0, 0.0)]), slide({"HER2>CEP17": 0.05}))[1] == [
            GHOST
        ]


def test_the_chromatic_shift_is_applied_before_colours_are_compared() -> None:
    """Places are each channel's own: CEP17's leak of a HER2 signal at x = 3 lies at x = 2.4, shift off."""
    model, shift = slide({"HER2>CEP17": 0.06}, (0.0, 0.0, 0.6)), 0.6
    her2, leaked = image([(3.0, 3.0, 8000)]), image([(3.0, 3.0 - shift, 480)])
    camera = Camera(1.0, 0.0, 2.0, "metadata")
    found = {"HER2": signals([(3.0, 3.0, 8000)]), "CEP17": signals([(3.0, 3.0 - shift, 480)])}
    stacks = {"HER2": her2, "CEP17": leaked}
    assert colour_flags(found, stacks, VOXEL_UM, (model, camera))["CEP17"].tolist() == [GHOST]
    unshifted = slide({"HER2>CEP17": 0.06})
    assert colour_flags(found, stacks, VOXEL_UM, (unshifted, camera))["CEP17"].tolist() == [0]


def test_one_colour_alone_is_never_vetoed() -> None:
    camera = Camera(1.0, 0.0, 2.0, "metadata")
    row, stack = [(3.0, 3.0, 500.0)], image([(3.0, 3.0, 500.0)])
    alone = colour_flags({"HER2": signals(row)}, {"HER2": stack}, VOXEL_UM, (slide({}), camera))
    assert alone["HER2"].tolist() == [0]
    assert flags_of((row, []), slide({"HER2>CEP17": 0.1, "CEP17>HER2": 0.1})) == ([0], [])
    assert flags_of((row, [(3.0, 3.0, 500.0)]), slide({})) == ([0], [0])


GREEN_IN_RED = {"CEP17>HER2": 0.6}


def test_a_ghost_is_vetoed_and_its_source_is_not() -> None:
    """In a colour composite a green signal and its red image are alike, at one place."""
    assert flags_of(([(3.0, 3.0, 0.0)], [(3.0, 3.0, 1000)]), slide(GREEN_IN_RED)) == ([GHOST], [0])


@pytest.mark.parametrize(("photons", "flag"), [(0.0, GHOST), (100.0, GHOST), (700.0, 0), (1500.0, 0)])
def test_what_stays_of_a_signal_on_another_is_a_signal(photons: float, flag: int) -> None:
    assert flags_of(([(3.0, 3.0, photons)], [(3.0, 3.0, 1000)]), slide(GREEN_IN_RED)) == ([flag], [0])


def test_leak_ends_with_the_light() -> None:
    rows = [(3.0, 3.0 + x, 0.0) for x in (0.0, 0.1, 0.8)]
    bits = flags_of(([(3.0, 3.0, 9000)], rows), slide({"HER2>CEP17": 0.06}))[1]
    assert bits[:2] == [GHOST, GHOST]
    assert bits[2] == 0


def test_noise_makes_no_signal_of_a_ghost_and_no_ghost_of_a_signal() -> None:
    """Of forty ghosts at most one passes, of forty signals on as much leak none falls."""
    rng = np.random.default_rng(11)
    model = slide({"HER2>CEP17": 0.05})
    ghosts = [flags_of(([(3.0, 3.0, 9000)], [(3.0, 3.0, 0.0)]), model, noise=rng)[1][0] for _ in range(40)]
    kept = [flags_of(([(3.0, 3.0, 9000)], [(3.0, 3.0, 1000.0)]), model, noise=rng)[1][0] for _ in range(40)]
    assert ghosts.count(GHOST) >= 39
    assert kept == [0] * 40
