"""Trains and measures the ablation of IR-Flow's claims: docs/ir-flow.md, tables and all.

    python scripts/ablate_ir_flow.py train --data DIR -o RUNS         DIR/clean: photographs
    python scripts/ablate_ir_flow.py measure --data DIR -o RUNS       writes docs/ir-flow.jsonl, shipped models too
    python scripts/ablate_ir_flow.py tables                           writes the tables of docs/ir-flow.md again

Every cell has the same student, data, order of data and number of iterations; only what names the cell differs. Scores
are of photographs held out of the training, in float32, never of test sets. `train` can be stopped and started again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from gmsd import gmsd

from restorect_cli import Restorer
from restorect_cli.bench.metrics import psnr
from restorect_cli.bench.niqe import niqe
from restorect_cli.degrade import noise, rain
from restorect_cli.degrade.noise import FloatImage
from restorect_cli.degrade.table import Degradation, Scene
from restorect_cli.engine.flow import (
    GridKind,
    Pixels,
    Predictor,
    Target,
    displacement_weight,
    euler_step,
    minus,
    sample,
    time_grid,
)
from restorect_cli.recipes.recipe import Recipe, SourceRecipe
from restorect_cli.training.data import Batch, PairStream, collate, draw
from restorect_cli.training.export import load_weights
from restorect_cli.training.loop import VALIDATION_PICTURES, Trainer
from restorect_cli.training.nets.student import Student
from restorect_cli.training.pictures import TrainingPicture

Solver = Literal["euler", "heun"]

DOCS = Path(__file__).parents[1] / "docs"
STEPS = (1, 2, 3, 4, 5, 10)
MEASURE_PX = 192

SOURCES = {
    "denoise": (SourceRecipe(folder="clean", degrade="gaussian", weight=1),),
    "derain": (
        SourceRecipe(folder="clean", degrade="rain-light", weight=0.5),
        SourceRecipe(folder="clean", degrade="rain-heavy", weight=0.5),
    ),
}

CELLS: dict[str, dict[str, object]] = {
    "one-step": {"start_share": 1.0},
    "velocity": {"target": "velocity"},
    "velocity, full": {"target": "velocity", "consistency": "full"},
    "velocity, cheap": {"target": "velocity", "consistency": "cheap"},
    "cumulative": {},
    "cumulative, inert": {"consistency": "inert"},
    "cumulative, full": {"consistency": "full"},
    "cumulative, cheap": {"consistency": "cheap"},
}
LONGER = "cumulative, longer"  # the time that `full` takes, spent on iterations instead
LONGER_FACTOR = 2.0

MARK = "<!-- written by scripts/ablate_ir_flow.py from here on -->"


def recipe(task: str, cell: str, iterations: int) -> Recipe:
    """The recipe of one cell; everything else is the default."""
    length = round(iterations * LONGER_FACTOR) if cell == LONGER else iterations
    base = {
        "task": task,
        "source": SOURCES[task],
        "iterations": length,
        "batch": 8,
        "crop_px": 80,
        "learning_rate": 1.5e-3,
        "warmup": 100,
        "final_l2": 0.25,
        "validate_every": length,
    }
    return Recipe.model_validate(base | CELLS.get(cell, {}))


def train(args: argparse.Namespace) -> None:
    for task in args.task:
        for cell in [*CELLS, LONGER]:
            run = args.output / task / cell.replace(", ", "-")
            trainer = Trainer(
                recipe(task, cell, args.iterations),
                args.data,
                run,
                threads=args.threads,
                resume=(run / "checkpoint.pt").exists(),
            )
            if trainer.iteration == trainer.recipe.iterations:
                continue
            started, before = time.process_time(), trainer.iteration
            trainer.train()
            each = (time.process_time() - started) / (trainer.iteration - before)
            (run / "seconds.json").write_text(json.dumps(each))
            print(f"{task}, {cell}: {trainer.iteration} iterations, {each:.3f} s of CPU time each", flush=True)


# Degradations to measure at: those trained on, and one beyond them (the last).


def _gaussian(sigma: float) -> Degradation:
    def degrade(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
        return noise.gaussian(scene.crop, sigma, rng), noise.gaussian(scene.thumb, sigma / scene.averaged, rng)

    return degrade


def _rain(lay: Callable[..., FloatImage], times: int) -> Degradation:
    def degrade(scene: Scene, rng: np.random.Generator) -> tuple[FloatImage, FloatImage]:
        wet = scene.crop
        for _ in range(times):
            wet = lay(wet, rain.FreshStreaks(), rng)
        change = (np.clip(wet, 0, 1) - scene.crop).mean(axis=(0, 1))
        return noise.to_8_bit(wet), np.clip(scene.thumb + change, 0, 1).astype(np.float32)

    return degrade


LEVELS: dict[str, dict[str, Degradation]] = {
    "denoise": {"sigma 25": _gaussian(25), "sigma 50": _gaussian(50), "sigma 75 (unseen)": _gaussian(75)},
    "derain": {
        "light": _rain(rain.light_rain, 1),
        "heavy": _rain(rain.heavy_rain, 1),
        "twice heavy (unseen)": _rain(rain.heavy_rain, 2),
    },
}


@dataclass(frozen=True)
class Net:
    """A trained student as a `Predictor` for `flow.sample`, on numpy batches."""

    student: Student
    z: torch.Tensor
    target: Target

    def __call__(self, x: np.ndarray, t: float, /) -> np.ndarray:
        with torch.no_grad():
            return self.student.velocity(torch.from_numpy(x), torch.full((len(x),), t), self.z).numpy()


def heun_step(predict: Predictor, x: Pixels, grid: list[float], index: int) -> Pixels:
    """`flow.euler_step` in second order: the mean of the *velocities* (v = D/t), not of the cumulative values, at both
    ends of the step.

    The last step is Euler: at its end t may be 0, where D/t has no value, and near 0 it magnifies the network's error.
    """
    if index == len(grid) - 2:
        return euler_step(predict, x, grid, index)
    t, t_next = grid[index], grid[index + 1]
    half, first = (t - t_next) / 2, predict(x, t)
    ahead = minus(x, displacement_weight(predict.target, t, t_next), first)
    halfway = minus(x, half * velocity_weight(predict.target, t), first)
    return minus(halfway, half * velocity_weight(predict.target, t_next), predict(ahead, t_next))


def velocity_weight(target: Target, t: float) -> float:
    """What a prediction at `t` is multiplied by to be a velocity."""
    return 1.0 / t if target == "cumulative" else 1.0


STEP_OF = {"euler": euler_step, "heun": heun_step}


def schedules() -> Iterator[tuple[int, GridKind, Solver]]:
    """Every K, grid and solver that differ: a grid is hand-set for 2 to 4 steps, and one step has no solver."""
    for steps in STEPS:
        grids: tuple[GridKind, ...] = ("uniform", "hand-set") if 2 <= steps <= 4 else ("uniform",)
        solvers: tuple[Solver, ...] = ("euler", "heun") if steps > 1 else ("euler",)
        for grid in grids:
            for solver in solvers:
                yield steps, grid, solver


def held_out(data: Path, task: str) -> list[TrainingPicture]:
    stream = PairStream(recipe(task, "cumulative", 1), data)
    return [item for item in stream.validation[0] if min(item.clean.shape[:2]) >= MEASURE_PX][:VALIDATION_PICTURES]


def degraded(items: list[TrainingPicture], degradation: Degradation) -> Batch:
    return collate(
        [
            draw(item, degradation, MEASURE_PX, np.random.default_rng([99, number]), augment=False)
            for number, item in enumerate(items)
        ]
    )


def scores(restored: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Of a batch (B,3,H,W): mean PSNR in dB (at most 100), mean GMSD in thousandths, NIQE of all side by side.

    NIQE needs many patches; the crops hold a whole number of them, so that none is cut by a seam.
    """
    pairs = [(a.transpose(1, 2, 0), b.transpose(1, 2, 0)) for a, b in zip(restored, clean, strict=True)]
    return {
        "psnr": round(float(np.mean([min(100.0, psnr(a, b)) for a, b in pairs])), 3),
        "gmsd": round(1000 * float(np.mean([gmsd(a, b) for a, b in pairs])), 2),
        "niqe": round(niqe(np.concatenate([a for a, _ in pairs], axis=1)), 3),
    }


