"""The pictures of a training in memory: photographs, and pairs of a degraded and a clean picture, from folders.

Where a folder of pairs has `input_whole/` and `target_whole/`, thumbnails are made from the whole pictures there,
else from the pairs themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import images
from ..engine import prior
from ..errors import InputError
from ..images.picture import to_depth
from ..images.view import WorkingView
from ..names import is_picture
from ..one_line import folded

PixelsU8 = NDArray[np.uint8]
"""(H,W,3), or (H,W) of grey."""

FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class TrainingPicture:
    """One photograph or pair: clean pixels, degraded pixels of a pair, and whole pictures at thumbnail size."""

    name: str
    clean: PixelsU8
    degraded: PixelsU8 | None
    clean_thumb: FloatImage
    degraded_thumb: FloatImage | None


def read_pixels(path: Path) -> PixelsU8:
    """Any picture file, upright, as sRGB (H,W,3) uint8, on black where it is transparent; InputError if unreadable."""
    try:
        picture = images.read(path)
        height, width = picture.pixels.shape[:2]
        pixels: PixelsU8 = to_depth(WorkingView(picture).window(0, height, 0, width), 8)
        return pixels
    except Exception as error:  # a damaged file may raise anything inside a decoder
        raise InputError(f"cannot read training picture {path}", f"remove or replace it ({folded(error)})") from error


def list_pictures(folder: Path) -> list[Path]:
    """Picture files of a folder, sorted by name."""
    if not folder.is_dir():
        raise InputError(f"no such data folder {folder}", "check --data and the folder names in the recipe")
    return sorted(p for p in folder.iterdir() if is_picture(p.name))


def load_pictures(folder: Path, pairs: bool, minimum_px: int) -> list[TrainingPicture]:
    """A whole folder, without what is smaller than a crop; a few hundred megabytes at most for the shipped recipes.

    Raises InputError where fewer than two pictures are left, or one cannot be read.
    """
    pictures = load_pairs(folder) if pairs else [load_photograph(p) for p in list_pictures(folder)]
    pictures = [picture for picture in pictures if min(picture.clean.shape[:2]) >= minimum_px]
    if len(pictures) < 2:
        raise InputError(
            f"{folder} holds {len(pictures)} usable pictures",
            f"training needs at least two of {minimum_px}x{minimum_px} pixels or more (one is held out)",
        )
    return pictures


def load_photograph(path: Path) -> TrainingPicture:
    """A clean photograph to be degraded on the fly."""
    pixels = read_pixels(path)
    return TrainingPicture(path.stem, pixels, None, thumbnail(pixels), None)


def load_pairs(folder: Path) -> list[TrainingPicture]:
    """Pairs by equal stem in input/ and target/; InputError for one without its partner or of another size."""
    inputs, targets = (by_stem(folder / side) for side in ("input", "target"))
    lonely = sorted(inputs.keys() ^ targets.keys())
    if lonely:
        raise InputError(
            f"{folder}: {len(lonely)} files have no partner, first {lonely[0]!r}", "pair them by equal names"
        )
    pictures = []
    for stem, path in inputs.items():
        degraded, clean = read_pixels(path), read_pixels(targets[stem])
        if degraded.shape != clean.shape:
            raise InputError(f"{path} and its target differ in size", f"{degraded.shape[:2]} and {clean.shape[:2]}")
        whole = [_whole(folder / f"{side}_whole", stem) for side in ("input", "target")]
        pictures.append(
            TrainingPicture(
                stem,
                clean,
                degraded,
                thumbnail(clean if whole[1] is None else whole[1]),
                thumbnail(degraded if whole[0] is None else whole[0]),
            )
        )
    return pictures


def by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without extension; InputError where two share one."""
    found: dict[str, Path] = {}
    for path in list_pictures(folder):
        if path.stem in found:
            raise InputError(f"{folder} holds both {found[path.stem].name} and {path.name}", "remove one of them")
        found[path.stem] = path
    return found


def with_matched_exposure(picture: TrainingPicture) -> TrainingPicture:
    """The pair with its target's gain and offset fitted per colour to the input, in the clean thumbnail too.

    Two cameras, one behind a wet lens, expose differently; a pixel loss would learn that. The fit
    leaves out the third of the pixels that differ most, which are drops.
    """
    if picture.degraded is None:
        return picture
    clean, clean_thumb = picture.clean.astype(np.float32), picture.clean_thumb.copy()
    for c in range(3):
        a, b = picture.clean[..., c].ravel().astype(np.float32), picture.degraded[..., c].ravel().astype(np.float32)
        kept = np.ones(len(a), bool)
        gain, offset = 1.0, 0.0
        for _ in range(4):
            spread = float(a[kept].var())
            if spread < 4:
                break
            gain = float(np.clip(np.cov(a[kept], b[kept])[0, 1] / spread, 0.5, 2))
            offset = float(b[kept].mean() - gain * a[kept].mean())
            error = np.abs(gain * a + offset - b)
            kept = error <= np.quantile(error, 0.67)
        clean[..., c] = gain * clean[..., c] + offset
        clean_thumb[..., c] = gain * clean_thumb[..., c] + offset / 255
    pixels = np.clip(np.round(clean), 0, 255).astype(np.uint8)
    return replace(picture, clean=pixels, clean_thumb=np.clip(clean_thumb, 0, 1))


def _whole(folder: Path, stem: str) -> PixelsU8 | None:
    found = next((p for p in list_pictures(folder) if p.stem == stem), None) if folder.is_dir() else None
    return None if found is None else read_pixels(found)


def thumbnail(pixels: PixelsU8) -> FloatImage:
    """The whole picture as the prior will see it in use, (*THUMB_SHAPE, 3)."""
    return prior.thumbnail(as_float(pixels))


def as_float(pixels: PixelsU8) -> FloatImage:
    """The same in [0,1], contiguous."""
    scaled: FloatImage = np.ascontiguousarray(pixels, np.float32) / np.float32(255)
    return scaled
