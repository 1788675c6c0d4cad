"""The method card of a run: what was used, with which parameters, what carries its figures, and where they end."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctcfish.flags import SlideFlag, sentence
from ctcfish.qc.replicates import slide_folders
from ctcfish.report.calibration import measured
from ctcfish.report.qc_page import Grid, Section
from ctcfish.report.words import number
from ctcfish.resources import resource_dir
from ctcfish.stats.calibration import Reliability
from ctcfish.store.results import read_slide_json

STANDING_LIMITS = (
    "Research use only; no treatment advice.",
    "Error rates come from the leukocytes of the same slide; that they hold for CTC is an assumption.",
    "Optics bias counts of clusters down; a cluster's interval is wide and its count may be a lower bound.",
    "Figures of the shipped network and of detection were measured on simulated slides and on public images.",
    "The limits of quality control are starting points and must be set anew on the laboratory's own slides.",
)


def card(run: Path) -> tuple[Section, ...]:
    """Sections of the card.

    Parameters
    ----------
    run : Path
        Folder of a run with its manifest.
    """
    file = run / "manifest.json"
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    said = [read_slide_json(folder) for folder in slide_folders(run)]
    return (_program(manifest, said), _optics(said), _parameters(manifest), _validation(said), _limits(said))


def _grid(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> tuple[Grid, ...]:
    return (Grid(header, tuple(rows), most=None),) if rows else ()


def _program(manifest: Mapping[str, Any], said: list[dict[str, Any]]) -> Section:
    rows = [("ctcfish", str(manifest.get("version", said[0]["version"])))]
    rows += [("configuration", str(manifest.get("configuration_sha256", said[0]["configuration_sha256"])))]
    rows += [
        ("device", str(manifest.get("device", "not stated"))),
        ("Python", str(manifest.get("python", "not stated"))),
    ]
    rows += [(name, str(version)) for name, version in sorted(manifest.get("versions", {}).items())]
    rows += [(f"weights {name}", str(sha)) for name, sha in sorted(manifest.get("weights_sha256", {}).items())]
    return Section("Method card: program", "", _grid(("part", "version or SHA-256"), rows))


def _optics(said: list[dict[str, Any]]) -> Section:
    """Probes and optics, each distinct set once with the slides that share it."""
    seen: dict[tuple[str, ...], set[str]] = {}
    told: set[tuple[str, ...]] = set()
    for slide in said:
        for scene in slide["scenes"]:
            optics = scene["optics"]
            emission = ", ".join(f"{role} {nm:g}" for role, nm in sorted(optics["emission_nm"].items()))
            voxel = " x ".join(f"{size:.4g}" for size in scene["voxel_um"])
            shape = " x ".join(str(size) for size in scene["shape_czyx"][1:])
            about = (scene["modality"], voxel, shape, number(optics["na"]), emission)
            seen.setdefault(about, set()).add(str(slide["slide"]["slide_id"]))
            told |= {(scene["modality"], key, str(value)) for key, value in scene["origin"].items()}
    rows = [(*about, str(len(slides))) for about, slides in seen.items()]
    header = ("scan", "voxel um (z, y, x)", "z, y, x", "NA", "emission nm", "slides")
    grids = (*_grid(header, rows), *_grid(("scan", "what", "told by"), sorted(told)))
    return Section("Method card: probes and optics", "", grids)


def _parameters(manifest: Mapping[str, Any]) -> Section:
    tree = manifest.get("configuration", {})
    rows = [(key, value) for key, value in _flat(tree, "") if not key.startswith(("panel.", "report.", "qc."))]
    return Section("Method card: parameters", "Every value as it was used.", _grid(("parameter", "value"), rows))


def _flat(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{prefix}{key}"
        rows += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value))]
    return rows


def _validation(said: list[dict[str, Any]]) -> Section:
    rows = []
    for slide in said:
        row, rates = slide["slide"], slide["error_rates"]
        false = row.get("false_amplified_per_cell")
        told = ", ".join(f"{name} {rate['value']:.3f}" for name, rate in sorted(rates["rates"].items()))
        share = "–" if false is None else f"{100 * false:.3f} %"
        rows.append((str(row["slide_id"]), str(rates["n_leukocytes"]), rates["origin"], share, told))
    cards = [row for file in sorted(resource_dir("models").glob("*.toml")) for row in _of_weights(file)]
    curves = [("p_amplified", f"{own.name}: {own.about}", _calibrated(own.curve)) for own in measured()]
    text = (
        "Error rates as each slide's own leukocytes show them; what shipped weights and probabilities were measured at."
    )
    header = ("slide", "leukocytes", "rates from", "false calls per diploid cell", "rates")
    grids = (*_grid(header, rows), *_grid(("part", "measured on", "figures"), [*cards, *curves]))
    return Section("Method card: validation", text, grids)


def _calibrated(curve: Reliability) -> str:
    return f"{int(curve.n.sum())} cells, expected calibration error {curve.error:.3f}"


def _of_weights(file: Path) -> list[tuple[str, ...]]:
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    measured = {name: own for name, own in content.get("figures", {}).items() if isinstance(own, Mapping)}
    return [(file.stem, name, ", ".join(f"{k} {v}" for k, v in _flat(own, ""))) for name, own in measured.items()]


def _limits(said: list[dict[str, Any]]) -> Section:
    flagged: dict[str, int] = {}
    for slide in said:
        for name in str(slide["slide"].get("flags") or "").split("|"):
            if name:
                flagged[name] = flagged.get(name, 0) + 1
    rows = [(name, f"{n} of {len(said)} slides", sentence(SlideFlag[name])) for name, n in sorted(flagged.items())]
    return Section("Method card: limits", " ".join(STANDING_LIMITS), _grid(("doubt", "slides", "meaning"), rows))
