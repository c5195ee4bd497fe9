"""A folder labelled by a teacher: what is to be done, doing it, and going on after a kill.

    OUT/input/NAME.png      the photograph, or a view of it, as sRGB of eight bits
    OUT/target/NAME.png     the teacher's picture of exactly that file
    OUT/source.json         who labelled: name, SHA-256, licence, how it was called
    OUT/rejected.jsonl      a line for each label that the gate dropped, with the reason

A folder of pairs, with `input/` and `target/` of its own, keeps its truth: OUT/teacher/ is all that is added, with
NAME.png and both records in it.

Every file is there whole or not at all, and a picture counts as done once all of its files are: the same command
goes on where a killed one stopped.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, images
from ..atomic import replace_file
from ..degrade.pairs import SMALLEST_PX, as_picture, generator, list_photographs, read_clean, shrunk
from ..engine.source import Image
from ..errors import DiskFullError, InputError, ModelError, OutputError, RestorectError, UsageError
from ..images.picture import WriteOptions, to_depth
from ..names import is_picture
from . import gate
from .teachers import Teacher

SOURCE, REJECTED = "source.json", "rejected.jsonl"
TEMPORARY = ".restorect-label-"
MOST_FAILURES = 3  # pictures one after the other: then it is the teacher, not the picture
EVERYTHING = 1 << 62  # pixels
VIEW_SHARES = (0.4, 0.8)  # of the sides, that views after the first show


@dataclass(frozen=True)
class LabelOptions:
    """What is labelled; it goes into source.json, and a run that goes on must have the same.

    views: of every photograph: the whole, then parts of it, which are seen larger. largest: megapixels to which each is
    shrunk.
    """

    views: int = 1
    largest: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Task:
    """One picture to label: view `number` of the file `path`, under the name that its files get."""

    path: Path
    name: str
    number: int


@dataclass(frozen=True)
class Plan:
    """What is still to do of a folder."""

    output: Path
    truth: bool  # whether the folder holds pairs already
    tasks: tuple[Task, ...]
    done: int
    rejected: int
    problems: tuple[InputError, ...]  # files that cannot be labelled

    @property
    def records(self) -> Path:
        """Where source.json and rejected.jsonl are."""
        return self.output / "teacher" if self.truth else self.output

    def files(self, name: str) -> tuple[Path, ...]:
        """All files of one picture."""
        sides = ("teacher",) if self.truth else ("input", "target")
        return tuple(self.output / side / f"{name}.png" for side in sides)


@dataclass(frozen=True)
class Labelled:
    """What became of a picture; `problem` is the gate's reason or the error, None for a label that was written."""

    name: str
    photograph: str
    state: str  # labelled, rejected or failed
    problem: str | None
    width: int
    height: int
    seconds: float


def holds_pairs(folder: Path) -> bool:
    """Whether it is a folder of pairs of its own, not one that was labelled."""
    return all((folder / side).is_dir() for side in ("input", "target")) and not (folder / SOURCE).exists()


def plan(folder: Path, output: Path, options: LabelOptions, *, truth: bool | None = None) -> Plan:
    """What of `folder` is not in `output` yet. Raises InputError, or UsageError for options that pairs do not take.

    truth: whether the folder holds pairs; None looks.
    """
    truth = holds_pairs(folder) if truth is None else truth
    if truth and options.views > 1:
        raise UsageError(f"{folder} holds pairs, which are labelled as they are", "leave --views out")
    photographs, problems = list_photographs(folder / "input" if truth else folder, options.views)
    tasks = [
        Task(photograph.path, name, number)
        for photograph in photographs
        for number, name in enumerate(photograph.names)
    ]
    known = Plan(output, truth, (), 0, 0, tuple(problems))
    rejected = {str(record["name"]) for record in read_rejected(known.records)}
    done = {task.name for task in tasks if all(path.exists() for path in known.files(task.name))}
    dropped = {task.name for task in tasks if task.name in rejected} - done
    left = tuple(task for task in tasks if task.name not in done | dropped)
    return Plan(output, truth, left, len(done), len(dropped), tuple(problems))


def begin(work: Plan, teacher: Teacher, options: LabelOptions, licence: str) -> None:
    """Make the folders and write source.json, or check that it is the same. Raises OutputError."""
    about = describe(teacher, options, licence)
    path = work.records / SOURCE
    if path.exists():
        _check_same(path, about)
    elif not work.truth and any(_has_files(work.output / side) for side in ("input", "target")):
        raise OutputError(f"{work.output} holds pairs that nobody knows the maker of", "choose another folder with -o")
    elif work.truth and _has_files(work.output / "teacher"):
        raise OutputError(f"{work.output / 'teacher'} holds labels that nobody knows the maker of", "move it away")
    for file in work.files("x"):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {file.parent}", error.strerror or str(error)) from None
        for left in file.parent.glob(f"{TEMPORARY}*.part"):  # of a killed run
            left.unlink(missing_ok=True)
    text = json.dumps(about, indent=2) + "\n"
    try:
        replace_file(path, lambda aside: aside.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"cannot write {path}", error.strerror or str(error)) from None


