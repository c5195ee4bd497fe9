"""Trains and measures the comparison of RestoRect's parts: docs/restorect.md, its tables and its plots.

    python scripts/compare_restorect.py train --data DIR -o RUNS      a teacher, then a student for every cell and seed
    python scripts/compare_restorect.py measure --data DIR -o RUNS    writes docs/restorect.jsonl
    python scripts/compare_restorect.py tables                        writes the tables of docs/restorect.md again
    python scripts/compare_restorect.py plot                          draws docs/images/restorect-NAME.png

A comparison is named after its task, or by `measure --called`.

Every cell has the same student, data, order of data and number of iterations; only what it learns from the teacher
differs. Scores are of pictures of held-out scenes, never of test sets, at several points of the training. `train` can
be stopped, by Ctrl-C or --time-limit, and started again with the same arguments; a seed is finished before the next.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from restorect_cli import charts
from restorect_cli.bench.metrics import match_mean, psnr, ssim
from restorect_cli.names import called
from restorect_cli.recipes.recipe import DistillRecipe, Recipe, SourceRecipe
from restorect_cli.training.curves import panel
from restorect_cli.training.data import PairStream
from restorect_cli.training.loop import StepReport, Trainer
from restorect_cli.training.nets.teacher import TEACHERS

DOCS = Path(__file__).parents[1] / "docs"
MEASURE_PX = 192
PICTURES = 32  # of each source, or as many as are held out
PLOT_SIZE = (1000, 560)

SOURCES = {
    "low-light": (SourceRecipe(folder="lowlight/train", degrade="pair", weight=1),),
    "derain": (
        SourceRecipe(folder="clean", degrade="rain-light", layers="derain/streaks", weight=0.5),
        SourceRecipe(folder="clean", degrade="rain-heavy", layers="derain/streaks", weight=0.5),
    ),
    "denoise": (SourceRecipe(folder="clean", degrade="gaussian", weight=1),),
}
USUAL: dict[str, dict[str, object]] = {
    "low-light": {"detail_weight": 1.0, "start_share": 0.7},
    "derain": {"final_l2": 0.25, "start_share": 0.7},
    "denoise": {"final_l2": 0.25, "start_share": 0.7},
}

NO_LATENT: dict[str, object] = {"latent": "off", "first_phase": 0.0}
NO_MAPS: dict[str, object] = {"maps_weight": 0.0}
TENTH: dict[str, object] = {"maps_weight": 0.01}
"""Of the usual weight, at which the gradient of the maps is several times that of the flow loss: clipping then leaves
little of the latter."""

CONSISTENT = "RestoRect + consistency"
"""The cell with IR-Flow's roll-outs, the cheap form."""

CELLS: dict[str, dict[str, object] | None] = {
    "no teacher": None,
    "static maps": NO_LATENT | {"maps": "static"},
    "FLEX": NO_LATENT | {"maps": "flex"},
    "static maps, a tenth": NO_LATENT | TENTH | {"maps": "static"},
    "FLEX, a tenth": NO_LATENT | TENTH | {"maps": "flex"},
    "latent flow": NO_MAPS,
    "RestoRect": {},
    "RestoRect, a tenth": TENTH,
    CONSISTENT: {},
    "RestoRect + picture": {"output_weight": 0.5},
    "latent flow, untaught": NO_MAPS | {"first_phase": 0.0, "vector_weight": 0.0, "velocity_weight": 0.0},
}
"""What each learns from the teacher; of its picture (output_weight) nothing, if not said."""

TEACHER = "teacher"
INPUT = "input"
MARK = "<!-- written by scripts/compare_restorect.py from here on -->"

Line = dict[str, object]


