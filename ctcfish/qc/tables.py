"""Tables of the laboratory's quality control, declared once."""

from __future__ import annotations

from ctcfish.schema import Column, Table

RELATIONS = ("first", "same_image", "rescan", "other_slide", "reader")

_READING = (
    Column("group", "text", "Slide that is repeated.", required=True),
    Column("patient_id", "text", "The patient.", required=True),
    Column("reading", "text", "Name of the reading: run and slide, or the reader.", required=True),
    Column(
        "relation",
        "text",
        "How the reading repeats the first one: same_image (equal bytes), rescan (same nuclei found again), "
        "other_slide (other nuclei), reader (a person).",
        required=True,
        choices=RELATIONS,
    ),
)

_FACTORS = tuple(
    Column(name, "text", f"{name}, as the sheet names it.".replace("_", " "))
    for name in ("site", "operator", "scanner", "probe_lot", "day", "run")
)

READINGS = Table(
    "readings",
    ("group", "item", "reading"),
    (
        *_READING,
        Column("item", "text", "The cell, by its key in the first reading.", required=True),
        Column("cell_id", "text", "Its key in this reading.", required=True),
        Column("kind", "text", "What the cell is, by the first reading's markers.", required=True),
        Column("her2", "integer", "HER2 signals."),
        Column("cep17", "integer", "CEP17 signals."),
        Column("ratio", "real", "HER2 over CEP17; missing where CEP17 is 0 or absent."),
        Column("call", "text", "Call.", required=True),
        Column("residual_um", "real", "Distance between where the cell should lie and where it was found.", "um"),
    ),
)

MATCHING = Table(
    "matching",
    ("group", "reading"),
    (
        *_READING,
        *_FACTORS,
        Column("n_first", "integer", "Nuclei of the first reading.", required=True),
        Column("n_here", "integer", "Nuclei of this reading.", required=True),
        Column("n_matched", "integer", "Nuclei of the first reading found again.", required=True),
        Column("identical", "boolean", "Whether tables are equal to the byte; missing unless images are."),
        Column("evidence", "text", "Why the two are taken for the same slide, or not.", required=True),
    ),
)

STATISTICS = Table(
    "statistics",
    ("level", "relation", "population", "stratum", "quantity", "statistic"),
    (
        Column("level", "text", "What is compared.", required=True, choices=("cell", "slide", "patient")),
        Column("relation", "text", "How the readings repeat each other.", required=True),
        Column("population", "text", "Whom the items are.", required=True),
        Column("stratum", "text", "all, near (one signal more or less changes the call) or far.", required=True),
        Column("quantity", "text", "What is compared.", required=True),
        Column("statistic", "text", "By which figure.", required=True),
        Column("value", "real", "The figure; missing where the data cannot say."),
        Column("low", "real", "Lower end of its 95 % interval."),
        Column("high", "real", "Upper end of its 95 % interval."),
        Column("method", "text", "How the interval was made.", required=True),
        Column("numerator", "integer", "Of a share: items counted."),
        Column("n_items", "integer", "Items read at least twice: the denominator of a share.", required=True),
        Column("n_units", "integer", "Independent units that were resampled.", required=True),
        Column("unit", "text", "What these units are.", required=True, choices=("patient", "cell", "slide")),
    ),
)

SLIDE_VALUES = Table(
    "slide_values",
    ("group", "reading", "population", "quantity"),
    (
        *_READING,
        *_FACTORS,
        Column("population", "text", "Which nuclei.", required=True),
        Column("quantity", "text", "What.", required=True),
        Column("value", "real", "Its value."),
        Column("n_cells", "integer", "Nuclei behind it.", required=True),
    ),
)

PRECISION = Table(
    "precision",
    ("group", "relation", "population", "quantity", "component"),
    (
        Column("group", "text", "Slide that is repeated.", required=True),
        Column("relation", "text", "rescan, or other_slide where slides of one sample differ.", required=True),
        Column("population", "text", "Which nuclei.", required=True),
        Column("quantity", "text", "What.", required=True),
        Column("component", "text", "Level of the layout, repeatability or total.", required=True),
        Column("mean", "real", "Mean of all readings."),
        Column("sd", "real", "Standard deviation of the component."),
        Column("low", "real", "Lower end of its 95 % interval."),
        Column("high", "real", "Upper end of its 95 % interval."),
        Column("cv_percent", "real", "Standard deviation in per cent of the mean.", "per cent"),
        Column("cv_high_percent", "real", "Upper end of its 95 % interval.", "per cent"),
        Column("limit_percent", "real", "Largest coefficient of variation the laboratory accepts.", "per cent"),
        Column(
            "verification_percent",
            "real",
            "Up to this a measured coefficient still agrees with the limit, by chance alone (CLSI EP15, 5 %).",
            "per cent",
        ),
        Column("passed", "boolean", "Whether the coefficient of variation is within the limit."),
        Column("n_readings", "integer", "Readings.", required=True),
        Column("layout", "text", "Levels of the study, outermost first, with their sizes.", required=True),
        Column("method", "text", "How the interval was made.", required=True),
    ),
)

