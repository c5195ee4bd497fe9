"""`restorect enhance`: repairs photographs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, OutputError, RestorectError, UsageError
from ..one_line import printable
from .options import (
    AcceptTruncated,
    Depth,
    Device,
    Ensemble,
    Format,
    HalfSize,
    Json,
    KeepTimes,
    Model,
    Quality,
    Quiet,
    Steps,
    Strength,
    Strip,
    Task,
    Threads,
    Tile,
    format_option,
)
from .output import Output, flow_told, outcome_line, outcome_record, stdout_error
from .settings import repair_settings

if TYPE_CHECKING:
    from ..files import Chosen, Outcome, Repairer, RepairSettings
    from ..jobs import Job


def enhance(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...",
            help="Images to repair: JPEG, PNG, TIFF, WebP or AVIF, 8 or 16 bit, and RAW and HEIC where their libraries "
            "are installed; '-' is standard input.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Where to write: a file (its extension says the format), a folder (existing, or ending in a slash: "
            "then it is made), or '-' for standard output "
            "[default: IN.restored.EXT beside the input; standard output if the input is '-'].",
        ),
    ] = None,
    task: Task = "auto",
    model: Model = "s",
    steps: Steps = None,
    ensemble: Ensemble = 1,
    strength: Strength = 1.0,
    device: Device = "auto",
    threads: Threads = None,
    tile: Tile = None,
    format: Annotated[Format | None, format_option("by OUT's extension, else the input's")] = None,
    quality: Quality = None,
    depth: Depth = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist, the input itself included if OUT names it.")
    ] = False,
    strip: Strip = "none",
    accept_truncated: AcceptTruncated = False,
    half_size: HalfSize = False,
    keep_times: KeepTimes = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also say which model runs on which device, before it starts.")
    ] = False,
) -> None:
    """Repairs photographs: too little light, noise, rain streaks, raindrops on the lens.

    Writes photo.restored.jpg beside photo.jpg unless -o says otherwise, in the same format, depth, size and
    colour space. EXIF (but for the thumbnail), XMP, IPTC captions, colour profile and resolution are kept as far
    as the format has a place for them; comments and the text chunks of a PNG are not. Nothing that exists is
    overwritten without --overwrite. Of several images, one that fails does not stop the others; the exit code is
    then 1.

    With --task auto, dark pictures are treated as low-light and everything else as noisy, and the reason is said. Rain
    and raindrops are not detected: pass --task derain or --task raindrop.

    \b
    Examples:
      restorect enhance photo.jpg
      restorect enhance dark.jpg -o bright.png --task low-light
      restorect enhance scan.tif --task denoise --strength 0.6
      restorect enhance *.jpg -o repaired/ --json > log.jsonl
      curl -s https://example.org/a.jpg | restorect enhance - -o - > a.jpg
      restorect enhance -o out.jpg -- -name-with-a-dash.jpg

    \b
    One JSON object per image with --json:
      {"input", "output", "task", "reason" (with auto), "model", "device", "steps", "ensemble",
       "width", "height", "seconds", "notes"}, or {"input", "error", "exit_code"}
    """
    settings = repair_settings(context)

    from ..jobs import plan_jobs

    jobs = plan_jobs(inputs, output, format=settings.write.format, overwrite=overwrite)
    streaming = any(job.target is None for job in jobs)
    _check_streams(jobs, as_json)

    report = Output(as_json=as_json, quiet=quiet, verbose=verbose, streaming=streaming)
    code = _run_all(jobs, settings, report)
    if code:
        raise typer.Exit(code)


def _run_all(jobs: Sequence[Job], settings: RepairSettings, report: Output) -> int:
    """The exit code: 1 if an image failed. A missing model or device fails them all, so that ends the run."""
    from ..files import Repairer

    code, done = 0, 0
    try:
        repairer = Repairer(settings)
        for job in jobs:
            try:
                outcome = _run_one(job, repairer, report)
            except (InputError, OutputError) as error:
                code = error.exit_code
                report.error(error)
                _report_failure(job, error, report)
            else:
                for note in outcome.notes:
                    report.say(f"{printable(outcome.input)}: note: {note}")
                report.result(outcome_line(outcome), outcome_record(outcome))
            done += 1
    except RestorectError as error:
        for job in jobs[done:]:
            _report_failure(job, error, report)
        raise
    return code


def _report_failure(job: Job, error: RestorectError, report: Output) -> None:
    report.result("", {"input": job.input_name, "error": str(error), "exit_code": error.exit_code})


def _run_one(job: Job, repairer: Repairer, report: Output) -> Outcome:
    name = printable(job.input_name)

    def tell(chosen: Chosen) -> None:
        if chosen.reason:
            report.say(f"{name}: {chosen.task}, because {chosen.reason}")
        restorer = repairer.restorer(chosen.task)
        report.detail(
            f"{name}: model {restorer.spec.name} on {restorer.device}, "
            f"{flow_told(restorer.steps, restorer.options.ensemble)}"
        )

    stream = sys.stdin.buffer if job.source is None else None
    with report.progress(name, 1000) as advance:
        done = 0

        def progress(rows: int, height: int) -> None:
            nonlocal done
            done += rows
            advance(rows * 1000 // height)

        return repairer.run(job, stream=stream, on_choice=tell, progress=progress, to_stream=_to_stdout)


def _check_streams(jobs: Sequence[Job], as_json: bool) -> None:
    """Image bytes need a pipe or a file at each end, and standard output to themselves."""
    reads, writes = any(job.source is None for job in jobs), any(job.target is None for job in jobs)
    if reads and sys.stdin is None:
        raise InputError("cannot read standard input, it is closed", "pipe an image in, or name a file")
    if reads and sys.stdin.isatty():
        raise UsageError("standard input is a terminal, not an image", "pipe one in: restorect enhance - < photo.jpg")
    if not writes:
        return
    if sys.stdout is None:
        raise OutputError("cannot write to standard output, it is closed", "give -o a file name")
    if as_json:
        raise UsageError("--json and the image both want standard output", "give -o a file name")
    if sys.stdout.isatty():
        raise UsageError("image bytes are not for a terminal", "give -o a file name, or redirect: > out.jpg")


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise stdout_error(error) from None
