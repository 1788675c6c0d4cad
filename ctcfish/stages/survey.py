"""Survey: what one field says of the slide's light, and the slide's model merged over its fields.

A field gives counts and short lists, never pixels; :func:`merge` puts them together in the order given, so that the
model is the same however the fields were shared among workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ctcfish.flags import SlideFlag
from ctcfish.parameters import Detect, Survey
from ctcfish.stages.signals import camera as cameras
from ctcfish.stages.signals import colours
from ctcfish.stages.signals.crowds import merged_units
from ctcfish.stages.signals.field import ProbeSurvey, sampled_noise, survey_probe
from ctcfish.stages.signals.optics import FWHM_PER_SIGMA, start_sigma_um
from ctcfish.stages.signals.population import background_per_nucleus, brightness
from ctcfish.stages.signals.probability import candidates, prior_of, probability
from ctcfish.stages.signals.regions import sample
from ctcfish.stages.signals.threshold import EDGES, Background, fit_background, threshold_range
from ctcfish.types import PROBES, Nuclei, Optics, Probe, ProbeModel, SlideModel

_WORTHWHILE = 0.955  # the patch must find signals fainter by this factor to be preferred
_TAIL, _LEAST_SPREAD = 2.0, 0.25  # signals this far below the median must still pass: 98 % of a log-normal
_SAFE = 2.4  # thresholds: below it up to one locus in five was missed on simulated slides, above it under one in ten
_HARDLY, _MOST_MARGINAL = 1.3, 0.25  # accepted maxima below 1.3 thresholds, and their largest share
_WIDEST_RANGE = 2.5  # SNR between the thresholds of fields taken alone
_UNKNOWN_PHOTONS, _UNKNOWN_SPREAD = 1000.0, 0.4  # of a signal, where a slide shows none
_LEAST_APPARENT = 0.08  # log spread of apparent widths


@dataclass(frozen=True)
class SceneInfo:
    """What a survey must know of a scene besides its pixels.

    Attributes
    ----------
    voxel_um : tuple of float
        ``(z, y, x)``; z is 0 for a single plane.
    optics : Optics
    """

    voxel_um: tuple[float, float, float]
    optics: Optics = Optics()


@dataclass(frozen=True)
class FieldSurvey:
    """Sufficient statistics of one field.

    Attributes
    ----------
    camera : Camera
        Known, or this field's own estimate.
    transfer : ndarray, (K, 3)
        Photon-transfer points; no rows where the camera is known.
    probes : mapping of Probe to ProbeSurvey
    start_sigma_um : mapping of Probe to tuple of float
        Width ``(z, xy)`` expected from the optics.
    colours : Pairs
        Signals measured in both channels.
    """

    camera: cameras.Camera
    transfer: NDArray[np.float64]
    probes: Mapping[Probe, ProbeSurvey]
    start_sigma_um: Mapping[Probe, tuple[float, float]]
    colours: colours.Pairs


def survey(
    pixels: Mapping[str, NDArray[np.generic]],
    nuclei: Nuclei,
    scene: SceneInfo,
    params: Survey,
    detect: Detect,
    device: str = "cpu",
) -> FieldSurvey:
    """Survey one field.

    Parameters
    ----------
    pixels : mapping of role to ndarray, (Z, Y, X)
        Camera numbers of any type; roles ``her2`` and ``cep17``, either may be absent.
    nuclei : Nuclei
        At most ``params.max_nuclei_per_scene`` of them are looked at, spread evenly.
    scene : SceneInfo
    params : Survey
    detect : Detect
        Camera and false-signal rate.
    device : str

    Returns
    -------
    FieldSurvey
    """
    picked = sample(nuclei, params.max_nuclei_per_scene)
    stacks: dict[Probe, NDArray[np.generic]] = {p: pixels[p.lower()] for p in PROBES if p.lower() in pixels}
    camera = cameras.known_camera(scene.optics, detect)
    transfer = np.empty((0, 3))
    if camera is None:
        transfer = np.concatenate([transfer, *(sampled_noise(stack, picked, device) for stack in stacks.values())])
        camera = cameras.estimated_camera([transfer], detect)
    start = {probe: start_sigma_um(scene.optics, probe.lower(), params) for probe in stacks}
    found = {
        probe: survey_probe(stack, picked, scene.voxel_um, start[probe], (camera, detect, device))
        for probe, stack in stacks.items()
    }
    found = colours.without_company(found)
    pairs = colours.pair(stacks, {p: s.isolated for p, s in found.items()}, scene.voxel_um, camera)
    return FieldSurvey(camera, transfer, found, start, pairs)


def merge(surveys: Sequence[FieldSurvey], params: Survey, detect: Detect) -> SlideModel:
    """Merge the fields of a slide, in the order given.

    Parameters
    ----------
    surveys : sequence of FieldSurvey
    params : Survey
    detect : Detect

    Returns
    -------
    SlideModel
        No probes where there was no field.
    """
    if not surveys:
        return SlideModel({}, 1.0, 0.0, detect.read_noise_photons, cameras.CONFIGURATION, {}, flags=SlideFlag.NO_NUCLEI)
    camera = surveys[0].camera
    both = colours.merge_pairs([s.colours for s in surveys])
    surveys = [_without_ghosts(s, both) for s in surveys]
    flags = SlideFlag(0)
    if camera.origin == cameras.PHOTON_TRANSFER:
        camera = cameras.estimated_camera([s.transfer for s in surveys], detect)
        flags |= SlideFlag.GAIN_ESTIMATED
    probes: dict[Probe, ProbeModel] = {}
    for probe in PROBES:
        fields = [s for s in surveys if probe in s.probes]
        if fields:
            probes[probe], doubts = _merge_probe(fields, probe, camera, (params, detect))
            flags |= doubts
    return SlideModel(
        probes,
        camera.gain_adu_per_photon,
        camera.offset_adu,
        camera.read_noise_photons,
        camera.origin,
        both.crosstalk,
        both.shift_um,
        flags,
    )


def _without_ghosts(field: FieldSurvey, both: colours.Colours) -> FieldSurvey:
    """Leave out isolated signals that are the other dye's light: no brightness or width is learnt of them."""
    probes = dict(field.probes)
    for other, probe in colours.DIRECTIONS:
        if other in field.probes and probe in field.probes:
            share, way = both.crosstalk.get(f"{other}>{probe}", 0.0), both.way_um(other)
            own = colours.without_ghosts(field.probes[probe].isolated, field.probes[other].isolated, share, way)
            probes[probe] = replace(probes[probe], isolated=own)
    return replace(field, probes=probes)


