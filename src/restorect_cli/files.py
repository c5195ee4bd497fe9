"""Repairs image files: read, choose the task, restore, write.

    restore_file("in.jpg", "out.png")                    one file
    restore_bytes(data, task="derain")                   one file in memory

    repairer = Repairer(RepairSettings(task="denoise"))  many: the network is loaded once
    for path in paths:
        repairer.restore_file(path, out / path.name)

With the task "auto" each image is measured and gets the model that suits it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from . import atomic, images
from .engine.auto import choose_task
from .engine.options import RestoreOptions, restore_options
from .engine.prior import prior_inputs
from .engine.restorer import Restorer
from .errors import OutputError, UsageError
from .images.picture import Meta, Picture, ReadOptions, WriteOptions, output_format
from .images.view import WorkingView
from .jobs import Job
from .models import store
from .names import SIZES, TASKS

AUTO = "auto"
AUTO_TASKS = ("denoise", "low-light")
KEEPS_LIGHT = ("denoise", "derain", "raindrop")  # tasks after which a gain map of the unrepaired picture still fits

RowsDone = Callable[[int, int], None]  # rows just finished, rows in all


@dataclass(frozen=True)
class RepairSettings:
    """All that decides how files are repaired: which task, how to restore, how to write, how to read.

    task: "low-light", "derain", "denoise", "raindrop", or "auto" to measure each image. Raises UsageError for another.
    """

    task: str = AUTO
    restore: RestoreOptions = RestoreOptions()
    write: WriteOptions = WriteOptions()
    read: ReadOptions = ReadOptions()

    def __post_init__(self) -> None:
        if self.task not in (AUTO, *TASKS):
            raise UsageError(f"unknown task '{self.task}'", f"choose {', '.join((AUTO, *TASKS))}")

    @classmethod
    def of(
        cls,
        task: str,
        restore: RestoreOptions | None = None,
        write: WriteOptions | None = None,
        read: ReadOptions | None = None,
        **keywords: Any,
    ) -> RepairSettings:
        """The settings from options given whole, or from keywords in their place.

        Raises UsageError where options and keywords for them are both given, TypeError for a keyword that is no option.
        """
        mine, rest = _parted(RestoreOptions, keywords)
        reading, writing = _parted(ReadOptions, rest)
        for kind, options, given in (("write", write, writing), ("read", read, reading)):
            if options is not None and given:
                problem = f"{kind} options and {', '.join(given)} are both given"
                raise UsageError(problem, "put all of them into the options")
        return cls(
            task, restore_options(restore, mine), write or WriteOptions(**writing), read or ReadOptions(**reading)
        )

    def with_threads(self, threads: int) -> RepairSettings:
        """The same, with so many CPU threads for each network."""
        return replace(self, restore=replace(self.restore, threads=threads))


def _parted(kind: type[Any], keywords: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keywords that are fields of this dataclass, and the others."""
    names = {field.name for field in fields(kind)}
    own = {name: value for name, value in keywords.items() if name in names}
    return own, {name: value for name, value in keywords.items() if name not in names}


@dataclass(frozen=True)
class Chosen:
    """The task for one image; `reason` is empty when the user named it."""

    task: str
    reason: str = ""


