"""Training pairs: photographs and degraded/clean pairs from folders, cropped and augmented in memory.

A sample is (y, x, thumb, clean_thumb): degraded and clean crop, and the whole degraded picture shrunk, because the
prior sees the whole scene in use; the whole clean one likewise, which a teacher may see. Where a pair folder has
`input_whole/` and `target_whole/`, those are the whole pictures; else thumbnails are made from the pictures at hand.

Every sample is drawn from its own generator, seeded by (seed, iteration, number in the batch): a resumed run
sees exactly the data it would have seen, no generator state needs saving, and of several processes each makes
only its share of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import images
from ..degrade import table
from ..degrade.table import Degradation, Scene
from ..engine import prior
from ..engine.prior import THUMB_SHAPE
from ..errors import InputError
from ..images.picture import to_depth
from ..images.view import WorkingView
from ..names import is_picture
from ..one_line import folded
from ..recipes.recipe import Recipe, SourceRecipe

VALIDATION_SHARE = 0.06
LEAST_ZOOM = 0.4  # share of a thumbnail's sides that `zoomed` leaves at least
SAME_SCENE = 0.97  # correlation of two shrunken targets above which they show one scene
LIKE_HELD_OUT = 0.95  # and above which one is not trained on where the other is held out: rather one too few

Pixels = NDArray[np.uint8]
_Value = TypeVar("_Value", np.uint8, np.float32)
FloatImage = NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """One photograph or pair: clean pixels, degraded pixels of a pair, and whole pictures at thumbnail size."""

    name: str
    clean: Pixels
    degraded: Pixels | None
    clean_thumb: FloatImage
    degraded_thumb: FloatImage | None


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


def read_pixels(path: Path) -> Pixels:
    """Any picture file, upright, as sRGB (H,W,3) uint8, on black where it is transparent; InputError if unreadable."""
    try:
        picture = images.read(path)
        height, width = picture.pixels.shape[:2]
        pixels: Pixels = to_depth(WorkingView(picture).window(0, height, 0, width), 8)
        return pixels
    except Exception as error:  # a damaged file may raise anything inside a decoder
        raise InputError(f"cannot read training picture {path}", f"remove or replace it ({folded(error)})") from error


def list_pictures(folder: Path) -> list[Path]:
    """Picture files of a folder, sorted by name."""
    if not folder.is_dir():
        raise InputError(f"no such data folder {folder}", "check --data and the folder names in the recipe")
    return sorted(p for p in folder.iterdir() if is_picture(p.name))


def load_items(folder: Path, pairs: bool, minimum_px: int) -> list[Item]:
    """Read a whole source into memory (a few hundred megabytes at most for the shipped recipes)."""
    items = load_pairs(folder) if pairs else [load_photograph(p) for p in list_pictures(folder)]
    items = [item for item in items if min(item.clean.shape[:2]) >= minimum_px]
    if len(items) < 2:
        raise InputError(
            f"{folder} holds {len(items)} usable pictures",
            f"training needs at least two of {minimum_px}x{minimum_px} pixels or more (one is held out)",
        )
    return items


def load_photograph(path: Path) -> Item:
    """A clean photograph to be degraded on the fly."""
    pixels = read_pixels(path)
    return Item(path.stem, pixels, None, thumbnail(pixels), None)


def load_pairs(folder: Path) -> list[Item]:
    """Pairs by equal stem in input/ and target/; InputError for one without its partner or of another size."""
    inputs, targets = (by_stem(folder / side) for side in ("input", "target"))
    lonely = sorted(inputs.keys() ^ targets.keys())
    if lonely:
        raise InputError(
            f"{folder}: {len(lonely)} files have no partner, first {lonely[0]!r}", "pair them by equal names"
        )
    items = []
    for stem, path in inputs.items():
        degraded, clean = read_pixels(path), read_pixels(targets[stem])
        if degraded.shape != clean.shape:
            raise InputError(f"{path} and its target differ in size", f"{degraded.shape[:2]} and {clean.shape[:2]}")
        whole = [_whole(folder / f"{side}_whole", stem) for side in ("input", "target")]
        items.append(
            Item(
                stem,
                clean,
                degraded,
                thumbnail(clean if whole[1] is None else whole[1]),
                thumbnail(degraded if whole[0] is None else whole[0]),
            )
        )
    return items


def by_stem(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without extension; InputError where two share one."""
    found: dict[str, Path] = {}
    for path in list_pictures(folder):
        if path.stem in found:
            raise InputError(f"{folder} holds both {found[path.stem].name} and {path.name}", "remove one of them")
        found[path.stem] = path
    return found


