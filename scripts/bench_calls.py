"""Calls against the truth: cells, calibration, patients, intervals; on counts, or with ``--images N`` on images.

Counts: at least 200 slides over quality, mixes, clusters and CTC numbers. Images: whole simulated slides through the
whole route, kept one by one in a folder, so that a long run resumes; seeds from 9200 are for this benchmark alone.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import calls_by_counts
import calls_by_images
import calls_coverage
import numpy as np
import pandas as pd

from ctcfish.device import fix_threads
from ctcfish.report.calibration import reliability_plot
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
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    pd.set_option("display.width", 250, "display.max_columns", 30, "display.precision", 2)
    fix_threads()
    if options.images:
        curves = images(range(options.first_seed, options.first_seed + options.images), options.folder)
    else:
        curves = counts(options.parts or ["cells", "patients", "coverage"], options)
    if options.figure and curves:
        options.figure.write_text(reliability_plot(curves), encoding="utf-8")


def images(seeds: range, folder: Path) -> dict[str, Reliability]:
    """Figures of simulated images."""
    both = calls_by_images.run(seeds, folder)
    rows, curve = calls_by_images.figures(both)
    for name, value in rows.items():
        print(f"{name:66s} {value:.4f}" if isinstance(value, float) else f"{name:66s} {value}")
    _table("by true state, nuclei found", calls_by_images.by_class(both))
    _table("reliability of p_amplified", _curve(curve))
    return {"simulated images": curve}


def counts(parts: list[str], options: argparse.Namespace) -> dict[str, Reliability]:
    """Figures of simulated counts."""
    curves: dict[str, Reliability] = {}
    if "cells" in parts:
        curves = cells()
    if "patients" in parts:
        _table("patients positive, %", calls_by_counts.patient_table(options.patients).set_index("mix"))
    if "coverage" in parts:
        for found in calls_coverage.coverage(options.replicates):
            _table(f"coverage over {options.replicates} replicates", found.set_index("interval"))
    return curves


def cells() -> dict[str, Reliability]:
    """Per-cell rates by preset and true state, and calibration."""
    scenes = list(calls_by_counts.scenarios())
    made = pd.concat([calls_by_counts.cells_of(own, k) for k, own in enumerate(scenes)], ignore_index=True)
    print(f"{len(scenes)} slides, {len(made)} CTC")
    _table("false amplified and missed, by preset", calls_by_counts.false_and_missed(made).set_index("preset"))
    _table("called amplified by true state, %", calls_by_counts.rates_by_state(made))
    curves = {}
    for factor, name in ((1.0, "CTC err as leukocytes"), (2.0, "CTC err twice as often")):
        own = made[made["p_amplified"].notna() & (made["factor"] == factor)]
        truth = own["circe_tdm1 truth"].to_numpy(bool)
        curves[name] = reliability(own["p_amplified"], truth)
        print(f"\n{name}: {len(own)} cells, Brier {brier(own['p_amplified'], truth):.4f}, ECE {curves[name].error:.4f}")
        _table(f"reliability, {name}", _curve(curves[name]))
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
