"""One slide of a run: its folder, made whole in one rename, or brought up to date where only the rules changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ctcfish.conclude import conclude
from ctcfish.config import Config
from ctcfish.engine.identity import Identity, Made, identity, program_sha256
from ctcfish.engine.ledger import Ledger, read_drawings, write_drawings
from ctcfish.engine.lock import PRIVATE, holds
from ctcfish.engine.parts import Parts
from ctcfish.errors import UsageError
from ctcfish.flags import SlideFlag, from_text
from ctcfish.io import Overrides, SlideRef, open_ref
from ctcfish.io.open import SCANS
from ctcfish.io.sheet import USED
from ctcfish.io.study import scan_files, slide_values
from ctcfish.report.slide import draw, page
from ctcfish.stages.call import CALLED
from ctcfish.stages.summarise import Subject
from ctcfish.store.atomic import atomic_folder, to_json, write_text
from ctcfish.store.manifest import hashes, parts_of
from ctcfish.store.results import read_cells, read_slide_json, rewrite_cells, write_slide
from ctcfish.types import Slide, SlideResult

Done = Literal["scored", "called", "kept"]
"""What was done for a slide."""

OF_RULES = ("patient_id", "visit")
"""Columns that the reader uses and that change no pixel's meaning."""


@dataclass(frozen=True)
class Job:
    """How slides are scored.

    Attributes
    ----------
    config : Config
    device : str
    out : Path
        Folder of the run.
    batch : str
        Token of the batch that may write there; empty for a slide that is scored alone.
    program : str
        Hash of the program that gave the job.
    """

    config: Config
    device: str
    out: Path
    batch: str = ""
    program: str = field(default_factory=program_sha256)

    @cached_property
    def made(self) -> Made:
        """How a result is made, as far as its bytes hang on it."""
        return Made(self.config, self.device, self.program)


def score_slide(slide: Slide, job: Job, progress: Callable[[str], None], values: Mapping[str, str]) -> SlideResult:
    """Score one slide and write its folder in one rename.

    Parameters
    ----------
    slide : Slide
    job : Job
    progress : callable
        Told the name of each step as it begins; what it raises ends the work.
    values : mapping of str to str
        What sheet and ``slide.toml`` say, for the next time.
    """
    from ctcfish import pipeline
    from ctcfish.report.windows import take_pictures

    ledger = Ledger(job.out, slide.slide_id)
    inputs = hashes(slide.files, base_of(slide.files), ledger.sha256)
    own = identity(job.made, pipeline.scene_summaries(slide), _said(slide), inputs)
    # A slide scored alone has no next time.
    each = Parts(_parts(job.out, slide.slide_id) / own.measured) if job.batch else map
    result = pipeline.score(slide, job.config, job.device, progress, each)
    progress("write")
    with atomic_folder(job.out / slide.slide_id) as folder:
        about = {"inputs_sha256": inputs, "identity": own.told()}
        write_slide(result, about, take_pictures(slide, result, job.config.report), folder)
        drawings = draw(folder)
        write_text(folder / "report.html", page(read_cells(folder), read_slide_json(folder), drawings))
        _still_ours(job)
    if job.batch:
        write_drawings(job.out, slide.slide_id, own.measured, drawings)
        shutil.rmtree(_parts(job.out, slide.slide_id), ignore_errors=True)
        _keep(ledger, parts_of(slide.files), values, parts_of([job.out / slide.slide_id]))
    return result


def bring_up(ref: SlideRef, job: Job, progress: Callable[[str], None]) -> Done:
    """Make a slide's folder what it should be, doing no more than is needed.

    Raises
    ------
    CtcfishError
        The slide is refused, or this process is not the program that gave the job.
    """
    _check_worker(job)
    values = slide_values(ref)
    slide = open_ref(ref, job.config.panel, Overrides())
    folder, ledger = job.out / ref.slide_id, Ledger(job.out, ref.slide_id)
    said = read_slide_json(folder) if (folder / "slide.json").is_file() else {}
    if said.get("identity") and all(ledger.unchanged(file) for file in ledger.outputs):
        inputs = hashes(slide.files, base_of(slide.files), ledger.sha256)
        want = identity(job.made, said["scenes"], _said(slide), inputs)
        if said["identity"]["measured"] == want.measured:
            done = call_again(said, _said(slide), job, want, inputs, progress)
            shutil.rmtree(_parts(job.out, ref.slide_id), ignore_errors=True)
            _keep(ledger, parts_of(slide.files), values, parts_of([folder]))
            return done
    score_slide(slide, job, progress, values)
    return "scored"


def without_pixels(ref: SlideRef, job: Job, progress: Callable[[str], None]) -> Done | None:
    """Make a slide's folder what it should be if that can be done without opening an image.

    Files are not read again that did not change since their slide was done. ``progress`` is told before anything is
    written; what it raises ends the work.

    Returns
    -------
    {"called", "kept"} or None
        None where pixels are needed, or where only opening the slide can tell.
    """
    folder, ledger = job.out / ref.slide_id, Ledger(job.out, ref.slide_id)
    values = slide_values(ref)
    if not (folder / "slide.json").is_file() or not _unchanged(ref, ledger, values):
        return None
    said = read_slide_json(folder)
    want = identity(job.made, said["scenes"], said_by(values), said["inputs_sha256"])
    if said["identity"]["measured"] != want.measured:
        return None
    done = call_again(said, said_by(values), job, want, said["inputs_sha256"], progress)
    if done == "called" or ledger.values != values:
        _keep(ledger, ledger.inputs, values, ledger.outputs)
    return done