CONTROLS = Table(
    "controls",
    ("material", "quantity", "run", "slide_id"),
    (
        Column("material", "text", "Control material; `leukocytes` are those on a patient's slide.", required=True),
        Column("quantity", "text", "What was measured.", required=True),
        Column("value", "real", "Result.", required=True),
        Column("numerator", "integer", "Of a share: cells counted."),
        Column("denominator", "integer", "Of a share: cells looked at."),
        Column("run", "text", "Run that measured it.", required=True),
        Column("slide_id", "text", "Slide it was measured on.", required=True),
        Column("day", "text", "Day, a number or an ISO date."),
        Column("probe_lot", "text", "Lot of the probes."),
        Column("scanner", "text", "Microscope."),
        Column("operator", "text", "Who did it."),
        Column("site", "text", "Laboratory."),
    ),
)

BROKEN = Table(
    "broken_rules",
    ("material", "quantity", "rule", "run", "slide_id"),
    (
        Column("material", "text", "Control material.", required=True),
        Column("quantity", "text", "What was measured.", required=True),
        Column("rule", "text", "Rule that is broken.", required=True),
        Column("warning", "boolean", "Whether it only warns.", required=True),
        Column("run", "text", "Run whose result breaks it.", required=True),
        Column("slide_id", "text", "Slide of that result.", required=True),
        Column("value", "real", "The result.", required=True),
        Column("z", "real", "The result in standard deviations from the target."),
        Column("involved", "text", "Runs whose results took part, joined by |.", required=True),
    ),
)

CHARTS = Table(
    "charts",
    ("material", "quantity"),
    (
        Column("material", "text", "Control material.", required=True),
        Column("quantity", "text", "What is charted.", required=True),
        Column("n", "integer", "Results.", required=True),
        Column("target", "real", "Target; missing while there are too few results."),
        Column("spread", "real", "Standard deviation around it."),
        Column("origin", "text", "Where target and spread come from.", required=True),
        Column("last", "real", "Newest result."),
        Column("last_z", "real", "Newest result in standard deviations from the target."),
        Column("cusum_signals", "integer", "Results at which the cumulative sum passes its limit."),
        Column("ewma_signals", "integer", "Results at which the moving average passes its limit."),
        Column("cut_off", "real", "Of a share of false calls: upper bound from all normal cells so far."),
    ),
)

STEPS = Table(
    "steps",
    ("step",),
    (
        Column("step", "text", "Step of the way from sample to evaluable CTC.", required=True),
        Column("code", "text", "Code of its failure."),
        Column("population", "text", "Whom the denominator counts.", required=True),
        Column("reached", "integer", "Denominator: samples that reached the step.", required=True),
        Column("failed", "integer", "Numerator: samples that failed at it.", required=True),
        Column("share", "real", "Failed over reached."),
        Column("low", "real", "Lower end of the exact 95 % interval."),
        Column("high", "real", "Upper end of the exact 95 % interval."),
        Column("passed", "integer", "Samples that go on.", required=True),
    ),
)

REASONS = Table(
    "reasons",
    ("level", "factor", "value", "reason"),
    (
        Column("level", "text", "Whose failure.", required=True, choices=("sample", "CTC")),
        Column("factor", "text", "all, operator, scanner or probe_lot.", required=True),
        Column("value", "text", "Its value; `not stated` where the sheet has none.", required=True),
        Column("reason", "text", "Code of the failure.", required=True),
        Column("population", "text", "Whom the denominator counts.", required=True),
        Column("failed", "integer", "Numerator.", required=True),
        Column("reached", "integer", "Denominator.", required=True),
        Column("share", "real", "Failed over reached."),
        Column("cumulative", "real", "Share of all failures of this value, the commonest reason first."),
    ),
)

CHECKS = Table(
    "checks",
    ("slide_id", "scene", "check", "about"),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("scene", "text", "FISH scene.", required=True),
        Column("check", "text", "What is checked.", required=True),
        Column("value", "real", "The figure behind the light."),
        Column("light", "text", "green, amber or red; empty without a limit.", required=True),
        Column("green", "real", "As good as this is green."),
        Column("red", "real", "As bad as this is red."),
        Column("about", "text", "What the figure is of.", required=True),
    ),
)
