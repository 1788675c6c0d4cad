"""Every table's row, declared once: check, Parquet and CSV, SQL and data dictionary come from here."""

from __future__ import annotations

from ctcfish.schema import Column, Table, concatenate

__all__ = [
    "CELLS",
    "CLUSTERS",
    "FAILURES",
    "HETEROGENEITY",
    "IF_CELLS",
    "PATIENTS",
    "POWER",
    "SENSITIVITY",
    "SLIDES",
    "SPOTS",
    "STUDY_MEASURES",
    "Column",
    "Table",
    "concatenate",
]

CALLS = ("amplified", "not_amplified", "not_evaluable")
KINDS = ("ctc", "wbc", "other", "unknown")
STATUSES = ("counted", "doublet", "vetoed", "outside", "ambiguous")

_CELL_KEYS = (
    Column(
        "cell_id",
        "text",
        "The one key of a cell: slide/scene/label, or slide/if_scene/if:LABEL for a CTC not found again.",
        required=True,
    ),
    Column("slide_id", "text", "The slide.", required=True),
)

CELLS = Table(
    "cells",
    ("cell_id",),
    (
        *_CELL_KEYS,
        Column("scene", "text", "FISH scene in which the nucleus lies; missing for a lost CTC."),
        Column("label", "integer", "Label of the nucleus in that scene; missing for a lost CTC."),
        Column("kind", "text", "What the cell is, by its IF markers.", required=True, choices=KINDS),
        Column("kind_probability", "real", "Probability of that kind; missing without IF."),
        Column("z_um", "real", "Focal plane of the nucleus.", "um"),
        Column("y_um", "real", "Nucleus centroid in the FISH scene, from the first pixel centre.", "um"),
        Column("x_um", "real", "Nucleus centroid in the FISH scene, from the first pixel centre.", "um"),
        Column("area_um2", "real", "Projected area of the nucleus.", "um2"),
        Column(
            "her2_count",
            "integer",
            "HER2 signals counted: isolated signals after the doublet rule plus cluster estimates.",
        ),
        Column("her2_low", "integer", "Lower end of the 95 % interval for HER2 copies."),
        Column("her2_high", "integer", "Upper end of the 95 % interval for HER2 copies."),
        Column("cep17_count", "integer", "CEP17 signals counted, by the same rules."),
        Column("cep17_low", "integer", "Lower end of the 95 % interval for CEP17 copies."),
        Column("cep17_high", "integer", "Upper end of the 95 % interval for CEP17 copies."),
        Column("ratio", "real", "HER2 count over CEP17 count, unrounded; missing where CEP17 is 0 or absent."),
        Column("call", "text", "Call by the run's preset.", required=True, choices=CALLS),
        Column("call_guarded", "text", "Call by the guarded rule (circe_guarded).", required=True, choices=CALLS),
        Column(
            "p_amplified", "real", "Probability that the countable ratio reaches the preset's cut, given what was seen."
        ),
        Column(
            "log10_bayes_factor",
            "real",
            "How much more likely the counts are if the true ratio reaches the cut than if not, in powers of ten.",
        ),
        Column("reason", "text", "Why the cell is not evaluable; empty otherwise."),
        Column("reason_guarded", "text", "Why the guarded call is not evaluable; empty otherwise."),
        Column("flags", "text", "Doubts about the cell, joined by |.", required=True),
        Column(
            "patterns",
            "text",
            "Patterns of its copies, joined by |, empty for none. polysomy: 3 or more CEP17 signals, no "
            "co-amplification (G2 too). monosomy: one CEP17 signal. co_amplification: 6 or more HER2 signals with 6 or "
            "more CEP17 signals or CEP17 in a cluster. compact_ or dispersed_amplification: ratio 2.2 or more with 4 "
            "or more HER2 signals, half of them in clusters of which the largest is compact (HSR-like), or not.",
        ),
        Column("her2_points", "integer", "HER2 signals resolved one by one, before cluster estimates."),
        Column("her2_in_clusters", "integer", "HER2 copies estimated in unresolved clusters."),
        Column(
            "her2_compact",
            "boolean",
            "Whether its largest HER2 cluster is compact: root mean square radius under three Gaussian widths of a "
            "signal; missing without a cluster.",
        ),
        Column("cep17_points", "integer", "CEP17 signals resolved one by one."),
        Column("cep17_in_clusters", "integer", "CEP17 copies estimated in unresolved clusters."),
        Column("thickness_um", "real", "Axial extent of the nucleus; missing for a single plane.", "um"),
        Column("focus", "real", "Focus score of the nucleus, 0 to 1."),
        Column("her2_protein", "real", "HER2 protein, in leukocyte standard deviations above the slide's leukocytes."),
        Column("her2_protein_class", "text", "HER2 protein class.", choices=("negative", "medium", "high")),
        Column("if_scene", "text", "IF scene in which the cell was seen."),
        Column("if_label", "integer", "Label of the cell in that IF scene."),
        Column("if_y_um", "real", "Centroid in the IF scene.", "um"),
        Column("if_x_um", "real", "Centroid in the IF scene.", "um"),
        Column(
            "relocation_residual_um",
            "real",
            "Distance between where the IF cell should lie in FISH and where it was found.",
            "um",
        ),
        Column("relocation_probability", "real", "Probability that it is the same cell."),
    ),
)

