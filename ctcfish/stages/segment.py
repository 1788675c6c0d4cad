"""Nuclei of one scene: focus-aware projection, method of choice, outlines at full resolution, doubts."""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from ctcfish.errors import ConfigError, InputError
from ctcfish.parameters import ClassicalNuclei, Custom, NetworkNuclei, Segment
from ctcfish.stages.nuclei.classical import WORKING_UM, classical_labels
from ctcfish.stages.nuclei.doubts import doubts
from ctcfish.stages.nuclei.focus import View, view
from ctcfish.stages.nuclei.fragments import gather
from ctcfish.stages.nuclei.measure import IN_FOCUS, Traits, join, measure
from ctcfish.stages.nuclei.outlines import assemble, enlarge, from_labels, outline_table, shifted
from ctcfish.stages.nuclei.pixels import Stack
from ctcfish.stages.nuclei.regions import Labels, Proposal, keep
from ctcfish.stages.nuclei.scale import estimate_pixel_um
from ctcfish.stages.nuclei.surface import Floats
from ctcfish.stages.nuclei.tiles import Tile, tiles
from ctcfish.stages.parts import Each, shares
from ctcfish.types import Nuclei

Method = Callable[[Floats, float], Proposal]
"""From an image (Y, X) and its pixel in um to labels (Y, X) and how sure they are."""

_CORE_PX = 1024
_AHEAD = 2
_MARGIN_PX = 64
_TOLERANCE_PX = 3.0


@dataclass(frozen=True)
class _Scene:
    """What is the same for every tile: size in pixels, voxel, pixels averaged along a side."""

    shape_px: tuple[int, int]
    voxel_um: tuple[float, float, float]
    factor: int


@dataclass(frozen=True)
class Found:
    """Nuclei of a tile, in scene pixels, and their traits: all of its window at first, then those that it owns."""

    tile: Tile
    nuclei: Nuclei
    traits: Traits


def segment(
    stack: Stack, voxel_um: tuple[float, float, float], params: Segment, device: str, each: Each = map
) -> Nuclei:
    """Find the nuclei of a scene.

    Work goes tile by tile, and a tile is read plane by plane when it is looked at: beyond the outlines, memory does not
    grow with the scene.

    Parameters
    ----------
    stack : Stack, (Z, Y, X)
        Nucleus channel, any integer or float type, finite; read from two threads.
    voxel_um : tuple of float
        ``(z, y, x)``; z is not looked at in a single plane.
    params : Segment
    device : str
        Torch device of the network.
    each : Each
        Looks at the tiles, those of a large scene in several shares.

    Returns
    -------
    Nuclei
        Flagged where doubtful; objects below ``params.min_area_um2`` are debris and left out.

    Raises
    ------
    InputError
        The stack has not three axes, or no real numbers.
    ConfigError
        A custom method cannot be imported, or returns something else than labels.
    """
    _check(stack)
    shape = (stack.shape[1], stack.shape[2])
    if 0 in stack.shape:
        return from_labels(np.zeros(shape, np.int32), voxel_um[1:])
    scene = _Scene(shape, voxel_um, min(max(1, round(WORKING_UM / voxel_um[1])), *shape))
    cut = shares(list(tiles(shape, _CORE_PX * scene.factor, _MARGIN_PX * scene.factor)), int(np.prod(stack.shape)))
    found: list[Found] = []
    for seen in chain.from_iterable(each(partial(_look, stack, scene, params, device), cut)):
        found.append(_owned(seen, scene, found))
    nuclei, traits = assemble([part.nuclei for part in found]), join([part.traits for part in found])
    nuclei = replace(nuclei, z_um=traits.z_um, thickness_um=traits.thickness_um, focus=traits.focus)
    return replace(nuclei, flags=doubts(nuclei, traits, params))


def _look(stack: Stack, scene: _Scene, params: Segment, device: str, cut: Sequence[Tile]) -> tuple[Found, ...]:
    """What is seen in each tile."""
    method = _method(params, device)

    def look(tile: Tile) -> Found:
        planes = (_finite(stack[z : z + 1, *tile.slices])[0] for z in range(stack.shape[0]))
        seen = view(planes, scene.factor, scene.voxel_um[1], scene.voxel_um[0])
        return _in_window(seen, tile, scene, method, params.min_area_um2)

    return tuple(_in_turn(look, cut))


