"""Which training pictures show the same scene, so that a scene held out for validation is not trained on.

Sets such as LOL hold one scene at several exposures, and one scene may lie in several folders of a recipe.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .pictures import FloatImage, TrainingPicture

VALIDATION_SHARE = 0.06
SAME_SCENE = 0.97  # correlation of two shrunken targets above which they show one scene
LIKE_HELD_OUT = 0.95  # above this one is not trained on if the other is held out: when in doubt, leave it out


def split(pictures: Sequence[TrainingPicture], seed: int = 0) -> tuple[list[TrainingPicture], list[TrainingPicture]]:
    """Training and validation pictures; all pictures of one scene are on one side.

    A split by file would validate on scenes trained on. Raises InputError where all show one scene.
    """
    scenes = scene_labels([picture.clean_thumb for picture in pictures])
    labels = np.unique(scenes)
    order = np.random.default_rng([seed, 77]).permutation(labels)
    held = set(order[: max(1, round(VALIDATION_SHARE * len(labels)))].tolist())
    train = [picture for picture, scene in zip(pictures, scenes, strict=True) if scene not in held]
    validation = [picture for picture, scene in zip(pictures, scenes, strict=True) if scene in held]
    if not train:
        raise InputError("all training pictures show one scene", "add pictures of another, one must be held out")
    return train, validation


def of_other_scenes(pictures: Sequence[TrainingPicture], held: Sequence[TrainingPicture]) -> list[TrainingPicture]:
    """Those pictures that show no scene of `held`."""
    if not held or not pictures:
        return list(pictures)
    own, theirs = (_fingerprints([picture.clean_thumb for picture in some]) for some in (pictures, held))
    likeness = own @ theirs.T
    return [picture for picture, most in zip(pictures, likeness.max(axis=1), strict=True) if most <= LIKE_HELD_OUT]


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
