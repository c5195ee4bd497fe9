"""A batch from beginning to end: scan, plan, restore, record."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import InputError, RestorectError, UnavailableError, UsageError
from ..files import Outcome, RepairSettings
from . import fingerprint
from .leftovers import owner, sweep
from .manifest import Past, Record, RunManifest, Status, load_past, manifest_path
from .plan import DEFAULT_TEMPLATE, IfExists, Item, Planner, Wanted
from .scan import Found, look, scan
from .shard import WHOLE, Shard
from .watch import Retries, arrivals
from .work import Result, Work, make_folder, planned_failure


@dataclass(frozen=True)
class BatchOptions:
    """What to restore and where to write, as the user asked."""

    folder: Path
    output: Path | None = None
    manifest: Path | None = None
    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    template: str = DEFAULT_TEMPLATE
    if_exists: IfExists = "skip"
    retry_failed: bool = False
    shard: Shard = WHOLE


class Executor(Protocol):
    """What runs the work: the pipeline, or a cluster."""

    busy_seconds: dict[str, float]

    def run(self, works: Iterator[Work]) -> Generator[Result, None, None]: ...


@dataclass
class RunSummary:
    """The counts of a run."""

    restored: int = 0
    skipped: int = 0
    failed: int = 0
    megapixels: float = 0.0

    @property
    def settled(self) -> int:
        """Images that were reported."""
        return self.restored + self.skipped + self.failed

    def count(self, event: Event) -> None:
        outcome = event.outcome
        self.restored += outcome is not None
        self.failed += event.error is not None
        self.skipped += outcome is None and event.error is None
        self.megapixels += outcome.width * outcome.height / 1e6 if outcome else 0.0


@dataclass(frozen=True)
class Event:
    """An image that is settled: restored (`outcome`), failed (`error`), or skipped (`item.reason` says why)."""

    item: Item
    outcome: Outcome | None = None
    error: RestorectError | None = None


class Batch:
    """A folder of photographs with everything known about it.

    Raises InputError if the folder cannot be listed, UsageError if the output folder is the folder itself, and what
    `fingerprint.models` raises.
    """

    def __init__(self, options: BatchOptions, settings: RepairSettings) -> None:
        self.options, self.settings = options, settings
        self.folder = options.folder
        self.output = options.output or default_output(options.folder)
        self._check_folders()
        self.hashes = fingerprint.models(settings)
        self._settings_hash = fingerprint.settings_hash(settings, self.hashes)
        self._wanted = Wanted(
            include=options.include,
            exclude=options.exclude,
            template=options.template,
            format=settings.write.format,
            if_exists=options.if_exists,
            retry_failed=options.retry_failed,
            shard=options.shard,
            folder=os.path.realpath(self.folder),
            settings=self._settings_hash,
        )
        self.manifest_path = options.manifest or manifest_path(self.output, options.shard)
        self._past = Past()
        self._retries = Retries()

    def files(self) -> list[Found]:
        """The files in the folder now, images or not."""
        return list(scan(self.folder, recursive=self.options.recursive, leave_out=self.output))

    def images(self) -> list[Found]:
        """The same; raises InputError if there is nothing to restore, in any shard."""
        found = self.files()
        if not any(self._wanted.takes(file.name) for file in found):
            if self.options.include or self.options.exclude:
                fix = "check --include and --exclude, which are compared with names below the folder"
            else:
                fix = (
                    "check the name" if self.options.recursive else "check the name, or give -r to include its folders"
                )
            raise InputError(f"there are no images to restore in {self.folder}", fix)
        return found

    def plan(self, files: list[Found]) -> list[Item]:
        """What to do with these files now; nothing is written."""
        return self._planner().plan(files)

    def open(self) -> RunManifest:
        """The manifest, held by this run alone; makes the output folder. Raises OutputError."""
        make_folder(self.output)
        make_folder(self.manifest_path.parent)
        return RunManifest(self.manifest_path)

    def sweep(self, items: Iterable[Item]) -> int:
        """Remove temporary files of killed runs; if other shards may be running, only those of these items."""
        is_whole = self.options.shard.count == 1
        return sweep(self.output, None if is_whole else {owner(item.output) for item in items})

    def settle(self, items: Iterable[Item], manifest: RunManifest) -> Iterator[Event]:
        """Events of the items that need no work: those to skip, and those that cannot be done."""
        for item in items:
            if item.action == "skip":
                yield Event(item)
            elif item.action == "fail":
                result = Result(self.work(item), error=planned_failure(self.work(item)))
                if not item.failed_before:
                    self.remember(manifest, "failed", result.work, result)
                yield Event(item, error=result.error)

    def run(self, works: Iterator[Work], executor: Executor, manifest: RunManifest) -> Generator[Event, None, None]:
        """Events of the other items as they finish; if closed early, it drops all but files being written.

        Raises the RestorectError that ended the run.
        """
        with closing(executor.run(works)) as results:
            for result in results:
                self.remember(manifest, "failed" if result.error else "done", result.work, result)
                if isinstance(result.error, UnavailableError):
                    self._retries.add(result.work.item.source)
                yield Event(result.work.item, result.outcome, result.error)

    def arrivals(self, stopping: threading.Event, seconds: float) -> Iterator[Work]:
        """Work for files as they arrive, until `stopping` is set; work that cannot be done fails at once.

        Files that could not be opened arrive again after a while.
        """
        planner = self._planner()
        for ready in arrivals(self.files, stopping.wait, seconds, self._retries):
            yield from (self.work(item) for item in planner.plan(ready) if item.action != "skip")

    def remember(self, manifest: RunManifest, status: Status, work: Work, result: Result | None = None) -> None:
        """Write a line to the manifest, for later planning."""
        record = self._record(work, status, result)
        manifest.append(record)
        self._past.add(record)

    def work(self, item: Item) -> Work:
        return Work(item, self.folder / item.source.name, self.output / item.output)

    def _record(self, work: Work, status: Status, result: Result | None = None) -> Record:
        outcome = result.outcome if result else None
        error = result.error if result else None
        written = look(work.target) if outcome else None
        return Record(
            input=work.item.source.name,
            output=work.item.output,
            status=status,
            folder=self._wanted.folder,
            settings=self._settings_hash,
            input_bytes=work.item.source.signature.bytes,
            input_mtime_ns=work.item.source.signature.mtime_ns,
            output_bytes=written.signature.bytes if written else 0,
            output_mtime_ns=written.signature.mtime_ns if written else 0,
            task=outcome.task if outcome else "",
            reason=outcome.reason if outcome else "",
            model=outcome.model if outcome else "",
            model_hash=self.hashes.get(outcome.model, "") if outcome else "",
            seconds=outcome.seconds if outcome else 0.0,
            error=str(error) if error else "",
            error_type=type(error).__name__ if error else "",
            notes=outcome.notes if outcome else (),
        )

    def _planner(self) -> Planner:
        self._past = load_past(self.manifest_path, self.output)
        return Planner(self._wanted, self._past, lambda name: look(self.output / name))

    def _check_folders(self) -> None:
        try:
            os.scandir(self.folder).close()
        except FileNotFoundError:
            raise InputError(f"there is no folder {self.folder}", "check the name") from None
        except NotADirectoryError:
            raise InputError(f"{self.folder} is not a folder", "for single files use restorect enhance") from None
        except OSError as error:
            problem = f"the folder {self.folder} cannot be listed ({error.strerror})"
            raise UnavailableError(problem, "check its permissions and the disk") from None
        if os.path.realpath(self.folder) == os.path.realpath(self.output):
            raise UsageError("the output folder is the folder of the originals", "choose another -o")


def default_output(folder: Path) -> Path:
    """`photos-restored` beside `photos`, however that is written (`.`, a trailing slash)."""
    whole = Path(os.path.abspath(folder))
    if not whole.name:
        raise UsageError(f"{folder} has no name for an output folder beside it", "give -o")
    return (
        folder.with_name(f"{folder.name}-restored")
        if folder.name not in ("", "..")
        else whole.with_name(f"{whole.name}-restored")
    )
