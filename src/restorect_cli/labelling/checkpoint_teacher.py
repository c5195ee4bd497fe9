"""A checkpoint of a network that spandrel knows, as a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..engine.runtime import check_threads
from ..engine.source import Image
from ..training.known_network import KnownNetwork
from .teachers import TeacherOptions, file_digest
from .windows import in_windows, window_side


class CheckpointTeacher:
    """Raises UsageError as `KnownNetwork` does."""

    def __init__(self, path: Path, options: TeacherOptions) -> None:
        self.name, self.sha256 = path.name, file_digest(path)
        self._net = KnownNetwork(path, options.device, check_threads(options.threads))
        self._multiple = options.multiple or self._net.multiple
        self._tile_px = options.tile_px
        self.facts: Mapping[str, object] = {
            "kind": "checkpoint",
            "architecture": self._net.architecture,
            "multiple": self._multiple,
            "tile_px": self._tile_px,
        }

    def __call__(self, image: Image) -> Image:
        sides = [max(side, self._net.least_px) for side in image.shape[:2]]
        own = [window_side(side, self._multiple, self._tile_px) for side in sides]
        if self._net.square:
            own = [max(own)] * 2
        return np.clip(in_windows(image, self._net, own[0], own[1]), 0, 1)
