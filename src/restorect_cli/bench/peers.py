"""Other people's models in the same run: an ONNX file, or any command that turns one file into another."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from ..engine.runtime import Graph, resolve_device
from ..engine.source import Image
from ..errors import InputError, ModelError, UsageError
from .metrics import to_levels
from .pictures import read_rgb

PAD_MULTIPLE = 32  # of height and width that an ONNX peer is given; networks halve a few times
COMMAND_SECONDS = 600


class OnnxPeer:
    """A network of one input: 1×3×H×W float32 RGB in [0, 1], any H and W, to the same.

    Height and width are padded by reflection to a multiple of 32, and cut after.
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
            raise InputError(f"peer {self._name} gave values that are no numbers (NaN or infinite)")
        restored: Image = result[0].transpose(1, 2, 0)[:height, :width].astype(np.float32)
        return restored


class CommandPeer:
    """A program that reads one 8-bit PNG and writes another; OMP_NUM_THREADS tells it the threads."""

    def __init__(self, name: str, template: str, threads: int) -> None:
        try:
            self._words = shlex.split(template)
        except ValueError as error:
            raise UsageError(f"command '{template}' cannot be parsed ({error})", "check its quotes") from None
        if shutil.which(self._words[0]) is None:
            raise UsageError(f"peer {name}: there is no program {self._words[0]}", "check the command")
        self._name, self._threads = name, threads

    def __call__(self, image: Image, *, sigma: float | None = None) -> Image:
        with tempfile.TemporaryDirectory(prefix="restorect-") as folder:
            source, target = Path(folder) / "in.png", Path(folder) / "out.png"
            PillowImage.fromarray(to_levels(image).astype(np.uint8)).save(source)
            words = [word.replace("{in}", str(source)).replace("{out}", str(target)) for word in self._words]
            self._call(words)
            if not target.is_file():
                raise InputError(f"peer {self._name} wrote no {target.name}", "it must write a PNG to {out}")
            try:
                restored = read_rgb(target)
            except InputError:
                raise InputError(f"peer {self._name} wrote a file that is no picture", "it must write a PNG") from None
        if restored.shape != image.shape:
            raise InputError(
                f"peer {self._name} gave {restored.shape[1]}×{restored.shape[0]} pixels, not the input's size"
            )
        return restored

    def _call(self, words: list[str]) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self._threads)}
        try:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=COMMAND_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"peer {self._name} cannot be run ({error})", "check the command") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise InputError(f"peer {self._name} ended with exit code {done.returncode}", said[-1] if said else "")