def _merge_probe(
    fields: Sequence[FieldSurvey], probe: Probe, camera: cameras.Camera, params: tuple[Survey, Detect]
) -> tuple[ProbeModel, SlideFlag]:
    survey_params, detect = params
    parts = [f.probes[probe] for f in fields]
    gains = [f.camera.gain_adu_per_photon / camera.gain_adu_per_photon for f in fields]
    chosen = _threshold(parts, detect)
    width = np.concatenate([p.isolated.sigma_um for p in parts])
    enough = len(width) >= survey_params.min_isolated
    sigma_z, sigma_xy = np.median(width, axis=0).tolist() if enough else fields[0].start_sigma_um[probe]
    focal = float(np.median(np.concatenate([p.isolated.focal_um for p in parts]))) if enough else sigma_xy
    levels = np.array([p.background_photons * g for p, g in zip(parts, gains, strict=True)])
    bright = np.array([p.bright_photons * g for p, g in zip(parts, gains, strict=True)])
    model = ProbeModel(
        background_photons=float(np.nanmedian(levels)) if np.isfinite(levels).any() else float("nan"),
        sigma_xy_um=sigma_xy,
        sigma_z_um=sigma_z,
        fwhm_um=FWHM_PER_SIGMA * focal,
        photons_median=float(np.nanmedian(bright)) if np.isfinite(bright).any() else _UNKNOWN_PHOTONS,
        photons_log_sd=_UNKNOWN_SPREAD,
        threshold_snr=chosen.level,
        threshold_range_snr=chosen.over_fields,
        false_per_nucleus=float(chosen.background.above(chosen.level)),
        n_isolated=len(width),
        background_scale=chosen.background.scale,
        whole_patch=chosen.whole_patch,
        apparent_um=sigma_xy,
    )
    if not enough:
        return model, SlideFlag.FEW_SIGNALS
    return _populated(model, parts, gains, detect), _doubts(parts, chosen)