def _unchanged(ref: SlideRef, ledger: Ledger, values: Mapping[str, str]) -> bool:
    """Whether the slide's files are those it was made of, they and its results as they were left, and read alike."""
    listed = [path for modality in SCANS for path in scan_files(ref, modality, values)]
    beside = [ref.path / name for name in ("ctc.csv", "slide.toml")]
    present = {*parts_of(listed), *(path for path in beside if path.is_file())}
    return (
        bool(ledger.values)
        and all(ledger.values.get(key) == values.get(key) for key in USED if key not in OF_RULES)
        and {file.absolute() for file in present} <= {*ledger.inputs}
        and all(ledger.fresh(file) for file in (*ledger.inputs, *ledger.outputs))
    )


def call_again(
    stored: Mapping[str, Any],
    said: Mapping[str, Any],
    job: Job,
    want: Identity,
    inputs: Mapping[str, str],
    progress: Callable[[str], None],
) -> Done:
    """Call the cells of a scored slide again and write what hangs on the calls; no pixel is read.

    Parameters
    ----------
    stored : mapping
        ``slide.json`` as it is.
    said : mapping
        What is said of the slide now: ``slide_id, patient_id, visit, sheet``.
    job : Job
    want : Identity
        That the result will have.
    inputs : mapping of str to str
        SHA-256 of the input files by name.
    progress : callable
        Told before anything is written; what it raises ends the work.

    Returns
    -------
    {"called", "kept"}
        ``kept`` where the folder is what it should be already.
    """
    if stored["identity"] == want.told() and stored["inputs_sha256"] == dict(inputs):
        return "kept"
    subject = Subject(
        flags=SlideFlag(int(from_text([stored["doubts"]], SlideFlag)[0])),
        scanned=any(scene["modality"] == "fish" for scene in stored["scenes"]),
        relocated=stored["relocation"] and bool(stored["relocation"]["trusted"]),
        **said,
    )
    folder = job.out / str(said["slide_id"])
    same = stored["identity"].get("controlled") == want.controlled
    concluded = conclude(subject, read_cells(folder), job.config, stored if same else {})
    now = to_json(dict(stored) | concluded.told | {"inputs_sha256": dict(inputs), "identity": want.told()})
    progress("call")
    # Between the first and the last of these files the folder is nobody's result, and its identity says so.
    write_text(folder / "slide.json", json.dumps(dict(stored) | {"identity": want.told() | {"called": ""}}))
    rewrite_cells(concluded.cells, CALLED, folder)
    drawings = read_drawings(job.out, folder.name, want.measured)
    if drawings is None:
        drawings = draw(folder)
        write_drawings(job.out, folder.name, want.measured, drawings)
    write_text(folder / "report.html", page(concluded.cells, json.loads(now), drawings))
    write_text(folder / "slide.json", now)
    return "called"


def said_by(values: Mapping[str, str]) -> dict[str, Any]:
    """What sheet and ``slide.toml`` say of a slide besides how its images are read."""
    return {
        "slide_id": values["slide_id"],
        "patient_id": values.get("patient_id") or values["slide_id"],
        "visit": values.get("visit", ""),
        "sheet": {key: value for key, value in values.items() if key not in USED},
    }


def base_of(files: tuple[Path, ...]) -> Path:
    """Folder that the names of the input files are relative to: the slide's, or the nearest that holds them all."""
    if not files:
        return Path()
    common = Path(os.path.commonpath([file.parent for file in files]))
    return common.parent if common.name in ("if", "fish") else common


def _said(slide: Slide) -> dict[str, Any]:
    return {
        "slide_id": slide.slide_id,
        "patient_id": slide.patient_id,
        "visit": slide.visit,
        "sheet": dict(slide.sheet),
    }


def _parts(out: Path, slide_id: str) -> Path:
    """Folder of what is known of the parts of a slide that is not done yet."""
    return out / PRIVATE / "parts" / slide_id


def _keep(ledger: Ledger, inputs: list[Path], values: Mapping[str, str], outputs: list[Path]) -> None:
    """Remember the files a slide was made of and made into, so that none need be read to know that it is done."""
    for file in outputs:
        ledger.sha256(file)
    ledger.save(inputs, values, outputs)


def _still_ours(job: Job) -> None:
    if not holds(job.out, job.batch):
        raise UsageError(
            f"{job.out.name} is not this batch's (any more), or is not seen from this worker; every worker needs the "
            "folder of the results under the same path."
        )


def _check_worker(job: Job) -> None:
    _still_ours(job)
    if job.program != program_sha256():
        raise UsageError(
            "the worker runs another ctcfish, or other weights, than the batch; install the same on every machine."
        )
