"""`restorect label`: a slow network's pictures as the truth of photographs that have none."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import InputError, UsageError
from ..names import DeviceName, Task
from .options import Device, Json, Model, Quiet, Threads, words
from .output import Output

if TYPE_CHECKING:
    from ..labelling.run import LabelOptions, Plan
    from ..labelling.teachers import Teacher, TeacherOptions
    from ..recipes.recipe import Recipe

# those of labelling.teachers, which imports numpy
_Layout = Literal["nchw", "nhwc"]
_Range = Literal["0..1", "-1..1", "0..255"]
LINE_SECONDS = 30.0  # between two lines of progress where there is no terminal

TeacherLayout = Annotated[
    _Layout | None,
    typer.Option(
        metavar=words(_Layout),
        help="Where an ONNX teacher has its colours [default: read off its graph].",
    ),
]
TeacherRange = Annotated[
    _Range | None,
    typer.Option(
        metavar=words(_Range),
        help="What black and white are for an ONNX teacher [default: found by trying].",
    ),
]
TeacherMultiple = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        metavar="PIXELS",
        help="What both sides must be a multiple of [default: found by trying].",
    ),
]
TeacherOutput = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which output of an ONNX teacher with several is the picture."),
]
LabelTile = Annotated[
    int,
    typer.Option(
        "--tile", min=64, metavar="PIXELS", help="Side above which a teacher of free size gets the picture in windows."
    ),
]
Views = Annotated[
    int, typer.Option(min=1, max=64, metavar="N", help="Views to label of each: the whole, then parts, seen larger.")
]
Largest = Annotated[
    float, typer.Option(metavar="MEGAPIXELS", min=0.01, max=250, help="Shrink larger photographs to this.")
]


def label(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of photographs, or of pairs in input/ and target/; folders in it are left out.",
        ),
    ],
    teacher: Annotated[
        str,
        typer.Option(
            metavar="X",
            help="An ONNX file, a command 'prog {in} {out}', a checkpoint (extra `spandrel`), or self: our own model, "
            "the median over mirrored copies.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Folder for the labels [default: DIR-labelled; for a folder of pairs DIR itself].",
        ),
    ] = None,
    task: Annotated[
        Task | None,
        typer.Option(
            "--task",
            "-t",
            metavar=words(Task),
            help="What the teacher repairs: writes a recipe for training on the labels; --teacher self needs it.",
        ),
    ] = None,
    views: Views = 1,
    largest: Largest = 1.0,
    licence: Annotated[str, typer.Option(help="Licence of the teacher, an SPDX name, for source.json.")] = "unstated",
    model: Model = "s",
    layout: TeacherLayout = None,
    values: TeacherRange = None,
    multiple: TeacherMultiple = None,
    teacher_output: TeacherOutput = None,
    tile: LabelTile = 1024,
    device: Device = "auto",
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Labels photographs without truth by a teacher, so that a model can be trained on them.

    Writes OUT/input/NAME.png and OUT/target/NAME.png, OUT/source.json (the teacher, its SHA-256, its licence as given),
    and OUT/rejected.jsonl: labels that are no improvement (unchanged, clipped, of another colour, in blocks) are
    dropped, with the reason. For a folder of pairs, which have a truth, it writes OUT/teacher/NAME.png alone.

    A teacher takes one picture and gives one of the same size. Shape, size and range of an ONNX file are found out and
    printed; a network of fixed size sees the picture in windows that overlap. If a run is interrupted, run the same
    command again: it resumes where it stopped. A picture that fails does not stop the others; the exit code is then 1.

    \b
    Examples:
      restorect label ./rainy --teacher derainer.onnx --task derain -o ./rain-labelled --licence Apache-2.0
      restorect train --data ./rain-labelled --init derain-s
      restorect label ./rainy --teacher 'python derain.py {in} {out}' --views 4
      restorect label ./dark --teacher self --task low-light
    """
    from ..labelling.run import LabelOptions, holds_pairs, plan
    from ..labelling.teachers import open_teacher

    out = Output(as_json=as_json, quiet=quiet)
    options = LabelOptions(views=views, largest=largest)
    truth = holds_pairs(folder)
    target = output or (folder if truth else folder.with_name(f"{folder.resolve().name}-labelled"))
    work = plan(folder, target, options)
    opened = open_teacher(
        teacher,
        teacher_options(layout, values, multiple, teacher_output, tile, device, threads, task),
        task=task,
        model=model,
    )
    if label_all(work, opened, options, licence, out, task=task):
        raise typer.Exit(InputError.exit_code)


def teacher_options(
    layout: _Layout | None,
    values: _Range | None,
    multiple: int | None,
    output: str | None,
    tile: int,
    device: DeviceName,
    threads: int | None,
    task: Task | None,
) -> TeacherOptions:
    """As the command line says them."""
    from ..labelling.teachers import TeacherOptions

    return TeacherOptions(
        order=layout,
        values=values,
        multiple=multiple,
        output=output,
        tile_px=tile,
        one_light=task == "low-light",
        device=device,
        threads=threads,
    )


