"""Who lies where on the slide: cells with their shapes, loci and fates, before any light is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctcfish.errors import ConfigError
from ctcfish.synth.loci import Copies, Loci, draw_copies, place_loci
from ctcfish.synth.nucleus import Shape, apoptotic, draw_shape
from ctcfish.synth.placing import place_nuclei
from ctcfish.synth.spec import CopyClass, FishScan, SlideSpec

_STREAM = {
    "order": 1,
    "place": 2,
    "cell": 3,
    "field": 4,
    "if": 5,
    "texture": 6,
    "granule": 7,
    "residue": 8,
    "background": 9,
    "scrap": 10,
    "height": 11,
    "shading": 12,
    "camera": 13,
    "warp": 14,
    "unspecific": 15,
}


@dataclass(frozen=True)
class Cell:
    """One cell of the slide, in FISH micrometres from the first pixel centre of the first field.

    Attributes
    ----------
    number : int
        From 1, over the whole slide.
    kind : str
        ``ctc`` or ``wbc``.
    copy_class : CopyClass
    copies : Copies
    shape : Shape
    zyx_um : tuple of float
        Centre; z from the first plane.
    loci : Loci
    overlap, blurred, dying : bool
        Lies on or under another in the FISH scan; lies outside the stack's focus; apoptotic.
    in_fish, in_if : bool
        Whether the scan shows it.
    """

    number: int
    kind: str
    copy_class: CopyClass
    copies: Copies
    shape: Shape
    zyx_um: tuple[float, float, float]
    loci: Loci
    overlap: bool = False
    blurred: bool = False
    dying: bool = False
    in_fish: bool = True
    in_if: bool = True


@dataclass(frozen=True)
class Scrap:
    """A stained scrap that is no nucleus.

    Attributes
    ----------
    number : int
    shape : Shape
    zyx_um : tuple of float
    stain : ndarray of float64, (4,)
        Its light in the IF scan over the stain's own: DNA, cytokeratin, CD45, HER2 protein.
    """

    number: int
    shape: Shape
    zyx_um: tuple[float, float, float]
    stain: NDArray[np.float64]


def scraps_of(spec: SlideSpec) -> tuple[Scrap, ...]:
    """Draw the debris of a slide."""
    scraps = []
    for number in range(1, spec.nuisance.debris + 1):
        rng = generator(spec, "scrap", number)
        shape = draw_shape(float(rng.uniform(1.0, 4.5)), 0.5, True, rng)
        shape = replace(shape, aspect=float(rng.uniform(1.0, 2.5)), brightness=float(rng.lognormal(-0.7, 0.5)))
        y, x = rng.uniform((0.0, 0.0), world_um(spec.fish))
        z = (spec.fish.planes - 1) * spec.fish.z_step_um / 2 + rng.normal(0, 1.0)
        stain = rng.lognormal(-1.0, 0.6, 4)
        scraps.append(Scrap(number, shape, (float(z), float(y), float(x)), stain))
    return tuple(scraps)


def generator(spec: SlideSpec, stream: str, index: int = 0) -> np.random.Generator:
    """Chance of one part of the slide, independent of how many others were drawn before it."""
    return np.random.default_rng([spec.seed, _STREAM[stream], index])


def scan_noise(spec: SlideSpec, index: int) -> np.random.Generator:
    """Chance of one field's photons: its own in every re-scan of the slide."""
    again = [spec.fish.scan] if spec.fish.scan else []
    return np.random.default_rng([spec.seed, _STREAM["field"], index, *again])


def world_um(fish: FishScan) -> tuple[float, float]:
    """Height and width of all fields together."""
    height, width = (
        n * side * fish.pixel_um + (n - 1) * fish.spacing_um for n, side in zip(fish.fields, fish.shape_px, strict=True)
    )
    return height, width


def field_origins_um(fish: FishScan) -> list[tuple[float, float]]:
    """First pixel centre of every field, row by row."""
    step = [side * fish.pixel_um + fish.spacing_um for side in fish.shape_px]
    top, left = fish.shift_um
    rows, columns = fish.fields
    return [(top + row * step[0], left + column * step[1]) for row in range(rows) for column in range(columns)]


def populate(spec: SlideSpec) -> tuple[Cell, ...]:
    """Draw every cell of a slide.

    Raises
    ------
    ConfigError
        The cells do not fit on the slide.
    """
    states = _states(spec)
    shapes = [_shape(spec, number, kind) for number, (kind, _) in enumerate(states, 1)]
    border = [spec.population.ctc_border_um if kind == "ctc" else 0.0 for kind, _ in states]
    places = place_nuclei(shapes, border, spec.population, world_um(spec.fish), generator(spec, "place"))
    fates = _fates(spec, len(states))
    cells = []
    for index, (kind, copy_class) in enumerate(states):
        cell = _cell(spec, index + 1, (kind, copy_class), shapes[index], fates[index])
        # who lost its partner before FISH lies alone
        overlap = bool(places.overlap[index]) and fates[places.partner[index]]["in_fish"]
        cells.append(replace(cell, zyx_um=_lift(cell, places.zyx_um[index], spec), overlap=overlap))
    return tuple(cells)


