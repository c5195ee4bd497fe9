"""Training pairs from clean photographs: whole pictures, degraded as in training, written as PNG.

    OUT/input/NAME.png    degraded
    OUT/target/NAME.png   clean: the photograph as sRGB of eight bits, which is what was degraded
    OUT/recipe.toml       a recipe that trains on them: `restorect train --data OUT`
    OUT/teacher.toml, OUT/distilled.toml    likewise a teacher, `--net teacher-tiny`, and a student of it: `distill`

What happens to a photograph depends on its file name, the seed and the task, and on nothing else in the folder.
Neither this module nor `degrade` imports torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .. import images
from ..errors import InputError, OutputError, UsageError
from ..images.picture import Meta, Picture, Pixels, to_depth
from ..images.view import WorkingView
from ..names import FORMATS, is_picture
from . import table
from .noise import FloatImage
from .rain import FreshStreaks
from .table import Degradation, Rain, Scene

SMALLEST_PX = 16  # the smallest crop that a recipe may have
RECIPE_FILE, TEACHER_FILE, DISTILLED_FILE = "recipe.toml", "teacher.toml", "distilled.toml"
LONGEST_PX = 65_500  # what JPEG, in which some pictures are packed, can hold

_LIGHT, _HEAVY = Rain(FreshStreaks(), heavy=False), Rain(FreshStreaks(), heavy=True)
_KINDS: dict[str, dict[str, Degradation]] = {
    # Files hold eight bits, so noise is clipped here; the unclipped noise of the standard tests is made in training.
    "denoise": {name: table.SIMPLE[name] for name in ("gaussian-clipped", "camera")},
    "low-light": {"darkness": table.SIMPLE["darkness"]},
    "raindrop": {"raindrop": table.SIMPLE["raindrop"]},
    "derain": {"rain-light": _LIGHT, "rain-heavy": _HEAVY},
}


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
_ANEW = """
[[source]]
folder = "target"
degrade = "{kind}"
weight = {weight:g}
"""


@dataclass(frozen=True)
class Photograph:
    """A photograph and the names (without `.png`) of the pairs to be made of it."""

    path: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """One pair that was written."""

    photograph: str
    input: str
    target: str
    degradation: str
    width: int
    height: int


def degradations(task: str, severity: str | None) -> dict[str, Degradation]:
    """The kinds of degradation of a task, one of which each pair gets; `severity` narrows rain down.

    Raises UsageError for a severity where there is none.
    """
    kinds = _KINDS[task]
    if severity is None or severity == "mixed":
        return kinds
    if task != "derain":
        raise UsageError(f"{task} has no severity {severity}", "leave --severity out: every strength is drawn")
    return {name: kind for name, kind in kinds.items() if name == f"rain-{severity}"}


def list_photographs(folder: Path, count: int) -> tuple[list[Photograph], list[InputError]]:
    """The photographs of `folder` with `count` pairs each, and those that cannot have pairs of their own.

    Raises InputError where there is no folder or no photograph in it.
    """
    try:
        paths = sorted(p for p in folder.iterdir() if is_picture(p.name))
    except OSError as error:
        raise InputError(f"cannot read the folder {folder}", error.strerror or str(error)) from None
    if not paths:
        raise InputError(f"{folder} holds no photographs", f"put files in it that end in {', '.join(FORMATS)}")
    found: dict[str, Photograph] = {}
    doubles = []
    for path in paths:
        if path.stem in found:
            first = found[path.stem].path.name
            doubles.append(InputError(f"{path} and {first} would make pairs of one name", "rename one of them"))
            continue
        names = (path.stem,) if count == 1 else tuple(f"{path.stem}-{number}" for number in range(1, count + 1))
        found[path.stem] = Photograph(path, names)
    return list(found.values()), doubles


def make_pairs(
    photograph: Photograph, output: Path, kinds: dict[str, Degradation], *, seed: int, largest_pixels: int
) -> Iterator[Pair]:
    """Write the pairs of one photograph, shrunk first to `largest_pixels`, and tell each once it is there.

    Raises InputError, or OutputError where a file cannot be written or is already there. Nothing is overwritten,
    and no half of a pair is left.
    """
    folders = [output / "input", output / "target"]
    for path in (folder / f"{name}.png" for name in photograph.names for folder in folders):
        if path.exists():  # before the work; the writing itself looks again
            raise OutputError(f"{path} is already there", "choose another folder or remove it")
    clean = read_clean(photograph.path, largest_pixels)
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}", error.strerror or str(error)) from None
    for number, name in enumerate(photograph.names):
        rng = generator(photograph.path.name, seed, number)
        kind = list(kinds)[int(rng.integers(len(kinds)))]
        degraded = degrade(clean, kinds[kind], rng)
        input_path, target_path = (folder / f"{name}.png" for folder in folders)
        images.write(as_picture(to_depth(clean, 8)), target_path)
        try:
            images.write(as_picture(to_depth(degraded, 8)), input_path)
        except BaseException:
            target_path.unlink(missing_ok=True)
            raise
        height, width = clean.shape[:2]
        yield Pair(str(photograph.path), str(input_path), str(target_path), kind, width, height)


def write_recipes(
    output: Path, task: str, kinds: Collection[str], photographs: int, sides_px: Sequence[int]
) -> list[Path]:
    """Put recipes for the pairs in `output`, whose shorter sides are given, beside them; return those written.

    Half of the samples are the pairs, half their clean pictures degraded anew by `kinds`, so that few photographs
    teach more. A recipe that is there already is kept. Crops fit into nine of ten pictures: training leaves smaller
    ones out. Raises OutputError.
    """
    fitting = sorted(sides_px)[len(sides_px) // 10] // 8 * 8
    sources = _PAIRS + "".join(_ANEW.format(kind=kind, weight=round(0.5 / len(kinds), 3)) for kind in kinds)
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


def read_clean(path: Path, largest_pixels: int) -> FloatImage:
    """The photograph upright as sRGB (H,W,3) float32 at 255 levels, on black where it is transparent.

    Raises InputError when it cannot be read or its sides are out of range.
    """
    picture = images.read(path)
    height, width = picture.pixels.shape[:2]
    if min(height, width) < SMALLEST_PX or max(height, width) > LONGEST_PX:
        raise InputError(
            f"{path} has {width}x{height} pixels", f"sides from {SMALLEST_PX} to {LONGEST_PX} pixels can be used"
        )
    pixels = shrunk(to_depth(WorkingView(picture).window(0, height, 0, width), 8), largest_pixels)
    clean: FloatImage = pixels.astype(np.float32) / np.float32(255)
    return clean


def shrunk(pixels: Pixels, largest_pixels: int) -> Pixels:
    """The picture (H,W,3) uint8 shrunk to so many pixels, no side below SMALLEST_PX; as it is where it is no larger."""
    height, width = pixels.shape[:2]
    if height * width <= largest_pixels:
        return pixels
    shrink = (largest_pixels / (height * width)) ** 0.5
    size = tuple(max(SMALLEST_PX, round(extent * shrink)) for extent in (width, height))
    small: Pixels = np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.LANCZOS))
    return small


def degrade(clean: FloatImage, kind: Degradation, rng: np.random.Generator) -> FloatImage:
    """The whole picture (H,W,3) degraded, as a file of eight bits would hold it."""
    own_thumb = clean[:1, :1]  # the thumbnail is for training, where a crop stands for a picture
    degraded, _ = kind(Scene(clean, own_thumb, len(clean), averaged=1.0), rng)
    return degraded


def generator(name: str, seed: int, number: int) -> np.random.Generator:
    """The random numbers of pair `number` of the photograph called `name`."""
    digest = np.frombuffer(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest(), "<u4")
    return np.random.default_rng([seed, number, *digest.tolist()])


def as_picture(pixels: Pixels) -> Picture:
    """Eight-bit pixels as a PNG without metadata will hold them."""
    return Picture(pixels, None, Meta("png", pixels.shape[1], pixels.shape[0], 8))
