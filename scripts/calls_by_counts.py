"""Calls on simulated counts: slides over quality, mixes, clusters and CTC numbers, not drawn from the calls' own prior.

A true state becomes counts by the model of ``stats/countmodel.py``, signal by signal; HER2 copies in a cluster become
an estimate with an interval instead. CTC may err twice as often as the leukocytes that the rates are learnt from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from ctcfish import config, tables
from ctcfish.parameters import Calibrate, FishRule, Summarise
from ctcfish.stages.calibrate import calibrate
from ctcfish.stages.call import call, false_amplified, passes
from ctcfish.stages.patients import patients

Rates = tuple[float, float, float]

QUALITY: Mapping[str, Rates] = {
    "bright": (0.01, 0.01, 0.005),
    "ordinary": (0.03, 0.03, 0.015),
    "default": (0.05, 0.05, 0.03),
    "dim": (0.12, 0.02, 0.05),
    "noisy": (0.05, 0.10, 0.10),
}
"""Missed, split and extra signals, by how bright and clean a slide is."""

NEGATIVE: Mapping[str, float] = {
    **{"2/2": 60, "4/4": 8, "3/2": 8, "4/2": 3, "3/3": 6, "4/3": 4},
    **{"5/4": 3, "6/4": 2, "1/1": 4, "2/1": 1, "1/2": 1},
}
MIXES: Mapping[str, Mapping[str, float]] = {
    "none amplified": NEGATIVE,
    "1.6 % amplified": {**NEGATIVE, "low": 1.0, "high": 0.65},
    "10 % amplified": {**NEGATIVE, "low": 5.5, "high": 5.6},
    "35 % amplified": {**NEGATIVE, "low": 20, "high": 34},
    "gains, none amplified": {"2/2": 30, "3/2": 25, "4/2": 10, "4/3": 15, "6/4": 10, "5/3": 10},
    "polysomic, 5 % amplified": {"3/3": 30, "4/4": 20, "5/5": 10, "6/6": 5, "4/3": 10, "2/2": 20, "low": 3, "high": 2},
}
"""Weights of true states HER2/CEP17; low: ratios like 2.8 +- 0.6 (Meng 2004), high: HER2 8 to 40."""

N_CTC = (1, 3, 10, 30, 100, 200)
CLUSTERED = (0.0, 0.5, 1.0)
N_LEUKOCYTES = (10, 60, 300)
CLUSTER_LOG_SD = 0.12
FALSE_CLUSTER = 0.01
"""Share of nuclei of which one HER2 signal is taken for a cluster of 4 to 12."""


@dataclass(frozen=True)
class Scenario:
    """One simulated slide.

    Attributes
    ----------
    quality, mix : str
    factor : float
        Error rates of CTC over those of leukocytes.
    n_ctc, n_leukocytes : int
    clustered : float
        Share of cells with 6 or more HER2 copies whose copies lie in a cluster.
    """

    quality: str
    mix: str
    factor: float
    n_ctc: int
    n_leukocytes: int = 300
    clustered: float = 0.5


def scenarios() -> Iterator[Scenario]:
    """Every quality, mix, factor and number of CTC; clusters and leukocytes take turns."""
    for k, (quality, mix, factor, n) in enumerate(product(QUALITY, MIXES, (1.0, 2.0), N_CTC)):
        yield Scenario(quality, mix, factor, n, N_LEUKOCYTES[k % 3], CLUSTERED[(k // 3) % 3])


@dataclass(frozen=True)
class Slide:
    """Counted cells of a simulated slide, leukocytes first, and the truth of its CTC."""

    cells: pd.DataFrame
    her2: np.ndarray
    cep17: np.ndarray
    state: np.ndarray


def simulate(scene: Scenario, rng: np.random.Generator) -> Slide:
    """Counts of a slide."""
    rates = QUALITY[scene.quality]
    worse = tuple(min(rate * scene.factor, 0.5) for rate in rates)
    state = _draw_states(MIXES[scene.mix], scene.n_ctc, rng)
    copies = np.array([_copies(name, rng) for name in state]).reshape(-1, 2)
    leukocytes = np.where(rng.random(scene.n_leukocytes) < 0.05, 4, 2)
    parts = [
        her2_read(leukocytes, 0.0, rates, FALSE_CLUSTER, rng),
        her2_read(copies[:, 0], scene.clustered, worse, FALSE_CLUSTER * scene.factor, rng),
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    cep17 = np.concatenate([counted(leukocytes, rates, rng), counted(copies[:, 1], worse, rng)])
    columns |= {f"cep17_{part}": cep17 for part in ("count", "low", "high", "points")}
    n = scene.n_leukocytes + scene.n_ctc
    kind = ["wbc"] * scene.n_leukocytes + ["ctc"] * scene.n_ctc
    about = {"cell_id": [f"s/f/{i}" for i in range(1, n + 1)], "slide_id": "s", "scene": "f", "kind": kind, "flags": ""}
    frame = pd.DataFrame(about | {"label": pd.array(range(1, n + 1), dtype="Int64"), "cep17_in_clusters": 0})
    frame = frame.assign(**{name: pd.array(values, dtype="Int64") for name, values in columns.items()})
    return Slide(frame, copies[:, 0], copies[:, 1], state)


def her2_read(
    copies: np.ndarray, clustered: float, rates: tuple[float, ...], false: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """HER2 columns of nuclei: single signals, copies in a cluster that is true or false, total and interval."""
    n = len(copies)
    true = (copies >= 6) & (rng.random(n) < clustered)
    inside = np.where(true, np.maximum(3, (copies * rng.uniform(0.5, 1, n)).astype(int)), 0)
    points = counted(copies - inside, rates, rng)
    guess = np.where(true, np.round(inside * np.exp(rng.normal(0, CLUSTER_LOG_SD, n))), 0).astype(int)
    low, high = (np.round(guess * np.exp(z * CLUSTER_LOG_SD)).astype(int) for z in (-1.96, 1.96))
    spoiled = ~true & (points > 0) & (rng.random(n) < false)
    points = points - spoiled
    size = np.where(spoiled, rng.integers(4, 13, n), 0)
    low, high = low + np.maximum(size - 2, 0), high + size + 2 * spoiled
    total = points + guess + size
    columns = {"points": points, "in_clusters": guess + size, "count": total}
    columns |= {"low": np.minimum(points + low, total), "high": np.maximum(points + high, total)}
    return {f"her2_{name}": values for name, values in columns.items()}


def counted(copies: np.ndarray, rates: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Signals seen of true copies, each missed, split or not, and extra ones."""
    missed, split, extra = rates
    seen = rng.binomial(copies, 1 - missed)
    return np.asarray(seen + rng.binomial(seen, split) + rng.poisson(extra, len(copies)))