def describe(teacher: Teacher, options: LabelOptions, licence: str) -> dict[str, Any]:
    """What source.json says."""
    return {
        "made_by": f"restorect {__version__}",
        "teacher": teacher.name,
        "sha256": teacher.sha256,
        "licence": licence,
        "called": dict(teacher.facts),
        "options": asdict(options),
    }


def label(work: Plan, teacher: Teacher, options: LabelOptions) -> Iterator[Labelled]:
    """Label what is left and report each picture once its files are there.

    A picture that cannot be read, or on which the teacher fails, is reported and left out: the next run tries it again.
    Raises DiskFullError at once, and the teacher's error where it fails on three pictures one after the other; what
    was labelled stays.
    """
    failures = 0
    for task in work.tasks:
        began = time.monotonic()
        shape = (0, 0)
        try:
            degraded = _view(task, options, whole=work.truth)
            shape = degraded.shape[:2]
            label = _labelled(teacher, task, degraded)
            failures = 0
            why = gate.fault(degraded, label)
            if why is None:
                _write(work, task, degraded, label)
            else:
                _reject(work.records, task, why)
            state = "labelled" if why is None else "rejected"
        except DiskFullError:
            raise
        except _TeacherFailedError as failed:
            failures += 1
            if failures == MOST_FAILURES:
                raise InputError(
                    f"the teacher failed on {failures} pictures one after the other, last on {task.path}",
                    f"what is labelled stays, and the same command goes on ({failed.cause})",
                ) from failed
            state, why = "failed", f"{task.path}: {failed.cause}"
        except InputError as error:
            state, why = "failed", str(error)
        yield Labelled(task.name, str(task.path), state, why, shape[1], shape[0], round(time.monotonic() - began, 3))


class _TeacherFailedError(Exception):
    """On one picture; `cause` says how."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


def _labelled(teacher: Teacher, task: Task, degraded: Image) -> Image:
    try:
        label = teacher(degraded)
    except MemoryError:
        raise _TeacherFailedError("not enough memory, use a smaller --largest or --tile") from None
    except RestorectError as error:
        if isinstance(error, ModelError | UsageError | InputError):
            raise _TeacherFailedError(str(error)) from error
        raise
    if label.shape != degraded.shape:
        raise _TeacherFailedError(f"the teacher gave {label.shape[1]}×{label.shape[0]} pixels, not the input's size")
    if not np.isfinite(label).all():
        raise _TeacherFailedError("the teacher gave values that are not numbers (NaN or infinite)")
    return label


def _view(task: Task, options: LabelOptions, *, whole: bool) -> Image:
    """The picture to label, at 255 levels: the whole one, or a part of it that follows from its name and number."""
    if whole or task.number == 0:
        return read_clean(task.path, EVERYTHING if whole else round(options.largest * 1e6))
    picture = read_clean(task.path, EVERYTHING)
    rng = generator(task.path.name, options.seed, task.number)
    share = rng.uniform(*VIEW_SHARES)
    height, width = (max(min(SMALLEST_PX, side), round(share * side)) for side in picture.shape[:2])
    top, left = (int(rng.integers(side - own + 1)) for side, own in zip(picture.shape, (height, width), strict=False))
    part = to_depth(picture[top : top + height, left : left + width], 8)
    view: Image = shrunk(part, round(options.largest * 1e6)).astype(np.float32) / np.float32(255)
    return view


def _write(work: Plan, task: Task, degraded: Image, label: Image) -> None:
    pictures = (label,) if work.truth else (degraded, label)
    for path, picture in zip(work.files(task.name), pictures, strict=True):
        images.write(as_picture(to_depth(picture, 8)), path, WriteOptions(overwrite=True), temporary_prefix=TEMPORARY)


def read_rejected(folder: Path) -> list[dict[str, Any]]:
    """The lines of rejected.jsonl; one that a kill cut short is left out, and its picture labelled again."""
    try:
        lines = (folder / REJECTED).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"cannot read {folder / REJECTED}", error.strerror or str(error)) from None
    found = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "name" in record:
            found.append(record)
    return found


def _reject(records: Path, task: Task, why: str) -> None:
    path = records / REJECTED
    line = json.dumps({"name": task.name, "photograph": task.path.name, "reason": why}) + "\n"
    try:
        with path.open("ab") as file:
            if file.tell() and not path.read_bytes().endswith(b"\n"):
                file.write(b"\n")
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}", error.strerror or str(error)) from None


def read_source(records: Path) -> dict[str, Any] | None:
    """What source.json says; None where there is none. Raises OutputError for one that says nothing."""
    path = records / SOURCE
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path} is damaged ({error})", "remove it with its folders, or choose another folder"
        ) from None
    if not isinstance(about, dict) or "teacher" not in about:
        raise OutputError(f"{path} names no teacher", "remove it with its folders, or choose another folder")
    return about


def _check_same(path: Path, about: dict[str, Any]) -> None:
    there = read_source(path.parent) or {}
    other = [key for key in about if key != "made_by" and there.get(key) != about[key]]
    if other:
        raise OutputError(
            f"{path.parent} was labelled otherwise, with another {', '.join(other)}",
            "use the same teacher and options, or choose another folder with -o",
        )


def is_finished(folder: Path) -> bool:
    """Whether it holds labels and no photographs to label: what `restorect label -o` makes."""
    return (folder / SOURCE).exists() and not any(is_picture(entry.name) for entry in folder.iterdir())


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir())
