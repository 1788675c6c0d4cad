"""Calls on simulated images, slide by slide: each slide's cells beside their truth are kept, so that a run resumes."""

from __future__ import annotations

import logging
from pathlib import Path

import bench_route
import numpy as np
import pandas as pd

from ctcfish import pipeline, tables
from ctcfish.config import Config
from ctcfish.stages.calibrate import calibrate
from ctcfish.stages.call import call
from ctcfish.stats.calibration import Reliability, brier, reliability
from ctcfish.stats.proportions import clopper_pearson_upper
from ctcfish.store.tablefiles import read_parquet, write_parquet
from ctcfish.synth.memory import slide_in_memory
from ctcfish.synth.spec import SlideSpec

FIRST_SEED = 9200
"""Seeds 9200 to 9299 are for this benchmark alone: nothing was chosen on them."""

PHOTONS = (750.0, 900.0, 1100.0)
"""Light of a signal by slide, in turn: ordinary quality."""

CTC_MIX = {
    "diploid": 0.25,
    "g2": 0.08,
    "gain_3_2": 0.08,
    "gain_4_2": 0.06,
    "polysomy": 0.10,
    "monosomy": 0.06,
    "coamplified": 0.03,
    "amplified_low": 0.10,
    "amplified_dispersed": 0.10,
    "amplified_cluster": 0.09,
    "amplified_hsr": 0.05,
}

RECALLED = ["call", "call_guarded", "reason", "reason_guarded", "p_amplified", "ratio", "patterns"]
"""What the calls of a slide say, made anew from its stored counts each time the benchmark is read."""

log = logging.getLogger("bench")


def spec(seed: int) -> SlideSpec:
    """A field of 20 CTC of every kind among 70 leukocytes, and its IF scan."""
    return SlideSpec.model_validate(
        {
            "seed": seed,
            "population": {"ctc": 20, "leukocytes": 70, "touching_pairs": 4, "ctc_mix": CTC_MIX},
            "signals": {"photons": PHOTONS[seed % len(PHOTONS)]},
            "fish": {"shape_px": [1250, 1250], "planes": 13},
        }
    )


def run(seeds: range, folder: Path) -> pd.DataFrame:
    """Cells of the slides beside their truth.

    Slides whose counted cells are there already are neither simulated nor scored again; calls are made anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for seed in seeds:
        if not (folder / f"{seed}.truth.csv").exists():
            own = spec(seed)
            slide, truth = slide_in_memory(own)
            write_parquet(pipeline.score(slide, Config()).cells, tables.CELLS, folder / f"{seed}.cells.parquet")
            part = folder / f"{seed}.part"
            truth.cells.assign(seed=seed, photons=own.signals.photons).to_csv(part, index=False)
            part.rename(folder / f"{seed}.truth.csv")
            log.info("slide %d written", seed)
        frames.append(beside_truth(folder, seed))
    return pd.concat(frames, ignore_index=True)


def beside_truth(folder: Path, seed: int) -> pd.DataFrame:
    """True cells of a stored slide beside the nuclei found nearest to them, called anew."""
    cells = read_parquet(folder / f"{seed}.cells.parquet", tables.CELLS)
    truth = pd.read_csv(folder / f"{seed}.truth.csv", keep_default_na=False, na_values=[""])
    cells = cells.drop(columns=RECALLED)
    cells = call(cells, calibrate(cells, Config().calibrate), Config().call)
    return bench_route.pairs(cells, truth)


def figures(both: pd.DataFrame) -> tuple[dict[str, float | str], Reliability]:
    """What the goals ask for, and the reliability curve of ``p_amplified``."""
    hit = both[both["found"]]
    ratio = hit["countable_her2"] / hit["countable_cep17"].where(hit["countable_cep17"] > 0)
    low = hit[ratio <= 1.5]
    by_copies = hit[hit["true_her2"] <= 1.5 * hit["true_cep17"]]
    high = hit[(ratio >= 3) & (hit["countable_her2"] >= 5)]
    intact = both[(both["kind"] == "ctc") & both["reason"].isna()]
    seen = hit[hit["found_p_amplified"].notna() & ratio.notna() & (hit["found_call"] != "not_evaluable")]
    truth = 5 * seen["countable_her2"] >= 11 * seen["countable_cep17"]
    curve = reliability(seen["found_p_amplified"], truth)
    rows: dict[str, float | str] = {
        "slides": both["seed"].nunique(),
        "nuclei": len(both),
        "nuclei found": both["found"].mean(),
    }
    for name, own in (("countable", low), ("true copies", by_copies)):
        rows[f"guarded false amplified, ratio <= 1.5 by {name}"] = _bounded(own["found_call_guarded"])
        rows[f"hard rule false amplified, ratio <= 1.5 by {name}"] = _bounded(own["found_call"])
    for name, column in (("hard rule", "found_call"), ("guarded", "found_call_guarded")):
        scored = high[high[column] != "not_evaluable"]
        rows[f"{name}: sensitivity, ratio >= 3 and >= 5 signals, of evaluable"] = _share(scored[column], "amplified")
        rows[f"{name}: the same, of all nuclei found"] = _share(high[column], "amplified")
        usable = intact["found"] & (intact[column] != "not_evaluable")
        rows[f"{name}: intact CTC evaluable"] = f"{int(usable.sum())}/{len(intact)} = {usable.mean():.4f}"
    as_ctc = intact["found"] & (intact["found_call"] != "not_evaluable") & (intact["found_kind"] == "ctc")
    rows["intact CTC evaluable and known as CTC"] = f"{int(as_ctc.sum())}/{len(intact)} = {as_ctc.mean():.4f}"
    rows |= {"p_amplified: cells": len(seen), "Brier": brier(seen["found_p_amplified"], truth), "ECE": curve.error}
    return rows, curve


def by_class(both: pd.DataFrame) -> pd.DataFrame:
    """Calls of the nuclei found, by true state."""
    hit = both[both["found"]]
    count = hit.groupby(["kind", "copy_class"]).size().rename("n")
    parts = {"n": count}
    for name, column in (("hard", "found_call"), ("guarded", "found_call_guarded")):
        for verdict in ("amplified", "not_evaluable"):
            parts[f"{name} {verdict}"] = (hit[column] == verdict).groupby([hit["kind"], hit["copy_class"]]).sum()
    named = hit["found_patterns"].fillna("").str.split("|")
    for pattern in ("polysomy", "monosomy", "co_amplification", "compact_amplification", "dispersed_amplification"):
        has = named.map(lambda own, name=pattern: name in own)
        parts[pattern] = has.groupby([hit["kind"], hit["copy_class"]]).sum()
    return pd.DataFrame(parts)


def _bounded(calls: pd.Series) -> str:
    """Amplified of all, with the exact one-sided upper 95 % bound."""
    k, n = int((calls == "amplified").sum()), len(calls)
    return f"{k}/{n}, at most {float(clopper_pearson_upper(k, n)):.5f}"


def _share(values: pd.Series, wanted: str) -> str:
    k, n = int((values == wanted).sum()), len(values)
    return f"{k}/{n} = {k / n if n else np.nan:.4f}"
