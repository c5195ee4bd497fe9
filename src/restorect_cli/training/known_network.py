"""A PyTorch checkpoint of a network that spandrel knows, which opens its pickle without running what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from spandrel import ImageModelDescriptor, ModelLoader

from ..engine.source import Image
from ..errors import InputError, UsageError
from ..one_line import folded


class KnownNetwork:
    """Maps a picture (H,W,3) in [0, 1] to one of the same size, both sides of which fit `multiple` and `least_px`.

    Raises UsageError for a network that is unknown or does something else.
    """

    def __init__(self, path: Path, device: str, threads: int) -> None:
        torch.set_num_threads(threads)
        cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        self._device = torch.device("cuda" if cuda else "cpu")
        try:
            found = ModelLoader(device=self._device).load_from_file(path)
        except Exception as error:  # unpickling, and spandrel's guessing, raise anything
            why = folded(error)[:200] or type(error).__name__
            raise UsageError(
                f"teacher {path} is no checkpoint that spandrel knows ({why})", "export it to ONNX"
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
        self.architecture: str = found.architecture.name
        needs = found.size_requirements
        self.multiple, self.least_px, self.square = needs.multiple_of, needs.minimum, needs.square

    @torch.no_grad()
    def __call__(self, window: Image) -> Image:
        """Raises InputError where the result is no picture of the same size."""
        batch = torch.from_numpy(np.ascontiguousarray(window.transpose(2, 0, 1)[None])).to(self._device)
        try:
            found: Image = self._net(batch)[0].float().cpu().numpy().transpose(1, 2, 0)
        except RuntimeError as error:
            raise InputError(f"the teacher failed ({folded(error)[:200]})") from error
        if found.shape != window.shape:
            raise InputError("the teacher changes the size")
        if not np.isfinite(found).all():
            raise InputError("the teacher gave values that are not numbers (NaN or infinite)")
        return found
