"""Every doubt about a signal that needs more than its own image: the other colour, the nuclei, the camera's ceiling."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ctcfish.flags import SpotFlag
from ctcfish.stages.signals.overlap import in_two_nuclei
from ctcfish.stages.signals.probe import Signals, camera_of
from ctcfish.stages.signals.residue import residue
from ctcfish.stages.signals.saturation import saturated
from ctcfish.stages.signals.vetoes import colour_flags
from ctcfish.types import Nuclei, Probe, SlideModel


def doubts(
    found: Mapping[Probe, Signals],
    stacks: Mapping[Probe, NDArray[np.generic]],
    nuclei: Nuclei,
    voxel_um: tuple[float, float, float],
    model: SlideModel,
) -> dict[Probe, NDArray[np.int64]]:
    """Flags of every signal besides those of its own fit.

    Parameters
    ----------
    found : mapping of Probe to Signals
    stacks : mapping of Probe to ndarray, (Z, Y, X)
        Camera numbers without hot pixels.
    nuclei : Nuclei
    voxel_um : tuple of float
    model : SlideModel

    Returns
    -------
    mapping of Probe to ndarray of int64
    """
    camera = camera_of(model)
    step = np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])
    bits = colour_flags(found, stacks, voxel_um, (model, camera))
    for probe, signals in found.items():
        stack, slide = stacks[probe], model.probes[probe]
        stained = nuclei.label[residue(stack, nuclei, camera)]
        clipped = saturated(stack, signals.position_um, step, (slide.sigma_z_um, slide.sigma_xy_um))
        for where, flag in (
            (clipped, SpotFlag.SATURATED),
            (np.isin(signals.label, stained), SpotFlag.IF_RESIDUE),
            (in_two_nuclei(signals.position_um, signals.label, nuclei), SpotFlag.TWO_NUCLEI),
        ):
            bits[probe][where] |= int(flag)
    return bits
