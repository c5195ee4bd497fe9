"""A checkpoint of a network that spandrel knows, as a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..engine.runtime import threads_to_run
from ..engine.source import Image
from ..training.known_network import KnownNetwork
from .teachers import TeacherOptions, file_digest
from .windows import in_windows, under_light_of, window_side


class CheckpointTeacher:
    """Raises UsageError as `KnownNetwork` does."""

    def __init__(self, path: Path, options: TeacherOptions) -> None:
        self.name, self.sha256 = path.name, file_digest(path)
        self._net = KnownNetwork(path, options.device, threads_to_run(options.threads))
        self._multiple = options.multiple or self._net.multiple
        self._tile_px, self._one_light = options.tile_px, options.one_light
        self.facts: Mapping[str, object] = {
            "kind": "checkpoint",
            "architecture": self._net.architecture,
            "multiple": self._multiple,
            "tile_px": self._tile_px,
            "one_light": self._one_light,
        }

    def __call__(self, image: Image) -> Image:
        sides = [max(side, self._net.least_px) for side in image.shape[:2]]
        own = [window_side(side, self._multiple, self._tile_px) for side in sides]
        if self._net.square:
            own = [max(own)] * 2
        label = in_windows(image, self._net, own[0], own[1])
        if self._one_light and (own[0] < sides[0] or own[1] < sides[1]):
            label = under_light_of(label, image, self._net, own[0], own[1])
        return np.clip(label, 0, 1)
