"""A network in an ONNX file as a teacher: one picture in, one of the same size out; the rest is found out.

Shape and type are read off the graph. What it does not say is tried with a picture of our own: of the size multiples
the first at which the result has the input's size, of the value ranges the first whose result looks like the picture,
brighter or darker as it may be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..engine.runtime import Graph, Port, resolve_device, threads_to_run
from ..engine.source import Image
from ..errors import InputError, ModelError, UsageError
from .teachers import Order, TeacherOptions, ValueRange, file_digest
from .windows import in_windows, under_light_of, window_side

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
RANGES: tuple[ValueRange, ...] = ("0..1", "0..255", "-1..1")  # as they are tried
LIKE = 0.9  # correlation with the tried picture from which a result looks like it
BEYOND = 0.5  # how far its values may lie outside of [0, 1]
KINDS: dict[str, type[np.floating | np.uint8]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class OnnxTeacher:
    """See the module; raises UsageError, naming what was found, for a network that does not fit."""

    def __init__(self, path: Path, options: TeacherOptions) -> None:
        self.name, self.sha256 = path.name, file_digest(path)
        self._who = f"teacher {path}"
        try:
            self._graph = Graph(path, resolve_device(options.device), threads_to_run(options.threads))
        except ModelError as error:
            raise ModelError(f"teacher {error.problem}", "name an ONNX file that onnxruntime can load") from None
        self._input, self._output = self._ports(options.output)
        self._order = options.order or self._found_order()
        self._fixed = self._sides(self._input)
        self._tile_px, self._one_light = options.tile_px, options.one_light
        self._multiple = options.multiple or 1
        self._values: ValueRange = options.values or ("0..255" if self._input.kind == "tensor(uint8)" else "0..1")
        if options.multiple is None and None in self._fixed:
            self._multiple = self._found_multiple()
        if options.values is None and self._input.kind != "tensor(uint8)":
            self._values = self._found_values()
        else:
            self._tried()
        self.facts: Mapping[str, object] = {
            "kind": "onnx",
            "order": self._order,
            "values": self._values,
            "size": "free" if None in self._fixed else f"{self._fixed[1]}x{self._fixed[0]}",
            "multiple": self._multiple,
            "tile_px": self._tile_px,
            "one_light": self._one_light,
        }

    def __call__(self, image: Image) -> Image:
        height, width = image.shape[:2]
        own = [
            fixed or window_side(side, self._multiple, self._tile_px)
            for fixed, side in zip(self._fixed, (height, width), strict=True)
        ]
        label = in_windows(image, self._window, own[0], own[1])
        if self._one_light and (own[0] < height or own[1] < width):
            label = under_light_of(label, image, self._window, own[0], own[1])
        return np.clip(label, 0, 1)

    def _window(self, window: Image) -> Image:
        try:
            found = self._run(window)
        except ModelError as error:
            raise InputError(f"the teacher failed on {window.shape[1]}×{window.shape[0]} ({error.problem})") from None
        if found.shape != window.shape:
            raise InputError(f"the teacher made {_size(found)} of {_size(window)}: it changes the size")
        if not np.isfinite(found).all():
            raise InputError("the teacher gave values that are not numbers (NaN or infinite)")
        return found

    def _run(self, window: Image) -> Image:
        """The network on exactly this window, both in [0, 1]."""
        low, high = _ends(self._values)
        values = window * np.float32(high - low) + np.float32(low)
        kind = KINDS[self._input.kind]
        if kind is np.uint8:
            values = np.rint(np.clip(values, 0, 255))
        batch = (values if self._order == "nhwc" else values.transpose(2, 0, 1))[None].astype(kind)
        found: NDArray[np.float32] = np.asarray(
            self._graph.run({self._input.name: np.ascontiguousarray(batch)})[self._output.name], np.float32
        )
        if found.ndim != 4 or found.shape[0] != 1 or found.shape[3 if self._order == "nhwc" else 1] != 3:
            raise UsageError(
                f"{self._who} gives an array of shape {'×'.join(map(str, found.shape))}", "it must give one RGB picture"
            )
        picture = found[0] if self._order == "nhwc" else found[0].transpose(1, 2, 0)
        scaled: Image = (picture - np.float32(low)) / np.float32(high - low)
        return scaled

    def _ports(self, output: str | None) -> tuple[Port, Port]:
        inputs, outputs = self._graph.input_ports, self._graph.output_ports
        if len(inputs) != 1:
            raise UsageError(
                f"{self._who} takes {len(inputs)} inputs ({', '.join(port.name for port in inputs)})",
                "a teacher takes one picture; or wrap it in a command 'prog {in} {out}'",
            )
        names = [port.name for port in outputs]
        if output is None and len(outputs) != 1:
            raise UsageError(
                f"{self._who} has {len(outputs)} outputs ({', '.join(names)})", "choose one with --teacher-output"
            )
        if output is not None and output not in names:
            raise UsageError(f"{self._who} has no output {output}", f"choose one of {', '.join(names)}")
        port = inputs[0]
        if port.kind not in KINDS:
            raise UsageError(f"{self._who} takes a {port.kind}", f"it must take one of {', '.join(KINDS)}")
        if len(port.shape) != 4 or port.shape[0] not in (None, 1):
            raise UsageError(
                f"{self._who} takes an array of shape {_shape(port)}", "it must be 1×3×H×W or 1×H×W×3, one RGB picture"
            )
        return port, outputs[0 if output is None else names.index(output)]

    def _found_order(self) -> Order:
        _, second, _, last = self._input.shape
        if second != 3 and last == 3:
            return "nhwc"
        if second == 3 or (second is None and last is None):  # PyTorch's order where the graph does not say
            return "nchw"
        raise UsageError(
            f"{self._who} takes an array of shape {_shape(self._input)}", "no side of it holds three colours"
        )

    def _sides(self, port: Port) -> tuple[int | None, int | None]:
        """Fixed height and width, None where free."""
        sides = port.shape[1:3] if self._order == "nhwc" else port.shape[2:4]
        if port.shape[3 if self._order == "nhwc" else 1] not in (None, 3):
            raise UsageError(f"{self._who} takes an array of shape {_shape(port)}", f"that is not {self._order}")
        return sides[0], sides[1]

    def _found_multiple(self) -> int:
        problem = ""
        for multiple in MULTIPLES:
            window = self._trial(multiple)
            try:
                found = self._run(window)
            except ModelError as error:
                problem = problem or f"fails on {_size(window)} ({error.problem})"
                continue
            if found.shape == window.shape:
                return multiple
            problem = problem or f"makes {_size(found)} of {_size(window)}"
        raise UsageError(
            f"{self._who} {problem}, and none of the multiples up to {MULTIPLES[-1]} keeps the size",
            "a teacher's picture has the size of its input; say --multiple if it needs another",
        )

    def _trial(self, multiple: int) -> Image:
        """A picture of our own whose free sides are odd multiples, 64 pixels or a little more."""
        count = max(1, -(-64 // multiple)) | 1
        height, width = (fixed or side * multiple for fixed, side in zip(self._fixed, (count, count + 2), strict=True))
        return trial_picture(height, width)

    def _found_values(self) -> ValueRange:
        """The first range whose result looks like the tried picture; the usual one where none does."""
        for values in RANGES:
            self._values = values
            if _alike(self._trial(self._multiple), self._tried()):
                return values
        return RANGES[0]

    def _tried(self) -> Image:
        """What the network makes of the tried picture; UsageError where that is no picture of its size."""
        window = self._trial(self._multiple)
        try:
            found = self._run(window)
        except ModelError as error:
            raise UsageError(
                f"{self._who} fails on {_size(window)} ({error.problem})", "say --multiple, or --layout"
            ) from None
        if found.shape != window.shape:
            raise UsageError(
                f"{self._who} makes {_size(found)} of {_size(window)}: it changes the size",
                "a teacher's picture has the size of its input",
            )
        if not np.isfinite(found).all():
            raise UsageError(f"{self._who} gives values that are not numbers (NaN or infinite)", "check the file")
        return found


def trial_picture(height: int, width: int) -> Image:
    """A well exposed picture without rain, noise or edges, (H,W,3) float32 from 0.1 to 0.9."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / 40
    waves = [np.sin(rows * a + columns * b + c) for a, b, c in ((0.9, 0.5, 0.2), (0.6, 1.0, 1.4), (1.1, 0.8, 2.9))]
    picture: Image = (0.5 + 0.4 * np.stack(waves, axis=-1)).astype(np.float32)
    return picture


def _alike(picture: Image, result: Image) -> bool:
    if result.min() < -BEYOND or result.max() > 1 + BEYOND or np.ptp(result) < 1e-3:
        return False
    return float(np.corrcoef(picture.ravel(), result.ravel())[0, 1]) > LIKE


def _ends(values: ValueRange) -> tuple[float, float]:
    low, high = values.split("..")
    return float(low), float(high)


def _size(image: Image) -> str:
    return f"{image.shape[1]}×{image.shape[0]}"


def _shape(port: Port) -> str:
    return "×".join("?" if side is None else str(side) for side in port.shape)
