"""What the other colour says of a signal: ghosts, and true signals that lie on one another."""

from __future__ import annotations

import numpy as np
import pytest

from ctcfish.flags import SpotFlag
from ctcfish.stages.signals.probe import Signals
from ctcfish.stages.signals.vetoes import colour_flags
from ctcfish.types import ProbeModel, SlideModel


def signals(rows: list[tuple[float, ...]], snr: float = 20.0, bits: int = 0) -> Signals:
    """Rows of ``(y, x, photons, width)`` and, where wanted, z."""
    table = np.array([(*row, 0.0)[:5] for row in rows], float).reshape(-1, 5)
    n, zero = len(table), np.zeros(len(table))
    place = table[:, [4, 0, 1]]
    ints = np.zeros(n, np.int64)
    return Signals(place, table[:, 2], zero + 40, table[:, 3], zero + snr, zero + 1, ints + 1, ints, ints + bits)


def slide(crosstalk: dict[str, float], shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> SlideModel:
    probe = ProbeModel(40.0, 0.14, 0.4, 1000.0, 0.3, 5.0, (5.0, 5.0), 0.005, 50)
    return SlideModel({"HER2": probe, "CEP17": probe}, 2.0, 100.0, 2.0, "metadata", crosstalk, shift)


@pytest.mark.parametrize(
    ("her2", "cep17", "flag"),
    [
        ((1.0, 1.0, 5000, 0.14), (1.0, 1.05, 300, 0.14), SpotFlag.CROSSTALK),
        ((1.0, 1.0, 5000, 0.14), (1.0, 1.05, 1500, 0.14), SpotFlag(0)),
        ((1.0, 1.0, 5000, 0.14), (1.0, 2.0, 300, 0.14), SpotFlag(0)),
        ((1.0, 1.0, 1500, 0.13), (1.0, 1.05, 1200, 0.13), SpotFlag(0)),
    ],
    ids=["ghost", "too bright for a ghost", "elsewhere", "two signals"],
)
def test_what_the_other_colour_says(her2, cep17, flag) -> None:
    bits = colour_flags({"HER2": signals([her2]), "CEP17": signals([cep17])}, slide({"HER2>CEP17": 0.05}))
    assert bits["CEP17"].tolist() == [int(flag)]


def test_the_chromatic_shift_is_applied_before_colours_are_compared() -> None:
    pair = {"HER2": signals([(1.0, 1.0, 5000, 0.14)]), "CEP17": signals([(1.0, 0.4, 300, 0.14)])}
    assert colour_flags(pair, slide({"HER2>CEP17": 0.06}))["CEP17"].tolist() == [0]
    shifted = colour_flags(pair, slide({"HER2>CEP17": 0.06}, (0.0, 0.0, 0.6)))
    assert shifted["CEP17"].tolist() == [int(SpotFlag.CROSSTALK)]


def test_one_colour_alone_is_never_vetoed() -> None:
    assert colour_flags({"HER2": signals([(1, 1, 500, 0.3)])}, slide({}))["HER2"].tolist() == [0]
    nothing = colour_flags({"HER2": signals([(1, 1, 500, 0.3)]), "CEP17": signals([])}, slide({}))
    assert nothing["HER2"].tolist() == [0]


GREEN_IN_RED = {"CEP17>HER2": 0.6}


def flags_of(her2: list[tuple[float, ...]], cep17: list[tuple[float, ...]], crosstalk: dict[str, float], **kind: int):
    bits = colour_flags({"HER2": signals(her2, **kind), "CEP17": signals(cep17)}, slide(crosstalk))
    return [SpotFlag(b) for b in bits["HER2"]], [SpotFlag(b) for b in bits["CEP17"]]


def test_a_ghost_is_vetoed_and_its_source_is_not() -> None:
    """In a colour composite a green signal and its red image are alike, at one place, and both wide."""
    her2, cep17 = flags_of([(1.0, 1.0, 600, 0.2)], [(1.0, 1.02, 1000, 0.2)], GREEN_IN_RED)
    assert (her2, cep17) == ([SpotFlag.CROSSTALK], [SpotFlag(0)])


@pytest.mark.parametrize(
    ("photons", "flag"), [(600, SpotFlag.CROSSTALK), (750, SpotFlag.CROSSTALK), (1100, SpotFlag(0))]
)
def test_what_stays_of_a_signal_on_another_is_a_signal(photons: float, flag: SpotFlag) -> None:
    her2, cep17 = flags_of([(1.0, 1.0, photons, 0.14)], [(1.0, 1.0, 1000, 0.14)], GREEN_IN_RED)
    assert (her2, cep17) == ([flag], [SpotFlag(0)])


def test_the_light_of_all_neighbours_leaks() -> None:
    """Each signal of a cluster leaves too little light for a ghost, all of them together enough."""
    cluster = [(1.0 + 0.1 * i, 1.0 + 0.1 * j, 1500, 0.14) for i in range(-1, 2) for j in range(-1, 2)]
    one = colour_flags(
        {"HER2": signals(cluster[4:5]), "CEP17": signals([(1.0, 1.0, 400, 0.14)])}, slide({"HER2>CEP17": 0.06})
    )
    many = colour_flags(
        {"HER2": signals(cluster), "CEP17": signals([(1.0, 1.0, 400, 0.14)])}, slide({"HER2>CEP17": 0.06})
    )
    assert one["CEP17"].tolist() == [0]
    assert many["CEP17"].tolist() == [int(SpotFlag.CROSSTALK)]


def test_leak_ends_with_the_signals_light() -> None:
    lateral = [0.0, 0.1, 0.3, 0.8]
    rows = [(1.0, 1.0 + x, 350.0, 0.14) for x in lateral]
    bits = colour_flags(
        {"HER2": signals([(1.0, 1.0, 5000, 0.14)]), "CEP17": signals(rows)}, slide({"HER2>CEP17": 0.06})
    )
    assert bits["CEP17"].tolist() == [1, 1, 0, 0]


def test_a_hot_pixel_leaks_nowhere() -> None:
    _, cep17 = flags_of(
        [(1.0, 1.0, 9000, 0.07)], [(1.0, 1.0, 400, 0.14)], {"HER2>CEP17": 0.06}, bits=int(SpotFlag.HOT_PIXEL)
    )
    assert cep17 == [SpotFlag(0)]


def test_a_faint_ghost_within_its_noise_is_one_and_a_sure_signal_is_none() -> None:
    both = {"HER2": signals([(1.0, 1.0, 6000, 0.14)])}
    for snr, flag in ((5.5, SpotFlag.CROSSTALK), (20.0, SpotFlag(0))):
        bits = colour_flags(both | {"CEP17": signals([(1.0, 1.0, 520, 0.14)], snr)}, slide({"HER2>CEP17": 0.06}))
        assert bits["CEP17"].tolist() == [int(flag)]