def _populated(model: ProbeModel, parts: Sequence[ProbeSurvey], gains: Sequence[float], detect: Detect) -> ProbeModel:
    """Add what isolated signals and faint maxima say of signals and of background, by the slide's camera."""
    photons, least = (
        np.concatenate([getattr(p.isolated, name) * g for p, g in zip(parts, gains, strict=True)])
        for name in ("photons", "least_photons")
    )
    wide_field, crowd_unit = merged_units([p.units for p in parts])
    apparent = np.log(np.concatenate([p.isolated.apparent_um for p in parts]))
    light, n_nuclei = brightness(photons, least), max(sum(p.n_nuclei for p in parts), 1.0)
    model = replace(
        model,
        photons_median=light.median_photons,
        photons_log_sd=light.log_sd,
        signals_per_nucleus=sum(p.n_clear for p in parts) / light.seen / n_nuclei,
        background_per_nucleus=model.false_per_nucleus,
        apparent_um=float(np.exp(np.median(apparent))),
        crowd_unit=crowd_unit,
        wide_field=wide_field,
        apparent_log_sd=max(_spread(apparent), _LEAST_APPARENT),
    )
    snr, faint, width = (
        np.concatenate([getattr(p.faint, name) for p in parts])
        for name in ("patch_snr" if model.whole_patch else "snr", "photons", "apparent_um")
    )
    faint *= np.concatenate([np.full(len(p.faint.photons), g) for p, g in zip(parts, gains, strict=True)])
    passed = snr > model.threshold_snr
    found = candidates(snr[passed], faint[passed], width[passed])
    model = replace(model, background_per_nucleus=background_per_nucleus(found, prior_of(model), n_nuclei))
    real = probability(snr[passed], faint[passed], width[passed], model)
    counted = real >= detect.least_probability
    return replace(model, false_per_nucleus=float((1.0 - real[counted]).sum() / n_nuclei))


def _doubts(parts: Sequence[ProbeSurvey], chosen: _Chosen) -> SlideFlag:
    """Whether the slide's signals stand clear of its threshold, and the threshold of its fields alike."""
    strength = float(np.median(np.concatenate([p.isolated.snr for p in parts])))
    seen = _spread(np.log(np.maximum(np.concatenate([p.isolated.photons for p in parts]), 1e-6)))
    lost = strength < chosen.level * float(np.exp(_TAIL * max(seen, _LEAST_SPREAD)))
    uneven = chosen.over_fields[1] - chosen.over_fields[0] > _WIDEST_RANGE
    if lost or uneven or chosen.background.at_bound or chosen.marginal > _MOST_MARGINAL:
        return SlideFlag.OUT_OF_RANGE
    return SlideFlag.FAINT_SIGNALS if strength < _SAFE * chosen.level else SlideFlag(0)


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation by the quartiles."""
    return float(np.subtract(*np.percentile(values, [75, 25]))) / 1.349


@dataclass(frozen=True)
class _Chosen:
    """The threshold, its background model, its range over fields, and how it is applied."""

    level: float
    background: Background
    over_fields: tuple[float, float]
    whole_patch: bool
    marginal: float


def _threshold(parts: Sequence[ProbeSurvey], detect: Detect) -> _Chosen:
    """Choose the filter or, where it finds fainter signals, the whole patch.

    ``marginal`` is the share of accepted maxima that hardly pass: large where signals lie about the threshold.
    """
    axes, n_nuclei, rate = parts[0].axes, float(sum(p.n_nuclei for p in parts)), detect.false_per_nucleus
    by_filter = fit_background(np.sum([p.counts for p in parts], axis=0), n_nuclei, axes)
    by_patch = fit_background(np.sum([p.patch_counts for p in parts], axis=0), n_nuclei, axes)
    gain = float(np.median([p.patch_gain for p in parts]))
    whole = by_patch.threshold(rate) < _WORTHWHILE * gain * by_filter.threshold(rate)
    model = by_patch if whole else by_filter
    fields = [(p.patch_counts if whole else p.counts, p.n_nuclei) for p in parts]
    level = model.threshold(rate)
    counts = np.sum([c for c, _ in fields], axis=0)
    passed, hardly = (
        counts[EDGES[:-1] >= level].sum(),
        counts[(EDGES[:-1] >= level) & (EDGES[1:] < _HARDLY * level)].sum(),
    )
    return _Chosen(level, model, threshold_range(fields, axes, rate), whole, float(hardly / max(passed, 1.0)))
