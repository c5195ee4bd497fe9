"""The recipe that trains on a labelled folder, written beside the labels: `restorect train --data OUT`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import OutputError
from ..recipes.starters import RECIPE_FILE

EACH = 100  # iterations for every picture
LEAST, MOST = 1000, 20_000  # iterations
LARGEST_CROP_PX = 112
SECONDS = 0.18  # an iteration on one core of a recent server CPU

_HEAD = """\
# Trains on the labels of this folder: restorect train --data FOLDER --init {task}-s
# About {minutes} minutes on one core of a recent server CPU. What the teacher shows counts less and less in the last
# third of the run: what is left to learn then is exact.
task = "{task}"
net = "s"
iterations = {iterations}
batch = 12
crop_px = {crop_px}
learning_rate = 7e-4
warmup = 100
final_l2 = 0.25
start_share = 0.8
fade_teacher = 0.34
validate_every = 500
"""
_PAIRS = """
[[source]]  # what the teacher makes of them
folder = "."
degrade = "pair"
truth = "teacher"
weight = 0.45
"""
_SOURCE = """
[[source]]{comment}
folder = "target"
degrade = "{degrade}"
{more}weight = {weight}
"""
_LAYERS = "  # what the teacher took away, laid over pictures that have an exact truth"
_SOURCES: dict[str, tuple[dict[str, str], ...]] = {
    "derain": (
        {"comment": _LAYERS, "degrade": "rain-layers", "more": 'layers = "."\n', "weight": "0.3"},
        {"comment": "", "degrade": "rain-light", "more": "", "weight": "0.1"},
        {"comment": "", "degrade": "none", "more": "", "weight": "0.15"},
    ),
    "denoise": (
        {"comment": _LAYERS, "degrade": "noise-layers", "more": 'layers = "."\n', "weight": "0.25"},
        {"comment": "", "degrade": "gaussian", "more": "", "weight": "0.2"},
        {"comment": "", "degrade": "none", "more": "", "weight": "0.1"},
    ),
    "low-light": (
        {"comment": "", "degrade": "darkness", "more": "", "weight": "0.4"},
        {"comment": "", "degrade": "none", "more": "", "weight": "0.15"},
    ),
    "raindrop": (
        {"comment": "", "degrade": "raindrop", "more": "", "weight": "0.4"},
        {"comment": "", "degrade": "none", "more": "", "weight": "0.15"},
    ),
}


def write_recipe(output: Path, task: str, sides_px: Sequence[int]) -> bool:
    """Put recipe.toml into `output` for pictures of these shorter sides; one that is there is kept (False).

    Raises OutputError.
    """
    iterations = min(MOST, max(LEAST, EACH * len(sides_px)))
    fitting = sorted(sides_px)[len(sides_px) // 10] // 8 * 8
    text = _HEAD.format(
        task=task,
        iterations=iterations,
        minutes=max(1, round(iterations * SECONDS / 60)),
        crop_px=min(LARGEST_CROP_PX, fitting),
    )
    text += _PAIRS + "".join(_SOURCE.format(**source) for source in _SOURCES[task])
    path = output / RECIPE_FILE
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}", error.strerror or str(error)) from None
    return True