def teacher_recipe(args: argparse.Namespace, task: str) -> Recipe:
    return Recipe.model_validate(
        {
            "task": task,
            "net": args.teacher,
            "source": SOURCES[task],
            "iterations": args.teacher_iterations,
            "batch": 4,
            "crop_px": 96,
            "learning_rate": 1e-3,
            "warmup": min(100, args.teacher_iterations // 4),
            "ema": 0.99,
            "validate_every": args.teacher_iterations,
        }
    )


def student_recipe(args: argparse.Namespace, task: str, cell: str, seed: int) -> Recipe:
    """Everything else is the default."""
    learnt = CELLS[cell]
    distill = None if learnt is None else DistillRecipe.model_validate({"output_weight": 0.0} | learnt)
    base = {
        "task": task,
        "net": args.student,
        "source": SOURCES[task],
        "iterations": args.iterations,
        "batch": 8,
        "crop_px": 96,
        "learning_rate": 1.2e-3,
        "warmup": min(100, args.iterations // 4),
        "ema": 0.995,
        "seed": seed,
        "consistency": "cheap" if cell == CONSISTENT else "off",
        "distill": None if distill is None else distill.model_copy(update={"teacher": args.teacher}),
        "validate_every": args.iterations,
    }
    return Recipe.model_validate(base | USUAL[task])


def run_folder(output: Path, task: str, cell: str, seed: int) -> Path:
    return output / task / slug(cell) / f"seed-{seed}"


def train(args: argparse.Namespace) -> None:
    ends = time.monotonic() + 60 * args.time_limit
    for task in args.task:
        folder = run_folder(args.output, task, TEACHER, 0)
        if not go_on(teacher_recipe(args, task), folder, args, ends):
            return
        for seed in range(args.seeds):
            for cell in args.cells:
                recipe = student_recipe(args, task, cell, seed)
                run = run_folder(args.output, task, cell, seed)
                teacher = None if recipe.distill is None else folder / "ema.safetensors"
                if not go_on(recipe, run, args, ends, teacher):
                    return


def go_on(recipe: Recipe, run: Path, args: argparse.Namespace, ends: float, teacher: Path | None = None) -> bool:
    """Train a run to its end or until the time is up; return whether the next one may begin."""
    trainer = Trainer(
        recipe, args.data, run, threads=args.threads, resume=(run / "checkpoint.pt").exists(), teacher=teacher
    )
    if trainer.iteration == recipe.iterations:
        return True
    clock = Clock(run / "seconds.json")

    def report(step: StepReport) -> None:
        if step.iteration * args.points // recipe.iterations > (step.iteration - 1) * args.points // recipe.iterations:
            clock.stop(trainer.iteration)
            write_point(trainer, run / "points.jsonl")
            clock.start(trainer.iteration)

    clock.start(trainer.iteration)
    done = trainer.train(time_limit=max(0.0, ends - time.monotonic()), report=report)
    clock.stop(trainer.iteration)
    state = "done" if done else f"stopped at iteration {trainer.iteration} of {recipe.iterations}"
    print(f"{run}: {state}, {clock.each:.3f} s of CPU time per iteration", flush=True)
    return done


class Clock:
    """CPU time per iteration of a run, over all its parts, without measuring."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds, self._iterations = json.loads(path.read_text()) if path.is_file() else (0.0, 0)
        self._began, self._first = 0.0, 0

    def start(self, iteration: int) -> None:
        self._began, self._first = time.process_time(), iteration

    def stop(self, iteration: int) -> None:
        self._seconds += time.process_time() - self._began
        self._iterations += iteration - self._first
        self.start(iteration)
        self._path.write_text(json.dumps([self._seconds, self._iterations]))

    @property
    def each(self) -> float:
        return self._seconds / max(1, self._iterations)


def write_point(trainer: Trainer, path: Path) -> None:
    """Append the scores of the averaged weights as they are now, all held-out pictures counted alike."""
    by_way: dict[str, list[dict[str, float]]] = {}
    for _, how, restored, clean in trainer.held_out(MEASURE_PX, PICTURES):
        by_way.setdefault(how, []).extend(scores(restored.numpy(), clean.numpy()))
    with path.open("a", encoding="utf-8") as file:
        for how, found in by_way.items():
            file.write(json.dumps({"iteration": trainer.iteration, "how": how} | mean(found)) + "\n")


def scores(restored: np.ndarray, clean: np.ndarray) -> list[dict[str, float]]:
    """Of each picture of a batch (B,3,H,W): RGB PSNR in dB, SSIM, and PSNR once its brightness is the truth's."""
    pairs = [(a.transpose(1, 2, 0), b.transpose(1, 2, 0)) for a, b in zip(restored, clean, strict=True)]
    return [{"psnr": psnr(a, b), "ssim": ssim(a, b), "psnr_scaled": psnr(match_mean(a, b), b)} for a, b in pairs]


def mean(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([one[name] for one in found])), 4) for name in found[0]}


