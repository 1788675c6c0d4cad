"""Adverse events of treated patients by CTCAE term, grade and attribution."""

from __future__ import annotations

import pandas as pd

from ctcfish.stats.proportions import proportion
from ctcfish.trial.finding import Finding, Label, of_proportion
from ctcfish.trial.subjects import Study

RELATED = ("possible", "probable", "definite")


def on_treatment(study: Study) -> pd.DataFrame:
    """Return the events of treated patients from the first dose on."""
    start = study.treated.set_index("patient_id")["first_dose_date"]
    events = study.clinical.adverse_events
    return events[events["onset_date"] >= events["patient_id"].map(start)].reset_index(drop=True)


def worst_grades(study: Study) -> pd.DataFrame:
    """Return patients by term (rows) and worst grade 1 to 5 (columns)."""
    worst = on_treatment(study).groupby(["term", "patient_id"])["grade"].max()
    table = worst.reset_index().pivot_table(index="term", columns="grade", values="patient_id", aggfunc="count")
    return table.reindex(columns=range(1, 6)).fillna(0).astype(int).sort_index()


def toxicity(study: Study) -> list[Finding]:
    """Return patients with any event, of grade 3 or more, related, serious, and by term."""
    events, treated = on_treatment(study), study.treated
    severe, related = events["grade"] >= 3, events["attribution"].isin(RELATED)
    groups: dict[str, tuple[str, pd.DataFrame]] = {
        "any": ("Any adverse event", events),
        "severe": ("Grade 3 or more", events[severe]),
        "related": (f"Related ({', '.join(RELATED)})", events[related]),
        "severe_related": ("Grade 3 or more, related", events[severe & related]),
        "fatal": ("Grade 5", events[events["grade"] == 5]),
        "serious": ("Serious", events[events["serious"] == "yes"]),
    }
    for term in sorted(events["term"].unique()):
        own = events[events["term"] == term]
        groups[f"term_{term}"] = (f"{term}, any grade", own)
        groups[f"severe_{term}"] = (f"{term}, grade 3 or more", own[own["grade"] >= 3])
        groups[f"related_{term}"] = (f"{term}, related", own[own["attribution"].isin(RELATED)])
    versions = ", ".join(sorted(events["ctcae_version"].unique()))
    note = f"CTCAE {versions}." if versions else "No event was reported."
    found = []
    for key, (title, own) in groups.items():
        n = own["patient_id"].nunique()
        share = proportion(n, len(treated), "treated patients", confidence=study.protocol.confidence)
        found.append(of_proportion(Label("toxicity", f"toxicity_{key}", title), share, note))
    return found
