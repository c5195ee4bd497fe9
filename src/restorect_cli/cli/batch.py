"""`restorect batch`: a folder of photographs, unattended."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..batch import MOST_JOBS
from ..errors import RestorectError, UsageError
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
    path,
    words,
)
from .output import Output, outcome_line, outcome_record
from .progress import RunProgress
from .settings import collected, repair_settings

if TYPE_CHECKING:
    from ..batch.run import Batch, Event
    from ..batch.scan import Found
    from ..batch.session import Session
    from ..batch.work import Work

IfExists = Literal["skip", "overwrite", "rename", "error"]


def batch(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", parser=path, help="Folder of photographs; they are never touched."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            parser=path,
            help="Folder for the results, made if need be; may lie inside DIR [default: DIR-restored].",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Folders in DIR too; OUT gets the same folders.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GLOB",
            help="Take only files like this ('*.jpg', 'trip/*'), instead of all with an image's extension; "
            "can be given several times.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files like this; several times."),
    ] = None,
    name: Annotated[
        str,
        typer.Option(metavar="TEMPLATE", help="Names of the results: {stem}, {ext}, {source_ext} (the input's own)."),
    ] = "{stem}.{ext}",
    if_exists: Annotated[
        IfExists,
        typer.Option(
            metavar=words(IfExists),
            help="What to do where a result exists. 'skip' redoes only results whose settings or input changed since "
            "the last run, and never touches files it did not write; 'rename' writes NAME-2.",
        ),
    ] = "skip",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what could not be read in an earlier run.")
    ] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first image that fails.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on for ever, restoring files as they arrive, when they are complete.")
    ] = False,
    settle: Annotated[
        float,
        typer.Option(min=0.1, metavar="SECONDS", help="With --watch: a file unchanged for so long is complete."),
    ] = 5.0,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Process part I of N (for job arrays), e.g. 3/8. Parts depend only on file names, so they never "
            "overlap.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Restore on the workers of this Dask scheduler (tcp://host:8786), which see the same folders; "
            "'local:N' starts N workers here. Needs the extra `cluster`.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            help="What became of each image, JSON lines [default: OUT/.restorect.jsonl].",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=64,
            metavar="N",
            help=f"Images restored at the same time, on this machine [default: {MOST_JOBS}, 1 on one core].",
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
    format: Annotated[Format | None, format_option("the input's; PNG for what can only be read")] = None,
    quality: Quality = None,
    depth: Depth = None,
    strip: Strip = "none",
    accept_truncated: AcceptTruncated = False,
    half_size: HalfSize = False,
    keep_times: KeepTimes = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Repairs a folder of photographs, unattended; one machine or many.

    Results go to OUT under the names of the originals. Files whose name begins with a dot and linked folders are left
    out. An image that fails is reported and does not stop the others; the exit code is then 1. Where two images would
    get the same name, also on systems that ignore letter case, one is restored and the others fail (see --name).

    If a run is interrupted (Ctrl-C, power cut), run the same command again: it resumes where it stopped. No
    half-written file ever has a result's name. The first Ctrl-C lets images in progress finish; a second one stops
    immediately.

    \b
    Examples:
      restorect batch ./photos --task low-light
      restorect batch ./photos -r -o ./out --exclude 'drafts/*' --dry-run
      restorect batch ./photos -o ./out --shard 3/8
      restorect batch ./photos -o ./out --scheduler tcp://10.0.0.1:8786
      restorect batch ./incoming -o ./out --watch --json >> log.jsonl

    \b
    One JSON object per image with --json: as in `enhance`, with a status:
      {"status": "done", "input", "output", ...}, {"status": "skipped", "input", "output", "reason"},
      or {"status": "failed", "input", "error", "exit_code"}
    """
    if watch and (scheduler or dry_run):
        raise UsageError("--watch goes with neither --scheduler nor --dry-run", "leave one of them out")
    settings = repair_settings(context)

    from ..batch.run import Batch, BatchOptions
    from ..batch.session import Session
    from ..batch.shard import WHOLE, parse_shard

    options = collected(
        BatchOptions,
        context,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        template=name,
        shard=parse_shard(shard) if shard else WHOLE,
    )
    out = Output(as_json=as_json, quiet=quiet)
    planned = Batch(options, settings)
    files = [] if watch else planned.images()
    if dry_run:
        _report_plan(planned, files, out)
        return
    session = Session(planned, jobs=jobs, scheduler=scheduler, settle=settle if watch else None, fail_fast=fail_fast)
    with closing(planned.open()) as record:
        items = planned.plan(files)
        reporter = _Reporter(planned, session, out, None if watch else len(items))
        with reporter.progress.show():
            session.run(items, record, reporter)
    if session.summary.failed:
        raise typer.Exit(1)


