"""The scenes of a stored run: what ``slide.json`` says of each, its nuclei, its signals, its labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ctcfish import tables
from ctcfish.store.labels import read_labels
from ctcfish.store.results import read_slide_json
from ctcfish.store.runfiles import slide_folders
from ctcfish.store.tablefiles import read_parquet


@dataclass(frozen=True)
class StoredScene:
    """One scene of a finished run.

    Attributes
    ----------
    slide_id, name : str
    modality : {"if", "fish"}
    shape_czyx : tuple of int
    voxel_um : tuple of float
        ``(z, y, x)``; z is 0 for a single plane.
    roles : mapping of str to int
        Channel of each role.
    channels : tuple of str
        Role of each channel, its own name where it has no role.
    folder : Path
        The slide's folder in the run.
    """

    slide_id: str
    name: str
    modality: str
    shape_czyx: tuple[int, int, int, int]
    voxel_um: tuple[float, float, float]
    roles: Mapping[str, int]
    channels: tuple[str, ...]
    folder: Path

    @property
    def stem(self) -> str:
        """Name of the scene's files: ``fish_field001``."""
        return f"{self.modality}_{self.name}"

    @property
    def pixel_um(self) -> tuple[float, float]:
        """Size of a pixel ``(y, x)``."""
        return self.voxel_um[1:]

    def labels(self) -> Any:
        """Label image ``(Y, X)`` on disk; pixels are read where they are asked for."""
        return read_labels(self.folder / "labels.ome.zarr")[f"{self.modality}/{self.name}"]

    def nuclei(self) -> pd.DataFrame:
        """Rows of ``cells`` (FISH) or ``if_cells`` (IF) that have an outline here, in order of ``label``.

        The columns are the table's own; ``label``, ``y_um`` and ``x_um`` stand in both, and ``cell_id`` too: an IF
        nucleus is ``slide/if_scene/if:LABEL``, as a lost CTC is in ``cells``.
        """
        if self.modality == "fish":
            cells = read_parquet(self.folder / "cells.parquet", tables.CELLS)
            own = cells[(cells["scene"] == self.name) & cells["label"].notna()]
        else:
            cells = read_parquet(self.folder / "if_cells.parquet", tables.IF_CELLS)
            own = cells[cells["if_scene"] == self.name].rename(
                columns={"if_label": "label", "if_y_um": "y_um", "if_x_um": "x_um"}
            )
            own = own.assign(cell_id=[f"{self.slide_id}/{self.name}/if:{label}" for label in own["label"]])
        return own.sort_values("label").reset_index(drop=True)

    def spots(self) -> pd.DataFrame:
        """Rows of ``spots`` that lie here; an IF scene has none."""
        spots = read_parquet(self.folder / "spots.parquet", tables.SPOTS)
        own = spots[spots["scene"] == self.name] if self.modality == "fish" else spots.iloc[:0]
        return own.reset_index(drop=True)


def scenes_of(run: Path) -> Iterator[StoredScene]:
    """Every scene of every finished slide, slides by name, IF scenes first.

    Raises
    ------
    InputError
        No scored slide in ``run``.
    """
    for slide_id, folder in slide_folders(run).items():
        for said in read_slide_json(folder)["scenes"]:
            yield _scene(slide_id, folder, said)


def _scene(slide_id: str, folder: Path, said: dict[str, Any]) -> StoredScene:
    c, z, y, x = said["shape_czyx"]
    own = [*said.get("channel_names", ()), *[""] * c][:c]
    role_of = {index: role for role, index in said["roles"].items()}
    return StoredScene(
        slide_id=slide_id,
        name=said["scene"],
        modality=said["modality"],
        shape_czyx=(c, z, y, x),
        voxel_um=tuple(said["voxel_um"]),
        roles=said["roles"],
        channels=tuple(role_of.get(k) or own[k] or f"channel {k}" for k in range(c)),
        folder=folder,
    )
