"""From camera numbers to photons, and what is known of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ctcfish.ops.camera import transfer_line
from ctcfish.parameters import Detect
from ctcfish.types import Optics

PHOTON_TRANSFER, METADATA, CONFIGURATION = "photon transfer", "metadata", "configuration"


@dataclass(frozen=True)
class Camera:
    """ADU = offset + gain · photons, with Gaussian read noise.

    Attributes
    ----------
    gain_adu_per_photon, offset_adu, read_noise_photons : float
    origin : {"metadata", "configuration", "photon transfer"}
        Where the gain comes from.
    """

    gain_adu_per_photon: float
    offset_adu: float
    read_noise_photons: float
    origin: str

    @property
    def read_variance(self) -> float:
        """Read noise squared, photons²."""
        return self.read_noise_photons**2

    def photons(self, adu: torch.Tensor) -> torch.Tensor:
        """Photons of camera numbers of any shape."""
        return (adu - self.offset_adu) / self.gain_adu_per_photon


def known_camera(optics: Optics, params: Detect) -> Camera | None:
    """Camera from the configuration, else the metadata; None where neither names gain and offset."""
    read = params.read_noise_photons if optics.read_noise_photons is None else optics.read_noise_photons
    if params.gain_adu_per_photon is not None and params.offset_adu is not None:
        return Camera(params.gain_adu_per_photon, params.offset_adu, read, CONFIGURATION)
    if optics.gain_adu_per_photon is not None and optics.offset_adu is not None:
        return Camera(optics.gain_adu_per_photon, optics.offset_adu, read, METADATA)
    return None


def estimated_camera(points: Sequence[NDArray[np.float64]], params: Detect) -> Camera:
    """Camera from photon-transfer points of one or more channels and fields.

    The line gives gain and the level at which the noise would vanish; the offset lies above that by the read noise,
    which the line cannot tell and the parameters assume.

    Parameters
    ----------
    points : sequence of ndarray, each (K, 3)
        As :func:`ctcfish.ops.camera.transfer_points` gives them.
    params : Detect
    """
    stacked = np.concatenate([np.empty((0, 3)), *points])
    gain, dark = transfer_line(torch.from_numpy(stacked))
    if params.gain_adu_per_photon is not None:
        gain = params.gain_adu_per_photon
    if not np.isfinite(gain):
        # one flat level: its variance is all there is; call every count light
        level = float(np.median(stacked[:, 0])) if len(stacked) else 1.0
        variance = float(np.median(stacked[:, 1])) if len(stacked) else 1.0
        gain = max(variance / max(level, 1e-6), 1e-6)
        dark = -gain * params.read_noise_photons**2
    elif not np.isfinite(dark):
        dark = float(np.median(stacked[:, 0] - stacked[:, 1] / gain)) if len(stacked) else 0.0
    offset = params.offset_adu if params.offset_adu is not None else dark + gain * params.read_noise_photons**2
    return Camera(gain, offset, params.read_noise_photons, PHOTON_TRANSFER)