def measure(args: argparse.Namespace) -> None:
    """Gathers what the runs of some tasks wrote; the lines of other comparisons stay."""
    page = DOCS / "restorect.jsonl"
    old = page.read_text(encoding="utf-8").splitlines() if page.is_file() else []
    names = {task: args.called or task for task in args.task}
    lines: list[Line] = [line for line in map(json.loads, old) if line["name"] not in names.values()]
    for task, name in names.items():
        stream = PairStream(student_recipe(args, task, "no teacher", 0), args.data)
        batches = [batch for _, batch in stream.validation_batches(MEASURE_PX, PICTURES)]
        inputs = [score for batch in batches for score in scores(batch.y, batch.x)]
        lines.append({"name": name, "cell": INPUT, "pictures": len(inputs)} | mean(inputs))
        for cell in (TEACHER, *CELLS):
            for run in sorted(run_folder(args.output, task, cell, 0).parent.glob("seed-*")):
                lines += list(points(run, name, cell))
    page.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def points(run: Path, name: str, cell: str) -> Iterator[Line]:
    """One line per point and way; points that a run reached twice count as they were last."""
    own = Recipe.model_validate_json((run / "recipe.json").read_text(encoding="utf-8"))
    path = run / "points.jsonl"
    found = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    latest = {(point["iteration"], point.pop("how")): point for point in found}
    about = {"seed": own.seed, "net": own.net, "iterations": own.iterations}
    seconds = round(Clock(run / "seconds.json").each, 4)
    for (_, how), point in sorted(latest.items()):
        yield {"name": name, "cell": f"{cell}, {how}" if how else cell} | about | {"seconds": seconds} | point


@dataclass(frozen=True)
class Cell:
    """Results of one cell: scores by seed and iteration, and what is the same for all of them."""

    scores: dict[int, dict[int, dict[str, float]]]
    net: str
    iterations: int
    seconds: float

    @property
    def iterations_measured(self) -> list[int]:
        return sorted({iteration for found in self.scores.values() for iteration in found})

    def at(self, iteration: int, name: str) -> list[float]:
        """Of all seeds that came so far."""
        return [found[iteration][name] for found in self.scores.values() if iteration in found]

    def curve(self) -> list[tuple[float, float]]:
        return [(i, float(np.mean(self.at(i, "psnr")))) for i in self.iterations_measured]


