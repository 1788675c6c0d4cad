"""The laboratory's page of a run: every section, its files, and that nothing needs the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ctcfish.config import Config
from ctcfish.errors import UsageError
from ctcfish.qc import tables as declared
from ctcfish.qc.card import card
from ctcfish.qc.history import add_results, set_target
from ctcfish.qc.laboratory import laboratory, run_checks
from ctcfish.report.qc_page import MOST_ROWS, Grid, Page, Plot, Section, to_html, to_pdf
from tests import make
from tests.qc.conftest import Scorer, cells_of
from tests.qc.test_failures import write_run

N = 30


@pytest.fixture
def run(tmp_path: Path, scored: Scorer, places: Callable[[int], np.ndarray]) -> Path:
    out, here = tmp_path / "run", places(N)
    kinds = np.where(np.arange(N) % 3 == 0, "ctc", "wbc")
    scored(out, "a", cells_of("a", np.full(N, 2), np.full(N, 2), here, kinds), patient_id="P", flags="NO_IF|LOSSY")
    again = cells_of("b", np.full(N, 2), np.full(N, 2), here + 3.0, kinds)
    scored(out, "b", again, patient_id="P", replicate_of="a", flags="LOSSY")
    scored(out, "c", cells_of("c", np.zeros(N), np.full(N, 2), here, kinds))
    write_run(out, [{"slide_id": "a"}, {"slide_id": "b", "replicate_of": "a"}, {"slide_id": "c"}], ["refused"])
    said = {"version": "9.9", "configuration": Config().resolved(), "configuration_sha256": Config().sha256()}
    said |= {"versions": {"numpy": "2.0"}, "weights_sha256": {"nuclei.safetensors": "ab" * 32}, "device": "cpu"}
    (out / "manifest.json").write_text(json.dumps(said), encoding="utf-8")
    return out


def test_everything_a_laboratory_files(run: Path, tmp_path: Path) -> None:
    history = tmp_path / "h.sqlite"
    assert make.run("qc", "control", "add", run, "--history", history) == 0
    before = sorted(p.name for p in run.rglob("*"))
    assert make.run("report", run, "--kind", "qc", "--history", history) == 0
    assert make.run("report", run, "--kind", "qc", "--history", history) == 0  # made again
    assert sorted(p.name for p in run.rglob("*")) == before  # the run itself is left alone
    out = run.with_name("run.qc")
    html = (out / "report.html").read_text(encoding="utf-8")
    for heading in (
        "From samples to evaluable CTC",
        "Why they failed",
        "The run in short",
        "1 red, 0 amber, 2 green",
        "release by the controls",
        "What was repeated",
        "Release",
        "Method card: parameters",
        "Method card: limits",
        "Research use only",
    ):
        assert heading in html, heading
    names = {p.name for p in out.iterdir()}
    assert {"report.pdf", "steps.csv", "reasons.csv", "checks.csv", "statistics.csv", "controls.csv"} <= names
    assert any(name.endswith(".svg") for name in names)
    assert pd.read_csv(out / "steps.csv")["reached"].iloc[0] == 3  # a, c and the refused one


def test_a_run_without_repeats_says_so(tmp_path: Path, scored: Scorer, places: Callable[[int], np.ndarray]) -> None:
    with pytest.raises(UsageError, match="is no run: give the folder that `ctcfish score`"):
        laboratory(tmp_path, None)
    scored(tmp_path / "run", "a", cells_of("a", [2], [2], places(1)))
    write_run(tmp_path / "run", [{"slide_id": "a"}], [])
    said = {"version": "9.9", "configuration": Config().resolved(), "configuration_sha256": "0" * 64}
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(said), encoding="utf-8")
    page, frames = laboratory(tmp_path / "run", None)
    assert "No slide of this run repeats another." in [section.text for section in page.sections]
    assert set(frames) == {"steps", "reasons", "checks"}


def test_lights_of_scored_slides(run: Path) -> None:
    told = run_checks(run, Config()).set_index(["slide_id", "check"])
    assert told.loc[("a", "hybridised_percent"), ["value", "light"]].tolist() == [100.0, "green"]
    assert told.loc[("c", "hybridised_percent"), ["value", "light"]].tolist() == [0.0, "red"]
    assert told.loc[("a", "focus"), "light"] == "green"


def test_the_card_says_what_was_used(run: Path) -> None:
    rows = {section.title: [row for grid in section.grids for row in grid.rows] for section in card(run)}
    assert ("ctcfish", "9.9") in rows["Method card: program"]
    assert ("weights nuclei.safetensors", "ab" * 32) in rows["Method card: program"]
    assert ("call.rule.cut", "11/5") in rows["Method card: parameters"]
    assert ("detect.false_per_nucleus", "0.005") in rows["Method card: parameters"]
    assert not any(key.startswith("qc.") for key, _ in rows["Method card: parameters"])
    limits = {row[0]: row[1] for row in rows["Method card: limits"]}
    assert limits == {"LOSSY": "2 of 3 slides", "NO_IF": "1 of 3 slides"}
    assert any(row[0] == "nuclei" and "ap50" in row[2] for row in rows["Method card: validation"])
    text = card(run)[-1].text
    assert "is an assumption" in text


def test_long_tables_and_many_sections_run_over_pages() -> None:
    rows = tuple((f"row {k}", "x" * 200, str(k)) for k in range(MOST_ROWS + 10))
    grid = Grid(("name", "long", "n"), rows, ("red",) * len(rows))
    plot = Plot("p", lambda axes: axes.plot([1, 2]))
    page = Page("A page", "origin " * 40, (Section("One", "text " * 100, (grid,), (plot, plot)), Section("Two")) * 3)
    pdf = to_pdf(page)
    assert pdf == to_pdf(page)
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 4
    html = to_html(page)
    assert html.count("<tr") == 3 * (len(rows) + 1)  # all rows stand on the screen


def rows_on_paper(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """First column of every row the PDF prints, and lines of text."""
    written: list[str] = []
    with monkeypatch.context() as spied:
        spied.setattr(Figure, "text", lambda _, x, y, words, **__: written.append(words))
        to_pdf(Page("t", "o", (Section("s", "", (grid,)),)))
    return written


def test_what_stands_in_no_csv_is_printed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple((f"row {k}", str(k)) for k in range(MOST_ROWS + 10))
    cut = rows_on_paper(Grid(("name", "n"), rows), monkeypatch)
    whole = rows_on_paper(Grid(("name", "n"), rows, most=None), monkeypatch)
    last = f"row {MOST_ROWS + 9}"
    assert (last in cut, "10 more rows: see the CSV." in cut) == (False, True)
    assert (last in whole, any("see the CSV" in text for text in whole)) == (True, False)


def test_the_card_is_printed_whole(run: Path) -> None:
    """Its parameters stand in no CSV, and there are more than a page's table takes."""
    grids = [grid for section in card(run) for grid in section.grids]
    assert max(len(grid.rows) for grid in grids) > MOST_ROWS
    assert all(grid.most is None for grid in grids)


