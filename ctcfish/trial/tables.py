"""Clinical tables in tidy form: one row a patient, a visit, a lesion at an assessment, a sample, an event."""

from __future__ import annotations

from ctcfish.schema import Column, Table

DATE = "YYYY-MM-DD"
"""Unit of a date column; dates may be shifted by a constant per patient, only their differences are used."""

YES_NO = ("yes", "no")

_PATIENT = Column("patient_id", "text", "Pseudonymous key of the patient, as in the run.", required=True)


def _date(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, "text", meaning, DATE, required=required)


PATIENTS = Table(
    "patients",
    ("patient_id",),
    (
        _PATIENT,
        _date("screening_date", "Day of screening.", required=True),
        Column("blood_drawn", "text", "Whether blood was drawn.", required=True, choices=YES_NO),
        Column("treated", "text", "Whether at least one dose was given.", required=True, choices=YES_NO),
        _date("first_dose_date", "Day of the first dose; only where treated."),
        Column("age_years", "integer", "Age at screening.", "years"),
        Column("er_status", "text", "Oestrogen receptor of the tumour.", choices=("positive", "negative")),
        Column("visceral", "text", "Visceral metastases.", choices=YES_NO),
        Column("metastatic_sites", "integer", "Number of metastatic sites."),
        Column("prior_lines", "integer", "Earlier lines of therapy for metastatic disease."),
        Column("ecog", "integer", "ECOG performance status."),
        Column("not_treated_reason", "text", "Why an eligible patient was not treated."),
    ),
)

VISITS = Table(
    "visits",
    ("patient_id", "visit"),
    (
        _PATIENT,
        Column("visit", "text", "Name of the visit, as in the study sheet of the run.", required=True),
        _date("visit_date", "Day of the visit.", required=True),
        Column("ctc_per_7_5_ml", "integer", "CTC enumerated in 7.5 mL of blood; missing where it failed."),
        Column(
            "sample_status",
            "text",
            "What became of the sample; missing reads as ok.",
            choices=("ok", "no_tube", "late_tube", "enumeration_failed", "not_attempted"),
        ),
    ),
)

TUMOURS = Table(
    "tumours",
    ("patient_id", "assessment_date", "lesion_id"),
    (
        _PATIENT,
        _date("assessment_date", "Day of the assessment; the last one up to the first dose is the baseline.", True),
        Column("lesion_id", "text", "Name of the lesion, the same at every assessment.", required=True),
        Column("role", "text", "What the lesion is.", required=True, choices=("target", "non_target", "new")),
        Column("organ", "text", "Organ in which it lies.", required=True),
        Column("node", "text", "Lymph node, measured by its short axis.", required=True, choices=YES_NO),
        Column("diameter", "real", "Longest diameter, of a node the short axis; targets only."),
        Column("unit", "text", "Unit of the diameter.", choices=("mm", "cm")),
        Column(
            "status",
            "text",
            "Without a diameter: absent, present, too small to measure, unequivocal progression, or not evaluable.",
            choices=("absent", "present", "too_small", "progression", "not_evaluable"),
        ),
    ),
)

CTDNA = Table(
    "ctdna",
    ("patient_id", "sample_date", "marker"),
    (
        _PATIENT,
        _date("sample_date", "Day of the sample.", required=True),
        Column("visit", "text", "Name of the visit."),
        Column("marker", "text", "What was measured, for instance a mutation.", required=True),
        Column("value", "real", "Measured value; 0 where not detected.", required=True),
        Column("unit", "text", "Unit of the value.", required=True, choices=("percent", "copies_per_ml", "ng_per_ml")),
    ),
)

ADVERSE_EVENTS = Table(
    "adverse_events",
    ("patient_id", "onset_date", "term"),
    (
        _PATIENT,
        _date("onset_date", "First day of the event.", required=True),
        Column("term", "text", "CTCAE term.", required=True),
        Column("grade", "integer", "CTCAE grade, 1 to 5.", required=True),
        Column(
            "attribution",
            "text",
            "Relation to the treatment.",
            required=True,
            choices=("unrelated", "unlikely", "possible", "probable", "definite"),
        ),
        Column("ctcae_version", "text", "Version of CTCAE.", required=True, choices=("3.0", "4.0", "4.03", "5.0")),
        Column("serious", "text", "Serious adverse event.", choices=YES_NO),
    ),
)

SURVIVAL = Table(
    "survival",
    ("patient_id",),
    (
        _PATIENT,
        Column("status", "text", "At the last contact.", required=True, choices=("alive", "dead")),
        _date("last_contact_date", "Last day on which the status was known.", required=True),
        _date("death_date", "Day of death; only where dead."),
        _date("progression_date", "Day of clinical progression without imaging, where there was one."),
        _date("new_therapy_date", "First day of another antitumour therapy."),
    ),
)

CLINICAL = (PATIENTS, VISITS, TUMOURS, CTDNA, ADVERSE_EVENTS, SURVIVAL)

RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("patients", "age_years"): (18, 110),
    ("patients", "metastatic_sites"): (0, 30),
    ("patients", "prior_lines"): (0, 30),
    ("patients", "ecog"): (0, 4),
    ("visits", "ctc_per_7_5_ml"): (0, 1_000_000),
    ("tumours", "diameter"): (0, 500),
    ("ctdna", "value"): (0, 1e9),
    ("adverse_events", "grade"): (1, 5),
}
"""Smallest and largest value of number columns."""

REPRODUCIBILITY = Table(
    "statistics",
    (),
    (
        Column("level", "text", "What is compared.", required=True),
        Column("relation", "text", "How the readings repeat each other.", required=True),
        Column("population", "text", "Whom the items are.", required=True),
        Column("stratum", "text", "all, or a part of the items.", required=True),
        Column("quantity", "text", "What is compared.", required=True),
        Column("statistic", "text", "By which figure.", required=True),
        Column("value", "real", "The figure; missing where the data cannot say."),
        Column("low", "real", "Lower end of its 95 % interval."),
        Column("high", "real", "Upper end of its 95 % interval."),
        Column("method", "text", "How the interval was made.", required=True),
        Column("n_items", "integer", "Items read at least twice.", required=True),
    ),
)
"""``statistics.csv`` of a reproducibility study, as the laboratory's quality control leaves it; only read here."""
