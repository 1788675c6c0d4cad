"""The whole route on simulated slides: nuclei found, counts exact, calls right, each against the truth.

Seeds start at 9100: no parameter was chosen on them. The errors of seeds 9000 to 9009 were looked into, and rules of
detection were written from them (dim partners of granules, granules in clusters, the lower end of a cluster), so
figures on those flatter.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from ctcfish import pipeline
from ctcfish.config import Config
from ctcfish.device import fix_threads
from ctcfish.synth.memory import slide_in_memory
from ctcfish.synth.spec import SlideSpec

FIRST_SEED = 9100
REACH_UM = 3.0


def spec(seed: int, photons: float) -> SlideSpec:
    """A field of diploid and amplified cells at ordinary brightness, and its IF scan."""
    return SlideSpec.model_validate(
        {
            "seed": seed,
            "population": {"ctc": 10, "leukocytes": 45, "touching_pairs": 3},
            "signals": {"photons": photons},
            "fish": {"shape_px": [1000, 1000], "planes": 13},
        }
    )


def pairs(cells: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """True cells beside the nuclei found nearest to them."""
    found = cells[cells["label"].notna()]
    distance, index = cKDTree(found[["y_um", "x_um"]]).query(truth[["y_um", "x_um"]])
    beside = found.iloc[index].reset_index(drop=True).add_prefix("found_")
    both = pd.concat([truth.reset_index(drop=True), beside], axis=1)
    both["found"] = distance < REACH_UM
    return both


def measure(seed: int, photons: float) -> tuple[pd.DataFrame, int, float]:
    """Pairs of one slide, the number of nuclei found, and the seconds it took."""
    slide, truth = slide_in_memory(spec(seed, photons))
    start = time.perf_counter()
    result = pipeline.score(slide, Config())
    both = pairs(result.cells, truth.cells).assign(seed=seed)
    return both, int(result.cells["label"].notna().sum()), time.perf_counter() - start


def report(both: pd.DataFrame, n_found: int) -> dict[str, float]:
    """Figures over all slides."""
    hit = both[both["found"]]
    whole = hit[~hit["found_flags"].str.contains("TRUNCATED")]
    ratio = whole["countable_her2"] / whole["countable_cep17"].where(whole["countable_cep17"] > 0)
    scored = whole[(whole["found_call"] != "not_evaluable") & ratio.notna()]
    clear = scored[(ratio[scored.index] <= 1.5) | (ratio[scored.index] >= 3.0)]
    figures = {
        "nuclei": len(both),
        "nuclei found": both["found"].mean(),
        "extra nuclei": (n_found - len(hit.drop_duplicates(["seed", "found_cell_id"]))) / len(both),
        "kind right": (hit["found_kind"] == hit["kind"]).mean(),
        "calls scored away from the cut": len(clear),
        "calls right away from the cut": (clear["found_call"] == clear["true_call"]).mean(),
        "guarded false amplified, ratio <= 1.5": int(
            ((whole["found_call_guarded"] == "amplified") & (ratio <= 1.5)).sum()
        ),
        "cells of ratio <= 1.5": int((ratio <= 1.5).sum()),
    }
    for probe in ("her2", "cep17"):
        few = whole[whole[f"countable_{probe}"] <= 6]
        difference = few[f"found_{probe}_count"].astype(float) - few[f"countable_{probe}"]
        figures |= {
            f"{probe} exact, at most 6 signals": (difference == 0).mean(),
            f"{probe} bias, at most 6": difference.sum() / few[f"countable_{probe}"].sum(),
        }
    return figures


def main(argv: list[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--photons", type=float, default=900.0)
    options = parser.parse_args(argv)
    fix_threads()
    frames, found, seconds = zip(
        *(measure(options.first_seed + k, options.photons) for k in range(options.slides)), strict=True
    )
    for name, value in report(pd.concat(frames, ignore_index=True), sum(found)).items():
        print(f"{name:45s} {value:.4f}" if isinstance(value, float) else f"{name:45s} {value}")
    print(f"{'seconds a slide, median':45s} {np.median(seconds):.1f}")