def test_a_table_without_rows_says_none(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Grid(("name", "n"), ())
    assert "none" in rows_on_paper(empty, monkeypatch)
    assert '<td class="dim" colspan="2">none</td>' in to_html(Page("t", "o", (Section("s", "", (empty,)),)))


def test_the_page_of_a_run_judges_this_run(run: Path, tmp_path: Path) -> None:
    """A later run that is out of control says nothing of this one."""
    rows = [
        {"material": "line", "quantity": "ratio", "value": value, "run": name, "slide_id": "s"}
        for name, value in (("run", 1.0), ("later", 9.0))
    ]
    add_results(tmp_path / "h.sqlite", declared.CONTROLS.check(pd.DataFrame(rows)))
    set_target(tmp_path / "h.sqlite", ("line", "ratio"), 1.0, 0.1, "own")
    page, *_ = laboratory(run, tmp_path / "h.sqlite")
    assert ("release by the controls", "no gated rule is broken") in page.sections[0].grids[0].rows
    (release,) = [section for section in page.sections if section.title == "Release"]
    assert release.grids[0].rows == ((run.name, "may go"),)


def test_names_on_the_page_are_no_markup() -> None:
    html = to_html(Page("<b>t</b>", "o", (Section("s", "", (Grid(("h",), (("<script>x</script>",),)),)),)))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_an_empty_page_still_says_research_use_only() -> None:
    page = Page("t", "o")
    assert "Research use only" in to_html(page)
    assert to_pdf(page).startswith(b"%PDF")
