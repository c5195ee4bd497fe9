"""Training batches: pictures are cropped, turned, flipped and degraded in memory, as a recipe's sources say.

A sample is (y, x, thumb, clean_thumb): degraded and clean crop, and the whole degraded picture shrunk, because in use
the prior sees the whole scene; the whole clean one likewise, which a teacher may see.

Every sample is drawn from its own generator, seeded by (seed, iteration, number in the batch): a resumed run
sees exactly the data it would have seen, no generator state needs saving, and of several processes each makes
only its share of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..degrade import table
from ..degrade.table import Degradation, Scene
from ..engine import prior
from ..engine.prior import THUMB_SHAPE
from ..errors import InputError
from ..recipes.recipe import Recipe, SourceRecipe
from .pictures import (
    FloatImage,
    PixelsU8,
    TrainingPicture,
    as_float,
    list_pictures,
    load_pairs,
    load_pictures,
    read_pixels,
    with_matched_exposure,
)
from .scenes import of_other_scenes, split

LEAST_ZOOM = 0.4  # share of a thumbnail's sides that `zoomed` leaves at least

_Value = TypeVar("_Value", np.uint8, np.float32)


@dataclass(frozen=True)
class Batch:
    """Arrays of one step: y, x (B,3,H,W); thumb, clean_thumb (B,3,h,w); statistics (B,9); float32."""

    y: FloatImage
    x: FloatImage
    thumb: FloatImage
    clean_thumb: FloatImage
    statistics: FloatImage


Sample = tuple[FloatImage, FloatImage, FloatImage, FloatImage]
"""(y, x, thumb, clean_thumb), each HWC float32."""


class PairStream:
    """Draws batches from the recipe's sources; sample k of batch i depends on nothing but the recipe, i and k."""

    def __init__(self, recipe: Recipe, root: Path) -> None:
        self.recipe = recipe
        need_folders(recipe, root)
        parts: dict[tuple[str, bool], tuple[list[TrainingPicture], list[TrainingPicture]]] = {}
        for source in recipe.source:
            key = (source.folder, source.degrade == "pair")
            if key not in parts:
                parts[key] = split(load_pictures(root / source.folder, key[1], recipe.crop_px))
        every_held = [picture for _, held in parts.values() for picture in held]
        parts = {key: (of_other_scenes(train, every_held), held) for key, (train, held) in parts.items()}
        self.train: list[list[TrainingPicture]] = []
        self.validation: list[list[TrainingPicture]] = []
        for source in recipe.source:
            train, held = parts[source.folder, source.degrade == "pair"]
            if not train:
                raise InputError(f"{root / source.folder} shows held-out scenes alone", "add pictures of other scenes")
            if source.match_exposure:  # after the split, which looks at the thumbnails that this changes
                train, held = ([with_matched_exposure(p) for p in part] for part in (train, held))
            self.train.append(train)
            self.validation.append(held)
        self.degradations = [
            table.make(source.degrade, load_layers(root, source, recipe.crop_px, every_held), recipe.seed)
            if source.degrade != "pair"
            else table.make("none")
            for source in recipe.source
        ]
        # How bright a picture is meant to be can be seen in the whole of it only; rain and drops in any part of it.
        self.zoom = recipe.task != "low-light"
        weights = np.array([source.weight for source in recipe.source])
        self.weights = weights / weights.sum()

    def batch(self, iteration: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Training batch number `iteration`; of several `ranks`, samples rank, rank + ranks, ... of it."""
        seed = [self.recipe.seed, 1, iteration]
        chosen = np.random.default_rng(seed).choice(len(self.weights), size=self.recipe.batch, p=self.weights)
        samples = []
        for number in range(rank, self.recipe.batch, ranks):
            rng = np.random.default_rng([*seed, 1 + number])  # numpy takes a trailing 0 for nothing
            pictures = self.train[chosen[number]]
            picture = pictures[rng.integers(len(pictures))]
            samples.append(draw(picture, self.degradations[chosen[number]], self.recipe.crop_px, rng, zoom=self.zoom))
        return collate(samples)

    def validation_batches(self, size_px: int, limit: int) -> list[tuple[str, Batch]]:
        """Centre crops of held-out pictures, one batch per source, degraded with fixed seeds."""
        batches = []
        for index, source in enumerate(self.recipe.source):
            pictures = [p for p in self.validation[index] if min(p.clean.shape[:2]) >= size_px][:limit]
            if not pictures:
                pictures = self.validation[index][:1]
            side = min(size_px, *(min(p.clean.shape[:2]) // 8 * 8 for p in pictures))
            samples = [
                draw(picture, self.degradations[index], side, np.random.default_rng([99, number]), augment=False)
                for number, picture in enumerate(pictures)
            ]
            name = source.degrade if source.folder == "." else f"{source.folder}:{source.degrade}"
            batches.append((name, collate(samples)))
        return batches


def need_folders(recipe: Recipe, root: Path) -> None:
    """Raise InputError with all folders that are missing, before any of the others is read."""
    named = dict.fromkeys(name for source in recipe.source for name in (source.folder, source.layers) if name)
    missing = [name for name in named if not (root / name).is_dir()]
    if missing:
        raise InputError(
            f"{root} lacks folders that the recipe names: {', '.join(missing)}",
            "check --data, or name folders of your own in a copy of the recipe",
        )


def load_layers(root: Path, source: SourceRecipe, crop_px: int, held: Sequence[TrainingPicture] = ()) -> list[PixelsU8]:
    """Rain layers for a source: grey streak pictures (H,W), or differences of rainy and clean pairs (H,W,3).

    Layers of pairs that show a scene of `held` are left out, they are held out too. Raises InputError where a folder
    holds none that is as large as a crop.
    """
    if source.layers is None:
        return []
    folder = root / source.layers
    if source.degrade != "rain-layers":
        layers = [read_pixels(path)[..., 1] for path in list_pictures(folder)]
    else:
        pairs = [
            (picture.degraded, picture.clean)
            for picture in of_other_scenes(load_pairs(folder), held)
            if picture.degraded is not None
        ]
        layers = [np.clip(wet.astype(np.int16) - dry, 0, 255).astype(np.uint8) for wet, dry in pairs]
    layers = [layer for layer in layers if min(layer.shape[:2]) >= crop_px]
    if not layers:
        raise InputError(f"{folder} holds no rain layers of {crop_px}x{crop_px} pixels or more", "check `layers`")
    return layers


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack HWC samples to NCHW arrays and measure the statistics of the degraded crops."""
    stacked = [np.stack(parts) for parts in zip(*samples, strict=True)]
    statistics = prior.statistics_batch(stacked[0])
    y, x, thumb, clean_thumb = (np.ascontiguousarray(a.transpose(0, 3, 1, 2)) for a in stacked)
    return Batch(y, x, thumb, clean_thumb, statistics)


def draw(
    picture: TrainingPicture,
    degradation: Degradation,
    crop_px: int,
    rng: np.random.Generator,
    augment: bool = True,
    zoom: bool = False,
) -> Sample:
    """One sample; `zoom` lets its thumbnails show any part of the picture (`zoomed`), both the same."""
    height, width = picture.clean.shape[:2]
    if augment:
        top, left = int(rng.integers(height - crop_px + 1)), int(rng.integers(width - crop_px + 1))
        pose = int(rng.integers(8))
    else:
        top, left, pose = (height - crop_px) // 2, (width - crop_px) // 2, 0
    window = np.s_[top : top + crop_px, left : left + crop_px]
    x = as_float(_posed(picture.clean[window], pose))
    whole = picture.clean_thumb if picture.degraded_thumb is None else picture.degraded_thumb
    thumbs = np.concatenate([whole, picture.clean_thumb], axis=-1)[:: 1 - 2 * (pose & 1), :: 1 - (pose & 2)]
    if zoom:
        thumbs = zoomed(thumbs, rng)
    thumb, clean_thumb = thumbs[..., :3], thumbs[..., 3:]
    if picture.degraded is not None:
        return as_float(_posed(picture.degraded[window], pose)), x, thumb, clean_thumb
    averaged = float(np.exp(rng.uniform(np.log(2), np.log(40))))
    shown = _posed(np.rot90(picture.clean_thumb, -1) if height > width else picture.clean_thumb, pose)
    y, thumb = degradation(Scene(x, thumb, width if pose & 4 else height, averaged, shown), rng)
    return y, x, thumb, clean_thumb


def zoomed(thumb: FloatImage, rng: np.random.Generator) -> FloatImage:
    """In half of the cases a part of the thumbnail (h,w,C), enlarged; in half of them it is laid on its other side.

    The streaks of a few pairs are seen in their thumbnails at one size and in one direction. A prior that has seen
    no other takes a portrait's streaks, which lie along the rows of its thumbnail, for something else, and the
    student then leaves them standing.
    """
    if rng.random() < 0.5:
        share = rng.uniform(LEAST_ZOOM, 1)
        rows, columns = (max(1, round(share * extent)) for extent in thumb.shape[:2])
        top, left = (
            int(rng.integers(own - extent + 1)) for own, extent in zip(thumb.shape, (rows, columns), strict=False)
        )
        thumb = thumb[top : top + rows, left : left + columns]
    if rng.random() < 0.5:
        thumb = thumb.transpose(1, 0, 2)
    return _resized(thumb) if thumb.shape[:2] != THUMB_SHAPE else thumb


def _resized(thumb: FloatImage) -> FloatImage:
    size = THUMB_SHAPE[::-1]
    channels = [Image.fromarray(np.ascontiguousarray(thumb[..., c])) for c in range(thumb.shape[2])]
    return np.stack([np.asarray(c.resize(size, Image.Resampling.BILINEAR), np.float32) for c in channels], axis=-1)


def _posed(pixels: NDArray[_Value], pose: int) -> NDArray[_Value]:
    """One of the eight flips and quarter turns."""
    if pose & 1:
        pixels = pixels[::-1]
    if pose & 2:
        pixels = pixels[:, ::-1]
    return pixels.transpose(1, 0, 2) if pose & 4 else pixels