def read_results() -> tuple[dict[str, dict[str, Cell]], dict[str, Line]]:
    """Cells by comparison and what they learn from, and the line of each comparison's input."""
    cells: dict[str, dict[str, Cell]] = {}
    inputs: dict[str, Line] = {}
    for text in (DOCS / "restorect.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line["cell"] == INPUT:
            inputs[line["name"]] = line
            continue
        named = cells.setdefault(line["name"], {})
        cell = named.setdefault(line["cell"], Cell({}, line["net"], line["iterations"], line["seconds"]))
        cell.scores.setdefault(line["seed"], {})[line["iteration"]] = line
    return cells, inputs


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def over_seeds(values: list[float], digits: int = 2) -> str:
    """Mean, and half of the range where there are several."""
    text = f"{np.mean(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {(max(values) - min(values)) / 2:.{digits}f}"


def final_table(cells: dict[str, Cell], given: Line) -> list[str]:
    plain = cells.get("no teacher")
    goal = max(value for _, value in plain.curve()) if plain and plain.curve() else float("inf")
    heads = (
        "learns from",
        "iterations",
        "CPU s each",
        "seeds",
        "PSNR",
        "SSIM",
        "PSNR, brightness of the truth",
        "past",
    )
    lines = [row(*heads), row("---", *["---:"] * (len(heads) - 1))]
    values = [f"{given[name]:.{digits}f}" for name, digits in (("psnr", 2), ("ssim", 3), ("psnr_scaled", 2))]
    lines.append(row("(input)", "", "", "", *values, ""))
    for name, cell in cells.items():
        last = cell.iterations_measured[-1]
        past = (
            ""
            if name.startswith(TEACHER)
            else next((f"{i:.0f}" for i, value in cell.curve() if value >= goal), "never")
        )
        found = [over_seeds(cell.at(last, kind), n) for kind, n in (("psnr", 2), ("ssim", 3), ("psnr_scaled", 2))]
        so_far = f"{last} of {cell.iterations}" if last < cell.iterations else f"{last}"
        lines.append(row(name, so_far, f"{cell.seconds:.2f}", str(len(cell.at(last, "psnr"))), *found, past))
    return lines


def convergence_table(cells: dict[str, Cell]) -> list[str]:
    students = {name: cell for name, cell in cells.items() if not name.startswith(TEACHER)}
    columns = sorted({iteration for cell in students.values() for iteration in cell.iterations_measured})
    lines = [row("PSNR after", *[f"{i}" for i in columns]), row("---", *["---:"] * len(columns))]
    for name, cell in students.items():
        found = [cell.at(i, "psnr") for i in columns]
        lines.append(row(name, *[over_seeds(values) if values else "" for values in found]))
    return lines


def tables(args: argparse.Namespace) -> None:
    by_name, inputs = read_results()
    lines: list[str] = []
    for name, cells in by_name.items():
        given = inputs[name]
        lines += [f"### {name}", ""]
        if picture(name).is_file():
            lines += [f"![PSNR of every cell over its training](images/{picture(name).name})", ""]
        nets = " and ".join(sorted({called(cell.net) for cell in cells.values()}))
        lines += [f"{nets}; {given['pictures']} held-out pictures.", "", *final_table(cells, given), ""]
        lines += [*convergence_table(cells), ""]
    page = DOCS / "restorect.md"
    before = page.read_text(encoding="utf-8").split(MARK, 1)[0]
    page.write_text(before + MARK + "\n\n" + "\n".join(lines), encoding="utf-8")


def picture(name: str) -> Path:
    return DOCS / "images" / f"restorect-{slug(name)}.png"


def slug(name: str) -> str:
    return name.replace(" + ", "-").replace(", ", "-").replace(" ", "-")


def plot(args: argparse.Namespace) -> None:
    """The students' curves; the teacher's last scores as level lines, for it has iterations of its own."""
    for name, cells in read_results()[0].items():
        students = {cell: found.curve() for cell, found in cells.items() if not cell.startswith(TEACHER)}
        ends = [point[0] for curve in students.values() for point in curve]
        for cell, found in cells.items():
            if cell.startswith(TEACHER) and ends:
                students[cell] = [(min(ends), found.curve()[-1][1]), (max(ends), found.curve()[-1][1])]
        title = f"{name}: RGB PSNR in dB on held-out scenes (EMA weights)"
        charts.write_png([panel(title, students)], picture(name), width_px=PLOT_SIZE[0], height_px=PLOT_SIZE[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "measure", "tables", "plot"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--task", nargs="*", default=["low-light"], choices=list(SOURCES))
    parser.add_argument("--cells", nargs="*", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--student", default="s", choices=["s", "m", "tiny"])
    parser.add_argument("--iterations", type=int, default=1500)
    parser.add_argument("--teacher", default="teacher-small", choices=list(TEACHERS))
    parser.add_argument("--teacher-iterations", type=int, default=1200)
    parser.add_argument("--points", type=int, default=6, help="at which a run is measured, its end included")
    parser.add_argument("--time-limit", type=float, default=float("inf"), metavar="MINUTES")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--called", metavar="NAME", help="of the comparison that `measure` writes, if not the task")
    args = parser.parse_args()
    if args.called and len(args.task) > 1:
        parser.error("--called names one comparison: give one task")
    steps: dict[str, Callable[[argparse.Namespace], None]] = {
        "train": train,
        "measure": measure,
        "tables": tables,
        "plot": plot,
    }
    steps[args.what](args)


if __name__ == "__main__":
    main()