def _in_turn(look: Callable[[Tile], Found], cut: Sequence[Tile]) -> Iterator[Found]:
    """What is seen in each tile, in the tiles' order; ``_AHEAD`` tiles are looked at together, and no more are held."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting = deque(pool.submit(look, tile) for tile in cut[:_AHEAD])
        for following in cut[_AHEAD:]:
            yield waiting.popleft().result()
            waiting.append(pool.submit(look, following))
        while waiting:
            yield waiting.popleft().result()


def _check(stack: Stack) -> None:
    if len(stack.shape) != 3:
        raise InputError(
            "nucleus channel", f"{len(stack.shape)} axes", "three axes (Z, Y, X)", "Add a plane axis of one."
        )
    if stack.dtype.kind not in "uif":
        raise InputError(
            "nucleus channel", f"pixels of type {stack.dtype}", "integers or floats", "Convert the image first."
        )


def _finite(pixels: NDArray[Any]) -> NDArray[Any]:
    bad = 0 if pixels.dtype.kind != "f" else sum(int(np.count_nonzero(~np.isfinite(plane))) for plane in pixels)
    if bad:
        raise InputError(
            "nucleus channel", f"{bad} pixels that are no finite numbers", "finite pixels", "Repair the image first."
        )
    return pixels


def _method(params: Segment, device: str) -> Method:
    match params.nuclei:
        case ClassicalNuclei() as classical:
            return lambda image, pixel_um: _sure(classical_labels(image, pixel_um, classical))
        case NetworkNuclei(model=model):
            from ctcfish.nets.weights import load_network
            from ctcfish.stages.nuclei.network import network_labels

            net = load_network(model, device)
            return lambda image, pixel_um: network_labels(image, pixel_um, net, device)
        case Custom(function=function):
            return _custom(function)
        case _ as never:
            assert_never(never)


def _sure(labels: Labels) -> Proposal:
    return Proposal(labels, np.ones(int(labels.max(initial=0)) + 1, bool))


def _custom(function: str) -> Method:
    """Import a stranger's method and check what it returns."""
    module, _, name = function.partition(":")
    try:
        method = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"segment.nuclei.function {function!r}: cannot be imported ({error}); "
            "give an installed package.module:function."
        ) from None

    def checked(image: Floats, pixel_um: float) -> Proposal:
        labels = np.asarray(method(image, pixel_um))
        if labels.shape != image.shape or labels.dtype.kind not in "ui":
            raise ConfigError(
                f"segment.nuclei.function {function!r}: returned {labels.dtype} of shape {labels.shape}; "
                f"integers of the image's shape {image.shape} are needed."
            )
        return _sure(keep(labels.astype(np.int32), np.bincount(labels.ravel()) > 0))

    return checked


def _in_window(seen: View, tile: Tile, scene: _Scene, method: Method, min_area_um2: float) -> Found:
    """Outlines at full resolution and traits of all nuclei in a tile's window."""
    y0, x0, y1, x1 = tile.window
    proposed = method(seen.image, seen.pixel_um)
    area = np.bincount(proposed.labels.ravel(), minlength=len(proposed.sure)) * seen.pixel_um**2
    large = area >= max(min_area_um2, seen.pixel_um**2)
    coarse = gather(seen.image, keep(proposed.labels, large), seen.pixel_um)
    traits = measure(seen, coarse)
    stands = np.ones(len(traits.focus) + 1, bool)
    known = proposed.sure[1:][large[1:]]
    stands[1 : len(known) + 1] = known | (traits.focus[: len(known)] < IN_FOCUS)
    fine = enlarge(keep(coarse, stands), (y1 - y0, x1 - x0), (float(scene.factor), float(scene.factor)))
    nuclei, number = outline_table(fine, scene.voxel_um[1:])
    return Found(tile, shifted(nuclei, (y0, x0), scene.shape_px), traits.rows(stands[1:]).rows(number - 1))


def _owned(seen: Found, scene: _Scene, earlier: Sequence[Found]) -> Found:
    """Nuclei whose centre the tile owns and that no earlier tile holds already.

    Two tiles may see a nucleus on their border a little differently; the core is therefore taken a little wider, and
    who comes second gives way where more than half of its ground is taken.
    """
    tile, nuclei, pixel_um = seen.tile, seen.nuclei, scene.voxel_um[1:]
    if tile.window == (0, 0, *scene.shape_px):
        return seen
    window, labels = tile.slices, nuclei.paint(*tile.slices)
    y, x = (nuclei.centroid_um / np.array(pixel_um)).T
    mine = tile.owns(y, x, _TOLERANCE_PX * scene.factor)
    taken = np.zeros(labels.shape, bool)
    for other in earlier:
        if tile.meets(other.tile):
            taken |= other.nuclei.paint(*window) > 0
    lost = np.bincount(labels[taken], minlength=len(nuclei) + 1)[1:]
    mine &= 2 * lost * (pixel_um[0] * pixel_um[1]) <= nuclei.area_um2
    left = from_labels(keep(np.where(taken, 0, labels), np.append(False, mine)), pixel_um)
    corner = (window[0].start, window[1].start)
    return Found(tile, shifted(left, corner, scene.shape_px), seen.traits.rows(mine))


def segment_nuclei(image: NDArray[Any], pixel_um: float | None = None) -> Labels:
    """Label the nuclei of an image.

    Parameters
    ----------
    image : ndarray, (Y, X) or (Z, Y, X)
        Any integer or float type, finite.
    pixel_um : float, optional
        Estimated from the image where it is not given.

    Returns
    -------
    ndarray of int32, (Y, X)
        0 is background; no nucleus is an image of zeros.

    Raises
    ------
    InputError
        The image has not two or three axes, or no real numbers.
    """
    stack = image[None] if image.ndim == 2 else image
    _check(stack)
    if stack.size == 0:
        return np.zeros(stack.shape[1:], np.int32)
    size = estimate_pixel_um(_finite(stack).max(axis=0)) if pixel_um is None else pixel_um
    return segment(stack, (size, size, size), Segment(), "cpu").paint()