SPOTS = Table(
    "spots",
    ("slide_id", "scene", "spot_id"),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("scene", "text", "FISH scene.", required=True),
        Column("spot_id", "integer", "Number of the signal in its scene.", required=True),
        Column("cell_id", "text", "Cell in which the signal lies; missing outside every nucleus."),
        Column("label", "integer", "Label of that nucleus; 0 outside every nucleus.", required=True),
        Column("probe", "text", "Which probe.", required=True, choices=("HER2", "CEP17")),
        Column("z_um", "real", "Position from the first pixel centre.", "um", required=True),
        Column("y_um", "real", "Position from the first pixel centre.", "um", required=True),
        Column("x_um", "real", "Position from the first pixel centre.", "um", required=True),
        Column("photons", "real", "Fitted brightness of the signal, summed over its image.", "photons"),
        Column("background", "real", "Fitted background under the signal.", "photons per pixel"),
        Column("sigma_um", "real", "Fitted lateral Gaussian width.", "um"),
        Column("snr", "real", "Response of the matched filter over its noise."),
        Column("probability", "real", "Probability that the signal is a real one of this probe."),
        Column("cluster", "integer", "Number of the cluster it lies in; 0 for none.", required=True),
        Column("status", "text", "What became of the signal.", required=True, choices=STATUSES),
        Column("flags", "text", "Doubts about the signal, joined by |.", required=True),
    ),
)

IF_CELLS = Table(
    "if_cells",
    ("slide_id", "if_scene", "if_label"),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("if_scene", "text", "IF scene.", required=True),
        Column("if_label", "integer", "Label of the nucleus in that scene.", required=True),
        Column("if_y_um", "real", "Nucleus centroid from the first pixel centre.", "um", required=True),
        Column("if_x_um", "real", "Nucleus centroid from the first pixel centre.", "um", required=True),
        Column("area_um2", "real", "Area of the nucleus.", "um2", required=True),
        Column("kind", "text", "What the cell is, by its markers.", required=True, choices=KINDS),
        Column("kind_probability", "real", "Probability of that kind."),
        Column("chosen", "boolean", "Chosen as CTC by a reader (ctc.csv)."),
        Column("her2_protein", "real", "HER2 protein, in leukocyte standard deviations above the slide's leukocytes."),
        Column("her2_protein_class", "text", "HER2 protein class.", choices=("negative", "medium", "high")),
        Column("flags", "text", "Doubts about the cell, joined by |.", required=True),
    ),
)