def label_all(
    work: Plan, teacher: Teacher, options: LabelOptions, licence: str, out: Output, *, task: Task | None
) -> int:
    """Label what is left, reporting each picture; returns how many failed. With a `task` OUT gets a recipe."""
    from ..labelling.recipe import write_recipe
    from ..labelling.run import begin
    from ..labelling.run import label as label_pictures

    begin(work, teacher, options, licence)
    called = ", ".join(f"{key} {value}" for key, value in teacher.facts.items())
    out.say(f"teacher {teacher.name} ({called}): {len(work.tasks)} pictures to label, {work.done} labelled before")
    for problem in work.problems:
        out.error(problem)
    failed, labelled, rejected = len(work.problems), work.done, work.rejected
    progress = _Progress(out, len(work.tasks))
    with out.progress(f"{len(work.tasks)} pictures", len(work.tasks)) as advance:
        for done in label_pictures(work, teacher, options):
            if done.state == "failed":
                failed += 1
                out.error(done.problem)
            elif done.state == "rejected":
                rejected += 1
                out.say(f"{done.photograph}: label dropped, {done.problem}")
            else:
                labelled += 1
            if done.state == "labelled" or out.as_json:
                out.result(f"{done.photograph} -> {work.files(done.name)[-1]}  ({done.seconds:.1f} s)", asdict(done))
            advance(1)
            progress.step()
    said = f"{labelled} labels in {work.output}"
    said += f", {rejected} dropped (rejected.jsonl says why)" if rejected else ""
    out.say(said + (f", {failed} failed: run the same command again to retry them" if failed else ""))
    if labelled and task is not None and not work.truth:
        sides_px = label_sides(work.output)
        written = write_recipe(work.output, task, sides_px)
        kept = "" if written else " (its recipe.toml was kept)"
        out.say(f"to train on them: restorect train --data {work.output} --init {task}-s{kept}")
    return failed


def label_sides(output: Path) -> list[int]:
    """Shorter sides in pixels of the labels in a folder."""
    from .. import images

    sides = []
    for path in sorted((output / "target").glob("*.png")):
        meta = images.read(path).meta
        sides.append(min(meta.width, meta.height))
    return sides


def need_labels(
    named: str,
    data: Path,
    recipe: Recipe | None,
    out: Output,
    *,
    task: Task | None,
    options: LabelOptions,
    threads: int | None,
    dry_run: bool,
) -> int:
    """Label by the teacher `named` what training needs and has no label yet: the photographs in `data`, or the folders
    of a recipe's sources that ask for a teacher. Returns how many pictures are left, which is 0 unless `dry_run`.

    Raises UsageError for a recipe without such a source, or labels of another teacher, and what labelling raises.
    """
    from ..labelling.run import is_finished, plan
    from ..labelling.teachers import TeacherOptions, open_teacher

    folders = [data]
    if recipe is not None:
        folders = [data / name for name in dict.fromkeys(s.folder for s in recipe.source if s.asks_teacher)]
    if not folders:
        raise UsageError(
            "the recipe asks for no teacher's pictures", 'say truth = "teacher" or truth = "mixed" in a [[source]]'
        )
    for folder in folders:
        _need_same_teacher(folder, named)
    plans = [plan(folder, folder, options) for folder in folders if not is_finished(folder)]
    left = sum(len(work.tasks) for work in plans)
    if dry_run or not left:
        return left
    out.say(f"the teacher labels each picture once, before training: {left} are left; `restorect label` can do it too")
    teacher = open_teacher(named, TeacherOptions(threads=threads, one_light=task == "low-light"), task=task)
    failed = sum(label_all(w, teacher, options, "unstated", out, task=None if recipe else task) for w in plans)
    if failed:
        out.say(f"warning: training goes on without the {failed} pictures that failed")
    return 0


def _need_same_teacher(folder: Path, named: str) -> None:
    """Raise UsageError where the labels in a folder are of another file than this one."""
    from ..labelling.run import read_source
    from ..labelling.teachers import file_digest

    if not Path(named).is_file():
        return
    for records in (folder, folder / "teacher"):
        about = read_source(records)
        if about is not None and about.get("sha256") != file_digest(Path(named)):
            raise UsageError(f"{folder} was labelled by {about['teacher']}, not by {named}", "name that teacher")


class _Progress:
    """Lines now and then where there is no terminal: how far it is and the time left."""

    def __init__(self, out: Output, total: int) -> None:
        self._out, self._total, self._done = out, total, 0
        self._began = self._said = time.monotonic()

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if self._out.draws_bars or now - self._said < LINE_SECONDS or self._done == self._total:
            return
        self._said = now
        left = (now - self._began) / self._done * (self._total - self._done)
        self._out.say(f"{self._done} of {self._total} pictures, about {max(1, round(left / 60))} minutes left")