def measure(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    lines = []
    for task in args.task:
        items = held_out(args.data, task)
        batches = {level: degraded(items, degradation) for level, degradation in LEVELS[task].items()}
        for level, batch in batches.items():
            lines.append({"task": task, "cell": "input", "level": level} | scores(batch.y, batch.x))
            lines.append({"task": task, "cell": "clean", "level": level} | scores(batch.x, batch.x))
            for steps in range(1, 5):
                restorer = Restorer(task, steps=steps, device="cpu", threads=args.threads)
                restored = np.stack([restorer.restore(y.transpose(1, 2, 0)).transpose(2, 0, 1) for y in batch.y])
                own = {"cell": "shipped", "steps": steps, "grid": "hand-set", "solver": "euler"}
                lines.append({"task": task, "level": level} | own | scores(restored, batch.x))
        for cell in [*CELLS, LONGER]:
            run = args.output / task / cell.replace(", ", "-")
            student, own = load_weights(run / "ema.safetensors")
            seconds = json.loads((run / "seconds.json").read_text())
            for level, batch in batches.items():
                with torch.no_grad():
                    z = student.prior(torch.from_numpy(batch.thumb), torch.from_numpy(batch.statistics))
                net = Net(student, z, own.target)
                for steps, grid, solver in schedules():
                    restored = sample(net, batch.y, time_grid(steps, grid), step=STEP_OF[solver])
                    lines.append(
                        {
                            "task": task,
                            "cell": cell,
                            "iterations": own.iterations,
                            "seconds": round(seconds, 4),
                            "level": level,
                            "steps": steps,
                            "grid": grid,
                            "solver": solver,
                        }
                        | scores(restored, batch.x)
                    )
            print(f"{task}, {cell}: measured", flush=True)
    (DOCS / "ir-flow.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


Scores = dict[tuple[str, int, str, str], dict[str, float]]
"""By level, steps, grid and solver."""


def read_results() -> tuple[dict[str, dict[str, Scores]], dict[tuple[str, str], dict[str, float]]]:
    """Scores by task and cell, and what was written beside them; those of the input too."""
    by_cell: dict[str, dict[str, Scores]] = {}
    about: dict[tuple[str, str], dict[str, float]] = {}
    for text in (DOCS / "ir-flow.jsonl").read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        schedule = (line["level"], line.get("steps", 0), line.get("grid", ""), line.get("solver", ""))
        by_cell.setdefault(line["task"], {}).setdefault(line["cell"], {})[schedule] = line
        about[line["task"], line["cell"]] = line
    return by_cell, about


def row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def three(score: dict[str, float]) -> str:
    return f"{score['psnr']:.2f} / {score['gmsd']:.0f} / {score['niqe']:.2f}"


OTHERS = ("input", "clean", "shipped")


def shipped_table(cells: dict[str, Scores], task: str) -> list[str]:
    levels = list(LEVELS[task])
    lines = [row("", *levels), row("---", *["---:"] * len(levels))]
    for name in ("input", "clean"):
        lines.append(row(f"({name})", *[three(cells[name][level, 0, "", ""]) for level in levels]))
    for k in range(1, 5):
        lines.append(row(f"K = {k}", *[three(cells["shipped"][level, k, "hand-set", "euler"]) for level in levels]))
    return lines


def one_step_table(cells: dict[str, Scores], about: dict[tuple[str, str], dict[str, float]], task: str) -> list[str]:
    levels = list(LEVELS[task])
    lines = [row("trained", "iterations", "s each", *levels), row("---", "---:", "---:", *["---:"] * len(levels))]
    lines.append(row("(input)", "", "", *[three(cells["input"][level, 0, "", ""]) for level in levels]))
    for cell, found in cells.items():
        if cell not in OTHERS:
            own = about[task, cell]
            values = [three(found[level, 1, "uniform", "euler"]) for level in levels]
            lines.append(row(cell, f"{own['iterations']:.0f}", f"{own['seconds']:.3f}", *values))
    return lines


def steps_table(cells: dict[str, Scores], level: str, solver: Solver) -> list[str]:
    columns = [(steps, grid) for steps, grid, own in schedules() if own == solver or steps == 1]
    names = [f"K = {steps}" + (", hand-set" if grid == "hand-set" else "") for steps, grid in columns]
    lines = [row("trained", *names), row("---", *["---:"] * len(columns))]
    for cell, found in cells.items():
        if cell not in OTHERS:
            values = [three(found[level, k, grid, "euler" if k == 1 else solver]) for k, grid in columns]
            lines.append(row(cell, *values))
    return lines


def tables(args: argparse.Namespace) -> None:
    by_cell, about = read_results()
    lines: list[str] = []
    for task, cells in by_cell.items():
        lines += [f"### {task}, the shipped model", "", *shipped_table(cells, task), ""]
        lines += [f"### {task}, one step", "", *one_step_table(cells, about, task), ""]
        for level in LEVELS[task]:
            for solver in ("euler", "heun"):
                name = "corrected Heun" if solver == "heun" else "Euler"
                lines += [f"### {task}, {level}, {name}", "", *steps_table(cells, level, solver), ""]
    page = DOCS / "ir-flow.md"
    before = page.read_text(encoding="utf-8").split(MARK, 1)[0]
    page.write_text(before + MARK + "\n\n" + "\n".join(lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "measure", "tables"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--output", "-o", type=Path)
    parser.add_argument("--task", nargs="*", default=list(SOURCES), choices=list(SOURCES))
    parser.add_argument("--iterations", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    {"train": train, "measure": measure, "tables": tables}[args.what](args)


if __name__ == "__main__":
    main()