SLIDES = Table(
    "slides",
    ("slide_id",),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("patient_id", "text", "The patient; the slide itself where none was given.", required=True),
        Column("visit", "text", "The visit, as the sheet names it."),
        Column("preset", "text", "Rule by which cells were called.", required=True),
        Column("n_nuclei", "integer", "Nuclei found in the FISH scan.", required=True),
        Column("n_ctc", "integer", "CTC, lost ones included; missing without a trusted IF scan."),
        Column("ctc_per_7_5_ml", "real", "CTC per 7.5 mL of blood; missing where the sheet gives no blood volume."),
        Column("n_lost", "integer", "CTC seen in IF and not found again in FISH."),
        Column("n_evaluable", "integer", "CTC called amplified or not amplified."),
        Column("n_amplified", "integer", "Amplified CTC."),
        Column("n_amplified_guarded", "integer", "CTC amplified by the guarded rule."),
        Column("n_uncertain", "integer", "CTC that pass the hard rule and fail the guard."),
        Column("n_polysomy", "integer", "Evaluable CTC with polysomy, as `patterns` of cells defines it."),
        Column("n_monosomy", "integer", "Evaluable CTC with monosomy."),
        Column("n_co_amplification", "integer", "Evaluable CTC with co-amplification of HER2 and CEP17."),
        Column("n_compact_amplification", "integer", "Evaluable CTC with compact amplification."),
        Column("n_dispersed_amplification", "integer", "Evaluable CTC with dispersed amplification."),
        Column("n_leukocytes", "integer", "Leukocytes found again in FISH."),
        Column(
            "n_unknown_amplified", "integer", "Nuclei of unknown kind called amplified; they make no patient eligible."
        ),
        Column("her2_total", "integer", "HER2 signals of all evaluable CTC."),
        Column("cep17_total", "integer", "CEP17 signals of all evaluable CTC."),
        Column("ratio_of_totals", "real", "Total HER2 over total CEP17 of the evaluable CTC."),
        Column("mean_of_ratios", "real", "Mean of the evaluable CTCs' ratios."),
        Column("specimen_class", "text", "Class of the specimen by the preset's scheme; descriptive on CTC."),
        Column(
            "false_amplified_per_cell",
            "real",
            "Probability that a diploid 2/2 cell is called amplified, by this slide's error rates and false clusters.",
        ),
        Column(
            "technical_code",
            "text",
            "First step that failed: S0 no or late tube, S1 enumeration, S3 FISH not attempted, S4 hybridisation, "
            "S5 no evaluable CTC, RELOCATION; S2, no CTC, is a valid result.",
            choices=("S0", "S1", "S2", "S3", "S4", "S5", "RELOCATION"),
        ),
        Column("replicate_of", "text", "Slide that this one repeats; it adds nothing to its patient."),
        Column("control", "text", "Control material on the slide; it is no patient's."),
        Column("operator", "text", "Who did it, as the sheet names it."),
        Column("scanner", "text", "Microscope, as the sheet names it."),
        Column("probe_lot", "text", "Lot of the probes, as the sheet names it."),
        Column("site", "text", "Laboratory, as the sheet names it."),
        Column("day", "text", "Day of the run, as the sheet names it."),
        Column("run", "text", "Run within the day, as the sheet names it."),
        Column("flags", "text", "Doubts about the slide, joined by |.", required=True),
    ),
)

PATIENTS = Table(
    "patients",
    ("patient_id",),
    (
        Column("patient_id", "text", "The patient.", required=True),
        Column("n_slides", "integer", "Slides scored.", required=True),
        Column("n_ctc", "integer", "CTC on them; missing where no slide had a trusted IF scan."),
        Column("n_evaluable", "integer", "CTC called amplified or not amplified."),
        Column("n_amplified", "integer", "Amplified CTC."),
        Column("n_amplified_guarded", "integer", "CTC amplified by the guarded rule."),
        Column(
            "eligible",
            "text",
            "By the preset's rule for patients.",
            required=True,
            choices=("yes", "no", "not_evaluable"),
        ),
        Column(
            "eligible_guarded",
            "text",
            "The same with the guarded calls.",
            required=True,
            choices=("yes", "no", "not_evaluable"),
        ),
        Column("cohort", "text", "LOW: 1 or 2 amplified CTC; HIGH: 3 or more.", choices=("LOW", "HIGH")),
        Column("fraction", "real", "Amplified CTC over evaluable CTC."),
        Column("fraction_low", "real", "Lower end of its exact 95 % interval (Clopper-Pearson)."),
        Column("fraction_high", "real", "Upper end of its exact 95 % interval (Clopper-Pearson)."),
        Column(
            "fraction_upper_bound",
            "real",
            "One-sided 95 % upper bound of the amplified share behind a negative result.",
        ),
        Column("fraction_corrected", "real", "Amplified share corrected for the cells' error rates (Rogan-Gladen)."),
        Column("fraction_corrected_low", "real", "Lower end of its 95 % interval."),
        Column("fraction_corrected_high", "real", "Upper end of its 95 % interval."),
        Column(
            "p_positive_by_error",
            "real",
            "Probability that error alone makes as many evaluable CTC amplified as the rule for patients asks for.",
        ),
        Column(
            "p_any_amplified",
            "real",
            "Probability that at least one of the evaluable CTC is truly amplified, given the counts of all of them.",
        ),
        Column(
            "controlled_cut",
            "real",
            "Posterior that a cell must reach so that a patient with as many CTC is falsely positive in at most 5 %, "
            "even if CTC err twice as often as leukocytes.",
        ),
        Column("n_amplified_controlled", "integer", "Amplified CTC that also reach the controlled cut."),
        Column(
            "eligible_controlled",
            "text",
            "Eligibility by the calls that also reach the controlled cut.",
            choices=("yes", "no", "not_evaluable"),
        ),
        Column(
            "sensitivity_controlled", "real", "Probability that a truly amplified CTC is called at the controlled cut."
        ),
        Column(
            "ctc_needed",
            "integer",
            "CTC to see at least one amplified with 95 % if the share of interest of them were amplified.",
        ),
        Column(
            "cap_2009",
            "text",
            "Category of CAP 2009 by the share of CTC above 2.2: under 5 %, from 5 to under 50 %, 50 % or more.",
            choices=("not_amplified", "heterogeneous", "amplified"),
        ),
        Column("heterogeneous", "boolean", "Some evaluable CTC are amplified and some are not."),
        Column("note", "text", "What a reader must know of this row."),
    ),
)

