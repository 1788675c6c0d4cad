"""The trial's patients in the shapes of REDCap and of SDTM and ADaM, with every column documented."""

from __future__ import annotations

import pandas as pd

from ctcfish.trial.analysis import Analysis
from ctcfish.trial.dynamics import ctc_course
from ctcfish.trial.response import DAYS_A_MONTH
from ctcfish.trial.toxicity import on_treatment

Fields = tuple[tuple[str, str, str, str], ...]

FIELDS: Fields = (
    # field, column of the subjects, REDCap type and validation, label
    ("record_id", "patient_id", "text", "Pseudonymous key"),
    ("age", "age_years", "integer", "Age at screening, years"),
    ("er_status", "er_status", "text", "Oestrogen receptor"),
    ("ecog", "ecog", "integer", "ECOG performance status"),
    ("drawn", "drawn", "yesno", "Blood drawn"),
    ("enumerated", "enumerated", "yesno", "CTC enumerated"),
    ("ctc", "ctc", "number", "CTC per 7.5 mL at baseline"),
    ("fish_attempted", "attempted", "yesno", "HER2 FISH attempted on CTC"),
    ("fish_evaluable", "scored", "yesno", "At least one evaluable CTC"),
    ("ctc_evaluable", "n_evaluable", "number", "Evaluable CTC at baseline"),
    ("ctc_amplified", "n_amplified", "number", "Amplified CTC at baseline"),
    ("amplified_share", "fraction", "number", "Amplified share of evaluable CTC"),
    ("highest_ratio", "highest_ratio", "number", "Highest HER2/CEP17 among amplified CTC"),
    ("cohort", "cohort", "text", "Cohort by amplified CTC"),
    ("technical_code", "technical_code", "text", "First step that failed"),
    ("treated", "treated", "yesno", "At least one dose"),
    ("best_response", "best", "text", "Best overall response, RECIST 1.1"),
    ("responder", "responder", "yesno", "Objective response as the protocol counts it"),
    ("disease_control", "controlled", "yesno", "Disease control as the protocol counts it"),
    ("best_change", "best_change", "number", "Best change of the sum of diameters, share"),
    ("pfs_days", "pfs_days", "number", "Progression-free survival, days from the first dose"),
    ("pfs_event", "pfs_event", "yesno", "Progression or death"),
    ("os_days", "os_days", "number", "Overall survival, days from the first dose"),
    ("os_event", "os_event", "yesno", "Death"),
)

REDCAP_HEADER = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
)

DEFINE: dict[str, dict[str, str]] = {
    "adsl": {
        "USUBJID": "Pseudonymous key of the subject",
        "AGE": "Age at screening, years",
        "SCRNFL": "Screened (Y)",
        "ENRLFL": "Amplified CTC at baseline (Y, N)",
        "SAFFL": "At least one dose (Y, N)",
        "EVALFL": "Response-evaluable (Y, N)",
        "COHORT": "Cohort by amplified CTC",
        "CTCBL": "CTC per 7.5 mL at baseline",
        "CTCEVAL": "Evaluable CTC at baseline",
        "CTCAMP": "Amplified CTC at baseline",
        "AMPFRAC": "Amplified share of evaluable CTC",
    },
    "adrs": {
        "USUBJID": "Pseudonymous key of the subject",
        "PARAMCD": "OVRLRESP: response at an assessment; BOR: best overall response; SUMDIAM: sum of diameters, mm",
        "ADY": "Day from the first dose; missing for BOR",
        "AVAL": "Numeric value, for SUMDIAM",
        "AVALC": "Value as text",
    },
    "adtte": {
        "USUBJID": "Pseudonymous key of the subject",
        "PARAMCD": "PFS or OS",
        "AVAL": "Time from the first dose, days",
        "AVALM": "The same in months of 30.4375 days",
        "CNSR": "0: event, 1: censored",
    },
    "adae": {
        "USUBJID": "Pseudonymous key of the subject",
        "AEDECOD": "CTCAE term",
        "AETOXGR": "Grade",
        "AEREL": "Attribution",
        "AESER": "Serious (Y, N)",
        "ASTDY": "First day, from the first dose",
        "AEVERS": "Version of CTCAE",
    },
    "adlb": {
        "USUBJID": "Pseudonymous key of the subject",
        "PARAMCD": "CTC: CTC per 7.5 mL; CTCEVAL, CTCAMP: evaluable and amplified CTC on slides",
        "VISIT": "Visit",
        "ADY": "Day from the first dose",
        "AVAL": "Count",
    },
}
"""Columns of the ADaM-like tables; names follow CDISC where it has one, conformance is not claimed."""


