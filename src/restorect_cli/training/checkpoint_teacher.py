"""A PyTorch checkpoint of another network as a teacher; spandrel knows the architectures and opens the pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from spandrel import ImageModelDescriptor, ModelLoader

from ..engine.runtime import check_threads
from ..engine.source import Image
from ..errors import InputError, UsageError
from ..labelling.teachers import TeacherOptions, file_digest
from ..labelling.windows import in_windows, window_side
from ..one_line import folded


class CheckpointTeacher:
    """Raises UsageError for a network that is unknown or does not map a picture to one of the same size."""

    def __init__(self, path: Path, options: TeacherOptions) -> None:
        self.name, self.sha256 = path.name, file_digest(path)
        torch.set_num_threads(check_threads(options.threads))
        cuda = options.device == "cuda" or (options.device == "auto" and torch.cuda.is_available())
        self._device = torch.device("cuda" if cuda else "cpu")
        try:
            found = ModelLoader(device=self._device).load_from_file(path)
        except Exception as error:  # unpickling, and spandrel's guessing, raise anything
            raise UsageError(
                f"teacher {path} is no checkpoint that spandrel knows ({folded(error)[:200]})", "export it to ONNX"
            ) from error
        if not isinstance(found, ImageModelDescriptor):
            raise UsageError(f"teacher {path} takes a mask beside the picture", "a teacher takes one picture")
        if found.scale != 1:
            raise UsageError(
                f"teacher {path} enlarges {found.scale} times: it changes the size",
                "a teacher's picture has the size of its input",
            )
        if (found.input_channels, found.output_channels) != (3, 3):
            raise UsageError(
                f"teacher {path} takes {found.input_channels} colours and gives {found.output_channels}",
                "a teacher takes and gives RGB",
            )
        self._net = found.eval()
        needs = found.size_requirements
        self._multiple = options.multiple or needs.multiple_of
        self._least_px, self._square = needs.minimum, needs.square
        self._tile_px = options.tile_px
        self.facts: Mapping[str, object] = {
            "kind": "checkpoint",
            "architecture": found.architecture.name,
            "multiple": self._multiple,
            "tile_px": self._tile_px,
        }

    def __call__(self, image: Image) -> Image:
        sides = [max(side, self._least_px) for side in image.shape[:2]]
        own = [window_side(side, self._multiple, self._tile_px) for side in sides]
        if self._square:
            own = [max(own)] * 2
        return np.clip(in_windows(image, self._window, own[0], own[1]), 0, 1)

    @torch.no_grad()
    def _window(self, window: Image) -> Image:
        batch = torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1)[None])).to(self._device)
        found = self._net(batch)[0].float().cpu().numpy().transpose(1, 2, 0)
        if found.shape != window.shape:
            raise InputError("the teacher changes the size")
        if not np.isfinite(found).all():
            raise InputError("the teacher gave values that are not numbers (NaN or infinite)")
        result: Image = found
        return result
