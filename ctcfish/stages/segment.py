"""Nuclei of one scene: focus-aware projection, method of choice, outlines at full resolution, doubts."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from ctcfish.errors import ConfigError, InputError
from ctcfish.flags import CellFlag
from ctcfish.parameters import ClassicalNuclei, Custom, NetworkNuclei, Segment
from ctcfish.stages.classical import WORKING_UM, classical_labels
from ctcfish.stages.focus import project, reduce_planes, sharpness
from ctcfish.stages.outlines import enlarge, from_labels, keep
from ctcfish.stages.surface import Floats
from ctcfish.types import Nuclei

Labels = NDArray[np.int32]


def segment(stack: NDArray[Any], voxel_um: tuple[float, float, float], params: Segment, device: str) -> Nuclei:
    """Find the nuclei of a scene.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Nucleus channel, any integer or float type, finite.
    voxel_um : tuple of float
        ``(z, y, x)``.
    params : Segment
    device : str
        Torch device of the network.

    Returns
    -------
    Nuclei
        Flagged where doubtful; objects below ``params.min_area_um2`` are debris and left out.

    Raises
    ------
    InputError
        The stack is not three-dimensional or not of real numbers.
    ConfigError
        A custom method cannot be imported or returns something else than labels.
    """
    _check(stack)
    pixel_um = (voxel_um[1], voxel_um[2])
    shape = (stack.shape[1], stack.shape[2])
    if 0 in stack.shape:
        return from_labels(np.zeros(shape, np.int32), pixel_um)
    factor = min(max(1, round(WORKING_UM / voxel_um[1])), *shape)
    planes = reduce_planes(stack, factor)
    coarse_um = voxel_um[1] * factor
    sharp = sharpness(planes, coarse_um)
    image = project(planes, sharp, coarse_um, voxel_um[0])
    labels = _find(image, coarse_um, params, device)
    labels = _without_debris(labels, coarse_um * voxel_um[2] * factor, params.min_area_um2)
    nuclei = from_labels(enlarge(labels, shape, (float(factor), float(factor))), pixel_um)
    return replace(nuclei, flags=_shape_flags(nuclei, params))


def _check(stack: NDArray[Any]) -> None:
    if stack.ndim != 3:
        raise InputError("nucleus channel", f"{stack.ndim} axes", "three axes (Z, Y, X)", "Add a plane axis of one.")
    if stack.dtype.kind not in "uif":
        raise InputError(
            "nucleus channel", f"pixels of type {stack.dtype}", "integers or floats", "Convert the image first."
        )


def _find(image: Floats, pixel_um: float, params: Segment, device: str) -> Labels:
    match params.nuclei:
        case ClassicalNuclei() as method:
            return classical_labels(image, pixel_um, method)
        case NetworkNuclei():
            raise ConfigError(f"segment.nuclei: the network is not available on {device} yet; use 'classical'.")
        case Custom() as method:
            return _custom(image, pixel_um, method.function)
        case _ as never:
            assert_never(never)


def _custom(image: Floats, pixel_um: float, function: str) -> Labels:
    module, _, name = function.partition(":")
    try:
        method = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"segment.nuclei.function {function!r}: cannot be imported ({error}); "
            "give an installed package.module:function."
        ) from None
    labels = np.asarray(method(image, pixel_um))
    if labels.shape != image.shape or labels.dtype.kind not in "ui":
        raise ConfigError(
            f"segment.nuclei.function {function!r}: returned {labels.dtype} of shape {labels.shape}; "
            f"integers of the image's shape {image.shape} are needed."
        )
    return keep(labels.astype(np.int32), np.bincount(labels.ravel()) > 0)


def _without_debris(labels: Labels, pixel_area_um2: float, min_area_um2: float) -> Labels:
    return keep(labels, np.bincount(labels.ravel()) * pixel_area_um2 >= max(min_area_um2, pixel_area_um2))


def _shape_flags(nuclei: Nuclei, params: Segment) -> NDArray[np.int64]:
    flags = np.zeros(len(nuclei), np.int64)
    box, (rows, columns) = nuclei.box_px, nuclei.shape_px
    cut = (box[:, 0] == 0) | (box[:, 1] == 0) | (box[:, 2] == rows) | (box[:, 3] == columns)
    flags[cut] |= CellFlag.TRUNCATED
    flags[~cut & (nuclei.area_um2 < params.small_area_um2)] |= CellFlag.TOO_SMALL
    flags[nuclei.area_um2 > params.large_area_um2] |= CellFlag.TOO_LARGE
    return flags


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
    """
    stack = image[None] if image.ndim == 2 else image
    size = 0.2 if pixel_um is None else pixel_um
    return segment(stack, (0.0, size, size), Segment(), "cpu").paint()