class _Reporter:
    """Prints the events of a run, and draws its progress bar."""

    def __init__(self, batch: Batch, session: Session, out: Output, total: int | None) -> None:
        self._batch, self._session, self._out = batch, session, out
        self.progress = RunProgress(out, total)

    def watching(self) -> None:
        self._out.say(f"watching {self._batch.folder}, results go to {self._batch.output}; Ctrl-C ends it")

    def beginning(self, work: Work) -> None:
        self.progress.beginning(work.item.source.name)

    def stopping(self) -> None:
        with suppress(RuntimeError):  # the signal arrived while a line was being written
            self._out.say("finishing the images in progress; Ctrl-C again to stop immediately")

    def settled(self, event: Event) -> None:
        out, item, name = self._out, event.item, str(self._batch.folder / event.item.source.name)
        if event.error is not None:
            out.error(event.error)
            record = {"status": "failed", "input": name, "error": str(event.error), "exit_code": 1}
            out.result("", record)
        elif event.outcome is not None:
            for note in event.outcome.notes:
                out.say(f"{printable(name)}: note: {note}")
            if event.outcome.reason and not self.progress.is_shown:
                out.say(f"{printable(name)}: {event.outcome.task}, because {event.outcome.reason}")
            text = "" if self.progress.is_shown and sys.stdout.isatty() else outcome_line(event.outcome)
            out.result(text, {"status": "done", **outcome_record(event.outcome)})
        else:
            target = str(self._batch.output / item.output)
            out.result("", {"status": "skipped", "input": name, "output": target, "reason": item.reason})
        counts = self._session.summary
        self.progress.update(counts.settled, counts.failed, counts.megapixels)

    def ended(self, seconds: float, busy_seconds: dict[str, float]) -> None:
        counts, left = self._session.summary, self._session.left
        text = f"{counts.restored} restored, {counts.skipped} skipped, {counts.failed} failed"
        text += f", {left} left" if left else ""
        text += f" in {_duration(seconds)}"
        if counts.restored:
            slowest = max(busy_seconds, key=lambda stage: busy_seconds[stage])
            text += f", {counts.megapixels / seconds:.2f} MP/s; slowest stage: {slowest}"
        self._out.say(text)


def _report_plan(batch: Batch, files: list[Found], out: Output) -> None:
    """--dry-run: one line per image, failures included, and a count."""
    items = batch.plan(files)
    for item in items:
        name, target = str(batch.folder / item.source.name), str(batch.output / item.output)
        where = name if item.action == "fail" else f"{name} -> {target}"
        why = f"  ({item.reason})" if item.reason else ""
        record = {"action": item.action, "input": name, "output": target, "reason": item.reason}
        out.result(printable(f"{item.action}: {where}{why}"), record)
    counts = Counter(item.action for item in items)
    out.say(f"{counts['restore']} to restore, {counts['skip']} to skip, {counts['fail']} cannot be done")
    if counts["fail"]:
        raise typer.Exit(RestorectError.exit_code)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
