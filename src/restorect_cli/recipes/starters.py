"""Starter recipes, written beside pairs that `restorect degrade` made:

OUT/recipe.toml       trains a student on the pairs: `restorect train --data OUT`
OUT/teacher.toml      trains a teacher on them: `restorect train --data OUT --net teacher-tiny`
OUT/distilled.toml    trains a student of that teacher: `restorect distill --data OUT`
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError

RECIPE_FILE, TEACHER_FILE, DISTILLED_FILE = "recipe.toml", "teacher.toml", "distilled.toml"


@dataclass(frozen=True)
class _Size:
    """How large a training is, by the number of photographs, and what an iteration takes on one core."""

    largest_crop_px: int
    each: int  # iterations for every photograph
    most: int
    seconds: float

    def iterations(self, photographs: int) -> int:
        """With 12 photographs a teacher and its student are best on another one at 500 to 1,000, far worse at 2,500."""
        return min(self.most, max(1000, self.each * photographs))


_SIZES = {
    RECIPE_FILE: _Size(largest_crop_px=112, each=100, most=20_000, seconds=0.18),
    TEACHER_FILE: _Size(largest_crop_px=96, each=60, most=2500, seconds=0.48),
    DISTILLED_FILE: _Size(largest_crop_px=96, each=60, most=3000, seconds=0.38),
}
_RECIPES = {
    RECIPE_FILE: """\
# Trains on the pairs of this folder: restorect train --data FOLDER
# About {minutes} minutes on one core of a recent server CPU, by the number of photographs: trained longer, a few of
# them are learned by heart. More photographs make a better student.
task = "{task}"
net = "s"
iterations = {iterations}
batch = 12
crop_px = {crop_px}
final_l2 = 0.25
start_share = 0.65
validate_every = 1000
""",
    TEACHER_FILE: """\
# A teacher from the pairs of this folder: restorect train --data FOLDER --net teacher-tiny
# About {minutes} minutes on one core of a recent server CPU, by the number of photographs; teacher-small takes three
# times as long.
task = "{task}"
net = "teacher-tiny"
iterations = {iterations}
batch = 4
crop_px = {crop_px}
ema = 0.995
validate_every = 250
""",
    DISTILLED_FILE: """\
# A student of that teacher: restorect distill --data FOLDER --teacher WEIGHTS
# About {minutes} minutes on one core of a recent server CPU, by the number of photographs.
task = "{task}"
net = "s"
iterations = {iterations}
batch = 8
crop_px = {crop_px}
learning_rate = 1.2e-3
ema = 0.995
final_l2 = 0.25
start_share = 0.65
validate_every = 250

[distill]
first_phase = 0.1
""",
}
_PAIRS = """
[[source]]
folder = "."
degrade = "pair"
weight = 0.5
"""
_AGAIN = """
[[source]]
folder = "target"
degrade = "{kind}"
weight = {weight:g}
"""


def write_recipes(
    output: Path, task: str, kinds: Collection[str], photographs: int, sides_px: Sequence[int]
) -> list[Path]:
    """Write recipes for the pairs in the folder `output`, whose shorter sides are `sides_px`; return the files written.

    Half of the samples are the pairs, half are their clean pictures, degraded again by `kinds`, so that a few
    photographs teach more. A recipe that is already there is kept. Crops fit into nine of ten pictures: training
    leaves out smaller ones. Raises OutputError.
    """
    fitting = sorted(sides_px)[len(sides_px) // 10] // 8 * 8
    sources = _PAIRS + "".join(_AGAIN.format(kind=kind, weight=round(0.5 / len(kinds), 3)) for kind in kinds)
    written = []
    for name, text in _RECIPES.items():
        path, size = output / name, _SIZES[name]
        iterations = size.iterations(photographs)
        values = {
            "task": task,
            "iterations": iterations,
            "minutes": max(1, round(iterations * size.seconds / 60)),
            "crop_px": min(size.largest_crop_px, fitting),
        }
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text.format(**values) + sources)
        except FileExistsError:
            continue
        except OSError as error:
            path.unlink(missing_ok=True)
            raise OutputError(f"cannot write {path}", error.strerror or str(error)) from None
        written.append(path)
    return written
