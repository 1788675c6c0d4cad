"""The trial's report: a page of sections from an analysis, for HTML and PDF."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import jinja2
import pandas as pd
from matplotlib.axes import Axes

from ctcfish.report import trial_plots as draw
from ctcfish.report.qc_page import CHARACTER, NOTICE, Grid, Page, Plot, Section
from ctcfish.report.trial_checklists import LISTS, filled
from ctcfish.stats.proportions import Proportion
from ctcfish.trial.analysis import Analysis
from ctcfish.trial.characteristics import characteristics
from ctcfish.trial.dynamics import amplified_pairs, ctc_course, ctc_pairs, ctdna_pairs
from ctcfish.trial.efficacy import curve_of, interval_curve
from ctcfish.trial.endpoints import ENDPOINTS
from ctcfish.trial.finding import Finding
from ctcfish.trial.subjects import Study
from ctcfish.trial.toxicity import worst_grades

SUMMARY = (
    "response_all",
    "disease_control",
    "pfs_median",
    "os_median",
    "detected_of_with_at_least_one_ctc",
    "detected_guarded",
    "heterogeneous",
    "failed_fish",
    "ctc_ratio",
    "toxicity_severe",
)
"""Figures that stand on the first page."""

HEADER = ("figure", "k/n", "value", "interval", "p", "p adj.", "population", "role", "see")


def trial_page(analysis: Analysis, plots: Mapping[str, list[Plot]]) -> Page:
    """Return the report's page.

    Parameters
    ----------
    analysis : Analysis
    plots : mapping of str to list of Plot
        :func:`plots_of` the analysis.
    """
    protocol = analysis.study.protocol
    sections = [
        _summary(analysis),
        _flow(analysis, plots["flow"]),
        _characteristics(analysis),
        *(_endpoint(analysis, key, plots[about.figure]) for key, about in ENDPOINTS.items()),
        *_designs(analysis),
        _operating(analysis),
        *_sensitivity(analysis),
        *_checklists(analysis),
    ]
    origin = f"Protocol {protocol.name}, version {protocol.version} ({protocol.source}). Computed from tables alone."
    return Page(f"Trial: {protocol.name}", origin, tuple(sections))


def plots_of(analysis: Analysis) -> dict[str, list[Plot]]:
    """Return the pictures of every endpoint by the name its table gives."""
    study = analysis.study
    treated = study.treated
    some = "responder" in treated and len(treated) > 0
    responders = treated.loc[treated["responder"], "patient_id"].tolist() if some else []
    positive = study.subjects[study.subjects["positive"]]
    by = {key: [f for f in analysis.findings if f.label.endpoint == key] for key in ENDPOINTS}
    made: dict[str, list[Plot]] = {name: [] for name in ("waterfall", "spider", "km_pfs", "km_os", "efficacy")}
    made["flow"] = [_plot("Flow of patients", lambda a: draw.flow(a, analysis.steps), 5.9)]
    if some:
        responses = [
            _plot("Response, exact intervals", lambda a: draw.forest(a, by["response"]), _tall(by["response"]))
        ]
        made["waterfall"] = [
            _named("Best change of the sum of diameters", lambda a: draw.waterfall(a, treated), treated)
        ]
        made["waterfall"] += responses
        made["spider"] = [
            _plot("Sum of diameters over time", lambda a: draw.spider(a, study.assessments, responders), 3.0)
        ]
        pfs, between, os = curve_of(study, "pfs"), interval_curve(study), curve_of(study, "os")
        title = "Progression-free survival: Kaplan-Meier, dotted log(-log) limits; dashed: between assessments"
        made["km_pfs"] = [_plot(title, lambda a: draw.kaplan_meier(a, pfs, between), 3.6)]
        title = "Overall survival: Kaplan-Meier with log(-log) limits"
        made["km_os"] = [_plot(title, lambda a: draw.kaplan_meier(a, os), 3.6)]
        known = treated[treated["fraction"].notna() & (treated["fraction"] > 0)]
        made["efficacy"] = [
            _plot("Progression-free time against amplification", lambda a: draw.efficacy(a, known), 3.2)
        ]
        ratios = [f for f in by["efficacy"] if "ratio" in f.unit]
        if _any(ratios):
            title = "Odds and hazards against amplification"
            made["efficacy"].append(_plot(title, lambda a: draw.ratios(a, ratios), _tall(ratios)))
    made["heterogeneity"] = [
        _named("Amplified share with exact intervals", lambda a: draw.shares(a, positive), positive)
    ]
    for key in ("detection", "failure", "reproducibility", "fish_if"):
        drawn = [f for f in by[key] if f.unit in ("share", "agreement")]
        percent = key in ("detection", "failure")
        made[ENDPOINTS[key].figure] = [_forest(ENDPOINTS[key].title, drawn, percent)] if _any(drawn) else []
    made["ctc_course"] = _courses(study, responders)
    dna = ctdna_pairs(study)
    unit = " or ".join(sorted(dna["unit"].unique()))
    made["ctdna"] = [_plot("ctDNA", lambda a: draw.pairs(a, dna, unit or "ctDNA", responders), 3.0)]
    worst = worst_grades(study)
    made["toxicity"] = [_plot("Adverse events", lambda a: draw.toxicity(a, worst), 1.3 + 0.3 * len(worst))]
    return made


def _courses(study: Study, responders: list[str]) -> list[Plot]:
    counts, course, amplified = ctc_pairs(study), ctc_course(study), amplified_pairs(study)
    fall = study.protocol.ctc_response.fall_percent
    plots = [
        _named(f"Change of the CTC number (line: fall of {fall:g} %)", lambda a: draw.changes(a, counts, fall), counts),
        _plot("CTC number over time", lambda a: draw.course(a, course, responders), 3.0),
    ]
    if len(amplified):
        unit = "amplified CTC"
        plots.append(_plot("Amplified CTC on the slides", lambda a: draw.pairs(a, amplified, unit, responders), 2.6))
    return plots


def to_html(page: Page, svg: Callable[[Plot], str] = Plot.svg) -> str:
    """Self-contained HTML with the pictures as SVG.

    Parameters
    ----------
    page : Page
    svg : callable
        Gives the picture of a plot; whoever needs pictures elsewhere too draws them once.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ctcfish.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("trial.html.j2").render(page=page, notice=NOTICE, svg=svg)


