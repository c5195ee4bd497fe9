"""Repairs image files: read, choose the task, restore, write.

    restore_file("in.jpg", "out.png")                    one file
    Repairer(Settings(task="denoise")).run(job)          one after another

A `Repairer` keeps the networks it has loaded, so a hundred photographs load them once. With the task
"auto" each image is measured and gets the student that suits it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal

from . import images
from .engine.auto import choose_task
from .engine.prior import prior_inputs
from .engine.restorer import Precision, Restorer
from .errors import OutputError
from .images.picture import Meta, Picture, ReadOptions, WriteOptions, output_format
from .images.view import WorkingView
from .jobs import Job
from .models import store
from .names import SIZES

AUTO = "auto"
AUTO_TASKS = ("denoise", "low-light")
KEEPS_LIGHT = ("denoise", "derain", "raindrop")  # tasks after which a gain map of the unrepaired picture still fits

Progress = Callable[[int, int], None]  # rows just finished, rows in all


@dataclass(frozen=True)
class Settings:
    """How to repair; the neutral defaults leave every choice to the student and the machine."""

    task: str = AUTO
    model: str | os.PathLike[str] = "s"
    steps: int | None = None
    ensemble: int = 1
    strength: float = 1.0
    device: str = "auto"
    threads: int | None = None
    tile: int | None = None
    precision: Precision = "fp32"
    write: WriteOptions = WriteOptions()
    read: ReadOptions = ReadOptions()


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
    """Runs jobs with one set of settings. Raises ModelError and DeviceError at once where the task is known.

    Several threads may use one: each network is loaded once, and holds nothing of an image.
    """

    def __init__(self, settings: Settings) -> None:
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
        wanted = f"{choice.task}-{self.settings.model}"
        if wanted in installed:
            return Chosen(choice.task, choice.reason)
        others = [task for task in AUTO_TASKS if f"{task}-{self.settings.model}" in installed]
        if not others:
            store.find(choice.task, self.settings.model)  # raises, and says what can be done
        reason = f"{choice.reason}; that asks for {choice.task}, but student {wanted} is not here"
        return Chosen(others[0], reason)

    def restorer(self, task: str) -> Restorer:
        """The loaded student for a task."""
        with self._loading:
            if task not in self._restorers:
                wanted = self.settings
                self._restorers[task] = Restorer(
                    task,
                    model=wanted.model,
                    steps=wanted.steps,
                    ensemble=wanted.ensemble,
                    strength=wanted.strength,
                    device=wanted.device,
                    threads=wanted.threads,
                    tile=wanted.tile,
                    precision=wanted.precision,
                )
            return self._restorers[task]

    def restore(self, view: WorkingView, task: str, progress: Progress) -> Picture:
        """The restored picture; `progress` is told of every band of rows."""

        def emit(y0: int, rows: Any) -> None:
            view.apply(y0, rows)
            progress(rows.shape[0], view.height)

        self.restorer(task).restore_source(view, emit)
        return view.result()

    def run(
        self,
        job: Job,
        *,
        stream: BinaryIO | None = None,
        on_choice: Callable[[Chosen], None] = lambda chosen: None,
        progress: Progress = lambda rows, total: None,
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
            ensemble=restorer.ensemble,
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
        if self.settings.model in SIZES:
            return None
        student = store.find(None, self.settings.model)
        return Chosen(student.spec.task, f"that is what model {student.spec.name} is for")


def restore_file(
    src: Path | str,
    dst: Path | str,
    *,
    # the restoration, as in Restorer
    task: str = AUTO,
    model: str | os.PathLike[str] = "s",
    steps: int | None = None,
    ensemble: int = 1,
    strength: float = 1.0,
    device: str = "auto",
    threads: int | None = None,
    tile: int | None = None,
    precision: Precision = "fp32",
    # the file
    format: str | None = None,
    quality: int | None = None,
    depth: Literal[8, 16] | None = None,
    strip: Literal["none", "gps", "all"] = "none",
    overwrite: bool = False,
    accept_truncated: bool = False,
    half_size: bool = False,
    keep_times: bool = False,
) -> Outcome:
    """Restore the picture in `src` into `dst`; task "auto" measures whether it is dark or noisy.

    The rest of the file (profile, metadata, depth, alpha) is kept. `accept_truncated` takes the rows that are there of
    a JPEG without its end, `half_size` develops RAW files at half their size. Raises InputError, OutputError (an
    existing `dst` is only replaced with `overwrite`), UsageError, ModelError or DeviceError; no
    half-written file is left.
    """
    write = WriteOptions(
        format=format, quality=quality, depth=depth, strip=strip, overwrite=overwrite, keep_times=keep_times
    )
    reading = ReadOptions(accept_truncated=accept_truncated, half_size=half_size)
    settings = Settings(task, model, steps, ensemble, strength, device, threads, tile, precision, write, reading)
    return Repairer(settings).run(Job(Path(src), Path(dst)))


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
    images.check_target(job.target, overwrite)
