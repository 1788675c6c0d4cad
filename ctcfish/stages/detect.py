"""Detection: every signal of a scene, with a status; what is rejected stays, with its reason."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish import flags, tables
from ctcfish.errors import InputError
from ctcfish.flags import SpotFlag
from ctcfish.parameters import Detect, Survey
from ctcfish.stages.signals.alike import alike
from ctcfish.stages.signals.clusters import Clusters
from ctcfish.stages.signals.doubts import doubts
from ctcfish.stages.signals.granules import granules
from ctcfish.stages.signals.probe import Signals, camera_of, look, signals_of
from ctcfish.stages.signals.regions import tiles
from ctcfish.stages.signals.vetoes import REJECTING
from ctcfish.stages.survey import SceneInfo, merge, survey
from ctcfish.types import PROBES, Detections, Nuclei, Optics, Probe, SlideModel

_UNSURE = int(SpotFlag.TWO_NUCLEI | SpotFlag.DIM)
_FAINT_LOG_SDS = 2.0
_ADDED_LATER = ("slide_id", "scene", "cell_id")


def detect(
    pixels: Mapping[str, NDArray[np.generic]],
    nuclei: Nuclei,
    voxel_um: tuple[float, float, float],
    model: SlideModel,
    params: Detect,
    device: str = "cpu",
) -> Detections:
    """Detect the signals of a scene.

    Parameters
    ----------
    pixels : mapping of role to ndarray, (Z, Y, X)
        Camera numbers of any type; roles ``her2`` and ``cep17``, either may be absent.
    nuclei : Nuclei
        Signals are looked for where nuclei are, and a margin around them.
    voxel_um : tuple of float
        ``(z, y, x)``; z is 0 for a single plane.
    model : SlideModel
    params : Detect
    device : str

    Returns
    -------
    Detections
        No rows where there is nothing.
    """
    used = [probe for probe in PROBES if probe in model.probes and probe.lower() in pixels]
    setting = {probe: (probe, params, device) for probe in used}
    seen = {p: look(pixels[p.lower()], nuclei, voxel_um, model, setting[p]) for p in used}
    objects = {p: own.objects(model.probes[p].threshold_snr, params.broad_ratio, voxel_um) for p, own in seen.items()}
    axes = 3 if any(len(pixels[p.lower()]) > 1 for p in used) else 2
    stacks = {probe: own.stack for probe, own in seen.items()}
    paired = granules(objects, axes, model, params)
    lone = alike(objects, stacks, voxel_um, (model, camera_of(model), params))
    shared = {probe: paired[probe] | lone[probe] for probe in used}
    both = {p: signals_of((seen[p], shared[p]), nuclei, voxel_um, model, setting[p]) for p in used}
    found = {probe: signals for probe, (signals, _) in both.items()}
    bits = doubts(found, stacks, nuclei, voxel_um, model)
    frames = [_frame(probe, signals, signals.flags | bits[probe], model) for probe, signals in found.items()]
    spots = pd.concat(frames, ignore_index=True) if frames else tables.SPOTS.empty()
    spots["spot_id"] = np.arange(1, len(spots) + 1)
    areas = [
        _cluster_frame(probe, own, _bright_members(spots, probe, model, len(own.copies)))
        for probe, (_, own) in both.items()
    ]
    clusters = pd.concat(areas, ignore_index=True) if areas else tables.CLUSTERS.empty()
    return Detections(
        spots[[n for n in tables.SPOTS.names if n not in _ADDED_LATER]],
        clusters[[n for n in tables.CLUSTERS.names if n not in _ADDED_LATER]],
    )


def _bright_members(spots: pd.DataFrame, probe: Probe, model: SlideModel, n_clusters: int) -> NDArray[np.int64]:
    """Members of each cluster that are as bright as signals of this slide are; faint ones may be fitted haze."""
    slide = model.probes[probe]
    least = slide.photons_median * np.exp(-_FAINT_LOG_SDS * slide.photons_log_sd)
    own = spots[(spots["probe"] == probe) & (spots["cluster"] > 0) & (spots["photons"] >= least)]
    return np.bincount(own["cluster"].to_numpy(np.int64), minlength=n_clusters + 1)[1 : n_clusters + 1]


def _cluster_frame(probe: Probe, own: Clusters, bright: NDArray[np.int64]) -> pd.DataFrame:
    """Estimates of the clusters.

    The lower end is never above the number of members as bright as signals: light alone may be haze.
    """
    return pd.DataFrame(
        {
            "probe": probe,
            "cluster": np.arange(1, len(own.copies) + 1),
            "label": own.label,
            "copies": own.copies,
            "copies_low": np.minimum(own.low, np.maximum(bright, 1)),
            "copies_high": pd.Series(own.high, dtype="Int64").where(pd.Series(own.countable, dtype=bool)),
            "photons": own.photons,
            "compact": own.compact,
        }
    )


def detect_spots(
    volume: NDArray[np.generic],
    voxel_um: tuple[float, float, float],
    na: float | None = None,
    emission_um: float | None = None,
) -> pd.DataFrame:
    """Detect the signals of one image, without nuclei, by the same survey and detection.

    Parameters
    ----------
    volume : ndarray, (Y, X) or (Z, Y, X)
        Camera numbers of any integer or float type.
    voxel_um : tuple of float
        ``(z, y, x)``; z is ignored for one plane.
    na : float, optional
        Numerical aperture; None: width measured on the image's isolated signals alone.
    emission_um : float, optional
        Emission wavelength; None: likewise.

    Returns
    -------
    pandas.DataFrame
        Columns of ``spots`` less slide, scene and cell; accepted signals are ``counted``, label 0.

    Raises
    ------
    InputError
        The array has neither two nor three axes, no pixel, or a pixel size that is not positive.
    """
    stack = _stack(np.asarray(volume), voxel_um)
    size = (float(voxel_um[0]) if len(stack) > 1 else 0.0, float(voxel_um[1]), float(voxel_um[2]))
    emission = {} if emission_um is None else {"her2": emission_um * 1000.0}
    nuclei = tiles((stack.shape[1], stack.shape[2]), (size[1], size[2]))
    survey_params, params = Survey(), Detect(margin_um=0.0)
    field = survey({"her2": stack}, nuclei, SceneInfo(size, Optics(na=na, emission_nm=emission)), survey_params, params)
    model = merge([field], survey_params, params)
    spots = detect({"her2": stack}, nuclei, size, model, params).spots
    return spots.drop(columns="probe").assign(label=0)


def _stack(volume: NDArray[np.generic], voxel_um: tuple[float, float, float]) -> NDArray[np.generic]:
    if volume.ndim not in (2, 3) or 0 in volume.shape:
        raise InputError(
            "detect_spots", f"an array of shape {volume.shape}", "(Y, X) or (Z, Y, X)", "Give one channel."
        )
    stack = volume[None] if volume.ndim == 2 else volume
    needed = voxel_um if len(stack) > 1 else voxel_um[1:]
    if len(voxel_um) != 3 or not all(size > 0 for size in needed):
        raise InputError("detect_spots", f"voxel_um {voxel_um}", "positive (z, y, x) in micrometres", "Give the size.")
    return stack


def _frame(probe: Probe, signals: Signals, bits: NDArray[np.int64], model: SlideModel) -> pd.DataFrame:
    position = signals.position_um + (np.array(model.chromatic_shift_um) if probe == "CEP17" else 0.0)
    rejected = (bits & int(REJECTING)) != 0
    outside = signals.label == 0
    status = np.where(rejected, "vetoed", np.where(outside, "outside", "counted")).astype(object)
    status[~rejected & ~outside & ((bits & _UNSURE) != 0)] = "ambiguous"
    return pd.DataFrame(
        {
            "label": signals.label,
            "probe": probe,
            "z_um": position[:, 0],
            "y_um": position[:, 1],
            "x_um": position[:, 2],
            "photons": signals.photons,
            "background": signals.background,
            "sigma_um": signals.sigma_um,
            "snr": signals.snr,
            "probability": signals.probability,
            "cluster": signals.cluster,
            "status": status,
            "flags": flags.to_text(bits, SpotFlag) if len(bits) else np.empty(0, object),
        }
    )
