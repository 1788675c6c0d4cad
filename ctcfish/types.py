"""The values that cross boundaries between stages; all frozen.

Pixels are ``(C, Z, Y, X)``, points ``(z, y, x)`` in micrometres from the first pixel centre of their scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ctcfish.flags import SlideFlag

if TYPE_CHECKING:
    import pandas as pd

    from ctcfish.stats.countmodel import CountErrors
    from ctcfish.stats.estimate import Estimate

Modality = Literal["if", "fish"]
Probe = Literal["HER2", "CEP17"]
PROBES: tuple[Probe, ...] = ("HER2", "CEP17")
"""Probes in table order; the channel role of a probe is its lower-case name."""


class PixelSource(Protocol):
    """Lazy pixels of one scene; can be pickled, holds no open file."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Size ``(C, Z, Y, X)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel."""

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        """Read ``(Z, Y, X)`` pixels of one channel; nothing else is decoded than the tiles touched."""


@dataclass(frozen=True)
class Optics:
    """What is known of microscope and camera; ``None`` is not known and measured on the slide.

    Attributes
    ----------
    na : float or None
        Numerical aperture.
    emission_nm : mapping of role to float
        Emission peak by channel role.
    gain_adu_per_photon, offset_adu, read_noise_photons : float or None
        Camera: ADU = offset + gain * photons.
    """

    na: float | None = None
    emission_nm: Mapping[str, float] = field(default_factory=dict)
    gain_adu_per_photon: float | None = None
    offset_adu: float | None = None
    read_noise_photons: float | None = None


