"""Restores a picture: runs the prior once for the whole picture, then the flow tile by tile under that prior.

    from restorect_cli import Restorer
    Restorer("denoise").restore(image)                            # one step, the best device
    Restorer("low-light", steps=3, strength=0.7).restore(image)   # three steps, stopped part-way
    Restorer("derain", RestoreOptions(model="./mine"))            # the options as one value

The same input on the same device and threads gives the same output, to the bit.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError, InputError, ModelError, UsageError
from ..models.specs import StudentSpec
from ..models.store import find
from .flow import euler_step, stop_at_strength, time_grid
from .options import RestoreOptions, restore_options
from .prior import PriorInputs, prior_inputs
from .runtime import Device, Graph, resolve_device, threads_to_run
from .source import ArraySource, Image, ImageSource, PictureSource
from .tiling import Emit, run_tiles, smallest_tile_px, tile_px_for_budget

BLEND_PX = 16
BYTES_PER_PIXEL = 240
"""Working memory per window pixel of a width-32 U-Net at half resolution (0.6 M parameters, float32)."""

BUDGET_BYTES = 600_000_000
"""For the network's working memory, halved when memory runs out. Allows windows of 1576² pixels.

Measured with that net (halo 80 px) on 4000×3000 px, onnxruntime 1.31, one thread of a busy machine, best of 3:
CPU seconds per megapixel, halos included, and how much the process grew.

    tile    512     768    1024    1280    1536
    s/MP   0.75    0.58    0.57    0.46    0.44
    MB       87     177     217     326     521