HETEROGENEITY = Table(
    "heterogeneity",
    ("patient_id", "metric"),
    (
        Column("patient_id", "text", "The patient.", required=True),
        Column("metric", "text", "Which metric.", required=True),
        Column("value", "real", "Its value; missing where withheld."),
        Column("low", "real", "Lower end of its 95 % interval; missing where `method` says that it is withheld."),
        Column("high", "real", "Upper end of its 95 % interval."),
        Column(
            "method",
            "text",
            "How the interval was made, or why value or interval is withheld: that of the entropy (Hill 1) under 50 "
            "cells, of a spread under 100, of both where fewer than 4 kinds of cells were seen, of a spread also where "
            "cells stand at two ends.",
            required=True,
        ),
        Column("n_cells", "integer", "Evaluable CTC behind it.", required=True),
        Column("n_needed", "integer", "Fewest evaluable CTC for which it is given.", required=True),
    ),
)

SENSITIVITY = Table(
    "sensitivity",
    ("patient_id", "rule"),
    (
        Column("patient_id", "text", "The patient.", required=True),
        Column("rule", "text", "Preset or threshold by which all cells were called again.", required=True),
        Column("n_ctc", "integer", "CTC.", required=True),
        Column("n_evaluable", "integer", "CTC called amplified or not amplified by this rule.", required=True),
        Column("n_amplified", "integer", "CTC amplified (positive) by this rule.", required=True),
        Column("eligible", "text", "By this rule.", required=True, choices=("yes", "no", "not_evaluable")),
    ),
)

STUDY_MEASURES = Table(
    "study_measures",
    ("measure", "rule"),
    (
        Column(
            "measure",
            "text",
            "eligible_share and heterogeneous_share of patients; amplified_share of CTC, resampled by patient; "
            "amplified_share_rho, correlation within patients (beta-binomial); log_..._icc, intraclass correlation.",
            required=True,
        ),
        Column(
            "rule",
            "text",
            "Preset or threshold by which CTC were called; counts where calls play no part.",
            required=True,
        ),
        Column("value", "real", "Its value; missing where withheld or undefined."),
        Column("low", "real", "Lower end of its 95 % interval."),
        Column("high", "real", "Upper end of its 95 % interval."),
        Column("numerator", "integer", "What was counted, where the measure is a share."),
        Column("denominator", "integer", "Size of the population.", required=True),
        Column("population", "text", "Whom the denominator counts.", required=True),
        Column("method", "text", "How the interval was made, or why it is withheld.", required=True),
    ),
)

POWER = Table(
    "power",
    ("rule", "n_ctc", "share"),
    (
        Column("rule", "text", "The hard rule or its guarded form.", required=True, choices=("hard", "guarded")),
        Column("n_ctc", "integer", "Evaluable CTC of the patient.", required=True),
        Column("share", "real", "True share of amplified CTC.", required=True),
        Column("power", "real", "Probability that at least one CTC is called amplified.", required=True),
        Column("sensitivity_per_cell", "real", "Probability that a truly amplified CTC is called."),
        Column("false_call_per_cell", "real", "Probability that a CTC below the cut is called."),
        Column("positive_by_error", "real", "Probability that a patient without amplified CTC is positive."),
        Column("limit_of_blank", "integer", "Called CTC that a patient without amplified ones shows in at most 5 %."),
        Column("limit_of_detection", "real", "Smallest share found above the limit of blank with 95 %."),
    ),
)

FAILURES = Table(
    "failures",
    ("slide_id",),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("cause", "text", "What went wrong, as a kind of error.", required=True),
        Column("message", "text", "What was found, what was needed, and what to do.", required=True),
    ),
)

CLUSTERS = Table(
    "clusters",
    ("slide_id", "scene", "probe", "cluster"),
    (
        Column("slide_id", "text", "The slide.", required=True),
        Column("scene", "text", "FISH scene.", required=True),
        Column("probe", "text", "Which probe.", required=True, choices=("HER2", "CEP17")),
        Column("cluster", "integer", "Number of the cluster in its scene, from 1.", required=True),
        Column("label", "integer", "Nucleus in which it lies.", required=True),
        Column("copies", "integer", "Estimated number of signals.", required=True),
        Column("copies_low", "integer", "Lower end of the 95 % interval.", required=True),
        Column("copies_high", "integer", "Upper end of the 95 % interval; missing where only a lower bound is known."),
        Column("photons", "real", "Integrated brightness.", "photons"),
        Column("compact", "boolean", "Compact (HSR-like) rather than dispersed."),
    ),
)
