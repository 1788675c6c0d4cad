"""The signals of one probe in one scene."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctcfish.flags import SlideFlag, SpotFlag
from ctcfish.ops.bands import Bands
from ctcfish.ops.crowds import Crowds
from ctcfish.parameters import Detect
from ctcfish.stages.signals.camera import Camera
from ctcfish.stages.signals.candidates import Candidates, Search, find
from ctcfish.stages.signals.clusters import Clusters, clusters_of
from ctcfish.stages.signals.crowds import crowd_model, held, partition, resolve
from ctcfish.stages.signals.fits import Fitted, explained, fit_at
from ctcfish.stages.signals.granules import Objects
from ctcfish.stages.signals.hidden import hides_another
from ctcfish.stages.signals.hot import without_hot_pixels
from ctcfish.stages.signals.inside import nucleus_at
from ctcfish.stages.signals.measure import Measures, measure
from ctcfish.stages.signals.optics import patch_half, sigma_px
from ctcfish.stages.signals.probability import probability
from ctcfish.stages.signals.regions import regions
from ctcfish.stages.signals.rescue import second_look
from ctcfish.types import Nuclei, Probe, ProbeModel, SlideModel

_FLOOR = 0.8
_REAL_IF_HELD = 0.2  # share of signals among emitters held at the least brightness, on simulated slides


@dataclass(frozen=True)
class Signals:
    """Signals of one probe, N rows.

    Attributes
    ----------
    position_um : ndarray, (N, 3)
    photons, background, sigma_um, snr, probability : ndarray, (N,)
    label : ndarray of int64, (N,)
        Nucleus; 0 outside.
    cluster : ndarray of int64, (N,)
        Row of its cluster plus 1; 0 for none.
    flags : ndarray of int64, (N,)
        Bits of :class:`ctcfish.flags.SpotFlag`.
    """

    position_um: NDArray[np.float64]
    photons: NDArray[np.float64]
    background: NDArray[np.float64]
    sigma_um: NDArray[np.float64]
    snr: NDArray[np.float64]
    probability: NDArray[np.float64]
    label: NDArray[np.int64]
    cluster: NDArray[np.int64]
    flags: NDArray[np.int64]


@dataclass(frozen=True)
class Seen:
    """What was found of one probe before crowds are resolved.

    Attributes
    ----------
    stack : ndarray, (Z, Y, X)
        Without hot pixels; the scene's own where there are none.
    found : Candidates
    measures : Measures
    accepted : Tensor of bool, (K,)
        Candidates above the threshold.
    fitted : Fitted
        Accepted candidates, N rows.
    shape : Measures
        Of those rows.
    single, broad : Tensor of bool, (N,)
        Explained by one emitter; one smooth object far too wide.
    """

    stack: NDArray[np.generic]
    found: Candidates
    measures: Measures
    accepted: Tensor
    fitted: Fitted
    shape: Measures
    single: Tensor
    broad: Tensor

    def objects(self, threshold_snr: float, wide: float, voxel_um: tuple[float, float, float]) -> Objects:
        """The fitted objects, then the broad maxima that were not accepted, in micrometres."""
        rows = self.wide(threshold_snr, wide)
        place = torch.cat([self.fitted.position_px, self.found.place_px[rows].to(self.fitted.position_px)])
        photons = torch.cat([self.fitted.fits.photons, self.found.photons[rows]])
        width = torch.cat([self.shape.width_px, self.measures.width_px[rows]])
        return Objects(
            place.cpu().numpy().astype(np.float64) * _step_um(voxel_um),
            photons.cpu().numpy().astype(np.float64),
            width.cpu().numpy().astype(np.float64) * (voxel_um[1] * voxel_um[2]) ** 0.5,
        )

    def wide(self, threshold_snr: float, ratio: float) -> Tensor:
        """Bright maxima that are too broad to be accepted: smooth objects, (K,)."""
        plain = ~self.accepted & ~self.measures.hot
        return plain & (self.found.snr > threshold_snr) & (self.measures.ratio > ratio)


Setting = tuple[Probe, Detect, str]
"""Probe, parameters and device."""


def look(
    stack: NDArray[np.generic],
    nuclei: Nuclei,
    voxel_um: tuple[float, float, float],
    model: SlideModel,
    setting: Setting,
) -> Seen:
    """Find and fit what passes the slide's threshold in nuclei or a margin around them.

    Parameters
    ----------
    stack : ndarray, (Z, Y, X)
        Camera numbers of any type.
    nuclei : Nuclei
    voxel_um : tuple of float
    model : SlideModel
    setting : tuple
        Probe, parameters and device.
    """
    probe, params, device = setting
    slide, camera = model.probes[probe], camera_of(model)
    sigma = sigma_px((slide.sigma_z_um, slide.sigma_xy_um), voxel_um)
    bands = Bands.of(sigma, len(stack), params.surround)
    gain = bands.signal_gain(sigma)
    search = Search(bands, camera, _FLOOR * slide.threshold_snr, patch_half(sigma[1]), gain, device)
    found = find(stack, regions(nuclei, round(params.margin_um / voxel_um[1]), len(stack)), search)
    measures = measure(found, sigma[1], voxel_um[1], None if slide.whole_patch else bands)
    accepted = measures.snr > slide.threshold_snr
    stack = without_hot_pixels(stack, found.place_px[measures.hot], camera)
    known = fit_at(stack, found.place_px[accepted], sigma, camera, free_width=False)
    again = second_look((found, ~accepted & ~measures.hot), known, sigma, voxel_um[1], len(stack))
    measures = measures.with_rows(again.rows, again.measures)
    late = (measures.snr > slide.threshold_snr) & ~accepted
    added = fit_at(stack, found.place_px[late], sigma, camera, free_width=False)
    fitted, order = known.joined(added), torch.cat([accepted.nonzero()[:, 0], late.nonzero()[:, 0]])
    accepted, shape = accepted | late, measures.rows(order)
    told = explained(stack, fitted, (sigma, camera), slide, params)
    hides = hides_another(stack, told.fitted, told.single, (sigma, camera), slide.threshold_snr)
    return Seen(stack, found, measures, accepted, told.fitted, shape, told.single & ~hides, told.broad)


def signals_of(
    seen: tuple[Seen, NDArray[np.bool_]],
    nuclei: Nuclei,
    voxel_um: tuple[float, float, float],
    model: SlideModel,
    setting: Setting,
) -> tuple[Signals, Clusters]:
    """Signals of one probe, crowds resolved.

    Parameters
    ----------
    seen : tuple
        What was found, and which of the fitted objects are granules.
    nuclei : Nuclei
    voxel_um : tuple of float
    model : SlideModel
    setting : tuple
        Probe, parameters and device.
    """
    own = seen[0]
    granule = torch.from_numpy(seen[1][: len(own.single)]).to(own.single.device)
    probe, params, _ = setting
    slide, camera = model.probes[probe], camera_of(model)
    sigma = sigma_px((slide.sigma_z_um, slide.sigma_xy_um), voxel_um)
    bands = Bands.of(sigma, len(own.stack), params.surround)
    nothing = granule | own.broad
    split = partition(own.fitted, own.single, nothing, sigma)
    scale = _Scale(_step_um(voxel_um), slide, nuclei)
    crowds = resolve(own.stack, own.fitted, split, camera, crowd_model(slide, sigma, camera.read_variance))
    per_photon = bands.signal_gain(sigma) / float(bands.noise_gain().median().sqrt())
    crowded, clusters = _crowded(crowds, (sigma[1], per_photon, camera.read_variance), scale)
    bits = granule.long() * int(SpotFlag.BOTH_COLOURS) | own.broad.long() * int(SpotFlag.BROAD)
    parts = [
        _dim(_alone(own, split.alone & ~nothing, 0, scale), params, model),
        _dim(crowded, params, model),
        _alone(own, nothing, bits[nothing], scale),
        _rejected(own, (slide.threshold_snr, params.broad_ratio), scale),
    ]
    return _joined(parts), clusters


def camera_of(model: SlideModel) -> Camera:
    """The slide's camera."""
    return Camera(model.gain_adu_per_photon, model.offset_adu, model.read_noise_photons, model.camera_origin)


