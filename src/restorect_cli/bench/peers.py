"""Other people's models: an ONNX file, or a command that turns one file into another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..engine.runtime import Graph, resolve_device
from ..engine.source import Image
from ..errors import InputError, ModelError, UsageError
from ..programs import Program

PAD_MULTIPLE = 32  # of an ONNX peer's height and width, because networks halve them a few times


class OnnxPeer:
    """A network of one input, 1×3×H×W float32 RGB in [0, 1] with any H and W, and an output of the same kind.

    Height and width are padded by reflection to a multiple of 32, and cropped afterwards.
    """

    def __init__(self, name: str, path: str, threads: int) -> None:
        if not Path(path).is_file():
            raise UsageError(f"peer {name}: there is no file {path}", "check the name")
        try:
            self._graph = Graph(Path(path), resolve_device("cpu"), threads)
        except ModelError as error:
            raise ModelError(f"peer {name}: {error.problem}", "check the file") from None
        if len(self._graph.inputs) != 1:
            raise UsageError(
                f"peer {name} takes {len(self._graph.inputs)} inputs ({', '.join(self._graph.inputs)})",
                "give a network of one input, 1×3×H×W RGB in [0, 1]; or wrap it with --peer-cmd",
            )
        self._name = name

    def __call__(self, image: Image, *, sigma: float | None = None) -> Image:
        height, width = image.shape[:2]
        pad = [(0, -height % PAD_MULTIPLE), (0, -width % PAD_MULTIPLE), (0, 0)]
        fits = pad[0][1] < height and pad[1][1] < width
        padded = np.pad(image, pad, mode="reflect" if fits else "edge")
        batch = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32)
        try:
            result = self._graph.run({self._graph.inputs[0]: batch})[self._graph.outputs[0]]
        except ModelError as error:
            raise InputError(f"peer {self._name} failed on {width}×{height} ({error.problem})") from None
        if result.shape != batch.shape:
            raise InputError(f"peer {self._name} gave shape {result.shape} for {batch.shape}")
        if not np.isfinite(result).all():
            raise InputError(f"peer {self._name} gave values that are not finite (NaN or infinite)")
        restored: Image = result[0].transpose(1, 2, 0)[:height, :width].astype(np.float32)
        return restored


class CommandPeer:
    """A program that reads one 8-bit PNG and writes another; OMP_NUM_THREADS sets its threads."""

    def __init__(self, name: str, template: str, threads: int) -> None:
        self._program = Program(f"peer {name}", template, threads)

    def __call__(self, image: Image, *, sigma: float | None = None) -> Image:
        return self._program(image)
