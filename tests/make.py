"""Small hand-made values for tests: nuclei, signals, models, cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish import tables
from ctcfish.cli import main
from ctcfish.flags import SlideFlag
from ctcfish.parameters import Calibrate
from ctcfish.stages.calibrate import calibrate
from ctcfish.stages.nuclei.outlines import from_labels
from ctcfish.stages.summarise import Subject
from ctcfish.types import Detections, ErrorRates, Nuclei, ProbeModel, Scene, Slide, SlideModel

FWHM_UM = 0.25
"""Of the signals of :func:`model`."""


def nuclei(n: int = 2, pixel_um: float = 0.1) -> Nuclei:
    """``n`` square nuclei of 6 um in a row, 2 um apart: label k spans x from 8 (k - 1) + 1 to 8 (k - 1) + 7 um."""
    labels = np.zeros((80, 80 * n + 10), np.int32)
    for k in range(n):
        labels[10:70, 80 * k + 10 : 80 * k + 70] = k + 1
    return from_labels(labels, (pixel_um, pixel_um))


def probe_model(fwhm_um: float = FWHM_UM, photons: float = 1000.0) -> ProbeModel:
    return ProbeModel(
        background_photons=40.0,
        sigma_xy_um=fwhm_um / 2.3548200450309493,
        sigma_z_um=0.4,
        fwhm_um=fwhm_um,
        photons_median=photons,
        photons_log_sd=0.3,
        threshold_snr=5.0,
        threshold_range_snr=(5.0, 5.0),
        false_per_nucleus=0.005,
        n_isolated=100,
    )


def model(*probes: str) -> SlideModel:
    names: Any = probes or ("HER2", "CEP17")
    return SlideModel({name: probe_model() for name in names}, 2.0, 100.0, 2.0, "metadata", {})


SPOT: dict[str, Any] = {
    "label": 1,
    "probe": "HER2",
    "z_um": 1.0,
    "photons": 1000.0,
    "background": 40.0,
    "sigma_um": FWHM_UM / 2.3548,
    "snr": 20.0,
    "probability": 1.0,
    "cluster": 0,
    "status": "counted",
    "flags": "",
}


def detections(spots: list[dict[str, Any]], clusters: list[dict[str, Any]] | None = None) -> Detections:
    rows = [SPOT | {"spot_id": i} | spot for i, spot in enumerate(spots, start=1)]
    names = [n for n in tables.SPOTS.names if n not in ("slide_id", "scene", "cell_id")]
    frame = pd.DataFrame(rows, columns=names) if rows else tables.SPOTS.empty()[names]
    cluster_names = [n for n in tables.CLUSTERS.names if n not in ("slide_id", "scene")]
    default = {"probe": "HER2", "cluster": 1, "label": 1, "photons": 5000.0, "compact": False}
    groups = pd.DataFrame([default | c for c in clusters or []], columns=cluster_names)
    return Detections(frame, groups if len(groups) else tables.CLUSTERS.empty()[cluster_names])


def spot(y_um: float, x_um: float, **other: Any) -> dict[str, Any]:
    return {"y_um": y_um, "x_um": x_um} | other


def cells(*counts: tuple[int | None, int | None], **columns: Any) -> pd.DataFrame:
    """Counted CTC with exact counts ``(HER2, CEP17)``."""
    n = len(counts)
    frame = pd.DataFrame(
        {
            "cell_id": [f"s/f/{i}" for i in range(1, n + 1)],
            "slide_id": "s",
            "scene": "f",
            "label": pd.array(range(1, n + 1), dtype="Int64"),
            "kind": "ctc",
            "flags": "",
        }
    )
    for k, probe in enumerate(("her2", "cep17")):
        values = pd.array([pair[k] for pair in counts], dtype="Int64")
        frame = frame.assign(**{f"{probe}_{part}": values for part in ("count", "low", "high")})
    return frame.assign(**columns)


def rates(**parameters: Any) -> ErrorRates:
    """Default error rates, without leukocytes."""
    return calibrate(cells(), Calibrate(**parameters))


def slide(**values: Any) -> Slide:
    fields: dict[str, Any] = {"slide_id": "s", "patient_id": "p", "visit": "", "if_scenes": (), "fish_scenes": (SCENE,)}
    return Slide(**(fields | values))


def subject(**values: Any) -> Subject:
    """A slide of both scans without an IF scan's flags, as far as its row needs it."""
    fields: dict[str, Any] = {"slide_id": "s", "patient_id": "p", "visit": "", "scanned": True, "relocated": True}
    return Subject(**({"flags": SlideFlag.NO_IF} | fields | values))


@dataclass(frozen=True)
class ArraySource:
    """Pixels ``(C, Z, Y, X)`` in memory."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        c, z, y, x = self.array.shape
        return c, z, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def read(self, channel: int, planes: slice, rows: slice, columns: slice) -> NDArray[Any]:
        return self.array[channel, planes, rows, columns]


SCENE = Scene("f", "fish", ArraySource(np.zeros((1, 1, 8, 8))), (0.0, 0.1, 0.1), {"nucleus": 0})
"""A FISH scene of nothing."""


def run(*arguments: object) -> int:
    """Exit code of a command."""
    try:
        main([str(a) for a in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0