def _step_um(voxel_um: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.array([voxel_um[0] or 1.0, voxel_um[1], voxel_um[2]])


@dataclass(frozen=True)
class _Scale:
    """What turns pixels into micrometres and labels."""

    step_um: NDArray[np.float64]
    slide: ProbeModel
    nuclei: Nuclei

    def signals(self, position_px: Tensor, columns: dict[str, Tensor], bits: Tensor | int = 0) -> Signals:
        """Rows from positions in the scene and columns of light; widths in pixels."""
        position = position_px.cpu().numpy().astype(np.float64) * self.step_um
        value = {k: v.cpu().numpy().astype(np.float64) for k, v in columns.items()}
        width = value["width"] * float(self.step_um[1] * self.step_um[2]) ** 0.5
        flags = np.zeros(len(position), np.int64) + (bits.cpu().numpy() if isinstance(bits, Tensor) else bits)
        return Signals(
            position,
            value["photons"],
            value["background"],
            width,
            value["snr"],
            probability(value["snr"], value["photons"], width, self.slide),
            nucleus_at(position, self.step_um[1:], self.nuclei),
            np.zeros(len(position), np.int64),
            flags,
        )


def _alone(seen: Seen, rows: Tensor, bits: Tensor | int, scale: _Scale) -> Signals:
    fitted, shape = seen.fitted, seen.shape
    columns = {
        "photons": fitted.fits.photons[rows],
        "background": fitted.fits.background[rows],
        "width": shape.width_px[rows],
        "snr": shape.snr[rows],
    }
    bits = bits | (~fitted.whole[rows]).long() * int(SpotFlag.EDGE) | shape.hot[rows].long() * int(SpotFlag.HOT_PIXEL)
    return scale.signals(fitted.position_px[rows], columns, bits)


def _dim(signals: Signals, params: Detect, model: SlideModel) -> Signals:
    """Flag signals that may as well be background; not in clusters, nor where the slide's brightness is unknown."""
    if SlideFlag.FEW_SIGNALS in model.flags:
        return signals
    doubt = (signals.probability < params.least_probability) & (signals.cluster == 0)
    return replace(signals, flags=signals.flags | np.where(doubt, int(SpotFlag.DIM), 0))


def _crowded(crowds: Crowds, optics: tuple[float, float, float], scale: _Scale) -> tuple[Signals, Clusters]:
    """Emitters of the crowds, and the clusters among them.

    ``optics`` is the width of a signal in pixels, its SNR per photon in noise of one photon, and the read variance.
    """
    width_px, per_photon, read_variance = optics
    level = crowds.background[crowds.region]
    columns = {
        "photons": crowds.photons,
        "background": level,
        "width": torch.full_like(level, width_px),
        "snr": crowds.photons * per_photon / (level.clamp(min=0.05) + read_variance).sqrt(),
    }
    signals = scale.signals(crowds.position_px, columns)
    number, clusters = clusters_of(crowds, signals.position_um[:, 1:], signals.label, scale.slide)
    real = np.where(held(signals.photons, scale.slide) & (number == 0), _REAL_IF_HELD, 1.0)
    bits = signals.flags | np.where(number > 0, int(SpotFlag.IN_CLUSTER), 0)
    return replace(signals, cluster=number, flags=bits, probability=np.minimum(signals.probability, real)), clusters


def _rejected(seen: Seen, limits: tuple[float, float], scale: _Scale) -> Signals:
    """Bright maxima that are no signals: hot pixels and broad objects; borders of nuclei are neither."""
    threshold, wide = limits
    found, measures = seen.found, seen.measures
    hot = measures.hot & ~seen.accepted
    broad = seen.wide(threshold, wide)
    rows = hot | broad
    bits = hot[rows].long() * int(SpotFlag.HOT_PIXEL) | broad[rows].long() * int(SpotFlag.BROAD)
    columns = {
        "photons": found.photons[rows],
        "background": found.surround[rows],
        "width": measures.width_px[rows],
        "snr": found.snr[rows],
    }
    return scale.signals(found.place_px[rows], columns, bits)


def _joined(parts: list[Signals]) -> Signals:
    """Rows of all parts in the order of reading: by z, y, x of nothing but their list."""
    return Signals(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Signals)))
