"""Makes training pairs from clean photographs: whole pictures, degraded as in training, written as PNG.

    OUT/input/NAME.png    degraded
    OUT/target/NAME.png   clean: the photograph as 8-bit sRGB, from which the other is made

The degradation of a photograph depends on its file name, the seed and the task, not on other files in the folder.
`recipes.starters` writes recipes beside the pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
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
LONGEST_PX = 65_500  # the limit of JPEG, which some pictures are compressed with

_LIGHT, _HEAVY = Rain(FreshStreaks(), heavy=False), Rain(FreshStreaks(), heavy=True)
_KINDS: dict[str, dict[str, Degradation]] = {
    # Files hold eight bits, so noise is clipped here; only training makes the unclipped noise of the standard tests.
    "denoise": {name: table.SIMPLE[name] for name in ("gaussian-clipped", "camera")},
    "low-light": {"darkness": table.SIMPLE["darkness"]},
    "raindrop": {"raindrop": table.SIMPLE["raindrop"]},
    "derain": {"rain-light": _LIGHT, "rain-heavy": _HEAVY},
}


@dataclass(frozen=True)
class Photograph:
    """A photograph and the names (without `.png`) of the pairs to be made of it."""

    path: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """One written pair."""

    photograph: str
    input: str
    target: str
    degradation: str
    width: int
    height: int


def degradations(task: str, severity: str | None) -> dict[str, Degradation]:
    """The kinds of degradation of a task, one of which each pair gets; `severity` selects the rain.

    Raises UsageError for a severity of other tasks.
    """
    kinds = _KINDS[task]
    if severity is None or severity == "mixed":
        return kinds
    if task != "derain":
        raise UsageError(f"{task} has no severity {severity}", "leave --severity out: all strengths are drawn")
    return {name: kind for name, kind in kinds.items() if name == f"rain-{severity}"}


def list_photographs(folder: Path, count: int) -> tuple[list[Photograph], list[InputError]]:
    """The photographs of `folder` with `count` pairs each, and an error for each photograph whose name is taken.

    Raises InputError if there is no folder or no photograph in it.
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
            doubles.append(InputError(f"{path} and {first} would make pairs of the same name", "rename one of them"))
            continue
        names = (path.stem,) if count == 1 else tuple(f"{path.stem}-{number}" for number in range(1, count + 1))
        found[path.stem] = Photograph(path, names)
    return list(found.values()), doubles


def make_pairs(
    photograph: Photograph, output: Path, kinds: dict[str, Degradation], *, seed: int, largest_pixels: int
) -> Iterator[Pair]:
    """Write the pairs of one photograph, shrunk first to `largest_pixels`, and yield each once it is written.

    Raises InputError, or OutputError if a file cannot be written or exists already. Nothing is overwritten, and no half
    of a pair is left.
    """
    folders = [output / "input", output / "target"]
    for path in (folder / f"{name}.png" for name in photograph.names for folder in folders):
        if path.exists():  # before the work; writing checks again
            raise OutputError(f"{path} exists already", "choose another folder or remove it")
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


def read_clean(path: Path, largest_pixels: int) -> FloatImage:
    """The upright photograph as sRGB (H,W,3) float32 at 255 levels, on black if it is transparent.

    Raises InputError if it cannot be read or its sides are out of range.
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
    """The whole picture (H,W,3) degraded, as in a file of eight bits."""
    own_thumb = clean[:1, :1]  # only training, which works on crops, needs the thumbnail
    degraded, _ = kind(Scene(clean, own_thumb, len(clean), averaged=1.0), rng)
    return degraded


def generator(name: str, seed: int, number: int) -> np.random.Generator:
    """The random generator of pair `number` of the photograph called `name`."""
    digest = np.frombuffer(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest(), "<u4")
    return np.random.default_rng([seed, number, *digest.tolist()])


def as_picture(pixels: Pixels) -> Picture:
    """Eight-bit pixels as a PNG without metadata will hold them."""
    return Picture(pixels, None, Meta("png", pixels.shape[1], pixels.shape[0], 8))
