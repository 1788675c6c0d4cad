"""The truth of a field as tables: the columns of the results, and the truth's own beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ctcfish.flags import CellFlag, Reason, to_text
from ctcfish.synth.countable import read_signals
from ctcfish.synth.loci import CEP17, HER2
from ctcfish.synth.optics import fwhm_um
from ctcfish.synth.points import image_place_um, lens_of
from ctcfish.synth.population import Cell
from ctcfish.synth.spec import SlideSpec
from ctcfish.tables import CELLS, SPOTS

_PROBES = ("HER2", "CEP17")


def signal_fwhm_um(spec: SlideSpec, probe: int) -> float:
    """Width at half height of a probe's isolated signal of middling size, in focus."""
    sizes = (spec.signals.her2_size_um, spec.signals.cep17_size_um)[probe]
    return fwhm_um(lens_of(spec.fish, probe), sum(sizes) / 2)


def spot_rows(spec: SlideSpec, scene: str, cells: Sequence[Cell], origin: tuple[float, float]) -> pd.DataFrame:
    """Truth of the signals of a field.

    Parameters
    ----------
    spec : SlideSpec
    scene : str
    cells : sequence of Cell
        Those that show; label = place + 1.
    origin : tuple of float
        ``(y, x)`` of the field's first pixel on the slide.

    Returns
    -------
    pandas.DataFrame
        Columns of ``spots`` (places as imaged in the signal's own channel, light of one plane), and ``group`` (cluster
        it was drawn in),
        ``size_um``, ``true_z_um, true_y_um, true_x_um`` (without chromatic shift) and ``cell`` (number on the slide).
    """
    parts = [_cell_spots(spec, cell, label, origin) for label, cell in enumerate(cells, 1)]
    columns = {k: np.concatenate([p[k] for p in parts]) if parts else np.zeros(0) for k in _SPOT_KEYS}
    frame = pd.DataFrame(columns)
    side = np.array(spec.fish.shape_px) * spec.fish.pixel_um
    inside = frame["y_um"].between(0, side[0]) & frame["x_um"].between(0, side[1])
    frame = _read(spec, frame[inside].reset_index(drop=True))
    frame["slide_id"], frame["scene"] = spec.slide_id, scene
    frame["spot_id"] = np.arange(1, len(frame) + 1)
    frame["cell_id"] = [f"{spec.slide_id}/{scene}/{label}" for label in frame["label"]]
    frame["flags"] = ""
    frame["probe"] = [_PROBES[p] for p in frame["probe"]]
    own = ["group", "size_um", "true_z_um", "true_y_um", "true_x_um", "cell"]
    return pd.concat([SPOTS.check(frame.drop(columns=own)), frame[own]], axis=1)


_SPOT_KEYS = (
    "cell", "label", "probe", "z_um", "y_um", "x_um", "true_z_um", "true_y_um", "true_x_um", "photons", "size_um",
    "group",
)  # fmt: skip


def _cell_spots(spec: SlideSpec, cell: Cell, label: int, origin: tuple[float, float]) -> dict[str, NDArray[np.generic]]:
    loci = cell.loci
    true = loci.zyx_um + np.array(cell.zyx_um) - np.array([0.0, *origin])
    seen = image_place_um(spec.fish, loci.probe, true)
    n = len(loci.probe)
    return {
        "cell": np.full(n, cell.number),
        "label": np.full(n, label),
        "probe": loci.probe.astype(int),
        "photons": loci.photons,
        "size_um": loci.size_um,
        "group": loci.group.astype(int),
    } | {f"{kind}{axis}_um": at[:, k] for kind, at in (("", seen), ("true_", true)) for k, axis in enumerate("zyx")}


def _read(spec: SlideSpec, frame: pd.DataFrame) -> pd.DataFrame:
    """Add what the counting rules make of the signals: cluster and status."""
    cluster, doublet = np.zeros(len(frame), int), np.zeros(len(frame), bool)
    for probe in (HER2, CEP17):
        width, number = signal_fwhm_um(spec, probe), 0
        for _, rows in frame.index[frame["probe"] == probe].to_series().groupby(frame["label"]):
            at = frame.loc[rows, ["y_um", "x_um"]].to_numpy()
            reading = read_signals(at, frame.loc[rows, "photons"].to_numpy(), width)
            cluster[rows] = np.where(reading.cluster > 0, reading.cluster + number, 0)
            doublet[rows] = reading.doublet
            number += int(reading.cluster.max(initial=0))
    return frame.assign(cluster=cluster, status=np.where(doublet, "doublet", "counted"))