"""

_AS_IT_IS, _BACKWARDS = slice(None), slice(None, None, -1)
_MIRRORS = (
    (_AS_IT_IS, _AS_IT_IS),
    (_AS_IT_IS, _BACKWARDS),  # left and right exchanged
    (_BACKWARDS, _AS_IT_IS),
    (_BACKWARDS, _BACKWARDS),
)
"""Slices of rows and columns; each undoes itself."""

_COPY_PIXELS = 1_000_000  # at a time, if there is nothing to restore


class Restorer:
    """One model, loaded and ready.

    task: "low-light", "derain", "denoise" or "raindrop".
    options: see `RestoreOptions`; its fields may be given as keywords instead.

    Several threads may use one Restorer at the same time: it keeps nothing of a picture, so each call gives the same
    result as alone. They share its CPU threads.

    Raises UsageError for names and values out of range, ModelError and DeviceError if the model or device is missing.
    """

    def __init__(self, task: str, options: RestoreOptions | None = None, **keywords: Any) -> None:
        options = restore_options(options, keywords)
        student = find(task, options.model)
        self.options = options
        self.spec: StudentSpec = student.spec
        self.steps: int = _steps(self.spec, options.steps)
        self._times = stop_at_strength(time_grid(self.steps, self.spec.grid), options.strength)
        self._tile_px = self._tile(options.tile)
        velocity = student.velocity if options.precision == "fp32" else student.velocity_int8
        if velocity is None:
            raise ModelError(f"{self.spec.name} has no {options.precision} graph", "use precision fp32")
        proved: Device = resolve_device(options.device)
        threads = threads_to_run(options.threads)
        self.device: str = proved.name
        self._prior = _graph(student.prior, proved, threads, {"thumb", "statistics"}, "z")
        self._velocity = _graph(velocity, proved, threads, {"x", "t", "z"}, "displacement")

    def restore(self, image: Image) -> Image:
        """The restored picture, a new array of the same shape and dtype; values are not clipped.

        image: H×W×3 float32 RGB, sRGB-encoded, nominally in [0, 1]. Raises InputError for another shape or dtype, and
        for values that are not finite.
        """
        _check_image(image)
        result = np.empty_like(image, order="C")

        def emit(y0: int, rows: Image) -> None:
            result[y0 : y0 + len(rows)] = rows

        self.restore_source(ArraySource(image), emit)
        return result

    def restore_source(self, source: PictureSource, emit: Emit) -> None:
        """The same for a picture that is read in windows; `emit(y0, rows)` takes finished full-width rows in order.

        Needs memory for one band of tiles. If memory runs out, rows not yet emitted are computed again with smaller
        tiles. Raises DeviceError if memory does not suffice for the smallest tile.
        """
        if self._times[-1] == 1.0:  # strength 0
            _copy(source, emit)
            return
        try:
            latent = self._latent(prior_inputs(source))
            predict = _Predictor(self._velocity, self.spec, latent, self.options.ensemble)
            passes = [partial(_step, predict, self._times, index) for index in range(len(self._times) - 1)]
            run_tiles(
                source,
                passes,
                emit,
                tile_px=self._tile_px,
                halo_px=self.spec.halo_px,
                blend_px=BLEND_PX,
                multiple=self.spec.size_multiple,
            )
        except MemoryError as error:
            raise DeviceError(
                f"device {self.device} has too little memory, even for the smallest tiles",
                "close other programs, or use one step",
            ) from error

    def _latent(self, inputs: PriorInputs) -> NDArray[np.float32]:
        thumb = np.ascontiguousarray(inputs.thumb.transpose(2, 0, 1)[None])
        z: NDArray[np.float32] = self._prior.run({"thumb": thumb, "statistics": inputs.statistics[None]})["z"]
        if z.shape != (1, self.spec.latent_dim) or not np.isfinite(z).all():
            raise ModelError(f"the prior of {self.spec.name} gave a latent of shape {z.shape} or without finite values")
        return z

    def _tile(self, tile: int | None) -> int:
        multiple = self.spec.size_multiple
        smallest = smallest_tile_px(halo_px=self.spec.halo_px, blend_px=BLEND_PX, multiple=multiple)
        if tile is not None:
            if tile < smallest:
                raise UsageError(
                    f"tiles of {tile} pixels leave no room between the halos of {self.spec.name}",
                    f"give at least {smallest}",
                )
            return tile
        return max(smallest, tile_px_for_budget(BUDGET_BYTES, BYTES_PER_PIXEL, multiple=multiple))


class _Predictor:
    """The velocity graph under one latent, as a `Predictor`: windows in and out are H×W×3."""

    def __init__(self, graph: Graph, spec: StudentSpec, latent: NDArray[np.float32], ensemble: int) -> None:
        self.target = spec.target
        self._graph, self._name, self._latent, self._ensemble = graph, spec.name, latent, ensemble

    def __call__(self, x: Image, t: float, /) -> Image:
        total = self._displacement(x, t)
        for mirrored in _MIRRORS[1 : self._ensemble]:
            total += self._displacement(x[mirrored], t)[mirrored]
        total /= self._ensemble
        return total

    def _displacement(self, x: Image, t: float) -> Image:
        batch = np.ascontiguousarray(x.transpose(2, 0, 1)[None], dtype=np.float32)
        feeds = {"x": batch, "t": np.array([t], np.float32), "z": self._latent}
        displacement: Image = self._graph.run(feeds)["displacement"]
        if displacement.shape != batch.shape:
            raise ModelError(f"{self._name} gave a result of shape {displacement.shape} for {batch.shape}")
        if not np.isfinite(displacement).all():
            raise InputError("the picture's values are too far outside [0, 1] for the network", "scale them first")
        window: Image = displacement[0].transpose(1, 2, 0)
        return window


def _step(predict: _Predictor, times: list[float], index: int, window: Image) -> Image:
    return euler_step(predict, window, times, index)


def _graph(path: Path, device: Device, threads: int, inputs: set[str], output: str) -> Graph:
    graph = Graph(path, device, threads)
    if set(graph.inputs) != inputs or output not in graph.outputs:
        raise ModelError(
            f"{path} takes {', '.join(graph.inputs)} and gives {', '.join(graph.outputs)}",
            f"a model's graph takes {', '.join(sorted(inputs))} and gives {output}",
        )
    return graph


def _steps(spec: StudentSpec, steps: int | None) -> int:
    if steps is None:
        return spec.default_steps
    if steps > spec.max_steps:
        raise UsageError(f"{spec.name} cannot take {steps} steps", f"give a whole number from 1 to {spec.max_steps}")
    return int(steps)


def _check_image(image: Image) -> None:
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(f"an image is H×W×3, this is {getattr(image, 'shape', type(image).__name__)}")
    if image.dtype != np.float32:
        fix = "divide by 255 or 65535 as float32" if np.issubdtype(image.dtype, np.integer) else "use float32"
        raise InputError(f"an image is float32, this is {image.dtype}", fix)
    for row in image:  # row by row: no mask as large as the picture
        if not np.isfinite(row).all():
            raise InputError("the image holds values that are not finite (NaN or infinity)", "replace them first")


def _copy(source: ImageSource, emit: Emit) -> None:
    rows = max(1, _COPY_PIXELS // source.width)
    for y0 in range(0, source.height, rows):
        emit(y0, source.window(y0, min(source.height, y0 + rows), 0, source.width))
