"""Commands of the laboratory's quality control."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctcfish.cli.options import (
    Channels,
    ConfigFile,
    Device,
    DeviceOption,
    Images,
    Json,
    Out,
    PixelSize,
    PresetName,
    Sets,
    ZStep,
    overrides,
    resolve_config,
)
from ctcfish.errors import MismatchError, UsageError

app = typer.Typer()
qc_app = typer.Typer(no_args_is_help=True, help="The laboratory's quality control. Research use only.")
app.add_typer(qc_app, name="qc")

control_app = typer.Typer(no_args_is_help=True, help="Control slides: history, charts, release.")
qc_app.add_typer(control_app, name="control")

History = Annotated[Path, typer.Option("--history", help="SQLite file of control results; on a local drive.")]
Runs = Annotated[list[Path], typer.Argument(help="Folders of runs, the first one first.")]


def _free(place: Path) -> Path:
    if place.exists():
        raise UsageError(f"{place} exists and is left alone; give another --out, or remove it first.")
    return place


@qc_app.command()
def reproduce(
    runs: Runs,
    readers: Annotated[Path | None, typer.Option("--readers", help="CSV: cell_id, reader, her2, cep17, call.")] = None,
    config: ConfigFile = None,
    preset: PresetName = None,
    set_: Sets = None,
    out: Out = None,
) -> None:
    """Say how well readings of the same slides agree: replicates of a run, or several runs."""
    resolved = resolve_config(preset, config, set_)
    place = _free(out or Path(f"{runs[0].name}.reproduce"))
    from ctcfish.qc.output import write_page
    from ctcfish.qc.reproduce import reproduce as study
    from ctcfish.report.qc_reproduce import reproduce_page

    found = study(runs, readers, resolved)
    origin = f"Runs {', '.join(run.name for run in runs)}; configuration {resolved.sha256()[:12]}."
    write_page(reproduce_page(found.frames(), "Reproducibility", origin), found.frames(), place)
    typer.echo(f"{len(found.matching)} readings of {found.matching['group'].nunique()} slides; see {place}")
    if found.broken():
        raise MismatchError(f"equal images gave unequal tables: {', '.join(found.broken())}; this must not happen.")


@qc_app.command()
def image(
    images: Images,
    pixel_size_um: PixelSize = None,
    z_step_um: ZStep = None,
    channel: Channels = None,
    config: ConfigFile = None,
    set_: Sets = None,
    out: Out = None,
    device: DeviceOption = Device.AUTO,
    as_json: Json = False,
) -> None:
    """Say whether an image is fit to score, before scoring it: a light for each check, with the number behind it."""
    given = overrides(None, pixel_size_um, z_step_um, channel)
    resolved = resolve_config(None, config, set_)
    place = None if out is None else _free(out)
    from ctcfish.device import fix_threads, resolve_device
    from ctcfish.io import open_slide
    from ctcfish.qc.image import slide_checks
    from ctcfish.qc.output import write_page
    from ctcfish.report.qc_run import image_page

    slide = open_slide(images if len(images) > 1 else images[0], given, resolved.panel)
    fix_threads()
    checks = slide_checks(slide, resolved, resolve_device(device.value))
    shown = checks[["scene", "check", "value", "light", "green", "red", "about"]]
    typer.echo(
        checks.to_json(orient="records") if as_json else shown.to_string(index=False, float_format="{:.3g}".format)
    )
    if place is not None:
        write_page(image_page(checks, f"Image {slide.slide_id}", "Before scoring."), {"checks": checks}, place)
        typer.echo(f"report: {place / 'report.html'}", err=True)


def write_run_page(run: Path, history: Path | None) -> Path:
    """Write the laboratory's page of a run beside it; an older one is replaced."""
    from ctcfish.qc.laboratory import laboratory
    from ctcfish.qc.output import write_page

    page, frames = laboratory(run, history)
    place = run.resolve().with_name(f"{run.resolve().name}.qc")
    write_page(page, frames, place)
    return place / "report.html"


@control_app.command()
def add(runs: Runs, history: History, config: ConfigFile = None, preset: PresetName = None, set_: Sets = None) -> None:
    """Add the control results of runs: control slides, and the leukocytes of every slide."""
    resolved = resolve_config(preset, config, set_)
    from ctcfish.qc.control import control_results
    from ctcfish.qc.history import add_results

    for run in runs:
        found = control_results(run, resolved.qc)
        typer.echo(f"{run.name}: {add_results(history, found)} of {len(found)} control results added")
        if not len(found):
            least = resolved.qc.min_control_cells
            typer.echo(f"{run.name}: no control slide or leukocytes with {least} evaluable nuclei", err=True)


@control_app.command()
def target(
    history: History,
    material: Annotated[str, typer.Option("--material", help="Control material.")],
    quantity: Annotated[str, typer.Option("--quantity", help="What is charted.")],
    value: Annotated[float, typer.Option("--target", help="Target.")],
    spread: Annotated[float, typer.Option("--sd", help="Standard deviation around it.")],
    origin: Annotated[str, typer.Option("--origin", help="Where they come from.")] = "set by hand",
) -> None:
    """Set target and standard deviation of a chart."""
    from ctcfish.qc.history import set_target

    set_target(history, (material, quantity), value, spread, origin)
    typer.echo(f"{material} {quantity}: target {value:g}, SD {spread:g}")


@control_app.command()
def chart(
    history: History, out: Out = None, config: ConfigFile = None, preset: PresetName = None, set_: Sets = None
) -> None:
    """Draw the charts: Levey-Jennings with Westgard's rules, CUSUM and EWMA."""
    resolved = resolve_config(preset, config, set_)
    place = _free(out or Path(f"{history.stem}.charts"))
    from ctcfish.qc.control import control_study
    from ctcfish.qc.output import write_page

    page, frames, _ = control_study(history, resolved.qc)
    write_page(page, frames, place)
    typer.echo(f"{len(frames['controls'])} results on {len(frames['charts'])} charts; see {place}")


@control_app.command()
def gate(
    history: History,
    run: Annotated[str | None, typer.Option("--run", help="Run to be released; default: each chart's newest.")] = None,
    config: ConfigFile = None,
    preset: PresetName = None,
    set_: Sets = None,
) -> None:
    """Say whether a run may be released; exit 5 where a rule is broken."""
    resolved = resolve_config(preset, config, set_)
    from ctcfish.qc.control import gate as held_back
    from ctcfish.qc.control import make_charts
    from ctcfish.qc.history import read_results, read_targets

    held_back(make_charts(read_results(history), read_targets(history), resolved.qc), run, resolved.qc)
    typer.echo(f"{run or 'newest results'}: no rule is broken")