def _draw_states(mix: Mapping[str, float], n: int, rng: np.random.Generator) -> np.ndarray:
    weight = np.array(list(mix.values()))
    return rng.choice(np.array(list(mix), dtype=object), n, p=weight / weight.sum())


def _copies(state: str, rng: np.random.Generator) -> tuple[int, int]:
    if "/" in state:
        her2, cep17 = state.split("/")
        return int(her2), int(cep17)
    cep17 = int(rng.choice([1, 2, 3, 4], p=[0.05, 0.6, 0.25, 0.1]))
    if state == "high":
        return max(int(rng.integers(8, 41)), int(np.ceil(2.2 * cep17))), cep17
    return max(round(cep17 * rng.normal(2.8, 0.6)), int(np.ceil(2.2 * cep17))), cep17


RULES = {name: own for name, (own, _) in config.rules().items() if isinstance(own.rule, FishRule)}


def cells_of(scene: Scenario, seed: int) -> pd.DataFrame:
    """CTC of one slide: truth, posterior, and the call by every preset on FISH counts."""
    slide = simulate(scene, np.random.default_rng([7100, seed]))
    rates = calibrate(slide.cells, Calibrate())
    ctc = slide.cells[slide.cells["kind"] == "ctc"].reset_index(drop=True)
    frame = pd.DataFrame({"state": slide.state, "true_her2": slide.her2, "true_cep17": slide.cep17})
    for name, own in RULES.items():
        called = call(ctc, rates, own)
        frame[name] = called["call"]
        frame[f"{name} truth"] = passes(slide.her2, slide.cep17, own.rule)
        if name == "circe_tdm1":
            frame["p_amplified"] = called["p_amplified"].where(called["call"] != "not_evaluable")
    return frame.assign(quality=scene.quality, mix=scene.mix, factor=scene.factor, n_ctc=scene.n_ctc, slide=seed)