def _states(spec: SlideSpec) -> list[tuple[str, CopyClass]]:
    population, rng = spec.population, generator(spec, "order")
    ctc = [("ctc", c) for c in _shares(population.ctc, population.ctc_mix)]
    wbc = [("wbc", c) for c in _shares(population.leukocytes, population.leukocyte_mix)]
    states = ctc + wbc
    return [states[i] for i in rng.permutation(len(states))]


def _shares(n: int, mix: dict[CopyClass, float]) -> list[CopyClass]:
    """Split n by shares, the largest remainders rounded up."""
    total = sum(mix.values())
    if n and total <= 0:
        raise ConfigError(f"a mix of copy classes sums to {total}; give at least one class a positive share.")
    exact = {c: n * share / total for c, share in mix.items()} if n else {}
    counts = {c: int(x) for c, x in exact.items()}
    by_remainder = sorted(exact, key=lambda c: counts[c] - exact[c])
    for c in by_remainder[: n - sum(counts.values())]:
        counts[c] += 1
    return [c for c, count in counts.items() for _ in range(count)]


def _shape(spec: SlideSpec, number: int, kind: str) -> Shape:
    rng, population = generator(spec, "cell", 2 * number), spec.population
    if kind == "ctc":
        diameter = float(np.clip(population.ctc_diameter_um * np.exp(0.16 * rng.standard_normal()), 7.0, 15.0))
    else:
        diameter = float(np.clip(population.leukocyte_diameter_um * np.exp(0.07 * rng.standard_normal()), 6.0, 8.0))
    lobed = kind == "wbc" and rng.random() < 0.15
    shape = draw_shape(diameter, population.thickness_share, lobed, rng)
    # a leukocyte's chromatin is denser than a tumour cell's
    middle = 1.0 if kind == "wbc" else 0.85
    return replace(shape, brightness=middle * float(np.exp(0.15 * rng.standard_normal())))


def _fates(spec: SlideSpec, n: int) -> list[dict[str, bool]]:
    """Which cells are spoiled, each by one thing at most."""
    rng, nuisance = generator(spec, "order", 1), spec.nuisance
    order = rng.permutation(n)
    cuts = np.cumsum([nuisance.out_of_focus, nuisance.apoptotic])
    lost, extra = rng.random(n) < nuisance.lost_share, rng.random(n) < nuisance.extra_share
    fates = [{"blurred": False, "dying": False, "in_fish": True, "in_if": True} for _ in range(n)]
    for rank, index in enumerate(order):
        fates[index]["blurred"] = bool(rank < cuts[0])
        fates[index]["dying"] = bool(cuts[0] <= rank < cuts[1])
        fates[index]["in_fish"] = not lost[index]
        fates[index]["in_if"] = bool(lost[index] or not extra[index])
    return fates


def _cell(spec: SlideSpec, number: int, state: tuple[str, CopyClass], shape: Shape, fate: dict[str, bool]) -> Cell:
    rng = generator(spec, "cell", 2 * number + 1)
    copies = draw_copies(state[1], rng)
    final = apoptotic(shape, rng) if fate["dying"] else shape
    loci = _hybridised(place_loci(copies, final, spec.signals, rng), spec, error_ratio(spec, state[0]), rng)
    return Cell(number, state[0], state[1], copies, final, (0.0, 0.0, 0.0), loci, **fate)


def error_ratio(spec: SlideSpec, kind: str) -> float:
    """How much oftener than in leukocytes the probe errs in cells of a kind."""
    return spec.nuisance.ctc_error_ratio if kind == "ctc" else 1.0


def _hybridised(loci: Loci, spec: SlideSpec, ratio: float, rng: np.random.Generator) -> Loci:
    """Loci the probe reached."""
    keep = rng.random(len(loci.probe)) >= spec.nuisance.missed * ratio
    keep &= rng.random() >= spec.nuisance.unhybridised_share
    return Loci(loci.probe[keep], loci.zyx_um[keep], loci.photons[keep], loci.size_um[keep], loci.group[keep])


def _lift(cell: Cell, place: NDArray[np.float64], spec: SlideSpec) -> tuple[float, float, float]:
    """Centre of the cell with its height in the stack; all rest on the glass, give or take."""
    rng = generator(spec, "height", cell.number)
    middle = (spec.fish.planes - 1) * spec.fish.z_step_um / 2
    z = middle + spec.fish.defocus_um + place[0] + spec.population.z_sd_um * rng.standard_normal()
    if cell.blurred:
        z += float(rng.choice([-1.0, 1.0])) * (middle + rng.uniform(4.0, 6.0))
    return float(z), float(place[1]), float(place[2])
