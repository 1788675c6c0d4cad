"""Many slides, on one machine or many; each is written whole or not at all, and a bad one becomes a row."""

from __future__ import annotations

import errno
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd

from ctcfish import tables, unit
from ctcfish.conclude import rates_of
from ctcfish.config import rules
from ctcfish.engine import workers
from ctcfish.engine.ledger import Ledger
from ctcfish.engine.lock import only_batch
from ctcfish.engine.status import Status
from ctcfish.engine.workers import Lost, LostError, Where
from ctcfish.errors import BatchIncompleteError, CtcfishError, UsageError
from ctcfish.io import SlideRef
from ctcfish.report.study import render_study
from ctcfish.stages.patients import heterogeneity_table, patients
from ctcfish.stages.sensitivity import sensitivity
from ctcfish.stages.study import study_measures
from ctcfish.store.atomic import write_json, write_text
from ctcfish.store.manifest import hashes, manifest
from ctcfish.store.results import read_ctc, read_slide_json, slides_table, write_run_tables
from ctcfish.types import Slide, SlideResult
from ctcfish.unit import Job

OnError = Literal["continue", "stop"]
Tell = Callable[[Status], None]
Found = TypeVar("Found")

log = logging.getLogger("ctcfish")

FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Plan:
    """How a batch is run; nothing of it changes a byte of the results.

    Attributes
    ----------
    where : Where
    on_error : {"continue", "stop"}
    timeout_s : float or None
        Time after which a slide is given up, for file systems that stall.
    """

    where: Where = Where()
    on_error: OnError = "continue"
    timeout_s: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one slide.

    Attributes
    ----------
    did : {"scored", "called", "kept", "failed"}
    failure : mapping or None
        A row of :data:`ctcfish.tables.FAILURES`; also of a slide that was scored but not relocated.
    cells : int
    seconds : float
        Time inside the task.
    details : str
        For the log.
    """

    did: str
    failure: Mapping[str, str] | None
    cells: int = 0
    seconds: float = 0.0
    details: str = ""


def refuse_existing(out: Path) -> None:
    """Leave a result that is there alone.

    Raises
    ------
    UsageError
        ``out`` exists.
    """
    if out.exists():
        raise UsageError(f"{out} exists and is left alone; give another --out, or remove it first.")


def score_alone(slide: Slide, job: Job, progress: Callable[[str], None]) -> SlideResult:
    """Score one slide as a run of its own."""
    result = unit.score_slide(slide, job, progress, {})
    finish(job, [slide.slide_id], tables.FAILURES.empty())
    return result


def run_batch(refs: Sequence[SlideRef], job: Job, plan: Plan, tell: Tell) -> pd.DataFrame:
    """Bring every slide of a study up to date, then write the run's tables.

    Parameters
    ----------
    refs : sequence of SlideRef
    job : Job
    plan : Plan
    tell : callable
        Told how far the batch is after every slide.

    Returns
    -------
    pandas.DataFrame
        :data:`ctcfish.tables.FAILURES`, in the order of the slides.

    Raises
    ------
    UsageError
        Another batch writes to the same folder, or the workers cannot be reached.
    BatchIncompleteError
        The slides are done as far as they can be, and what stands beside them could not be written.
    """
    job.out.mkdir(parents=True, exist_ok=True)
    with only_batch(job.out) as token:
        job = replace(job, batch=token)
        failures: dict[str, Mapping[str, str]] = {}
        status = Status("", "", len(refs), 0, 0, 0, 0, 0.0)
        began = time.monotonic()
        for ref, outcome in _outcomes(refs, job, plan):
            if outcome.failure is not None:
                failures[ref.slide_id] = outcome.failure
            status = _counted(status, ref.slide_id, outcome, time.monotonic() - began)
            _log(ref.slide_id, outcome)
            tell(status)
            if plan.on_error == "stop" and outcome.failure is not None and outcome.did in ("scored", "failed"):
                break
        rows = [failures[ref.slide_id] for ref in refs if ref.slide_id in failures]
        failed = tables.FAILURES.check(pd.DataFrame(rows)) if rows else tables.FAILURES.empty()
        try:
            finish(job, [ref.slide_id for ref in refs], failed)
        except OSError as error:
            raise BatchIncompleteError(f"the tables of the run were not written: {_of_system(error)}") from None
    return failed


def _outcomes(refs: Sequence[SlideRef], job: Job, plan: Plan) -> Iterator[tuple[SlideRef, Outcome]]:
    """Outcome of every slide: what is done first, then what needs only new calls, then what needs pixels."""
    left = []
    for ref in refs:
        quick = _in_time(partial(_without_pixels, ref, job), ref, plan.timeout_s)
        if quick is None:
            left.append(ref)
        else:
            yield ref, quick
    task = partial(attempt, job=job, timeout_s=plan.timeout_s)
    # What hangs in a read cannot be ended but with its process, so a limit of time asks for one that can be.
    if not left or (plan.where.here and plan.timeout_s is None):
        yield from ((ref, task(ref)) for ref in left)
        return
    with workers.pool(plan.where) as client:
        for ref, outcome in workers.outcomes(task, left, client):
            yield ref, _lost(ref, outcome) if isinstance(outcome, Lost) else outcome


def _without_pixels(ref: SlideRef, job: Job, progress: Callable[[str], None]) -> Outcome | None:
    """Outcome of a slide that needs no pixel; None where it does."""
    did = unit.without_pixels(ref, job, progress)
    return None if did is None else Outcome(did, _told(job.out / ref.slide_id))


def attempt(ref: SlideRef, job: Job, timeout_s: float | None = None) -> Outcome:
    """Bring one slide up to date where this process runs; whatever goes wrong is an outcome.

    Parameters
    ----------
    ref : SlideRef
    job : Job
    timeout_s : float or None
        Time after which the slide is given up; what may still hang in a read is left behind and writes nothing.
    """
    began = time.monotonic()
    outcome = _in_time(partial(_scored, ref, job), ref, timeout_s)
    return replace(outcome, seconds=time.monotonic() - began)


def _in_time(work: Callable[[Callable[[str], None]], Found], ref: SlideRef, timeout_s: float | None) -> Found | Outcome:
    """Do the work of one slide, which is told when it is late at each of its steps, or give it up after that time."""
    late = threading.Event()
    found: list[Found | Outcome] = []

    def watched(step: str) -> None:
        if late.is_set():
            raise TimeoutError(step)

    def work_on() -> None:
        found.append(_guarded(partial(work, watched), ref))

    if timeout_s is None:
        work_on()
    else:
        thread = threading.Thread(target=work_on, daemon=True)
        thread.start()
        thread.join(timeout_s)
        late.set()
    return found[0] if found else _failed(ref, *_too_late(timeout_s))


def _scored(ref: SlideRef, job: Job, progress: Callable[[str], None]) -> Outcome:
    from ctcfish.device import fix_threads

    fix_threads()
    did = unit.bring_up(ref, job, progress)
    folder = job.out / ref.slide_id
    n_cells = int(read_slide_json(folder)["slide"]["n_nuclei"] or 0)
    return Outcome(did, _told(folder), n_cells)


def _guarded(work: Callable[[], Found], ref: SlideRef) -> Found | Outcome:
    """Do the work of one slide; whatever goes wrong is a row, so that the other slides are scored all the same."""
    try:
        return work()
    except LostError as error:
        return _lost(ref, error.lost)
    except CtcfishError as error:
        return _failed(ref, type(error).__name__, str(error))
    except OSError as error:
        return _failed(ref, type(error).__name__, _of_system(error), traceback.format_exc())
    except MemoryError:
        message = "memory ran out; give each worker more (--max-ram-gb, fewer --workers), then --resume."
        return _failed(ref, "MemoryError", message, traceback.format_exc())
    except Exception as error:  # noqa: BLE001 - the one place where anything at all becomes a row
        message = f"unexpected: {error}; run.log holds the details, please report them."
        return _failed(ref, type(error).__name__, message, traceback.format_exc())


def _failed(ref: SlideRef, cause: str, message: str, details: str = "") -> Outcome:
    row = {"slide_id": ref.slide_id, "cause": cause, "message": message}
    return Outcome("failed", row, details=details or message)


def _lost(ref: SlideRef, lost: Lost) -> Outcome:
    return _failed(ref, lost.cause, lost.message)


def _too_late(timeout_s: float | None) -> tuple[str, str]:
    message = f"not done after {timeout_s:g} s; see whether its files can be read, or give a longer --timeout-s."
    return "TimeoutError", message


def _of_system(error: OSError) -> str:
    """What the system refused, without the machine's paths."""
    if error.errno in FULL:
        return "the disk of the results is full; make room there, then --resume."
    name = f" ({Path(str(error.filename)).name})" if error.filename else ""
    return f"{error.strerror or error}{name}; see whether the file can be read whole, then --resume."


