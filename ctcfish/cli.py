"""The commands: parse, one call, print. The result goes to stdout, log and progress to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import ctcfish
from ctcfish.errors import CtcfishError, RelocationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctcfish.config import Config
    from ctcfish.io import Overrides

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="HER2 FISH on circulating tumour cells. Research use only.",
)
config_app = typer.Typer(no_args_is_help=True, help="Show or check the configuration.")
models_app = typer.Typer(no_args_is_help=True, help="The weights that travel with the program.")
simulate_app = typer.Typer(no_args_is_help=True, help="Slides with known truth.")
app.add_typer(config_app, name="config")
app.add_typer(models_app, name="models")
app.add_typer(simulate_app, name="simulate")


class Device(StrEnum):
    """Where the kernels run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class ReportKind(StrEnum):
    """Which report."""

    SLIDE = "slide"


class OnError(StrEnum):
    """What a failed slide does to a batch."""

    CONTINUE = "continue"
    STOP = "stop"


class ModalityName(StrEnum):
    """Which scan a single image is."""

    IF = "if"
    FISH = "fish"


Images = Annotated[list[Path], typer.Argument(help="A slide folder, one image, or one-channel files of one image.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the results; an existing one is left alone.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML with departures from the preset.")]
PresetName = Annotated[str | None, typer.Option("--preset", help="Named rule, for example circe_tdm1.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="One value, as section.key=value.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where the kernels run.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModalityOption = Annotated[ModalityName | None, typer.Option("--modality", help="Scan a single image is of.")]
PixelSize = Annotated[float | None, typer.Option("--pixel-size-um", help="Size of a pixel.")]
ZStep = Annotated[float | None, typer.Option("--z-step-um", help="Distance of two planes.")]
Channels = Annotated[list[str] | None, typer.Option("--channel", help="Channel of a role, as her2=1 or her2=TxRed.")]


@app.command()
def score(
    images: Images,
    modality: ModalityOption = None,
    pixel_size_um: PixelSize = None,
    z_step_um: ZStep = None,
    channel: Channels = None,
    config: ConfigFile = None,
    preset: PresetName = None,
    set_: Sets = None,
    out: Out = None,
    device: DeviceOption = Device.AUTO,
    as_json: Json = False,
) -> None:
    """Score one slide: nuclei, signals, calls, report."""
    given = _overrides(modality, pixel_size_um, z_step_um, channel)
    resolved = _config(preset, config, set_)
    from ctcfish import batch, pipeline
    from ctcfish.device import fix_threads, resolve_device
    from ctcfish.io import open_slide
    from ctcfish.report.text import screen
    from ctcfish.store.atomic import atomic_folder, to_json

    slide = open_slide(images if len(images) > 1 else images[0], given, resolved.panel)
    target = out or Path(f"{slide.slide_id}.ctcfish")
    batch.refuse_existing(target)
    chosen = resolve_device(device.value)
    fix_threads()
    with atomic_folder(target) as work, _progress(pipeline.steps(slide) + 1) as progress:
        result = batch.score_alone(slide, batch.Job(resolved, chosen, work), progress)
    summary = result.summary
    typer.echo(to_json(summary) if as_json else screen(summary["slide"], result.cells, summary["note"]))
    typer.echo(f"report: {target / slide.slide_id / 'report.html'}", err=as_json)
    if result.failure:
        evidence = str(summary["relocation"]["evidence"])
        remedy = "Check that both scans are of this slide; the nuclei were scored, of unknown kind."
        raise RelocationError(slide.slide_id, evidence, "scans that agree", remedy)


@app.command(name="batch")
def batch_(
    study: Annotated[Path, typer.Argument(help="Folder with study.csv, or with slide folders.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run: finished slides are kept.")] = False,
    on_error: Annotated[OnError, typer.Option("--on-error", help="After a slide that failed.")] = OnError.CONTINUE,
    config: ConfigFile = None,
    preset: PresetName = None,
    set_: Sets = None,
    device: DeviceOption = Device.AUTO,
    as_json: Json = False,
) -> None:
    """Score every slide of a study."""
    resolved = _config(preset, config, set_)
    from ctcfish import batch
    from ctcfish.device import fix_threads, resolve_device
    from ctcfish.io import study_slides

    refs = study_slides(study)
    if not resume:
        batch.refuse_existing(out)
    chosen = resolve_device(device.value)
    fix_threads()
    out.mkdir(parents=True, exist_ok=True)
    _log_to(out / "run.log")
    with _progress(len(refs)) as progress:
        failed = batch.run_batch(refs, batch.Job(resolved, chosen, out), on_error.value, progress)
    done = {"slides": len(refs) - len(failed), "failed": failed["slide_id"].tolist(), "out": str(out)}
    typer.echo(json.dumps(done) if as_json else f"{done['slides']} of {len(refs)} slides scored; see {out}")
    batch.raise_failures(failed)


@app.command()
def info(
    images: Images,
    modality: ModalityOption = None,
    pixel_size_um: PixelSize = None,
    z_step_um: ZStep = None,
    channel: Channels = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Say what an image or a slide folder holds, and what is missing to score it."""
    given = _overrides(modality, pixel_size_um, z_step_um, channel)
    resolved = _config(None, config, None)
    from ctcfish.io import describe
    from ctcfish.report.text import about

    said = describe(images if len(images) > 1 else images[0], given, resolved.panel)
    typer.echo(json.dumps(said, indent=1, ensure_ascii=False) if as_json else about(said))


@config_app.command()
def show(config: ConfigFile = None, preset: PresetName = None, set_: Sets = None, as_json: Json = False) -> None:
    """Print the resolved configuration and its hash."""
    resolved = _config(preset, config, set_)
    from ctcfish.report.text import as_toml

    tree = resolved.resolved()
    typer.echo(json.dumps(tree, indent=1) if as_json else as_toml(tree) + f"# sha256 {resolved.sha256()}")


@config_app.command()
def check(file: Annotated[Path, typer.Argument(help="TOML to check.")], preset: PresetName = None) -> None:
    """Check a configuration file."""
    typer.echo(f"{file.name}: valid, sha256 {_config(preset, file, None).sha256()}")


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

    with _progress(None) as progress:
        written = simulate_slide(read_spec(spec), out, lambda scene, _done, _total: progress(scene))
    typer.echo(str(written))


@simulate_app.command()
def cohort(
    spec: Annotated[Path, typer.Argument(help="TOML that describes the cohort.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write the study into.")],
) -> None:
    """Simulate a study of several patients with known truth."""
    from ctcfish.synth import read_cohort, simulate_cohort

    with _progress(None) as progress:
        written = simulate_cohort(read_cohort(spec), out, lambda scene, _done, _total: progress(scene))
    typer.echo(str(written))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of one slide in it.")],
    kind: Annotated[ReportKind, typer.Option("--kind", help="Which report.")] = ReportKind.SLIDE,
) -> None:
    """Make the reports of a run again from its tables, labels and pictures."""
    from ctcfish.report.slide import render
    from ctcfish.report.study import render_study
    from ctcfish.store.atomic import write_text

    folders = [run] if (run / "slide.json").is_file() else sorted(p.parent for p in run.glob("*/slide.json"))
    if not folders:
        raise UsageError(
            f"{run} holds no slide.json: give the folder of a run, or of one slide in it (kind {kind.value})."
        )
    for folder in folders:
        write_text(folder / "report.html", render(folder))
        typer.echo(str(folder / "report.html"))
    if (run / "slides.csv").is_file():
        write_text(run / "report.html", render_study(run))
        typer.echo(str(run / "report.html"))


@app.command()
def power(
    slide_folder: Annotated[
        Path | None, typer.Option("--slide", help="Scored slide whose error rates are used.")
    ] = None,
    config: ConfigFile = None,
    preset: PresetName = None,
    set_: Sets = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the table and its picture.")] = None,
) -> None:
    """Say what the assay can find: power, limit of blank and of detection."""
    resolved = _config(preset, config, set_)
    from ctcfish.report.power import power_plot, power_text
    from ctcfish.stages.calibrate import calibrate
    from ctcfish.stages.power import assay_power
    from ctcfish.store.atomic import write_text
    from ctcfish.store.results import rates_of, read_slide_json
    from ctcfish.tables import CELLS

    if slide_folder is not None and not (slide_folder / "slide.json").is_file():
        raise UsageError(f"{slide_folder} holds no slide.json: give the folder of one scored slide.")
    rates = rates_of(read_slide_json(slide_folder)) if slide_folder else calibrate(CELLS.empty(), resolved.calibrate)
    table = assay_power(rates, resolved.call)
    typer.echo(power_text(table, rates))
    if out is not None:
        write_text(out / "power.csv", table.to_csv(index=False, lineterminator="\n"))
        write_text(out / "power.svg", power_plot(table))


@app.command()
def doctor() -> None:
    """Say what this machine offers and whether the installation is whole."""
    from ctcfish.doctor import health

    typer.echo(health())


def _config(preset: str | None, file: Path | None, sets: list[str] | None) -> Config:
    from ctcfish.config import load

    return load(preset, file, sets or ())


def _overrides(
    modality: ModalityName | None, pixel_um: float | None, z_um: float | None, channel: list[str] | None
) -> Overrides:
    channels: dict[str, str] = {}
    for text in channel or ():
        role, separator, name = text.partition("=")
        if not separator or not role or not name:
            raise UsageError(f"--channel {text!r}: expected role=channel, for example her2=1 or her2=TxRed.")
        if role in channels:
            raise UsageError(f"--channel gives {role!r} twice; give each role once.")
        channels[role] = name
    from ctcfish.io import Overrides

    return Overrides(None if modality is None else modality.value, pixel_um, z_um, channels)


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[str], None]]:
    """A bar on stderr where that is a terminal; each call is one step."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("start", total=total)
        started = False

        def step(name: str) -> None:
            nonlocal started
            bar.update(task, description=name, advance=1 if started else 0)
            started = True

        yield step


def _log_to(file: Path) -> None:
    import logging

    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("ctcfish")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


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
