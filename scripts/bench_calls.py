"""Calls against the truth: cells, calibration, patients, intervals; on counts, or with ``--images N`` on images.

Counts: at least 200 slides over quality, mixes, clusters and CTC numbers. Images: whole simulated slides through the
whole route, kept one by one in a folder, so that a long run resumes; seeds from 9200 are for this benchmark alone.
"""

from __future__ import annotations

import argparse
import logging
import tomllib
from pathlib import Path

import calls_by_counts
import calls_by_images
import calls_coverage
import numpy as np
import pandas as pd

from ctcfish.config import Config
from ctcfish.device import fix_threads
from ctcfish.report.calibration import Measured, reliability_plot
from ctcfish.report.text import as_toml
from ctcfish.stats.calibration import Reliability, brier, reliability


def main(argv: list[str] | None = None) -> None:
    """Print the tables that were asked for; all of counts where nothing was named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["cells", "patients", "coverage", []], help="default: all three")
    parser.add_argument("--patients", type=int, default=40, help="simulated patients a row")
    parser.add_argument("--replicates", type=int, default=2000, help="of each interval")
    parser.add_argument("--images", type=int, default=0, metavar="N", help="N simulated slides instead of counts")
    parser.add_argument("--first-seed", type=int, default=calls_by_images.FIRST_SEED)
    parser.add_argument("--folder", type=Path, default=Path("bench_calls"), help="where slides of --images are kept")
    parser.add_argument("--figure", type=Path, help="write the reliability curve here, as SVG")
    parser.add_argument("--table", type=Path, help="put the curves into this TOML file, in the place of older ones")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pd.set_option("display.width", 250, "display.max_columns", 30, "display.precision", 2)
    fix_threads()
    if options.images:
        measured = images(range(options.first_seed, options.first_seed + options.images), options.folder)
    else:
        measured = counts(options.parts or ["cells", "patients", "coverage"], options)
    if options.figure and measured:
        options.figure.write_text(reliability_plot({own.name: own.curve for own in measured}), encoding="utf-8")
    if options.table:
        write_curves(measured, options.table)


def write_curves(measured: list[Measured], place: Path) -> None:
    """Put curves into the table that travels with the program; those of other names stay."""
    read = tomllib.loads(place.read_text(encoding="utf-8"))["curves"] if place.exists() else []
    kept = {own["name"]: own for own in read}
    for own in measured:
        curve = own.curve
        kept[own.name] = {
            "name": own.name,
            "about": own.about,
            "configuration_sha256": own.configuration_sha256,
            "cells": curve.n.tolist(),
            "predicted": np.nan_to_num(curve.predicted).round(5).tolist(),
            "amplified": np.nan_to_num(curve.observed * curve.n).round().astype(int).tolist(),
        }
    head = (
        "# Reliability of p_amplified, cut 2.2, by tenths: cells, mean probability, and how many were truly amplified."
    )
    head += "\n# Written by scripts/bench_calls.py --table; simulation alone carries it.\n"
    place.write_text(head + "".join(f"\n[[curves]]\n{as_toml(kept[name])}" for name in kept), encoding="utf-8")


def images(seeds: range, folder: Path) -> list[Measured]:
    """Figures of simulated images."""
    both = calls_by_images.run(seeds, folder)
    rows, curve = calls_by_images.figures(both)
    for name, value in rows.items():
        print(f"{name:66s} {value:.4f}" if isinstance(value, float) else f"{name:66s} {value}")
    _table("by true state, nuclei found", calls_by_images.by_class(both))
    _table("reliability of p_amplified", _curve(curve))
    about = f"{rows['slides']} whole simulated slides of ordinary quality, seeds {seeds[0]} to {seeds[-1]}"
    return [Measured("simulated slides", about, Config().sha256(), curve)]


def counts(parts: list[str], options: argparse.Namespace) -> list[Measured]:
    """Figures of simulated counts."""
    curves: list[Measured] = []
    if "cells" in parts:
        curves = cells()
    if "patients" in parts:
        _table("patients positive, %", calls_by_counts.patient_table(options.patients).set_index("mix"))
    if "coverage" in parts:
        for found in calls_coverage.coverage(options.replicates):
            _table(f"coverage over {options.replicates} replicates", found.set_index("interval"))
    return curves


def cells() -> list[Measured]:
    """Per-cell rates by preset and true state, and calibration."""
    scenes = list(calls_by_counts.scenarios())
    made = pd.concat([calls_by_counts.cells_of(own, k) for k, own in enumerate(scenes)], ignore_index=True)
    print(f"{len(scenes)} slides, {len(made)} CTC")
    _table("false amplified and missed, by preset", calls_by_counts.false_and_missed(made).set_index("preset"))
    _table("called amplified by true state, %", calls_by_counts.rates_by_state(made))
    curves = []
    for factor, name in ((1.0, "CTC err as leukocytes"), (2.0, "CTC err twice as often")):
        own = made[made["p_amplified"].notna() & (made["factor"] == factor)]
        truth = own["circe_tdm1 truth"].to_numpy(bool)
        curve = reliability(own["p_amplified"], truth)
        about = f"counts of {len(scenes) // 2} simulated slides, {len(own)} CTC of six mixes unlike the prior"
        curves.append(Measured(name, about, Config().sha256(), curve))
        print(f"\n{name}: {len(own)} cells, Brier {brier(own['p_amplified'], truth):.4f}, ECE {curve.error:.4f}")
        _table(f"reliability, {name}", _curve(curve))
        for column in ("quality", "mix"):
            parts = {key: reliability(g["p_amplified"], g["circe_tdm1 truth"].to_numpy(bool)).error
                     for key, g in own.groupby(column)}  # fmt: skip
            _table(f"ECE by {column}", pd.Series(parts).to_frame("ECE"))
    return curves


def _curve(curve: Reliability) -> pd.DataFrame:
    bins = [f"{a:.1f}-{b:.1f}" for a, b in zip(curve.edges[:-1], curve.edges[1:], strict=True)]
    columns = {"n": curve.n, "predicted": curve.predicted, "observed": curve.observed}
    return pd.DataFrame(columns | {"low": curve.low, "high": curve.high}, index=bins).replace({np.nan: None})


def _table(title: str, table: pd.DataFrame) -> None:
    print(f"\n{title}\n{table.to_string()}")


if __name__ == "__main__":
    main()