def exports(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """Return ``redcap``, ``redcap_dictionary``, the tables of :data:`DEFINE` and ``define``, by name."""
    made = {"redcap": _redcap(analysis), "redcap_dictionary": _dictionary()}
    made |= {"adsl": _adsl(analysis), "adrs": _adrs(analysis), "adtte": _adtte(analysis)}
    made |= {"adae": _adae(analysis), "adlb": _adlb(analysis)}
    told = [(t, c, meaning) for t, columns in DEFINE.items() for c, meaning in columns.items()]
    return made | {"define": pd.DataFrame(told, columns=["table", "column", "meaning"])}


def _redcap(analysis: Analysis) -> pd.DataFrame:
    s = analysis.study.subjects
    frame = {}
    for field, column, kind, _ in FIELDS:
        values = s[column] if column in s else pd.Series(None, index=s.index, dtype=object)
        if kind == "yesno":
            values = values.map({True: 1, False: 0}).astype("Int64")
            after_treatment = column in ("responder", "controlled", "pfs_event", "os_event")
            values = values.where(s["treated"], None) if after_treatment else values
        frame[field] = values
    return pd.DataFrame(frame)


def _dictionary() -> pd.DataFrame:
    rows = []
    for field, _, kind, label in FIELDS:
        shown = ("yesno", "") if kind == "yesno" else ("text", "" if kind == "text" else kind)
        rows.append((field, "trial", "", shown[0], label, "", "", shown[1]))
    return pd.DataFrame(rows, columns=list(REDCAP_HEADER))


def _adsl(analysis: Analysis) -> pd.DataFrame:
    s = analysis.study.subjects
    evaluable = s["evaluable"] if "evaluable" in s else pd.Series(data=False, index=s.index)
    columns = {"USUBJID": s["patient_id"], "AGE": s["age_years"], "SCRNFL": "Y"}
    columns |= {"ENRLFL": _flag(s["positive"]), "SAFFL": _flag(s["treated"]), "EVALFL": _flag(evaluable)}
    columns |= {"COHORT": s["cohort"], "CTCBL": s["ctc"], "CTCEVAL": s["n_evaluable"]}
    return pd.DataFrame(columns | {"CTCAMP": s["n_amplified"], "AMPFRAC": s["fraction"]})


def _adrs(analysis: Analysis) -> pd.DataFrame:
    seen, treated = analysis.study.assessments, analysis.study.treated
    over = [(r.patient_id, "OVRLRESP", r.day, None, r.overall) for r in seen.itertuples()]
    sums = [(r.patient_id, "SUMDIAM", r.day, r.sum_mm, f"{r.sum_mm:g}") for r in seen.itertuples() if r.sum_mm >= 0]
    best = [(r.patient_id, "BOR", None, None, r.best) for r in treated.itertuples() if "best" in treated]
    return pd.DataFrame([*over, *sums, *best], columns=list(DEFINE["adrs"]))


def _adtte(analysis: Analysis) -> pd.DataFrame:
    treated, rows = analysis.study.treated, []
    for name in ("pfs", "os"):
        for r in treated.to_dict("records"):
            days = r.get(f"{name}_days")
            if not pd.isna(days):
                rows.append((r["patient_id"], name.upper(), days, days / DAYS_A_MONTH, int(not r[f"{name}_event"])))
    return pd.DataFrame(rows, columns=list(DEFINE["adtte"]))


def _adae(analysis: Analysis) -> pd.DataFrame:
    events = on_treatment(analysis.study)
    start = analysis.study.treated.set_index("patient_id")["first_dose_date"]
    day = (events["onset_date"] - events["patient_id"].map(start)).dt.days
    columns = {"USUBJID": events["patient_id"], "AEDECOD": events["term"], "AETOXGR": events["grade"]}
    columns |= {"AEREL": events["attribution"], "AESER": _flag(events["serious"] == "yes"), "ASTDY": day}
    return pd.DataFrame(columns | {"AEVERS": events["ctcae_version"]})


def _adlb(analysis: Analysis) -> pd.DataFrame:
    course = ctc_course(analysis.study)
    codes = {"CTC": "ctc", "CTCEVAL": "n_evaluable", "CTCAMP": "n_amplified"}
    columns = {"USUBJID": course["patient_id"], "VISIT": course["visit"], "ADY": course["day"]}
    made = [pd.DataFrame(columns | {"PARAMCD": code, "AVAL": course[name]}) for code, name in codes.items()]
    whole = pd.concat(made, ignore_index=True)
    return whole.loc[whole["AVAL"].notna(), list(DEFINE["adlb"])].reset_index(drop=True)


def _flag(values: pd.Series) -> pd.Series:
    return values.map({True: "Y", False: "N"})
