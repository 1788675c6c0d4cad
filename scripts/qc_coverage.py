"""How often the intervals of a reproducibility study hold the truth, where cells of a patient resemble each other."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from calls_by_counts import counted

from ctcfish.qc import agreement
from ctcfish.qc.agreement import Wide, statistics
from ctcfish.stats.bootstrap import BootstrapPlan

Study = Callable[[int, np.random.Generator], Wide]
"""Patients and a generator to cells by readings."""

LARGE = (50, 300)
"""Studies, and patients of each, whose mean figures stand for the truth."""


def owners(patients: int, rng: np.random.Generator) -> np.ndarray:
    """Patient of each cell: 1 to 6 cells each."""
    return np.repeat(np.arange(patients), rng.integers(1, 7, patients))


def counts(readings: Sequence[tuple[float, float, float]], rng: np.random.Generator, patients: int) -> Wide:
    """Cells of patients with their own share of amplified cells, each reading missing, splitting and adding signals."""
    patient = owners(patients, rng)
    share = rng.beta(0.5, 1.5, patients)[patient]
    amplified = rng.random(len(patient)) < share
    cep17 = rng.choice([1, 2, 3, 4], len(patient), p=[0.05, 0.7, 0.15, 0.1])
    her2 = np.where(amplified, np.maximum(np.round(cep17 * rng.lognormal(1.2, 0.4, len(patient))), 1), cep17)
    tables = [
        np.stack([counted(copies.astype(np.int64), rates, rng) for rates in readings], axis=1).astype(float)
        for copies in (her2, cep17)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(np.minimum(*tables) > 0, tables[0] / tables[1], np.nan)
    call = np.where(np.isnan(ratio), 2, (5 * tables[0] >= 11 * tables[1]).astype(np.int64))
    return Wide(patient.astype(str).astype(object), call, tables[0], tables[1], ratio)


def measured(shift: float, rng: np.random.Generator, patients: int) -> Wide:
    """Two readings of normal quantities: spread 1 between patients, 0.7 between cells, 0.5 within, and a shift."""
    patient = owners(patients, rng)
    true = 5 + rng.normal(0, 1, patients)[patient] + rng.normal(0, 0.7, len(patient))
    read = true[:, None] + np.array([0.0, shift]) + rng.normal(0, 0.5, (len(patient), 2))
    none = np.full(read.shape, np.nan)
    return Wide(patient.astype(str).astype(object), np.full(read.shape, -1), read, none, np.exp(read - 5))


STUDIES: dict[str, Study] = {
    "counts, two readings": lambda n, rng: counts([(0.05, 0.05, 0.03), (0.08, 0.03, 0.03)], rng, n),
    "counts, three noisy readings": lambda n, rng: counts([(0.1, 0.05, 0.05)] * 3, rng, n),
    "normal, shifted by 0.2": lambda n, rng: measured(0.2, rng, n),
}


def ratios_alone(study: Study) -> Study:
    """The ratios of a study and nothing else, with Passing and Bablok's lines resampled: they take most of the time."""

    def drawn(n: int, rng: np.random.Generator) -> Wide:
        wide = study(n, rng)
        none, unread = np.full(wide.ratio.shape, np.nan), np.full(wide.call.shape, -1)
        return Wide(wide.patient, unread, none, none, wide.ratio)

    return drawn


def figures(wide: Wide, plan: BootstrapPlan) -> pd.DataFrame:
    """Figures of a study by quantity and statistic."""
    return pd.DataFrame(statistics(wide, plan)).set_index(["quantity", "statistic"])[["value", "low", "high"]]


def truth_of(study: Study, rng: np.random.Generator) -> pd.Series:
    """Figures of studies so large that chance and the bias of small samples are lost in them."""
    studies, patients = LARGE
    found = [figures(study(patients, rng), BootstrapPlan(100))["value"] for _ in range(studies)]
    return pd.concat(found, axis=1).mean(axis=1)


def coverage(replicates: int, patients: Sequence[int], lines: bool, seed: int = 7400) -> Iterator[pd.DataFrame]:
    """Share of replicates in which each interval held the truth, and how often it was given."""
    for number, (name, study) in enumerate(STUDIES.items()):
        study = ratios_alone(study) if lines else study
        truth = truth_of(study, np.random.default_rng([seed, number]))
        for n in patients:
            rng = np.random.default_rng([seed, number, n])
            held = []
            for _ in range(replicates):
                made = figures(study(n, rng), BootstrapPlan(400, seed=int(rng.integers(1 << 30))))
                inside = (made["low"] <= truth) & (truth <= made["high"])
                held.append(inside.where(made["low"].notna()).astype(float))
            table = pd.DataFrame(held)
            rows = {"study": name, "patients": n, "truth": truth, "coverage %": 100 * table.mean()}
            yield pd.DataFrame(rows | {"given": table.notna().sum()}).dropna(subset="coverage %")


def main(argv: list[str] | None = None) -> None:
    """Print a table a study and number of patients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--patients", type=int, nargs="+", default=[30, 50, 100])
    parser.add_argument("--lines", action="store_true", help="ratios alone, with Passing and Bablok's lines")
    options = parser.parse_args(argv)
    if not options.lines:
        agreement.MOST_PAIRS_FOR_RANKS = 0
    pd.set_option("display.width", 200, "display.precision", 3)
    for table in coverage(options.replicates, options.patients, options.lines):
        print(f"\n{table.to_string()}", flush=True)


if __name__ == "__main__":
    main()