def cell_rows(
    spec: SlideSpec,
    scene: str,
    cells: Sequence[Cell],
    painted: tuple[NDArray[np.int32], Sequence[float], tuple[float, float]],
    spots: pd.DataFrame,
) -> pd.DataFrame:
    """Truth of the cells of a field.

    Parameters
    ----------
    spec : SlideSpec
    scene : str
    cells : sequence of Cell
        Those that show; label = place + 1.
    painted : tuple
        Label image, each cell's area in the field, origin of the field.
    spots : pandas.DataFrame
        From :func:`spot_rows`.

    Returns
    -------
    pandas.DataFrame
        Columns of ``cells``, in which counts are the countable ones and calls those of the 2.2 cut on them, and
        ``cell, copy_class, true_her2, true_cep17, countable_her2, countable_cep17, true_call, compact``.
    """
    labels, areas, origin = painted
    rows = pd.DataFrame([_cell_row(cell, origin) for cell in cells], columns=_CELL_KEYS)
    rows["label"] = np.arange(1, len(cells) + 1)
    rows["area_um2"] = np.asarray(areas, dtype=float)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    bits = np.where(rows["label"].isin(edge), int(CellFlag.TRUNCATED), 0) | rows.pop("bits").to_numpy(dtype=int)
    counted = spots[spots["status"] == "counted"].groupby(["label", "probe"]).size()
    for probe, name in zip(_PROBES, ("her2", "cep17"), strict=True):
        n = [int(counted.get((label, probe), 0)) for label in rows["label"]]
        for column in (f"{name}_count", f"{name}_low", f"{name}_high", f"countable_{name}"):
            rows[column] = n
    rows["true_call"] = called(rows["true_her2"], rows["true_cep17"])
    rows["reason"] = [_reason(b) for b in bits]
    call = called(rows["countable_her2"], rows["countable_cep17"])
    rows["call"] = rows["call_guarded"] = np.where(rows["reason"] == "", call, "not_evaluable")
    rows["ratio"] = rows["her2_count"] / rows["cep17_count"].where(rows["cep17_count"] > 0)
    rows["flags"] = to_text(bits, CellFlag) if len(rows) else pd.Series(dtype=object)
    rows["slide_id"], rows["scene"] = spec.slide_id, scene
    rows["cell_id"] = [f"{spec.slide_id}/{scene}/{label}" for label in rows["label"]]
    own = ["cell", "copy_class", "true_her2", "true_cep17", "countable_her2", "countable_cep17", "true_call", "compact"]
    return pd.concat([CELLS.check(rows.drop(columns=own)), rows[own]], axis=1)


_CELL_KEYS = [
    "cell", "kind", "copy_class", "compact", "true_her2", "true_cep17", "z_um", "y_um", "x_um", "thickness_um", "bits",
]  # fmt: skip


def _cell_row(cell: Cell, origin: tuple[float, float]) -> tuple[object, ...]:
    z, y, x = cell.zyx_um
    bits = CellFlag.OVERLAP * cell.overlap | CellFlag.OUT_OF_FOCUS * cell.blurred | CellFlag.APOPTOTIC * cell.dying
    return (
        cell.number, cell.kind, cell.copy_class, cell.copies.compact, cell.copies.her2, cell.copies.cep17,
        z, y - origin[0], x - origin[1], cell.shape.thickness_um, int(bits),
    )  # fmt: skip


def called(her2: pd.Series, cep17: pd.Series) -> NDArray[np.object_]:
    """Call at ratio 2.2 in integers: ``5 HER2 >= 11 CEP17``; not evaluable where a colour is absent."""
    call = np.where(5 * her2 >= 11 * cep17, "amplified", "not_amplified")
    return np.where((her2 > 0) & (cep17 > 0), call, "not_evaluable").astype(object)


def _reason(bits: int) -> str:
    for flag in (CellFlag.OVERLAP, CellFlag.TRUNCATED, CellFlag.OUT_OF_FOCUS, CellFlag.APOPTOTIC):
        if bits & flag:
            return str(Reason[flag.name or ""])
    return ""


def with_partners(cells: pd.DataFrame, if_cells: pd.DataFrame) -> pd.DataFrame:
    """Name each FISH nucleus's partner in the IF scan; missing where there is none."""
    partner = if_cells.set_index("cell")[["if_scene", "if_label", "if_y_um", "if_x_um"]]
    joined = cells.copy()
    for column in partner.columns:
        joined[column] = cells["cell"].map(partner[column].to_dict()).astype(cells[column].dtype)
    return joined


def found_again(if_cells: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Say of each IF cell whether a FISH field shows it: not if it was lost, nor if no field was taken there."""
    return if_cells.assign(in_fish=if_cells["cell"].isin(cells["cell"]))