def _plot(title: str, drawing: Callable[[Axes], None], height: float) -> Plot:
    return Plot(title, drawing, height)


def _named(title: str, drawing: Callable[[Axes], None], patients: pd.DataFrame) -> Plot:
    """A plot with the patients' keys upright below it, and the room they take."""
    room = CHARACTER * max(map(len, patients["patient_id"]), default=0)
    return Plot(title, drawing, 3.0 + room, below_inch=0.45 + room)


def _forest(title: str, findings: list[Finding], percent: bool) -> Plot:
    return Plot(title, lambda a: draw.forest(a, findings, percent), _tall(findings))


def _tall(findings: list[Finding]) -> float:
    return 1.2 + 0.27 * len(findings)


def _any(findings: Iterable[Finding]) -> bool:
    return any(f.estimate.is_defined for f in findings)


def _summary(analysis: Analysis) -> Section:
    protocol = analysis.study.protocol
    rows = []
    for key in SUMMARY:
        rows += [(*_row(f, [])[:4], f.population) for f in analysis.findings if f.label.key == key]
    told = "These parameters are illustrative, not the trial's: " + ", ".join(protocol.illustrative) + ". "
    text = told if protocol.illustrative else ""
    text += f"Figures of fewer than {protocol.exploratory.minimum_patients} patients or items are exploratory."
    grids = [Grid((*HEADER[:4], "population"), tuple(rows))]
    if analysis.deviations:
        grids.append(Grid(("What contradicts the flow",), tuple((d,) for d in analysis.deviations)))
    return Section("Summary", text, tuple(grids))


def _flow(analysis: Analysis, plots: list[Plot]) -> Section:
    rows = []
    for step in analysis.steps:
        s, why = step.share, "; ".join(f"{reason}: {n}" for reason, n in step.left)
        before = ("", "", "") if s is None else (f"{s.numerator}/{s.denominator} {s.population}", *_interval(s))
        rows.append((step.name, *before, why))
    first = analysis.steps[0]
    rows[0] = (first.name, f"{first.n}", *rows[0][2:])
    grids = [Grid(("population", "of those before", "share", "interval", "left"), tuple(rows))]
    if analysis.claims:
        tones = tuple("green" if c.agrees else "amber" if c.stated else "" for c in analysis.claims)
        told = tuple(c.parts() for c in analysis.claims)
        grids.append(Grid(("published", "in these data", "so"), told, tones))
    level = 100 * analysis.study.protocol.confidence
    text = f"Each population is a part of the one before it. Intervals: Clopper-Pearson, {level:g} %."
    return Section("Flow of patients", text, tuple(grids), tuple(plots))


