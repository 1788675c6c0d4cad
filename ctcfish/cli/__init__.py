"""The commands: parse, one call, print. The result goes to stdout, log and progress to stderr."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import ctcfish
from ctcfish.cli import batch, qc, runs, scoring, tools, trial
from ctcfish.errors import CtcfishError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="HER2 FISH on circulating tumour cells. Research use only.",
)
for commands in (batch, scoring, runs, qc, tools, trial):
    app.add_typer(commands.app)


def version(value: bool) -> None:
    """Print the version and end."""
    if value:
        typer.echo(ctcfish.__version__)
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """HER2 FISH on circulating tumour cells. Research use only."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a deliberate failure is one line on stderr and its exit code."""
    try:
        app(args=arguments)
    except CtcfishError as error:
        typer.echo(f"ctcfish: {error}", err=True)
        sys.exit(error.exit_code)
