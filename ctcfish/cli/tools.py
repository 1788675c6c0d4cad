"""Commands around the scoring: configuration, weights, simulation, health."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ctcfish.cli.options import (
    ConfigFile,
    Json,
    PresetName,
    Sets,
    progress_bar,
    resolve_config,
)

app = typer.Typer()
config_app = typer.Typer(no_args_is_help=True, help="Show or check the configuration.")
models_app = typer.Typer(no_args_is_help=True, help="The weights that travel with the program.")
simulate_app = typer.Typer(no_args_is_help=True, help="Slides with known truth.")
app.add_typer(config_app, name="config")
app.add_typer(models_app, name="models")
app.add_typer(simulate_app, name="simulate")


@config_app.command()
def show(config: ConfigFile = None, preset: PresetName = None, set_: Sets = None, as_json: Json = False) -> None:
    """Print the resolved configuration and its hash."""
    resolved = resolve_config(preset, config, set_)
    from ctcfish.report.text import as_toml

    tree = resolved.resolved()
    typer.echo(json.dumps(tree, indent=1) if as_json else as_toml(tree) + f"# sha256 {resolved.sha256()}")


@config_app.command()
def check(file: Annotated[Path, typer.Argument(help="TOML to check.")], preset: PresetName = None) -> None:
    """Check a configuration file."""
    typer.echo(f"{file.name}: valid, sha256 {resolve_config(preset, file, None).sha256()}")


@config_app.command()
def schema() -> None:
    """Print the JSON schema of the configuration."""
    from ctcfish.config import Config

    typer.echo(json.dumps(Config.model_json_schema(by_alias=True), indent=1))


@models_app.command(name="list")
def list_() -> None:
    """List the weights and their cards."""
    from ctcfish.nets.weights import list_cards

    for card in list_cards():
        typer.echo(f"{card.name}: {card.content.get('summary', '')} (sha256 {card.sha256})")


@models_app.command()
def verify() -> None:
    """Recompute the SHA-256 of every weights file and compare it with its card."""
    from ctcfish.nets.weights import list_cards, read_weights

    for card in list_cards():
        read_weights(card)
        typer.echo(f"{card.name}: SHA-256 as on its card")


@simulate_app.command()
def slide(
    spec: Annotated[Path, typer.Argument(help="TOML that describes the slide.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the slide folder into.")],
) -> None:
    """Simulate a slide folder with known truth."""
    from ctcfish.synth import read_spec, simulate_slide

    with progress_bar(None) as progress:
        written = simulate_slide(read_spec(spec), out, lambda scene, _done, _total: progress(scene))
    typer.echo(str(written))


@simulate_app.command()
def cohort(
    spec: Annotated[Path, typer.Argument(help="TOML that describes the cohort.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the study into.")],
) -> None:
    """Simulate a study of several patients with known truth; of tables alone where it says level = "tables"."""
    from ctcfish.synth import CohortSpec, simulate_cohort
    from ctcfish.synth.trial_cohort import read_any_cohort, simulate_tables

    given = read_any_cohort(spec)
    with progress_bar(None) as progress:
        if isinstance(given, CohortSpec):
            written = simulate_cohort(given, out, lambda scene, _done, _total: progress(scene))
        else:
            written = simulate_tables(given, out)
    typer.echo(str(written))


@app.command()
def doctor() -> None:
    """Say what this machine offers and whether the installation is whole."""
    from ctcfish.doctor import health

    typer.echo(health())


@simulate_app.command()
def replicates(
    spec: Annotated[Path, typer.Argument(help="TOML that describes a slide and how often it is scanned.")],
    out: Annotated[Path, typer.Option("--out", help="Study folder to write.")],
) -> None:
    """Simulate a slide that is scanned again and again, as a study of precision."""
    from ctcfish.synth import read_replicates, simulate_replicates

    with progress_bar(None) as progress:
        written = simulate_replicates(read_replicates(spec), out, lambda name, _done, _total: progress(name))
    typer.echo(str(written))