def _interval(share: Proportion) -> tuple[str, str]:
    return value(share.value, "share"), span(share.low, share.high, "share")


def _characteristics(analysis: Analysis) -> Section:
    table = characteristics(analysis.study)
    sizes = table.drop_duplicates("population").set_index("population")["n"]
    rows = []
    for name, own in table.groupby("characteristic", sort=False):
        told = []
        for r in own.to_dict("records"):
            unknown = "" if r["known"] == r["n"] else f" (known of {r['known']})"
            number = "" if pd.isna(r["median"]) else f"{r['median']:g} ({r['least']:g} to {r['most']:g})"
            told.append((f"{int(r['count'])}/{r['known']}" if pd.notna(r["count"]) else number or "–") + unknown)
        rows.append((str(name), *told))
    header = ("characteristic", *(f"{name} (n = {n})" for name, n in sizes.items()))
    text = "Median (least to most), or patients of those in whom it is known. Nothing is imputed or tested."
    return Section("Characteristics of patients", text, (Grid(header, tuple(rows)),))


def _endpoint(analysis: Analysis, key: str, plots: list[Plot]) -> Section:
    about = ENDPOINTS[key]
    findings = [f for f in analysis.findings if f.label.endpoint == key]
    remarks = list(dict.fromkeys(text for f in findings for text in (f.estimate.method, f.note) if text))
    rows = tuple(_row(f, remarks) for f in findings)
    roles = {row[-2] for row in rows}
    if len(roles) == 1:  # one role for all stands in the text
        rows = tuple((*row[:-2], "", row[-1]) for row in rows)
    told = f"{(' or '.join(sorted(roles))).capitalize()}. Excluded: {about.excluded} Missing data: {about.missing}"
    notes = " ".join(f"[{number}] {text.rstrip('.')}." for number, text in enumerate(remarks, start=1))
    return Section(about.title, f"{told} {about.multiplicity} {notes}", (_compact(HEADER, rows),), tuple(plots))