def _told(folder: Path) -> dict[str, str] | None:
    """The failure that a finished slide's folder tells of, if any: the same row now and when the batch is resumed."""
    said = read_slide_json(folder)
    evidence = str((said["relocation"] or {}).get("evidence", ""))
    return {"slide_id": folder.name, "cause": said["failure"], "message": evidence} if said["failure"] else None


def _counted(status: Status, slide_id: str, outcome: Outcome, elapsed_s: float) -> Status:
    return replace(
        status,
        slide_id=slide_id,
        did=outcome.did,
        done=status.done + 1,
        failed=status.failed + (outcome.failure is not None),
        worked=status.worked + (outcome.did != "kept"),
        cells=status.cells + outcome.cells,
        elapsed_s=elapsed_s,
    )


def _log(slide_id: str, outcome: Outcome) -> None:
    about = {"slide_id": slide_id, "did": outcome.did, "cells": outcome.cells, "seconds": round(outcome.seconds, 3)}
    if outcome.failure is None:
        log.info("slide %s: %s, %d cells, %.1f s", *about.values(), extra={"slide": about})
    else:
        log.error("slide %s: %s", slide_id, outcome.details or outcome.failure["message"], extra={"slide": about})


def finish(job: Job, slide_ids: Sequence[str], failures: pd.DataFrame) -> None:
    """Write what stands beside the slides: tables over slides and patients, data dictionary, manifest."""
    summaries = {slide_id: said for slide_id in slide_ids if (said := _summary(job, slide_id)) is not None}
    write_run_tables(_over_slides(job, summaries) | {"failures": failures}, job.out)
    write_text(job.out / "report.html", render_study(job.out))
    inputs = {f"{s}/{name}": sha for s, own in summaries.items() for name, sha in own["inputs_sha256"].items()}
    kinds = (".csv", ".json", ".html")
    beside = [p for p in job.out.iterdir() if p.is_file() and p.suffix in kinds and p.name != "manifest.json"]
    outputs = hashes(beside, job.out) | _hashes_of_slides(job.out, summaries)
    write_json(job.out / "manifest.json", manifest(job.config, job.device, inputs, dict(sorted(outputs.items()))))


def _summary(job: Job, slide_id: str) -> dict[str, Any] | None:
    """What a slide's folder says, if it is this configuration's and was finished."""
    if not (job.out / slide_id / "slide.json").is_file():
        return None
    said = read_slide_json(job.out / slide_id)
    ours = said["configuration_sha256"] == job.config.sha256() and said["identity"]["called"]
    return said if ours else None


def _hashes_of_slides(out: Path, slide_ids: Iterable[str]) -> dict[str, str]:
    """Hashes of what the slides were made into, as it was left; where that is not known the files are read."""
    found: dict[str, str] = {}
    for slide_id in slide_ids:
        found |= Ledger(out, slide_id).made() or hashes([out / slide_id], out)
    return found


def _over_slides(job: Job, summaries: Mapping[str, dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Tables over slides and patients, from what each slide left."""
    slides = slides_table(list(summaries.values()))
    ctc = read_ctc([job.out / slide_id for slide_id in summaries])
    rates = {slide_id: rates_of(summary) for slide_id, summary in summaries.items()}
    params = job.config.summarise
    own = slides[slides["replicate_of"].isna() & slides["control"].isna()]
    by_rule = sensitivity(own, {slide_id: said["by_rule"] for slide_id, said in summaries.items()}, rules())
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
