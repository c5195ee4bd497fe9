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
from typing import Any, TypeVar

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
    TrainingPicture,
    as_float,
    as_taught,
    list_pictures,
    load_pairs,
    load_pictures,
    read_pixels,
    with_matched_exposure,
    with_taught_exposure,
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
        taught = {source.folder for source in recipe.source if source.asks_teacher}
        parts: dict[_Part, tuple[list[TrainingPicture], list[TrainingPicture]]] = {}
        for source in recipe.source:
            part = _part(source)
            if part not in parts:
                folder, pairs, scales = part
                loaded = load_pictures(
                    root / folder, pairs, recipe.crop_px, scales=scales, taught=pairs and folder in taught
                )
                parts[part] = split(loaded)
        every_held = [picture for _, held in parts.values() for picture in held]
        parts = {part: (of_other_scenes(train, every_held), held) for part, (train, held) in parts.items()}
        self.train: list[list[TrainingPicture]] = []
        self.validation: list[list[TrainingPicture]] = []
        for source in recipe.source:
            train, held = parts[_part(source)]
            if not train:
                raise InputError(f"{root / source.folder} shows held-out scenes alone", "add pictures of other scenes")
            # after the split, which looks at the thumbnails that this changes
            train, held = (_as_asked(source, part, root / source.folder) for part in (train, held))
            self.train.append(train)
            self.validation.append(held)
        self.final = [self._of_final_size(number) for number in range(len(recipe.source))]
        self.degradations = [
            table.make(source.degrade, load_layers(root, source, recipe.crop_px, every_held), recipe.seed)
            if source.degrade != "pair"
            else table.make("none")
            for source in recipe.source
        ]
        # How bright a picture is meant to be can be seen in the whole of it only; rain and drops in any part of it.
        self.zoom = recipe.task != "low-light"

    def weights(self, iteration: int) -> NDArray[np.float64]:
        """Shares of the sources, which sum to 1: labels without a truth are drawn more seldom as the teacher fades."""
        share = self.recipe.teacher_share(iteration)
        weights = np.array([s.weight * (share if s.truth == "teacher" else 1.0) for s in self.recipe.source])
        return weights / weights.sum()  # type: ignore[no-any-return]

    def batch(self, iteration: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Training batch number `iteration`; of several `ranks`, samples rank, rank + ranks, ... of it."""
        recipe = self.recipe
        seed, size = [recipe.seed, 1, iteration], recipe.batch_at(iteration)
        weights = self.weights(iteration)
        chosen = np.random.default_rng(seed).choice(len(weights), size=size, p=weights)
        by_source = self.final if recipe.in_final_part(iteration) else self.train
        samples = []
        for number in range(rank, size, ranks):
            rng = np.random.default_rng([*seed, 1 + number])  # numpy takes a trailing 0 for nothing
            pictures, source = by_source[chosen[number]], recipe.source[chosen[number]]
            picture = pictures[rng.integers(len(pictures))]
            samples.append(
                draw(
                    picture,
                    self.degradations[chosen[number]],
                    recipe.crop_at(iteration),
                    rng,
                    zoom=self.zoom,
                    taught_share=_taught_share(source, recipe.teacher_share(iteration)),
                    gamma=source.gamma,
                )
            )
        return collate(samples)

    def _of_final_size(self, number: int) -> list[TrainingPicture]:
        side = self.recipe.crop_final_px
        if side is None:
            return self.train[number]
        large = [picture for picture in self.train[number] if min(picture.clean.shape[:2]) >= side]
        if not large:
            raise InputError(
                f"source {self.recipe.source[number].folder!r} has no pictures of {side}x{side} pixels or more",
                "use a smaller crop_final_px",
            )
        return large

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


_Part = tuple[str, bool, tuple[float, ...]]
"""What is read of a folder: its name, whether as pairs, the scales of its photographs."""


def _part(source: SourceRecipe) -> _Part:
    return source.folder, source.degrade == "pair", source.scales


def _as_asked(source: SourceRecipe, pictures: list[TrainingPicture], folder: Path) -> list[TrainingPicture]:
    """The pictures with the clean end that the source asks for; InputError where it needs labels that are not there."""
    if source.match_exposure:
        pictures = [with_matched_exposure(picture) for picture in pictures]
    if not source.asks_teacher:
        return pictures
    if not (folder / "teacher").is_dir():
        if source.truth == "teacher":  # labels without a truth: they are the target
            return pictures
        raise InputError(f"{folder} has no teacher/", "make it: restorect label FOLDER --teacher X")
    if source.truth == "teacher":  # the teacher's pictures alone, where there are some
        return [as_taught(picture) for picture in pictures if picture.taught is not None] or pictures
    return [with_taught_exposure(p) for p in pictures] if source.exposure == "teacher" else pictures


def _taught_share(source: SourceRecipe, share: float) -> float:
    """The teacher's part of the clean end of a sample, `share` being how much of the teacher is left."""
    if source.exposure == "teacher":
        return share
    return (1 - source.truth_weight) * share if source.truth == "mixed" else 0.0


def need_folders(recipe: Recipe, root: Path) -> None:
    """Raise InputError with all folders that are missing, before any of the others is read."""
    named = dict.fromkeys(name for source in recipe.source for name in (source.folder, source.layers) if name)
    missing = [name for name in named if not (root / name).is_dir()]
    if missing:
        raise InputError(
            f"{root} lacks folders that the recipe names: {', '.join(missing)}",
            "check --data, or name folders of your own in a copy of the recipe",
        )


def load_layers(
    root: Path, source: SourceRecipe, crop_px: int, held: Sequence[TrainingPicture] = ()
) -> list[NDArray[Any]]:
    """Layers for a source: grey streak pictures (H,W), or what degraded pairs have more than clean ones (H,W,3).

    Rain is bright and of 8 bits without sign; noise has both signs, int16.

    Layers of pairs that show a scene of `held` are left out, they are held out too. Raises InputError where a folder
    holds none that is as large as a crop.
    """
    if source.layers is None:
        return []
    folder = root / source.layers
    layers: list[NDArray[Any]]
    if source.degrade not in ("rain-layers", "noise-layers"):
        layers = [read_pixels(path)[..., 1] for path in list_pictures(folder)]
    else:
        pairs = [
            (picture.degraded, picture.clean)
            for picture in of_other_scenes(load_pairs(folder), held)
            if picture.degraded is not None
        ]
        layers = [degraded.astype(np.int16) - clean for degraded, clean in pairs]
        if source.degrade == "rain-layers":
            layers = [np.clip(layer, 0, 255).astype(np.uint8) for layer in layers]
    layers = [layer for layer in layers if min(layer.shape[:2]) >= crop_px]
    if not layers:
        kind = "noise" if source.degrade == "noise-layers" else "rain"
        raise InputError(f"{folder} holds no {kind} layers of {crop_px}x{crop_px} pixels or more", "check `layers`")
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
    taught_share: float = 0.0,
    gamma: tuple[float, float] | None = None,
) -> Sample:
    """One sample; `zoom` lets its thumbnails show any part of the picture (`zoomed`), both the same.

    taught_share: how much of a pair's clean end is the teacher's. gamma: a pair's input and its thumbnail are raised
    to one power, drawn between these.
    """
    height, width = picture.clean.shape[:2]
    if augment:
        top, left = int(rng.integers(height - crop_px + 1)), int(rng.integers(width - crop_px + 1))
        pose = int(rng.integers(8))
    else:
        top, left, pose = (height - crop_px) // 2, (width - crop_px) // 2, 0
    window = np.s_[top : top + crop_px, left : left + crop_px]
    x = as_float(_posed(picture.clean[window], pose))
    if taught_share and picture.taught is not None:
        x += np.float32(taught_share) * (as_float(_posed(picture.taught[window], pose)) - x)
    whole = picture.clean_thumb if picture.degraded_thumb is None else picture.degraded_thumb
    thumbs = np.concatenate([whole, picture.clean_thumb], axis=-1)[:: 1 - 2 * (pose & 1), :: 1 - (pose & 2)]
    if zoom:
        thumbs = zoomed(thumbs, rng)
    thumb, clean_thumb = thumbs[..., :3], thumbs[..., 3:]
    if picture.degraded is not None:
        y = as_float(_posed(picture.degraded[window], pose))
        if gamma is not None:
            power = np.float32(np.exp(rng.uniform(*np.log(gamma))))
            y, thumb = y**power, np.clip(thumb, 0, 1) ** power
        return y, x, thumb, clean_thumb
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