def _compact(header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Grid:
    """A table without the columns that are empty in every row."""
    kept = [k for k in range(len(header)) if any(row[k] for row in rows)]
    return Grid(tuple(header[k] for k in kept), tuple(tuple(row[k] for k in kept) for row in rows))


def _row(f: Finding, remarks: list[str]) -> tuple[str, ...]:
    """A line of a table; ``remarks`` are the section's methods and notes, told by their numbers."""
    e = f.estimate
    count = f"{f.numerator}/{f.n}" if f.numerator is not None else str(f.n)
    see = " ".join(f"[{remarks.index(text) + 1}]" for text in (e.method, f.note) if text in remarks)
    role = f.role or ENDPOINTS[f.label.endpoint].role
    shown = (value(e.value, f.unit), span(e.low, e.high, f.unit), p_text(f.p_value), p_text(f.p_adjusted))
    return f.label.title, count, *shown, f.population, role, see


def value(number: float, unit: str) -> str:
    """Return a figure as it is printed: shares in per cent, what is not reached in words."""
    return f"{_digits(number, unit)}{_SUFFIX.get(unit, '')}" if math.isfinite(number) else _digits(number, unit)


def span(low: float, high: float, unit: str) -> str:
    """Return an interval as it is printed, its unit once; empty where there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    if math.isinf(low) and math.isinf(high):
        return "unbounded"
    first = value(low, unit) if math.isinf(high) else _digits(low, unit)
    return f"{first} to {value(high, unit)}"


_SUFFIX = {"share": " %", "months": " months", "percent": " percent", "CTC": " CTC"}


def _digits(number: float, unit: str) -> str:
    if math.isnan(number):
        return "–"
    if math.isinf(number):
        return "not reached"
    if unit == "share":
        return f"{100 * number:.1f}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def p_text(p: float) -> str:
    """Return a p-value as it is printed; empty where nothing is tested."""
    return "" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _designs(analysis: Analysis) -> list[Section]:
    sections = []
    for d in analysis.decisions:
        rows = []
        named = (("used here", d.plan.chosen), ("optimal", d.plan.optimal), ("minimax", d.plan.minimax))
        for name, f in (*named, *(("admissible", a) for a in d.plan.admissible)):
            s = f.design
            rows.append(
                (name, f"{s.r1}/{s.n1}", f"{s.r}/{s.n}", f"{f.expected:.1f}", f"{f.type_one:.4f}", f"{f.power:.4f}",
                 f"{f.stop_early:.3f}")
            )  # fmt: skip
        header = ("design", "stop r1/n1", "reject r/n", "expected n at p0", "alpha", "power", "stop early at p0")
        kind = "Illustrative rates, not the trial's. " if d.illustrative else ""
        asked = f"p0 = {d.design.p0:g}, p1 = {d.design.p1:g}, alpha = {d.design.alpha:g}, beta = {d.design.beta:g}."
        monitor = (
            f"Beside it, Beta({d.design.prior_a:g}, {d.design.prior_b:g}) prior: predictive probability of success "
            f"{d.predictive:.3f}, P(rate > p0) = {d.above_p0:.3f}."
        )
        plot = Plot(f"Designs of cohort {d.cohort}", lambda a, d=d: draw.designs(a, d), 2.8)  # type: ignore[misc]
        text = f"{kind}{asked} {d.state} {monitor} {d.plan.enumerated} pairs of n1 and n enumerated."
        sections.append(Section(f"Two-stage design, cohort {d.cohort}", text, (Grid(header, tuple(rows)),), (plot,)))
    return sections


def _operating(analysis: Analysis) -> Section:
    table = analysis.operating
    title = "Operating characteristics: what an error of the assay does"
    if not len(table):
        return Section(title, "The protocol states no plan, or no cohort has a design.")
    header = ("error per CTC", "cohort", "declared active", "interval", "by enumeration", "stopped early", "incomplete",
              "treated (mean)", "treated by error", "positive by error")  # fmt: skip
    rows = []
    for r in table.to_dict("records"):
        shares = [f"{100 * r[n]:.1f} %" for n in ("stopped_early", "incomplete")]
        error = [f"{100 * r[n]:.1f} %" for n in ("false_share", "screened_positive_by_error")]
        interval = span(r["success_low"], r["success_high"], "share")
        rows.append(
            (f"{100 * r['cell_error']:g} %", str(r["cohort"]), f"{100 * r['success']:.1f} %", interval,
             f"{100 * r['exact']:.1f} %", *shares, f"{r['mean_treated']:.1f}", *error)
        )  # fmt: skip
    plan = analysis.study.protocol.operating
    text = "" if plan is None else (
        f"Simulated: {plan.trials} trials of up to {plan.screened} screened patients drawn from these data; response "
        f"rate {plan.response_true:g} with amplified CTC, {plan.response_false:g} without; {plan.positive_share:g} of "
        "the screened have amplified CTC. Enumeration: the completed design at the resulting mixture of rates."
    )  # fmt: skip
    plot = Plot("What an error of the assay does", lambda a: draw.operating(a, table), 3.0)
    return Section(title, text, (Grid(header, tuple(rows)),), (plot,))


def _sensitivity(analysis: Analysis) -> list[Section]:
    sections = []
    for conclusion, own in analysis.sensitivity.groupby("conclusion", sort=False):
        rows = []
        for r in own.to_dict("records"):
            count = f"{int(r['numerator'])}/{r['n']}" if pd.notna(r["numerator"]) else str(r["n"])
            unit = str(r["unit"])
            figures = (count, value(r["value"], unit), span(r["low"], r["high"], unit))
            rows.append((r["kind"], r["setting"], *figures, r["population"], r["method"]))
        header = ("choice", "setting", "k/n", "value", "interval", "population", "method")
        plot = Plot(f"Sensitivity: {conclusion}", lambda a, own=own: draw.sensitivity(a, own), 1.2 + 0.27 * len(own))  # type: ignore[misc]
        text = "Exploratory, not adjusted: how far the conclusion hangs on one choice, all others being the protocol's."
        sections.append(Section(f"Sensitivity: {conclusion}", text, (Grid(header, tuple(rows)),), (plot,)))
    return sections


def _checklists(analysis: Analysis) -> list[Section]:
    header = ("item", "asks for", "answer")
    return [Section(name, LISTS[name], (Grid(header, tuple(rows)),)) for name, rows in filled(analysis).items()]