@dataclass(frozen=True)
class Scene:
    """One image of a slide: a field or a mosaic.

    Attributes
    ----------
    name : str
        File stem, ``#k`` appended for series k of several.
    modality : {"if", "fish"}
    pixels : PixelSource
    voxel_um : tuple of float
        ``(z, y, x)``; z is 0 for a single plane.
    roles : mapping of str to int
        Channel index of each role present (``nucleus``, ``her2``, ``cep17``, ``inclusion``, ``exclusion``,
        ``her2_protein``).
    channel_names : tuple of str
        Names in file order, empty where the file has none.
    optics : Optics
    origin : mapping of str to str
        Where each of ``voxel_um``, roles and optics came from (``file``, ``option``, ``sheet``, ``panel``).
    flags : SlideFlag
    stage_um : tuple of float or None
        Position ``(y, x)`` of the first pixel on the microscope's stage.
    frame_px : tuple of int or None
        Size ``(Y, X)`` of the microscope's fields that a mosaic is made of, where it is known.
    """

    name: str
    modality: Modality
    pixels: PixelSource
    voxel_um: tuple[float, float, float]
    roles: Mapping[str, int]
    channel_names: tuple[str, ...] = ()
    optics: Optics = Optics()
    origin: Mapping[str, str] = field(default_factory=dict)
    flags: SlideFlag = SlideFlag(0)
    stage_um: tuple[float, float] | None = None
    frame_px: tuple[int, int] | None = None

    @property
    def frame_um(self) -> tuple[float, float]:
        """Size ``(y, x)`` of the microscope's field: that of the mosaic's fields where it is known, or the scene's."""
        rows, columns = self.frame_px or self.pixels.shape[2:]
        return rows * self.voxel_um[1], columns * self.voxel_um[2]

    def read(self, role: str, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[Any]:
        """Pixels ``(Z, Y, X)`` of a role, in the file's own type."""
        return self.pixels.read(self.roles[role], slice(None), rows, columns)


@dataclass(frozen=True)
class Slide:
    """One slide: its scenes and what the study sheet says of it.

    Attributes
    ----------
    slide_id, patient_id, visit : str
        Without a patient the slide is its own patient; without a visit it is empty.
    if_scenes, fish_scenes : tuple of Scene
    sheet : mapping of str to str
        The other columns of ``study.csv`` or ``slide.toml`` as given (``blood_ml``, ``operator``, ...).
    chosen_ctc : pandas.DataFrame or None
        Rows of ``ctc.csv``: cells a reader chose.
    files : tuple of Path
        Every input file, in a fixed order, for the manifest's hashes.
    """

    slide_id: str
    patient_id: str
    visit: str
    if_scenes: tuple[Scene, ...]
    fish_scenes: tuple[Scene, ...]
    sheet: Mapping[str, str] = field(default_factory=dict)
    chosen_ctc: pd.DataFrame | None = None
    files: tuple[Path, ...] = ()

    @property
    def flags(self) -> SlideFlag:
        """Union of the scenes' flags, and ``NO_IF`` without IF scene."""
        bits = SlideFlag(0) if self.if_scenes else SlideFlag.NO_IF
        for scene in self.if_scenes + self.fish_scenes:
            bits |= scene.flags
        return bits


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of one scene as a table of outlines; no label image is needed to carry them.

    Attributes
    ----------
    label : ndarray of int32, (N,)
        Ascending, from 1.
    box_px : ndarray of int32, (N, 4)
        ``(y0, x0, y1, x1)``, half open, in scene pixels.
    packed : tuple of bytes, (N,)
        ``numpy.packbits`` of each mask inside its box, row by row.
    pixel_um : tuple of float
        ``(y, x)``.
    centroid_um : ndarray of float64, (N, 2)
        ``(y, x)`` from the first pixel centre.
    area_um2 : ndarray of float64, (N,)
    z_um, thickness_um, focus : ndarray of float64, (N,)
        Focal plane, axial extent, and focus score (0 to 1; NaN where it cannot be told).
    flags : ndarray of int64, (N,)
        Bits of :class:`ctcfish.flags.CellFlag`.
    shape_px : tuple of int
        ``(Y, X)`` of the scene.
    """

    label: NDArray[np.int32]
    box_px: NDArray[np.int32]
    packed: tuple[bytes, ...]
    pixel_um: tuple[float, float]
    centroid_um: NDArray[np.float64]
    area_um2: NDArray[np.float64]
    z_um: NDArray[np.float64]
    thickness_um: NDArray[np.float64]
    focus: NDArray[np.float64]
    flags: NDArray[np.int64]
    shape_px: tuple[int, int]

    def __len__(self) -> int:
        return len(self.label)

    def rows(self, keep: NDArray[Any]) -> Nuclei:
        """Nuclei picked by index or mask."""
        names = ("label", "box_px", "centroid_um", "area_um2", "z_um", "thickness_um", "focus", "flags")
        picked = {name: getattr(self, name)[keep] for name in names}
        return replace(self, packed=tuple(self.packed[row] for row in np.arange(len(self))[keep]), **picked)

    def mask(self, row: int) -> NDArray[np.bool_]:
        """Mask ``(y1 - y0, x1 - x0)`` of the nucleus in the given row, inside its box."""
        y0, x0, y1, x1 = self.box_px[row].tolist()
        bits = np.unpackbits(np.frombuffer(self.packed[row], np.uint8), count=(y1 - y0) * (x1 - x0))
        return bits.reshape(y1 - y0, x1 - x0).view(np.bool_)

    def paint(self, rows: slice = slice(None), columns: slice = slice(None)) -> NDArray[np.int32]:
        """Label image ``(Y, X)`` of a window of the scene, or of every so many of its pixels; 0 is background."""
        (y_start, y_stop, y_step), (x_start, x_stop, x_step) = (
            wanted.indices(length) for wanted, length in zip((rows, columns), self.shape_px, strict=True)
        )
        image = np.zeros((len(range(y_start, y_stop, y_step)), len(range(x_start, x_stop, x_step))), np.int32)
        box = self.box_px
        inside = (box[:, 0] < y_stop) & (box[:, 2] > y_start) & (box[:, 1] < x_stop) & (box[:, 3] > x_start)
        y_from, y_to = (np.maximum(-((y_start - box[:, k]) // y_step), 0).tolist() for k in (0, 2))
        x_from, x_to = (np.maximum(-((x_start - box[:, k]) // x_step), 0).tolist() for k in (1, 3))
        for row in np.flatnonzero(inside).tolist():
            view = image[y_from[row] : y_to[row], x_from[row] : x_to[row]]
            first = (y_start + y_from[row] * y_step - box[row, 0], x_start + x_from[row] * x_step - box[row, 1])
            part = self.mask(row)[first[0] :: y_step, first[1] :: x_step][: view.shape[0], : view.shape[1]]
            np.copyto(view, self.label[row], where=part)
        return image


@dataclass(frozen=True)
class ProbeModel:
    """What the slide says about the signals of one probe.

    Attributes
    ----------
    background_photons : float
        Median background inside nuclei, per pixel and plane.
    sigma_xy_um, sigma_z_um : float
        Gaussian width of isolated signals.
    fwhm_um : float
        Width at half height of isolated signals in their own plane: what a reader sees of one.
    photons_median, photons_log_sd : float
        Log-normal brightness of isolated signals, those too faint for the survey included.
    threshold_snr : float
        Response of the matched filter over its noise that a signal must exceed; one per slide.
    threshold_range_snr : tuple of float
        Range of the threshold over the slide's fields taken alone.
    false_per_nucleus : float
        False signals expected to be counted per nucleus: background maxima that pass and look like signals.
    n_isolated : int
        Isolated signals the model was measured on.
    background_scale : float
        Spread of background maxima over that of pure photon noise.
    signals_per_nucleus : float
        Isolated signals per nucleus surveyed, those too faint for the survey included.
    background_per_nucleus : float
        Background maxima per nucleus that pass the threshold, whatever becomes of them.
    apparent_um, apparent_log_sd : float
        Width of isolated signals by two templates, as candidates' is measured, and its log standard deviation.
    crowd_unit, wide_field : float, bool
        Light of a signal fitted as crowds are over that of its single fit; whether they have light out of focus.
    whole_patch : bool
        Whether signals are held against the threshold by their whole patch rather than by the filter.
    """

    background_photons: float
    sigma_xy_um: float
    sigma_z_um: float
    fwhm_um: float
    photons_median: float
    photons_log_sd: float
    threshold_snr: float
    threshold_range_snr: tuple[float, float]
    false_per_nucleus: float
    n_isolated: int
    background_scale: float = 1.0
    signals_per_nucleus: float = 2.0
    background_per_nucleus: float = 0.005
    apparent_um: float = 0.15
    apparent_log_sd: float = 0.15
    crowd_unit: float = 1.0
    wide_field: bool = False
    whole_patch: bool = False


@dataclass(frozen=True)
class SlideModel:
    """One model per slide, merged over its fields in a fixed order.

    Attributes
    ----------
    probes : mapping of Probe to ProbeModel
        Only probes whose channel is present.
    gain_adu_per_photon, offset_adu, read_noise_photons : float
    camera_origin : str
        ``metadata``, ``configuration`` or ``photon transfer``.
    crosstalk : mapping of str to float
        ``"HER2>CEP17"``: share of HER2 light seen in the CEP17 channel, and the reverse.
    chromatic_shift_um : tuple of float
        ``(z, y, x)`` to add to CEP17 positions to lie on HER2's.
    flags : SlideFlag
    """

    probes: Mapping[Probe, ProbeModel]
    gain_adu_per_photon: float
    offset_adu: float
    read_noise_photons: float
    camera_origin: str
    crosstalk: Mapping[str, float]
    chromatic_shift_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    flags: SlideFlag = SlideFlag(0)


@dataclass(frozen=True)
class Detections:
    """What was detected in one scene.

    Attributes
    ----------
    spots : pandas.DataFrame
        :data:`ctcfish.tables.SPOTS` less ``slide_id``, ``scene`` and ``cell_id``; a status for every row.
    clusters : pandas.DataFrame
        :data:`ctcfish.tables.CLUSTERS` less ``slide_id`` and ``scene``.
    """

    spots: pd.DataFrame
    clusters: pd.DataFrame


@dataclass(frozen=True)
class Relocation:
    """The transform from IF to FISH and the pairs it makes.

    Attributes
    ----------
    matches : pandas.DataFrame
        One row per IF nucleus: ``if_scene, if_label, scene, label, residual_um, probability``; label is missing where
        lost.
    transforms : tuple of mapping
        One per pair of scenes: ``if_scene, scene, matrix`` (2x3, um to um, ``(y, x)``), ``n_matched, rms_um, scale,
        rotation_deg, mirrored``.
    trusted : bool
    evidence : str
        One sentence on why the transform is, or is not, trusted.
    flags : SlideFlag
        ``RELOCATION_FAILED``, ``SCALE_MISMATCH`` or none.
    """

    matches: pd.DataFrame
    transforms: tuple[Mapping[str, Any], ...]
    trusted: bool
    evidence: str
    flags: SlideFlag = SlideFlag(0)


@dataclass(frozen=True)
class ErrorRates:
    """What can go wrong with one true signal, per probe, and where the rates come from.

    Attributes
    ----------
    errors : CountErrors
        Missed, split and extra signals of both colours.
    intervals : mapping of str to Estimate
        Mean and 95 % credible interval of each rate.
    n_leukocytes : int
        Evaluable control nuclei behind the rates.
    hybridisation_efficiency : float
        Share of intact leukocytes that show both colours; NaN without leukocytes.
    origin : {"slide", "default"}
        ``slide``: measured on its leukocytes, pooled towards the configured rates; ``default``: the configured rates.
    flags : SlideFlag
        ``UNCONTROLLED``, ``HYBRIDISATION_FAILED``, and ``OUT_OF_RANGE`` where the counts behind the rates are doubtful.
    """

    errors: CountErrors
    intervals: Mapping[str, Estimate]
    n_leukocytes: int
    hybridisation_efficiency: float
    origin: str
    flags: SlideFlag


@dataclass(frozen=True)
class SlideResult:
    """Everything one slide says.

    Attributes
    ----------
    slide_id, patient_id, visit : str
    cells, spots, if_cells : pandas.DataFrame
        As declared in :mod:`ctcfish.tables`.
    nuclei : mapping of str to Nuclei
        Nuclei of each scene, key ``fish/<scene>`` or ``if/<scene>``.
    summary : mapping
        What ``slide.json`` carries.
    failure : str
        Empty, or the slide-level failure (``RELOCATION``).
    """

    slide_id: str
    patient_id: str
    visit: str
    cells: pd.DataFrame
    spots: pd.DataFrame
    if_cells: pd.DataFrame
    nuclei: Mapping[str, Nuclei]
    summary: Mapping[str, Any]
    failure: str = ""
