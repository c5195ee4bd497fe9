"""`restorect enhance`: repairs photographs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from ..errors import InputError, OutputError, RestorectError, UsageError
from .options import (
    DEPTH_CHOICES,
    DEVICE_CHOICES,
    FORMAT_CHOICES,
    STRIP_CHOICES,
    TASK_CHOICES,
    Json,
    Quiet,
    choose,
)
from .output import Output, stdout_error

if TYPE_CHECKING:
    from ..jobs import Job
    from ..repair import Chosen, Outcome, Repairer, Settings


def enhance(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...",
            help="Images to repair: JPEG, PNG, TIFF, WebP or AVIF, 8 or 16 bit; '-' is standard input.",
            show_default=False,
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
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            "--task", "-t", metavar="|".join(TASK_CHOICES), help="What to repair; 'auto' measures light and noise."
        ),
    ] = "auto",
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="A size, the name of a student (see `restorect models list`), or a folder holding one (./mine).",
        ),
    ] = "s",
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4,
            metavar="1..4",
            help="Steps of the flow: 1 is truest to the original; more change little in most pictures "
            "[default: the student's own].",
            show_default=False,
        ),
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="0..1",
            help="How far to go: the flow is stopped part-way. 0 returns the input, 1 the full repair.",
        ),
    ] = 1.0,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            "-d",
            metavar="|".join(DEVICE_CHOICES),
            help="Where to compute. 'auto' takes the best that works; a device named here that does not work is an "
            "error, never replaced (see `restorect doctor`).",
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="CPU threads [default: all].", show_default=False),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PIXELS",
            help="Side of the tiles a large image is cut into; smaller takes less memory, and the picture "
            "stays the same [default: as large as memory allows].",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(FORMAT_CHOICES),
            help="Format to write [default: by OUT's extension, else the input's].",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            metavar="1..100",
            help="Quality of JPEG, WebP and AVIF [default: of a JPEG that stays one, its own, but at least 75; "
            "else 92 for JPEG, 85 for AVIF, 90 for WebP; a lossless WebP stays lossless].",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(DEPTH_CHOICES),
            help="Bits per channel [default: the input's, as far as the format holds it].",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist, the input itself included if OUT names it.")
    ] = False,
    strip: Annotated[
        str,
        typer.Option(
            metavar="|".join(STRIP_CHOICES),
            help="Metadata to leave out: the place it was taken (gps), or all but the colour profile.",
        ),
    ] = "none",
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also tell which student runs on which device, before it starts.")
    ] = False,
) -> None:
    """Repairs photographs taken in too little light, and noisy ones.

    Rain streaks and raindrops (--task derain, raindrop) need students that do not come along yet.

    Writes photo.restored.jpg beside photo.jpg unless -o says otherwise, in the same format, depth, size and
    colour space. EXIF (but for the thumbnail), XMP, IPTC captions, colour profile and resolution are kept as far
    as the format has a place for them; comments and the text chunks of a PNG are not. Nothing that exists is
    overwritten without --overwrite. Of several images, one that fails does not stop the others; the exit code is
    then 1.

    With --task auto the light and the noise are measured, and the task chosen is told with its reason.

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
      {"input", "output", "task", "reason" (with auto), "model", "device", "steps",
       "width", "height", "seconds", "notes"}, or {"input", "error", "exit_code"}
    """
    choose("--task", task, TASK_CHOICES)
    choose("--device", device, DEVICE_CHOICES)
    choose("--strip", strip, STRIP_CHOICES)
    if format is not None:
        format = choose("--format", {"jpg": "jpeg", "tif": "tiff"}.get(format.lower(), format), FORMAT_CHOICES)
    if depth is not None:
        choose("--depth", depth, DEPTH_CHOICES)
    if not 0.0 <= strength <= 1.0:
        raise UsageError(f"strength {strength} is out of range", "give a number from 0 to 1")  # NaN passes Typer's own

    from ..jobs import plan_jobs
    from ..picture import FORMATS, WriteOptions

    jobs = plan_jobs(inputs, output, FORMATS, format=format, overwrite=overwrite)
    streaming = any(job.target is None for job in jobs)
    _check_streams(jobs, as_json)

    from ..repair import Settings

    settings = Settings(
        task=task,
        model=model,
        steps=steps,
        strength=strength,
        device=device,
        threads=threads,
        tile=tile,
        write=WriteOptions(
            format=format,
            quality=quality,
            depth=cast(Literal[8, 16] | None, int(depth) if depth else None),
            strip=cast(Literal["none", "gps", "all"], strip),
            overwrite=overwrite,
        ),
    )
    report = Output(as_json=as_json, quiet=quiet, verbose=verbose, streaming=streaming)
    code = _run_all(jobs, settings, report)
    if code:
        raise typer.Exit(code)


def _run_all(jobs: Sequence[Job], settings: Settings, report: Output) -> int:
    """The exit code: 1 if an image failed. A missing model or device fails them all, so that ends the run."""
    from ..repair import Repairer

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
                    report.say(f"{outcome.input}: note: {note}")
                report.result(_line(outcome), _record(outcome))
            done += 1
    except RestorectError as error:
        for job in jobs[done:]:
            _report_failure(job, error, report)
        raise
    return code


def _report_failure(job: Job, error: RestorectError, report: Output) -> None:
    report.result("", {"input": job.input_name, "error": str(error), "exit_code": error.exit_code})


def _run_one(job: Job, repairer: Repairer, report: Output) -> Outcome:
    name = job.input_name

    def tell(chosen: Chosen) -> None:
        if chosen.reason:
            report.say(f"{name}: {chosen.task}, because {chosen.reason}")
        restorer = repairer.restorer(chosen.task)
        report.detail(f"{name}: student {restorer.spec.name} on {restorer.device}, {_steps(restorer.steps)}")

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


def _record(outcome: Outcome) -> dict[str, object]:
    record = asdict(outcome)
    if not outcome.reason:
        del record["reason"]
    return record


def _line(outcome: Outcome) -> str:
    megapixels = outcome.width * outcome.height / 1e6
    how = f"{outcome.model}, {_steps(outcome.steps)}, {outcome.device}"
    return f"{outcome.input} -> {outcome.output}  ({how}, {megapixels:.1f} MP, {outcome.seconds:.1f} s)"


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"