def group_of(cells: pd.DataFrame) -> pd.Series:
    """True state for people: copies below the cut, and three groups of ratios from it on."""
    ratio = cells["true_her2"] / cells["true_cep17"]
    above = np.select([ratio >= 4, ratio >= 3, ratio >= 2.2], ["ratio 4 or more", "ratio 3 to 4", "ratio 2.2 to 3"], "")
    return pd.Series(np.where(above == "", cells["state"], above), cells.index)


def rates_by_state(cells: pd.DataFrame) -> pd.DataFrame:
    """Share called amplified of the cells of each true state that show both colours, by preset, in per cent."""
    seen = cells[cells["p_amplified"].notna()]
    groups = group_of(seen)
    columns = {name: 100 * (seen[name] == "amplified").groupby(groups).mean() for name in RULES}
    return pd.DataFrame({"cells": groups.value_counts()} | columns).sort_index()


def false_and_missed(cells: pd.DataFrame) -> pd.DataFrame:
    """False-amplified and missed rates of every preset against its own rule on the true copies, in per cent."""
    seen = cells[cells["p_amplified"].notna()]
    rows = []
    for name, factor in product(RULES, (1.0, 2.0)):
        own = seen[seen["factor"] == factor]
        truth, amplified = own[f"{name} truth"].to_numpy(bool), (own[name] == "amplified").to_numpy()
        row = {"preset": name, "error factor": factor, "false amplified %": 100 * amplified[~truth].mean()}
        rows.append(row | {"missed %": 100 * (~amplified[truth]).mean()})
    return pd.DataFrame(rows)


def patient_of(scene: Scenario, seed: int) -> dict[str, Any]:
    """One patient of one slide: positive by the hard rule, the guarded rule, and under the control."""
    slide = simulate(scene, np.random.default_rng([7200, seed]))
    rates = calibrate(slide.cells, Calibrate())
    rule = RULES["circe_tdm1"]
    ctc = tables.CELLS.check(call(slide.cells[slide.cells["kind"] == "ctc"], rates, rule))
    row = {"slide_id": "s", "patient_id": "p", "preset": "circe_tdm1", "n_nuclei": len(slide.cells), "flags": ""}
    row |= {"n_ctc": scene.n_ctc, "false_amplified_per_cell": false_amplified(rates, rule)}
    found = patients(tables.SLIDES.check(pd.DataFrame([row])), ctc, {"s": rates}, rule, Summarise()).iloc[0]
    return {
        "hard": found["eligible"] == "yes",
        "guarded": found["eligible_guarded"] == "yes",
        "controlled": found["eligible_controlled"] == "yes",
        "any true": bool((5 * slide.her2 >= 11 * slide.cep17).any()),
        "expected by error": found["p_positive_by_error"],
        "P(any amplified)": found["p_any_amplified"],
    }


def patient_table(each: int, numbers: tuple[int, ...] = (10, 30, 100)) -> pd.DataFrame:
    """Share of patients positive, in per cent, without amplified CTC and with a true share of 10 %."""
    rows = []
    for mix, factor, quality, n in product(("none amplified", "10 % amplified"), (1.0, 2.0), QUALITY, numbers):
        scene = Scenario(quality, mix, factor, n)
        found = pd.DataFrame([patient_of(scene, 1000 * len(rows) + k) for k in range(each)])
        about = {"mix": mix, "error factor": factor, "quality": quality, "CTC": n, "patients": each}
        rows.append(about | (100 * found.astype(float).mean()).round(1).to_dict())
    return pd.DataFrame(rows)