@dataclass(frozen=True)
class Decoded:
    """An image that is read, with the task chosen for it: what the network needs and the result will be made of."""

    view: WorkingView
    chosen: Chosen
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one image."""

    input: str
    output: str
    task: str
    reason: str
    model: str
    device: str
    steps: int
    ensemble: int
    width: int
    height: int
    seconds: float  # reading and writing included, loading the network not
    notes: tuple[str, ...]


class Repairer:
    """Repairs any number of files with one set of settings; every network is loaded once and kept.

    Several threads may use one at the same time: it holds nothing of an image. Raises ModelError and DeviceError at
    once where the task is known.
    """

    def __init__(self, settings: RepairSettings = RepairSettings()) -> None:
        self.settings = settings
        self._loading = Lock()
        self._restorers: dict[str, Restorer] = {}
        self._fixed = self._named_task()
        if self._fixed is not None:
            self.restorer(self._fixed.task)

    def read(self, job: Job, stream: BinaryIO | None = None) -> Picture:
        """The job's image, from `stream` where it names no file. Raises InputError, or OutputError for the target."""
        check_target(job, overwrite=self.settings.write.overwrite)
        source = stream if job.source is None else job.source
        if source is None:
            raise ValueError("a job without a source file needs a stream")
        picture = images.read(source, options=self.settings.read)
        if _replaces_its_source(job):
            _check_replaceable(job, picture.meta)
        return picture

    def prepare(self, picture: Picture, target: Path | None) -> Decoded:
        """The picture ready for the network. Raises OutputError where the target's format cannot hold it."""
        write = self.settings.write
        images.check_fits(picture.meta, write, target)
        view = WorkingView(picture, depth=write.depth)
        chosen = self.choose(view)
        notes = picture.meta.notes
        if picture.meta.gain_map is not None and chosen.task not in KEEPS_LIGHT:
            picture.meta = replace(picture.meta, gain_map=None)
            notes += ("the HDR gain map is left out: it belongs to the light before this repair",)
        return Decoded(view, chosen, (*notes, *images.write_notes(picture.meta, write, target)))

    def choose(self, view: WorkingView) -> Chosen:
        """The task for this image: the one named, else by what is measured, else the nearest one installed."""
        if self._fixed is not None:
            return self._fixed
        choice = choose_task(prior_inputs(view))
        installed = {student.spec.name for student in store.installed()}
        model = self.settings.restore.model
        wanted = f"{choice.task}-{model}"
        if wanted in installed:
            return Chosen(choice.task, choice.reason)
        others = [task for task in AUTO_TASKS if f"{task}-{model}" in installed]
        if not others:
            store.find(choice.task, model)  # raises, and says what can be done
        reason = f"{choice.reason}; that asks for {choice.task}, but model {wanted} is not here"
        return Chosen(others[0], reason)

    def restorer(self, task: str) -> Restorer:
        """The loaded model for a task."""
        with self._loading:
            if task not in self._restorers:
                self._restorers[task] = Restorer(task, self.settings.restore)
            return self._restorers[task]

    def restore(self, view: WorkingView, task: str, progress: RowsDone = lambda rows, total: None) -> Picture:
        """The restored picture; `progress` is told of every band of rows."""

        def emit(y0: int, rows: Any) -> None:
            view.apply(y0, rows)
            progress(rows.shape[0], view.height)

        self.restorer(task).restore_source(view, emit)
        return view.result()

    def restore_file(self, src: Path | str, dst: Path | str) -> Outcome:
        """Restore the picture in `src` into `dst`, as the function `restore_file` does."""
        return self.run(Job(Path(src), Path(dst)))

    def restore_bytes(self, data: bytes) -> bytes:
        """The file in `data`, restored, as the function `restore_bytes` does."""
        return images.encode(
            self.restore_picture(images.read(data, name="the image", options=self.settings.read)), self.settings.write
        )

    def restore_picture(self, picture: Picture) -> Picture:
        """The restored picture, from `read` and for `write` or `encode`; its pixels' depth is that to be written."""
        decoded = self.prepare(picture, None)
        return self.restore(decoded.view, decoded.chosen.task)

    def run(
        self,
        job: Job,
        *,
        stream: BinaryIO | None = None,
        on_choice: Callable[[Chosen], None] = lambda chosen: None,
        progress: RowsDone = lambda rows, total: None,
        to_stream: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Read, restore and write one image. `stream` and `to_stream` serve a job without source or target file."""
        began = time.perf_counter()
        picture = self.read(job, stream)
        had_gain_map = picture.meta.gain_map is not None
        decoded = self.prepare(picture, job.target)
        if had_gain_map and _replaces_its_source(job):
            self._check_gain_map(job, picture.meta)
        on_choice(decoded.chosen)
        result = self.restore(decoded.view, decoded.chosen.task, progress)
        if job.target is not None:
            with keep_times(job.source if self.settings.write.keep_times else None, job.target):
                images.write(result, job.target, self.settings.write)
        elif to_stream is not None:
            to_stream(images.encode(result, self.settings.write))
        return self.outcome(decoded, job.input_name, job.output_name, time.perf_counter() - began)

    def outcome(self, decoded: Decoded, input: str, output: str, seconds: float) -> Outcome:
        """What to tell of an image that was restored."""
        restorer = self.restorer(decoded.chosen.task)
        return Outcome(
            input=input,
            output=output,
            task=decoded.chosen.task,
            reason=decoded.chosen.reason,
            model=restorer.spec.name,
            device=restorer.device,
            steps=restorer.steps,
            ensemble=restorer.options.ensemble,
            width=decoded.view.width,
            height=decoded.view.height,
            seconds=round(seconds, 3),
            notes=decoded.notes,
        )

    def _check_gain_map(self, job: Job, meta: Meta) -> None:
        """Raises OutputError where the result that replaces its source would lack the source's gain map."""
        if meta.gain_map is None or output_format(self.settings.write, job.target, meta.format) != "jpeg":
            problem = f"{job.output_name} holds an HDR gain map, which would be lost"
            raise OutputError(problem, "choose another name with -o")

    def _named_task(self) -> Chosen | None:
        """The task the user named, be it by --task or by a model that knows only one."""
        if self.settings.task != AUTO:
            return Chosen(self.settings.task)
        if self.settings.restore.model in SIZES:
            return None
        student = store.find(None, self.settings.restore.model)
        return Chosen(student.spec.task, f"that is what model {student.spec.name} is for")


def restore_file(
    src: Path | str,
    dst: Path | str,
    *,
    task: str = AUTO,
    restore: RestoreOptions | None = None,
    write: WriteOptions | None = None,
    read: ReadOptions | None = None,
    **keywords: Any,
) -> Outcome:
    """Restore the picture in `src` into `dst`; task "auto" measures whether it is dark or noisy.

    The fields of `RestoreOptions` (model, steps, strength, ...), `WriteOptions` (format, quality, overwrite, ...) and
    `ReadOptions` (accept_truncated, half_size) may be given as keywords in place of `restore`, `write` and `read`. The
    rest of the file (profile, metadata, depth, alpha) is kept. Raises InputError, OutputError (an existing `dst` is
    only replaced with `overwrite`), UsageError, ModelError or DeviceError; no half-written file is left.
    """
    return Repairer(RepairSettings.of(task, restore, write, read, **keywords)).restore_file(src, dst)


def restore_bytes(
    data: bytes,
    *,
    task: str = AUTO,
    restore: RestoreOptions | None = None,
    write: WriteOptions | None = None,
    read: ReadOptions | None = None,
    **keywords: Any,
) -> bytes:
    """The image file in `data`, restored, as the bytes of a file: in the same format, or in `format`.

    Options as in `restore_file`. Raises InputError, OutputError (the format cannot hold the picture), UsageError,
    ModelError or DeviceError.
    """
    return Repairer(RepairSettings.of(task, restore, write, read, **keywords)).restore_bytes(data)


def _check_replaceable(job: Job, meta: Meta) -> None:
    """Raises OutputError where the source holds what the result that replaces it would not."""
    if meta.format in ("raw", "heif"):
        problem = f"{job.output_name} is a {meta.format.upper()} file, which cannot be written"
    elif meta.frames > 1:
        problem = f"{job.output_name} holds {meta.frames} images and would be replaced by the first alone"
    elif meta.left_out:
        problem = f"{job.output_name} also holds {' and '.join(meta.left_out)}, which would be lost"
    else:
        return
    raise OutputError(problem, "choose another name with -o")


@contextmanager
def keep_times(source: Path | None, target: Path) -> Iterator[None]:
    """Give the file that is written inside the times of access and change that `source` had before; None: leave them.

    Raises OutputError.
    """
    try:
        before = None if source is None else os.stat(source)
    except OSError as error:
        raise OutputError(f"cannot read the times of {source} ({error.strerror})", "leave out --keep-times") from error
    yield
    if before is not None:
        try:
            os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
        except OSError as error:
            problem = f"{target} was written, but cannot be given the times of {source} ({error.strerror})"
            raise OutputError(problem, "leave out --keep-times") from error


def _replaces_its_source(job: Job) -> bool:
    if job.source is None or job.target is None or not os.path.exists(job.target):
        return False
    return os.path.samefile(job.source, job.target)


def check_target(job: Job, *, overwrite: bool) -> None:
    """Make the folder that was asked for, and find out that the result has a place to go. Raises OutputError."""
    if job.target is None:
        return
    if job.folder_to_make is not None:
        try:
            job.folder_to_make.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make folder {job.folder_to_make} ({error.strerror})") from error
    atomic.check_target(job.target, overwrite)
