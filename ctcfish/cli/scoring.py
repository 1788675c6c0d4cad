"""Commands that score images and show what came out."""

from __future__ import annotations

import json
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
    ModalityOption,
    Out,
    PixelSize,
    PresetName,
    ReportKind,
    Sets,
    ZStep,
    overrides,
    progress_bar,
    resolve_config,
)
from ctcfish.cli.qc import write_run_page
from ctcfish.cli.trial import QcStudy, write_trial_report
from ctcfish.errors import RelocationError, UsageError

app = typer.Typer()


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
    given = overrides(modality, pixel_size_um, z_step_um, channel)
    resolved = resolve_config(preset, config, set_)
    from ctcfish import batch, pipeline, unit
    from ctcfish.device import fix_threads, resolve_device
    from ctcfish.io import open_slide
    from ctcfish.qc.image import pixel_lights
    from ctcfish.report.text import screen
    from ctcfish.store.atomic import atomic_folder, to_json

    slide = open_slide(images if len(images) > 1 else images[0], given, resolved.panel)
    target = out or Path(f"{slide.slide_id}.ctcfish")
    batch.refuse_existing(target)
    chosen = resolve_device(device.value)
    fix_threads()
    if lights := pixel_lights(slide, resolved):
        typer.echo(lights, err=True)
    with atomic_folder(target) as work, progress_bar(pipeline.steps(slide) + 1) as progress:
        result = batch.score_alone(slide, unit.Job(resolved, chosen, work), progress)
    summary = result.summary
    typer.echo(to_json(summary) if as_json else screen(summary["slide"], result.cells, summary["note"]))
    typer.echo(f"report: {target / slide.slide_id / 'report.html'}", err=as_json)
    if result.failure:
        evidence = str(summary["relocation"]["evidence"])
        remedy = "Check that both scans are of this slide; the nuclei were scored, of unknown kind."
        raise RelocationError(slide.slide_id, evidence, "scans that agree", remedy)


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
    given = overrides(modality, pixel_size_um, z_step_um, channel)
    resolved = resolve_config(None, config, None)
    from ctcfish.io import describe
    from ctcfish.report.text import about

    said = describe(images if len(images) > 1 else images[0], given, resolved.panel)
    typer.echo(json.dumps(said, indent=1, ensure_ascii=False) if as_json else about(said))


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or of one slide in it.")],
    kind: Annotated[ReportKind, typer.Option("--kind", help="Which report.")] = ReportKind.SLIDE,
    history: Annotated[Path | None, typer.Option("--history", help="Control results, for the report qc.")] = None,
    clinical: Annotated[Path | None, typer.Option("--clinical", help="Clinical tables, for the report trial.")] = None,
    protocol: Annotated[Path | None, typer.Option("--protocol", help="Protocol, for the report trial.")] = None,
    qc: QcStudy = None,
) -> None:
    """Make the reports of a run again from its tables, labels and pictures."""
    if kind is ReportKind.QC:
        typer.echo(str(write_run_page(run, history)))
        return
    if kind is ReportKind.TRIAL:
        if clinical is None or protocol is None:
            raise UsageError("the report trial needs clinical tables and a protocol: give --clinical and --protocol.")
        write_trial_report(run, (clinical, protocol, qc), run / "trial")
        return
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
    resolved = resolve_config(preset, config, set_)
    from ctcfish.conclude import rates_of
    from ctcfish.report.power import power_plot, power_text
    from ctcfish.stages.calibrate import calibrate
    from ctcfish.stages.power import assay_power
    from ctcfish.store.atomic import write_text
    from ctcfish.store.results import read_slide_json
    from ctcfish.tables import CELLS

    if slide_folder is not None and not (slide_folder / "slide.json").is_file():
        raise UsageError(f"{slide_folder} holds no slide.json: give the folder of one scored slide.")
    rates = rates_of(read_slide_json(slide_folder)) if slide_folder else calibrate(CELLS.empty(), resolved.calibrate)
    table = assay_power(rates, resolved.call)
    typer.echo(power_text(table, rates))
    if out is not None:
        write_text(out / "power.csv", table.to_csv(index=False, lineterminator="\n"))
        write_text(out / "power.svg", power_plot(table))
