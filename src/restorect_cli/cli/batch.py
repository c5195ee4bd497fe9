"""`restorect batch`: a folder of photographs, unattended."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ..errors import RestorectError, StoppedError, UsageError
from ..one_line import printable
from .options import (
    FORMAT_CHOICES,
    AcceptTruncated,
    Depth,
    Device,
    Ensemble,
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
    choose,
    path,
)
from .output import Output, outcome_line, outcome_record
from .progress import RunProgress
from .settings import read_settings

if TYPE_CHECKING:
    from ..batch.manifest import Manifest
    from ..batch.plan import IfExists
    from ..batch.run import Batch, Event, Executor, Summary
    from ..batch.scan import Found
    from ..batch.work import Work
    from ..files import Settings

IF_EXISTS_CHOICES = ("skip", "overwrite", "rename", "error")
MOST_JOBS = 2  # by default: a second image fills the pauses of the first; each takes about 0.6 GB


def batch(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", parser=path, help="Folder of photographs; they are never touched.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            parser=path,
            help="Folder for the results, made if need be; may lie inside DIR [default: DIR-restored].",
            show_default=False,
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
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Leave out files like this; several times.", show_default=False),
    ] = None,
    name: Annotated[
        str,
        typer.Option(metavar="TEMPLATE", help="Names of the results: {stem}, {ext}, {source_ext} (the input's own)."),
    ] = "{stem}.{ext}",
    if_exists: Annotated[
        str,
        typer.Option(
            metavar="|".join(IF_EXISTS_CHOICES),
            help="What to do where a result exists. 'skip' makes those anew whose settings or input have changed since "
            "batch wrote them, and leaves other files alone; 'rename' writes NAME-2.",
        ),
    ] = "skip",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what could not be read in an earlier run.")
    ] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first image that fails.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
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
            help="Only the I-th of N parts, as in job arrays: 3/8. Same parts everywhere, none twice.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Restore on the workers of this Dask scheduler (tcp://host:8786), which see the same folders; "
            "'local:N' starts N workers here. Needs the extra `cluster`.",
            show_default=False,
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=path,
            help="What became of each image, JSON lines [default: OUT/.restorect.jsonl].",
            show_default=False,
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
            show_default=False,
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
    format: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(FORMAT_CHOICES),
            help="Format to write [default: the input's; PNG for what can only be read].",
            show_default=False,
        ),
    ] = None,
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

    Stopped at any moment, even by a power cut, the same command goes on where it was: no half-written file ever has a
    result's name. Ctrl-C finishes the images being restored or written; a second one does not.

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
    choose("--if-exists", if_exists, IF_EXISTS_CHOICES)
    if watch and (scheduler or dry_run):
        raise UsageError("--watch goes with neither --scheduler nor --dry-run", "leave one of them out")
    settings = read_settings(
        task=task,
        model=model,
        steps=steps,
        ensemble=ensemble,
        strength=strength,
        device=device,
        threads=threads,
        tile=tile,
        format=format,
        quality=quality,
        depth=depth,
        strip=strip,
        accept_truncated=accept_truncated,
        half_size=half_size,
        keep_times=keep_times,
    )

    from ..batch.run import Batch, Options
    from ..batch.shard import WHOLE, parse_shard

    options = Options(
        folder=folder,
        output=output,
        manifest=manifest,
        recursive=recursive,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        template=name,
        if_exists=cast("IfExists", if_exists),
        retry_failed=retry_failed,
        shard=parse_shard(shard) if shard else WHOLE,
    )
    out = Output(as_json=as_json, quiet=quiet)
    planned = Batch(options, settings)
    files = [] if watch else planned.images()
    if dry_run:
        _tell_plan(planned, files, out)
        return
    run = _Run(planned, out, fail_fast=fail_fast)
    with closing(planned.open()) as record:
        run.go(record, files, settings, jobs, scheduler, settle if watch else None)
    if run.summary.failed:
        raise typer.Exit(1)


class _Run:
    """One run of the command: starts it, listens to Ctrl-C, and reports."""

    def __init__(self, batch: Batch, out: Output, *, fail_fast: bool) -> None:
        from ..batch.run import Summary

        self._batch, self._out, self._fail_fast = batch, out, fail_fast
        self._stopping = threading.Event()
        self._interrupted = False
        self.summary: Summary = Summary()

    def go(
        self,
        manifest: Manifest,
        files: list[Found],
        settings: Settings,
        jobs: int | None,
        scheduler: str | None,
        settle: float | None,
    ) -> None:
        """settle: seconds, with --watch. Raises StoppedError after Ctrl-C, and whatever ends the run."""
        items = self._batch.plan(files)
        self._batch.sweep(items)
        self._total = len(items)
        self._progress = RunProgress(self._out, None if settle else self._total)
        began = time.monotonic()
        with self._progress.show(), self._interruptible():
            for event in self._batch.settle(items, manifest):
                self._report(event)
            todo = [self._batch.work(item) for item in items if item.action == "restore"]
            if settle:
                self._out.say(f"watching {self._batch.folder}, results go to {self._batch.output}; Ctrl-C ends it")
            if (todo or settle) and not self._stopping.is_set():
                executor = self._executor(manifest, settings, jobs, scheduler)
                works = self._batch.arrivals(self._stopping, settle) if settle else iter(todo)
                try:
                    with closing(self._batch.run(works, executor, manifest)) as events:
                        for event in events:
                            self._report(event)
                finally:
                    self._batch.sweep(items)  # of a worker that died
                    self._tell_summary(time.monotonic() - began, executor.busy_seconds)
            else:
                self._tell_summary(time.monotonic() - began, {})
        if self._interrupted and self._left > 0:
            problem = f"interrupted, {self._left} of {self._total} images are left"
            raise StoppedError(problem, "the same command goes on there")

    @property
    def _left(self) -> int:
        """Planned images of which nothing has been told; with --watch none are planned."""
        return max(0, self._total - self.summary.settled)

    def _executor(self, manifest: Manifest, settings: Settings, jobs: int | None, scheduler: str | None) -> Executor:
        def started(work: Work) -> None:
            self._batch.remember(manifest, work, "started")

        def dropped(work: Work) -> None:
            self._batch.remember(manifest, work, "dropped")

        def announce(work: Work) -> None:
            self._progress.beginning(work.item.source.name)

        if scheduler is not None:
            from ..batch.cluster import Cluster

            folders = [str(self._batch.folder), str(self._batch.output)]
            return Cluster(scheduler, settings, folders, started, self._stopping, announce, dropped)

        from ..batch.pipeline import Pipeline
        from ..batch.work import threads_each
        from ..engine.runtime import check_threads
        from ..files import Repairer

        threads = check_threads(settings.threads)
        jobs = jobs or min(MOST_JOBS, threads)
        repairer = Repairer(replace(settings, threads=threads_each(threads, jobs)))
        return Pipeline(repairer, jobs, started, self._stopping, announce)

    def _report(self, event: Event) -> None:
        out, item, name = self._out, event.item, str(self._batch.folder / event.item.source.name)
        self.summary.count(event)
        if event.error is not None:
            out.error(event.error)
            record = {"status": "failed", "input": name, "error": str(event.error), "exit_code": 1}
            out.result("", record)
            if self._fail_fast:
                self._stopping.set()
        elif event.outcome is not None:
            for note in event.outcome.notes:
                out.say(f"{printable(name)}: note: {note}")
            if event.outcome.reason and not self._progress.is_shown:
                out.say(f"{printable(name)}: {event.outcome.task}, because {event.outcome.reason}")
            text = "" if self._progress.is_shown and sys.stdout.isatty() else outcome_line(event.outcome)
            out.result(text, {"status": "done", **outcome_record(event.outcome)})
        else:
            target = str(self._batch.output / item.output)
            out.result("", {"status": "skipped", "input": name, "output": target, "reason": item.reason})
        self._progress.update(self.summary.settled, self.summary.failed, self.summary.megapixels)

    def _tell_summary(self, seconds: float, busy: dict[str, float]) -> None:
        counts = self.summary
        text = f"{counts.restored} restored, {counts.skipped} skipped, {counts.failed} failed"
        text += f", {self._left} left" if self._left else ""
        text += f" in {_duration(seconds)}"
        if counts.restored:
            slowest = max(busy, key=lambda stage: busy[stage])
            text += f", {counts.megapixels / seconds:.2f} MP/s; slowest stage: {slowest}"
        self._out.say(text)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C lets the images in hand be finished; the second ends the run."""

        def interrupt(*_: Any) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            self._stopping.set()
            with suppress(RuntimeError):  # the signal came in the middle of a line being written
                self._out.say("finishing the images in hand; Ctrl-C again to drop them")

        if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
            yield
            return
        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _tell_plan(batch: Batch, files: list[Found], out: Output) -> None:
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
