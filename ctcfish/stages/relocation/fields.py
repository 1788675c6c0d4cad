"""All IF and FISH scenes of a slide brought together: fields help one another, the stage helps the fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctcfish.stages.relocation.alignment import Alignment, Cloud, Effort, lay
from ctcfish.stages.relocation.constellation import Prior
from ctcfish.stages.relocation.placing import Expected, place
from ctcfish.stages.relocation.warp import Similarity, fit_similarity

Points = NDArray[np.float64]
Place = tuple[float, float]

_SCALES = tuple(float(np.exp(0.06 * k)) for j in range(1, 13) for k in (j, -j))
_SCALE_FIELDS = 3
_OTHER_SCALES = Effort(patches=2, points=70, groups=20)
_TURN_RAD = float(np.radians(1.5))
_STAGE_UM = 60.0
_LEAST_STAGE_UM = 12.0
_SAME_SCALE = 0.03
_ORIGIN_ERRORS = 4.0
_VOUCHING = 6
_STRANGE = (0.1, 0.5)
_SLACK_UM = 0.3
_LEAST_PLACED = 0.6
_AXES = ((1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0))


@dataclass(frozen=True)
class Scans:
    """Both scans of a slide.

    Attributes
    ----------
    if_scenes, fish_scenes : tuple of Cloud
        In the order of their names; none is empty.
    stage_um : mapping of str to (y, x)
        Where FISH scenes lie on the stage, if that is known.
    """

    if_scenes: tuple[Cloud, ...]
    fish_scenes: tuple[Cloud, ...]
    stage_um: Mapping[str, Place]


def align(scans: Scans, enough: int) -> list[Alignment]:
    """Every pair of scenes that agree beyond chance.

    First each FISH scene alone; then those left over, with turn, mirror and scale of the others (and the place the
    stage gives them); then, if nothing agreed, all of it at other scales, in case a pixel size is wrong.

    Parameters
    ----------
    scans : Scans
    enough : int
        Pairs of nuclei below which other scales are tried.
    """
    for scale in (1.0, *_SCALES):
        fields = scans.fish_scenes if scale == 1.0 else _largest(scans.fish_scenes)
        effort = Effort() if scale == 1.0 else _OTHER_SCALES
        found = _consistent(_each(scans.if_scenes, fields, scale, effort))
        if not found and scale == 1.0:
            found = _by_stage(scans)
        if sum(a.n_matched for a in found) >= enough:
            return sorted(_complete(scans, found), key=lambda a: (a.if_scene, a.scene))
    return []


def _largest(fields: tuple[Cloud, ...]) -> tuple[Cloud, ...]:
    return tuple(sorted(fields, key=lambda f: -len(f.points))[:_SCALE_FIELDS])


def _each(if_scenes: Iterable[Cloud], fields: Iterable[Cloud], scale: float, effort: Effort) -> list[Alignment]:
    pairs = [(here, there) for here in if_scenes for there in fields]
    laid = [lay(here, there, scale, effort=effort) for here, there in pairs]
    return [one for one in laid if one is not None]


def _consistent(found: list[Alignment]) -> list[Alignment]:
    """Fields of one slide share turn, mirror and scale: drop what contradicts the field with most pairs."""
    if not found:
        return []
    leader = max(found, key=lambda a: a.n_matched).warp.similarity
    return [a for a in found if _alike(a.warp.similarity, leader)]


def _alike(one: Similarity, other: Similarity) -> bool:
    ratio = one.a / other.a
    turned = abs(float(np.angle(ratio)))
    return one.mirrored == other.mirrored and turned <= 2 * _TURN_RAD and abs(np.log(abs(ratio))) <= _SAME_SCALE


def _complete(scans: Scans, found: list[Alignment]) -> list[Alignment]:
    """Lay the fields that could not be laid alone, led by those that could; then those of few nuclei, led by all."""
    laid = list(found)
    for step in (_led, _expected):
        done = {a.scene for a in laid}
        added = [
            one
            for here in scans.if_scenes
            if (led := [a for a in laid if a.if_scene == here.name])
            for field in scans.fish_scenes
            if field.name not in done and (one := step(here, field, led, scans.stage_um)) is not None
        ]
        laid += added
    return laid


def _led(here: Cloud, field: Cloud, led: list[Alignment], stage_um: Mapping[str, Place]) -> Alignment | None:
    """Lay a field with turn, mirror and scale of the others, at its place by the stage or anywhere."""
    tried = (lay(here, field, prior.similarity.scale, prior) for prior in _priors(led, field.name, stage_um))
    return next((one for one in tried if one is not None), None)


def _expected(here: Cloud, field: Cloud, led: list[Alignment], stage_um: Mapping[str, Place]) -> Alignment | None:
    """Lay a field of few nuclei where the stage says, as far as the fields laid so far vouch for the stage."""
    known = [a for a in led if a.scene in stage_um]
    if len(known) < _VOUCHING or field.name not in stage_um:
        return None
    leader = max(led, key=lambda a: a.n_matched).warp.similarity
    turned = [a.warp.similarity.a for a in led]
    back = replace(leader, a=complex(np.median(np.real(turned)), np.median(np.imag(turned)))).inverse()
    b, error = _origin(known, complex(*stage_um[field.name]), stage_um)
    similarity = Similarity(back.a, b, back.mirrored).inverse()
    paired = sum(a.n_matched for a in led) / sum(len(a.fish_um) for a in led)
    strange = float(np.clip(1 - paired, *_STRANGE))
    sigma = float(np.hypot(np.median([a.sigma_um for a in led]), _SLACK_UM))
    return place(here, field, Expected(similarity, error / _ORIGIN_ERRORS / np.sqrt(2), sigma, strange), _LEAST_PLACED)


def _priors(led: list[Alignment], name: str, stage_um: Mapping[str, Place]) -> Iterator[Prior]:
    """What the fields laid so far say of another one: its place by the stage if that is known, else its turn alone."""
    leader = max(led, key=lambda a: a.n_matched).warp.similarity
    known = [a for a in led if a.scene in stage_um]
    if known and name in stage_um:
        b, error = _origin(known, complex(*stage_um[name]), stage_um)
        back = leader.inverse()
        yield Prior(Similarity(back.a, b, back.mirrored).inverse(), _TURN_RAD, error)
    yield Prior(leader, _TURN_RAD, np.inf)


def _origin(known: list[Alignment], wanted: complex, stage_um: Mapping[str, Place]) -> tuple[complex, float]:
    """Where in IF the first pixel of a field lies whose place on the stage is ``wanted``, and how far off that may be.

    Four fields or more tell how the stage's axes run and how well it drives; with fewer the axes are taken to run as
    the image's do.
    """
    back = [a.warp.similarity.inverse() for a in known]
    stage = np.array([complex(*stage_um[a.scene]) for a in known])
    if len(known) < 4:
        return back[0].move(wanted - complex(stage[0])), _STAGE_UM
    origin = np.array([s.b for s in back])
    fits = [fit_similarity(stage, origin, mirrored) for mirrored in (False, True)]
    errors = [_rms(fit, stage, origin) for fit in fits]
    best = int(np.argmin(errors))
    return fits[best].move(wanted), float(np.clip(_ORIGIN_ERRORS * errors[best], _LEAST_STAGE_UM, _STAGE_UM))


def _rms(similarity: Similarity, source: NDArray[np.complex128], target: NDArray[np.complex128]) -> float:
    square = sum(abs(similarity.move(complex(s)) - complex(t)) ** 2 for s, t in zip(source, target, strict=True))
    return float(np.sqrt(square / (len(source) - 2)))


def _by_stage(scans: Scans) -> list[Alignment]:
    """Where no field is enough alone: put the fields together as the stage says, lay the whole, then each field."""
    fields = [f for f in scans.fish_scenes if f.name in scans.stage_um]
    if len(fields) < 2:
        return []
    return next((found for signs in _AXES if (found := _mosaic(scans.if_scenes, fields, scans.stage_um, signs))), [])


def _mosaic(
    if_scenes: Iterable[Cloud], fields: list[Cloud], stage_um: Mapping[str, Place], signs: Place
) -> list[Alignment]:
    shifts = {f.name: np.asarray(stage_um[f.name]) * np.asarray(signs) for f in fields}
    whole = Cloud("stage", np.concatenate([f.points + shifts[f.name] for f in fields]))
    found = []
    for here in if_scenes:
        mosaic = lay(here, whole)
        if mosaic is None:
            continue
        s, reach = mosaic.warp.similarity, float(np.clip(8 * mosaic.sigma_um, _LEAST_STAGE_UM, _STAGE_UM))
        for field in fields:
            moved = Similarity(s.a, s.b - complex(*shifts[field.name]), s.mirrored)
            one = lay(here, field, s.scale, Prior(moved, _TURN_RAD, reach))
            found += [one] if one is not None else []
    return found
