"""Commands of the trial: clinical tables to fill in, their check, and every endpoint of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctcfish.errors import UsageError

app = typer.Typer()
trial_app = typer.Typer(no_args_is_help=True, help="Endpoints of the trial from tables. Research use only.")
app.add_typer(trial_app, name="trial")

ClinicalFile = Annotated[
    Path, typer.Option("--clinical", help="Folder of clinical CSV files, or one CSV file with a column 'table'.")
]
QcStudy = Annotated[Path | None, typer.Option("--qc", help="Folder of a reproducibility study.")]


@trial_app.command()
def template(out: Annotated[Path, typer.Option("--out", help="Folder to write into.")]) -> None:
    """Write empty clinical tables, their data dictionary and a protocol to start from."""
    from ctcfish.store.atomic import atomic_folder
    from ctcfish.trial.template import template as texts

    if out.exists():
        raise UsageError(f"{out.name}: exists already; choose another output folder.")
    with atomic_folder(out) as folder:
        for name, text in texts().items():
            (folder / name).write_text(text, encoding="utf-8")
    typer.echo(str(out))


@trial_app.command()
def check(clinical: ClinicalFile) -> None:
    """Check clinical tables: every problem with its row and column at once."""
    from ctcfish.trial.read import read_clinical

    tables = read_clinical(clinical)
    typer.echo(f"{clinical.name}: no problem in {', '.join(tables.given)} ({len(tables.patients)} patients)")


@trial_app.command()
def simulate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
    seed: Annotated[int, typer.Option("--seed", help="Another one gives another course.", min=0)] = 1,
) -> None:
    """Simulate a clinical course for the patients of a run, to show the trial's report on simulated slides."""
    from ctcfish.synth.trial_cohort import simulate_clinical
    from ctcfish.synth.trial_spec import TableCohort
    from ctcfish.trial.run import read_run

    typer.echo(str(simulate_clinical(read_run(run).slides, TableCohort(seed=seed), out)))


@trial_app.command(name="run")
def run_(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    clinical: ClinicalFile,
    protocol: Annotated[Path, typer.Option("--protocol", help="TOML of the protocol; 'trial template' writes one.")],
    qc: QcStudy = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write into; RUN/trial if not given.")] = None,
) -> None:
    """Compute every endpoint and write report, pictures, endpoints.json and exports."""
    target = out or run / "trial"
    if target.exists():
        raise UsageError(f"{target.name}: exists already; choose another output folder.")
    write_trial_report(run, (clinical, protocol, qc), target)


def write_trial_report(run: Path, given: tuple[Path, Path, Path | None], target: Path) -> None:
    """Write the trial's report of a run and print its flow; an older one in that place is replaced.

    Parameters
    ----------
    run : Path
    given : tuple of Path
        Clinical tables, protocol, and the folder of a reproducibility study or None.
    target : Path
    """
    from ctcfish.report.trial_files import write_trial
    from ctcfish.trial.analysis import run_trial
    from ctcfish.trial.protocol import read_protocol

    clinical, protocol, qc = given
    analysis = run_trial(run, clinical, read_protocol(protocol), qc)
    write_trial(analysis, target)
    for step in analysis.steps:
        typer.echo(f"{step.n:6d}  {step.name}")
    for claim in analysis.claims:
        typer.echo(str(claim))
    typer.echo(str(target))