def with_matched_exposure(item: Item) -> Item:
    """The pair with its target's gain and offset fitted per colour to the input, in the clean thumbnail too.

    Two cameras, one behind a wet lens, expose differently; a pixel loss would learn that. The fit
    leaves out the third of the pixels that differ most, which are drops.
    """
    if item.degraded is None:
        return item
    clean, clean_thumb = item.clean.astype(np.float32), item.clean_thumb.copy()
    for c in range(3):
        a, b = item.clean[..., c].ravel().astype(np.float32), item.degraded[..., c].ravel().astype(np.float32)
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
    return replace(item, clean=pixels, clean_thumb=np.clip(clean_thumb, 0, 1))


def _whole(folder: Path, stem: str) -> Pixels | None:
    found = next((p for p in list_pictures(folder) if p.stem == stem), None) if folder.is_dir() else None
    return None if found is None else read_pixels(found)


def load_layers(root: Path, source: SourceRecipe, crop_px: int, held: Sequence[Item] = ()) -> list[Pixels]:
    """Rain layers for a source: grey streak pictures (H,W), or differences of rainy and clean pairs (H,W,3).

    Not those of pairs that show a scene of `held`, which are held out themselves. Raises InputError where a folder
    holds none that is as large as a crop.
    """
    if source.layers is None:
        return []
    folder = root / source.layers
    if source.degrade != "rain-layers":
        layers = [read_pixels(path)[..., 1] for path in list_pictures(folder)]
    else:
        pairs = [
            (item.degraded, item.clean)
            for item in of_other_scenes(load_pairs(folder), held)
            if item.degraded is not None
        ]
        layers = [np.clip(wet.astype(np.int16) - dry, 0, 255).astype(np.uint8) for wet, dry in pairs]
    layers = [layer for layer in layers if min(layer.shape[:2]) >= crop_px]
    if not layers:
        raise InputError(f"{folder} holds no rain layers of {crop_px}x{crop_px} pixels or more", "check `layers`")
    return layers


def thumbnail(pixels: Pixels) -> FloatImage:
    """The whole picture as the prior will see it in use, (*THUMB_SHAPE, 3)."""
    return prior.thumbnail(_as_float(pixels))


def split(items: Sequence[Item], seed: int = 0) -> tuple[list[Item], list[Item]]:
    """Training and validation items; pictures of one scene stay on one side.

    Sets such as LOL hold the same scene at several exposures: a split by file would validate on
    scenes trained on. Scenes are joined by the correlation of their shrunken targets.
    """
    scenes = scene_labels([item.clean_thumb for item in items])
    labels = np.unique(scenes)
    order = np.random.default_rng([seed, 77]).permutation(labels)
    held = set(order[: max(1, round(VALIDATION_SHARE * len(labels)))].tolist())
    train = [item for item, scene in zip(items, scenes, strict=True) if scene not in held]
    validation = [item for item, scene in zip(items, scenes, strict=True) if scene in held]
    if not train:
        raise InputError("all training pictures show one scene", "add pictures of another, one must be held out")
    return train, validation


def of_other_scenes(items: Sequence[Item], held: Sequence[Item]) -> list[Item]:
    """Those items that show no scene of `held`: one scene may be in several folders of a recipe."""
    if not held or not items:
        return list(items)
    likeness = _fingerprints([item.clean_thumb for item in items]) @ _fingerprints([h.clean_thumb for h in held]).T
    return [item for item, most in zip(items, likeness.max(axis=1), strict=True) if most <= LIKE_HELD_OUT]


def _fingerprints(thumbs: Sequence[FloatImage]) -> NDArray[np.float32]:
    """Row per thumbnail: its grey version of 30x20 pixels, of mean 0 and norm 1, so that products are correlations."""
    grey = np.stack([t.mean(axis=2).reshape(20, 5, 30, 5).mean(axis=(1, 3)).ravel() for t in thumbs])
    grey -= grey.mean(axis=1, keepdims=True)
    grey /= np.linalg.norm(grey, axis=1, keepdims=True) + 1e-6
    return grey


def scene_labels(thumbs: Sequence[FloatImage]) -> NDArray[np.int64]:
    """Label per thumbnail, equal where `_fingerprints` correlate above SAME_SCENE."""
    prints = _fingerprints(thumbs)
    same = prints @ prints.T > SAME_SCENE
    labels = np.arange(len(thumbs))
    for i, row in enumerate(same):
        joined = np.flatnonzero(row[:i])
        if len(joined):
            labels[i] = labels[joined[0]]
    return labels


