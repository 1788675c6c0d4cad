"""Commands on finished runs: check one against its manifest, compare two."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ctcfish.cli.options import Json
from ctcfish.errors import MismatchError, UsageError

app = typer.Typer()

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]


class FailOn(StrEnum):
    """Which difference of two runs is an error."""

    BYTES = "bytes"
    VALUES = "values"
    CALLS = "calls"


@app.command()
def verify(
    run: Run,
    study: Annotated[Path | None, typer.Option("--study", help="The study, slide folder or image scored.")] = None,
    key: Annotated[Path | None, typer.Option("--public-key", help="Ed25519 public key (PEM) of the signature.")] = None,
    as_json: Json = False,
) -> None:
    """Hash inputs, weights, configuration and outputs of a run again and compare with its manifest."""
    from dataclasses import asdict

    from ctcfish.report.runs import verification_text
    from ctcfish.store.signature import check_signature, public_key
    from ctcfish.store.verify import verify_run

    if key is not None:
        check_signature(run, public_key(key))
        typer.echo("signature: valid", err=as_json)
    found = verify_run(run, study)
    typer.echo(json.dumps(asdict(found), indent=1) if as_json else verification_text(found))
    if found.problems:
        names = ", ".join(f"{problem.what} {problem.name}" for problem in found.problems[:3])
        more = len(found.problems) - 3
        raise MismatchError(f"{run.name} is not what its manifest says: {names}{f' and {more} more' * (more > 0)}.")


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more runs; the others are compared with the first.")],
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="Difference that ends with exit code 6.")] = FailOn.CALLS,
    tolerance: Annotated[float, typer.Option("--tolerance", help="Relative difference of equal reals.")] = 1e-6,
    as_json: Json = False,
) -> None:
    """Say how far runs agree: in every byte, every value, every call."""
    if len(runs) < 2:
        raise UsageError("compare needs two runs or more; give their folders.")
    from ctcfish.report.runs import comparison_json, comparison_text
    from ctcfish.store.compare import compare_runs

    differing = []
    for other in runs[1:]:
        found = compare_runs(runs[0], other, tolerance)
        typer.echo(comparison_json(found) if as_json else f"{runs[0]} and {other}\n{comparison_text(found)}")
        if found.differs(fail_on.value):
            differing.append(other.name)
    if differing:
        raise MismatchError(f"{', '.join(differing)}: differs from {runs[0].name} in its {fail_on.value}.")


class Format(StrEnum):
    """Formats of an export."""

    CSV = "csv"
    PARQUET = "parquet"
    GEOJSON = "geojson"
    OME_ZARR = "ome-zarr"
    NAPARI = "napari"
    ANNDATA = "anndata"
    ROCRATE = "rocrate"


@app.command()
def export(
    run: Run,
    to: Annotated[Format, typer.Option("--to", help="Format to write.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write into; an existing one is left alone.")],
    study: Annotated[Path | None, typer.Option("--study", help="What was scored, for the pixels of OME-Zarr.")] = None,
) -> None:
    """Write a run's tables, outlines, signals and labels in other programs' formats."""
    from ctcfish.export.run import export_run

    export_run(run, to.value, out, study)
    typer.echo(str(out))
