"""The command that scores a study, and how it tells of its progress."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctcfish.cli.options import ConfigFile, Device, DeviceOption, Json, PresetName, Sets, resolve_config
from ctcfish.errors import BatchIncompleteError, UsageError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from ctcfish.engine.status import Status

app = typer.Typer()


class OnError(StrEnum):
    """What a failed slide does to a batch."""

    CONTINUE = "continue"
    STOP = "stop"


@app.command(name="batch")
def batch_(
    study: Annotated[Path, typer.Argument(help="Folder with study.csv, or with slide folders.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results.")],
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="Address of a running dask scheduler.")] = None,
    slurm: Annotated[Path | None, typer.Option("--slurm", help="TOML: jobs, and what SLURMCluster takes.")] = None,
    max_ram_gb: Annotated[float | None, typer.Option("--max-ram-gb", min=0.5, help="Memory of a worker.")] = None,
    timeout_s: Annotated[float | None, typer.Option("--timeout-s", min=1, help="Give a slide up after this.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run; only what changed is done.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every slide, print the plan.")] = False,
    on_error: Annotated[OnError, typer.Option("--on-error", help="After a slide that failed.")] = OnError.CONTINUE,
    config: ConfigFile = None,
    preset: PresetName = None,
    set_: Sets = None,
    device: DeviceOption = Device.AUTO,
    sign: Annotated[Path | None, typer.Option("--sign", help="Ed25519 private key (PEM) for the manifest.")] = None,
    as_json: Json = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log and progress as lines of JSON.")] = False,
) -> None:
    """Score every slide of a study."""
    if sum((workers > 1, scheduler is not None, slurm is not None)) > 1:
        raise UsageError("--workers, --scheduler and --slurm say where slides are scored; give one of them.")
    resolved = resolve_config(preset, config, set_)
    from ctcfish.engine.workers import Where, start_ahead

    if workers > 1 and not (dry_run or resume):
        start_ahead()
    from ctcfish import batch
    from ctcfish.device import resolve_device
    from ctcfish.engine.plan import plan_of, plan_text
    from ctcfish.io import study_slides
    from ctcfish.store.signature import private_key, sign_run
    from ctcfish.unit import Job

    key = None if sign is None else private_key(sign)
    refs = study_slides(study)
    where = Where(workers, scheduler, slurm, max_ram_gb)
    if dry_run:
        plan = plan_of(refs, resolved, out, workers)
        typer.echo(json.dumps(plan.told()) if as_json else plan_text(plan))
        if plan.refused:
            raise BatchIncompleteError(f"{len(plan.refused)} of {len(refs)} slides would fail; nothing was scored.")
        return
    if not resume:
        batch.refuse_existing(out)
    # Elsewhere nothing is known of the devices: the processor's, unless one is named.
    elsewhere = scheduler is not None or slurm is not None
    chosen = device.value.replace("auto", "cpu") if elsewhere else resolve_device(device.value)
    job = Job(resolved, chosen, out.resolve())
    out.mkdir(parents=True, exist_ok=True)
    _log_to(out / "run.log", log_json)
    with _shown(len(refs), log_json) as tell:
        failed = batch.run_batch(refs, job, batch.Plan(where, on_error.value, timeout_s), tell)
    if key is not None:
        sign_run(out, key)
    done = {"slides": len(refs) - len(failed), "failed": failed["slide_id"].tolist(), "out": str(out)}
    typer.echo(json.dumps(done) if as_json else f"{done['slides']} of {len(refs)} slides scored; see {out}")
    batch.raise_failures(failed)


@contextmanager
def _shown(slides: int, log_json: bool) -> Iterator[Callable[[Status], None]]:
    """Progress on stderr: a bar where that is a terminal, lines of JSON where they are asked for, else nothing."""
    if log_json:
        yield lambda status: typer.echo(json.dumps(status.told()), err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"0 of {slides} slides", total=slides)
        yield lambda status: bar.update(task, completed=status.done, description=status.line())


def _log_to(file: Path, as_json: bool) -> None:
    """Append the program's log to a file."""
    import logging

    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(_json_lines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("ctcfish")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _json_lines() -> logging.Formatter:
    import logging

    class Lines(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            said = {"time": self.formatTime(record), "level": record.levelname, "message": record.getMessage()}
            return json.dumps(said | getattr(record, "slide", {}), ensure_ascii=False)

    return Lines()