class PairStream:
    """Draws batches from the recipe's sources; sample k of batch i depends on nothing but the recipe, i and k."""

    def __init__(self, recipe: Recipe, root: Path) -> None:
        self.recipe = recipe
        need_folders(recipe, root)
        parts: dict[tuple[str, bool], tuple[list[Item], list[Item]]] = {}
        for source in recipe.source:
            key = (source.folder, source.degrade == "pair")
            if key not in parts:
                parts[key] = split(load_items(root / source.folder, key[1], recipe.crop_px))
        every_held = [item for _, held in parts.values() for item in held]
        parts = {key: (of_other_scenes(train, every_held), held) for key, (train, held) in parts.items()}
        self.train: list[list[Item]] = []
        self.validation: list[list[Item]] = []
        for source in recipe.source:
            train, held = parts[source.folder, source.degrade == "pair"]
            if not train:
                raise InputError(f"{root / source.folder} shows held-out scenes alone", "add pictures of other scenes")
            if source.match_exposure:  # after the split, which looks at the thumbnails that this changes
                train, held = ([with_matched_exposure(i) for i in part] for part in (train, held))
            self.train.append(train)
            self.validation.append(held)
        self.degradations = [
            table.make(source.degrade, load_layers(root, source, recipe.crop_px, every_held), recipe.seed)
            if source.degrade != "pair"
            else table.make("none")
            for source in recipe.source
        ]
        # How bright a picture is meant to be, only the whole of it tells; rain and drops any part of it.
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
            items = self.train[chosen[number]]
            item = items[rng.integers(len(items))]
            samples.append(draw(item, self.degradations[chosen[number]], self.recipe.crop_px, rng, zoom=self.zoom))
        return collate(samples)

    def validation_batches(self, size_px: int, limit: int) -> list[tuple[str, Batch]]:
        """Centre crops of held-out pictures, one batch per source, degraded with fixed seeds."""
        batches = []
        for index, source in enumerate(self.recipe.source):
            items = [i for i in self.validation[index] if min(i.clean.shape[:2]) >= size_px][:limit]
            if not items:
                items = self.validation[index][:1]
            side = min(size_px, *(min(i.clean.shape[:2]) // 8 * 8 for i in items))
            samples = [
                draw(item, self.degradations[index], side, np.random.default_rng([99, number]), augment=False)
                for number, item in enumerate(items)
            ]
            name = source.degrade if source.folder == "." else f"{source.folder}:{source.degrade}"
            batches.append((name, collate(samples)))
        return batches


def need_folders(recipe: Recipe, root: Path) -> None:
    """All that is missing at once, and before the rest is read."""
    named = dict.fromkeys(name for source in recipe.source for name in (source.folder, source.layers) if name)
    missing = [name for name in named if not (root / name).is_dir()]
    if missing:
        raise InputError(
            f"{root} lacks folders that the recipe names: {', '.join(missing)}",
            "check --data, or name folders of your own in a copy of the recipe",
        )


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack HWC samples to NCHW arrays and measure the statistics of the degraded crops."""
    stacked = [np.stack(parts) for parts in zip(*samples, strict=True)]
    statistics = prior.statistics_batch(stacked[0])
    y, x, thumb, clean_thumb = (np.ascontiguousarray(a.transpose(0, 3, 1, 2)) for a in stacked)
    return Batch(y, x, thumb, clean_thumb, statistics)


def draw(
    item: Item,
    degradation: Degradation,
    crop_px: int,
    rng: np.random.Generator,
    augment: bool = True,
    zoom: bool = False,
) -> Sample:
    """One sample; `zoom` lets its thumbnails show any part of the picture (`zoomed`), both the same."""
    height, width = item.clean.shape[:2]
    if augment:
        top, left = int(rng.integers(height - crop_px + 1)), int(rng.integers(width - crop_px + 1))
        pose = int(rng.integers(8))
    else:
        top, left, pose = (height - crop_px) // 2, (width - crop_px) // 2, 0
    window = np.s_[top : top + crop_px, left : left + crop_px]
    x = _as_float(_posed(item.clean[window], pose))
    whole = item.clean_thumb if item.degraded_thumb is None else item.degraded_thumb
    thumbs = np.concatenate([whole, item.clean_thumb], axis=-1)[:: 1 - 2 * (pose & 1), :: 1 - (pose & 2)]
    if zoom:
        thumbs = zoomed(thumbs, rng)
    thumb, clean_thumb = thumbs[..., :3], thumbs[..., 3:]
    if item.degraded is not None:
        return _as_float(_posed(item.degraded[window], pose)), x, thumb, clean_thumb
    averaged = float(np.exp(rng.uniform(np.log(2), np.log(40))))
    shown = _posed(np.rot90(item.clean_thumb, -1) if height > width else item.clean_thumb, pose)
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


def _as_float(pixels: Pixels) -> FloatImage:
    scaled: FloatImage = np.ascontiguousarray(pixels, np.float32) / np.float32(255)
    return scaled
