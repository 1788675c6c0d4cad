"""Many slides, one after the other; each is written whole or not at all, and a bad one becomes a row."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ctcfish import pipeline, tables
from ctcfish.config import Config, rules
from ctcfish.errors import BatchIncompleteError, CtcfishError, UsageError
from ctcfish.io import Overrides, SlideRef, open_ref
from ctcfish.report.slide import render
from ctcfish.report.study import render_study
from ctcfish.report.windows import take_pictures
from ctcfish.stages.patients import heterogeneity_table, patients
from ctcfish.stages.sensitivity import sensitivity
from ctcfish.stages.study import study_measures
from ctcfish.store.atomic import atomic_folder, write_json, write_text
from ctcfish.store.manifest import hashes, manifest
from ctcfish.store.results import rates_of, read_ctc, read_slide_json, slides_table, write_run_tables, write_slide
from ctcfish.types import Slide, SlideResult

OnError = Literal["continue", "stop"]

log = logging.getLogger("ctcfish")


@dataclass(frozen=True)
class Job:
    """How slides are scored.

    Attributes
    ----------
    config : Config
    device : str
    out : Path
        Folder of the run.
    """

    config: Config
    device: str
    out: Path


def refuse_existing(out: Path) -> None:
    """Leave a result that is there alone.

    Raises
    ------
    UsageError
        ``out`` exists.
    """
    if out.exists():
        raise UsageError(f"{out} exists and is left alone; give another --out, or remove it first.")


def score_slide(slide: Slide, job: Job, progress: pipeline.Progress) -> SlideResult:
    """Score one slide and write its folder in one rename."""
    result = pipeline.score(slide, job.config, job.device, progress)
    progress("write")
    with atomic_folder(job.out / slide.slide_id) as folder:
        inputs = hashes(slide.files, _base(slide))
        write_slide(result, inputs, take_pictures(slide, result, job.config.report), folder)
        write_text(folder / "report.html", render(folder))
    return result


def score_alone(slide: Slide, job: Job, progress: pipeline.Progress) -> SlideResult:
    """Score one slide as a run of its own."""
    result = score_slide(slide, job, progress)
    finish(job, [slide.slide_id], tables.FAILURES.empty())
    return result


def run_batch(refs: Sequence[SlideRef], job: Job, on_error: OnError, progress: pipeline.Progress) -> pd.DataFrame:
    """Score the slides of a study that are not there yet, then write the run's tables.

    Parameters
    ----------
    refs : sequence of SlideRef
    job : Job
    on_error : {"continue", "stop"}
    progress : callable
        Told the name of each slide as it begins.

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.FAILURES`.
    """
    failures: list[dict[str, str]] = []
    for ref in refs:
        if (job.out / ref.slide_id / "slide.json").is_file():
            failures += _told(job.out / ref.slide_id)
            continue
        failure = _attempt(ref, job, progress)
        if failure is not None:
            failures.append(failure)
            if on_error == "stop":
                break
    failed = tables.FAILURES.check(pd.DataFrame(failures)) if failures else tables.FAILURES.empty()
    finish(job, [ref.slide_id for ref in refs], failed)
    return failed


def _attempt(ref: SlideRef, job: Job, progress: pipeline.Progress) -> dict[str, str] | None:
    """Score one slide; whatever goes wrong is a row, so that the other slides are scored all the same."""
    log.info("slide %s", ref.slide_id)
    progress(ref.slide_id)
    try:
        score_slide(open_ref(ref, job.config.panel, Overrides()), job, pipeline.quiet)
    except CtcfishError as error:
        log.error("slide %s: %s", ref.slide_id, error)
        return {"slide_id": ref.slide_id, "cause": type(error).__name__, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the one place where anything at all becomes a row
        log.error("slide %s: %s", ref.slide_id, traceback.format_exc())
        message = f"unexpected: {error}; run.log holds the details, please report them."
        return {"slide_id": ref.slide_id, "cause": type(error).__name__, "message": message}
    return next(iter(_told(job.out / ref.slide_id)), None)


def _told(folder: Path) -> list[dict[str, str]]:
    """The failure that a finished slide's folder tells of, if any: the same row now and when the batch is resumed."""
    said = read_slide_json(folder)
    evidence = str((said["relocation"] or {}).get("evidence", ""))
    return [{"slide_id": folder.name, "cause": said["failure"], "message": evidence}] if said["failure"] else []


def finish(job: Job, slide_ids: Sequence[str], failures: pd.DataFrame) -> None:
    """Write what stands beside the slides: tables over slides and patients, data dictionary, manifest."""
    done = [slide_id for slide_id in slide_ids if (job.out / slide_id / "slide.json").is_file()]
    summaries = {slide_id: read_slide_json(job.out / slide_id) for slide_id in done}
    write_run_tables(_over_slides(job, summaries) | {"failures": failures}, job.out)
    write_text(job.out / "report.html", render_study(job.out))
    inputs = {f"{s}/{name}": sha for s, own in summaries.items() for name, sha in own["inputs_sha256"].items()}
    written = sorted(p for p in job.out.iterdir() if p.name in summaries or p.suffix in (".csv", ".json", ".html"))
    outputs = hashes((p for p in written if p.name != "manifest.json"), job.out)
    write_json(job.out / "manifest.json", manifest(job.config, job.device, inputs, outputs))


def _over_slides(job: Job, summaries: Mapping[str, dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Tables over slides and patients, from what each slide left."""
    slides = slides_table(list(summaries.values()))
    ctc = tables.concatenate([read_ctc(job.out / slide_id) for slide_id in summaries], tables.CELLS)
    rates = {slide_id: rates_of(summary) for slide_id, summary in summaries.items()}
    params = job.config.summarise
    own = slides[slides["replicate_of"].isna() & slides["control"].isna()]
    by_rule = sensitivity(own, ctc, rates, rules())
    return {
        "slides": slides,
        "patients": patients(own, ctc, rates, job.config.call, params),
        "heterogeneity": heterogeneity_table(own, ctc, params),
        "sensitivity": by_rule,
        "study_measures": study_measures(by_rule, own, ctc, params),
    }


def raise_failures(failures: pd.DataFrame) -> None:
    """End a batch that lost slides.

    Raises
    ------
    BatchIncompleteError
        Naming the slides.
    """
    if len(failures):
        names = ", ".join(failures["slide_id"])
        raise BatchIncompleteError(f"{len(failures)} slide(s) failed: {names}; failures.csv says why and what to do.")


def _base(slide: Slide) -> Path:
    """Folder that the names of the input files are relative to."""
    parents = [file.parent for file in slide.files]
    return next((p.parent for p in parents if p.name in ("if", "fish")), parents[0] if parents else Path())
