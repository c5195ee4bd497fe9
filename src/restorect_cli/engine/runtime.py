"""ONNX Runtime: which devices work here, and running a graph on one. The only user of onnxruntime.

A device counts as usable only after a small network has run on it and given the right numbers. An installed library
without its driver would otherwise fall back to the CPU without an error.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError, ModelError
from ..names import DEVICES, DeviceName
from ..one_line import first_line
from .options import MOST_THREADS

# From 1.31 on, the import writes a device id and a database to the user's home and reports to Microsoft;
# `ort.disable_telemetry_events()` would come too late.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort  # noqa: E402

Tensor = NDArray[Any]

_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_BEST_FIRST: tuple[DeviceName, ...] = ("cuda", "directml", "coreml", "openvino", "cpu")

_HOW_TO_GET = {
    "cuda": "pip uninstall onnxruntime, then pip install onnxruntime-gpu",
    "directml": "on Windows: pip uninstall onnxruntime, then pip install onnxruntime-directml",
    "coreml": "it comes with onnxruntime for macOS",
    "openvino": "pip uninstall onnxruntime, then pip install onnxruntime-openvino",
    "cpu": "pip install --force-reinstall onnxruntime",
}

# full float32 products: TF32 would cost 1e-3 of relative precision
_PROVIDER_OPTIONS: dict[str, dict[str, str]] = {
    "cuda": {"use_tf32": "0", "arena_extend_strategy": "kSameAsRequested"},
}

# One 1×1 convolution by 2, made with the onnx package (1×1×2×2 float32 `x` to `y`, opset 13): on a GPU it needs the
# same libraries as a model.
_PROOF_GRAPH = base64.b64decode(
    "CAcSADpnCg8KAXgKAXcSAXkiBENvbnYSBXByb29mKhMIAQgBCAEIARABQgF3SgQAAABAWhsKAXgSFgoUCAESEAoCCAEKAggBCgIIAgoCCAJi"
    "GwoBeRIWChQIARIQCgIIAQoCCAEKAggCCgIIAkIECgAQDQ=="
)

# ONNX Runtime has no error class for this; these are the words of its CPU and CUDA allocators and the C++ library.
_MEMORY_WORDS = ("failed to allocate", "bad_alloc", "out of memory", "alloc_failed", "not enough memory")

_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of CPU per period, as a container sees it

_FATAL_ONLY = 4  # log severity: errors are raised, so they need not be printed too


class Device(NamedTuple):
    """A device that was proved to work; `providers` are those of an ONNX Runtime session."""

    name: str
    providers: list[str]


@cache
def usable_devices() -> dict[str, str | None]:
    """Every device, with None if a network ran on it, else the reason why not. Tried once per process."""
    return {name: _why_unusable(name) for name in DEVICES if name != "auto"}


def resolve_device(name: DeviceName) -> Device:
    """The device of that name, proved; `auto` takes the best usable one. Raises DeviceError if it does not work."""
    if name == "auto":
        name = next((device for device in _BEST_FIRST if usable_devices()[device] is None), "cpu")
    reason = usable_devices()[name]
    if reason is not None:
        raise DeviceError(f"device {name} cannot be used ({reason})", _HOW_TO_GET[name])
    # Operators that an accelerator lacks run on the CPU; the network as a whole does not.
    return Device(name, [_PROVIDERS[name]] if name == "cpu" else [_PROVIDERS[name], _PROVIDERS["cpu"]])


def default_threads() -> int:
    """CPUs that this process may use, at least 1: a container's share, not the machine's."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CPU_QUOTA.read_text(encoding="ascii").split()
        count = min(count, int(quota) // int(period))  # ValueError: "max"
    except (OSError, ValueError):
        pass
    return max(1, min(count, MOST_THREADS))


def threads_to_run(threads: int | None) -> int:
    """The threads that an option asks for: `default_threads` for None."""
    return default_threads() if threads is None else threads


class Port(NamedTuple):
    """An input or output of a graph: a free side of its shape is None; `kind` is ONNX Runtime's, "tensor(float)"."""

    name: str
    shape: tuple[int | None, ...]
    kind: str


class Graph:
    """A loaded ONNX file (or its bytes) on a device.

    >>> graph = Graph("velocity.onnx", "cpu", threads=2)
    >>> graph.run({"x": x, "t": t, "z": z})["displacement"]

    threads: 1 to MOST_THREADS, or None for all that the process may use. Several Python threads may run one graph at
    the same time. Raises ModelError if the file is missing or damaged, DeviceError if the device does not work.
    """

    def __init__(
        self, model: Path | str | bytes, device: DeviceName | Device = "auto", threads: int | None = None
    ) -> None:
        self.device = device if isinstance(device, Device) else resolve_device(device)
        threads = threads_to_run(threads)
        self._what = "an ONNX graph in memory" if isinstance(model, bytes) else str(model)
        try:
            data = model if isinstance(model, bytes) else Path(model).read_bytes()
        except OSError as error:
            raise ModelError(f"{self._what} cannot be read ({error.strerror})") from error
        try:
            self._session = _session(data, self.device, threads)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            if _is_memory_failure(error):
                raise MemoryError(first_line(error)) from error
            raise ModelError(
                f"{self._what} is damaged or needs a newer onnxruntime ({first_line(error)})",
                "fetch it again with `restorect models pull`",
            ) from error

    @property
    def inputs(self) -> list[str]:
        return [value.name for value in self._session.get_inputs()]

    @property
    def outputs(self) -> list[str]:
        return [value.name for value in self._session.get_outputs()]

    @property
    def input_ports(self) -> list[Port]:
        return [_port(value) for value in self._session.get_inputs()]

    @property
    def output_ports(self) -> list[Port]:
        return [_port(value) for value in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All outputs by name. Raises MemoryError if memory runs out, ModelError for anything else."""
        try:
            results = self._session.run(None, dict(feeds))
        except Exception as error:  # as above
            if _is_memory_failure(error):
                raise MemoryError(first_line(error)) from error
            raise ModelError(f"{self._what} failed while running ({first_line(error)})") from error
        return dict(zip(self.outputs, results, strict=True))


def _port(value: Any) -> Port:
    sides = tuple(side if isinstance(side, int) and side > 0 else None for side in value.shape)
    return Port(value.name, sides, value.type)


def _session(data: bytes, device: Device, threads: int) -> ort.InferenceSession:
    ort.set_default_logger_severity(_FATAL_ONLY)
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Measured on the plain U-Net of width 32, onnxruntime 1.31, best of 12, s/MP and what the process grew by.
    #   1024² px, 1 thread:   arena, no memory pattern     0.336   183 MB
    #                         arena, memory pattern        0.340   299 MB   allocates for the whole graph at once
    #                         no arena                     0.731   287 MB   faults in the pages of every tensor again
    #                         level EXTENDED, not ALL      0.469   180 MB   lacks the blocked NCHWc layout
    #   1280² px, 2 threads,  no spinning                  0.665            (busy machine: other work on both cores)
    #                         spinning                     0.929            waits by occupying the other core
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    chosen = [_PROVIDER_OPTIONS.get(device.name, {}), {}][: len(device.providers)]
    return ort.InferenceSession(data, options, providers=device.providers, provider_options=chosen)


def _why_unusable(name: str) -> str | None:
    provider = _PROVIDERS[name]
    if provider not in ort.get_available_providers():
        return f"the installed onnxruntime {ort.__version__} has no {provider}"
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    try:
        session = _session(_PROOF_GRAPH, Device(name, [provider]), 1)
        if session.get_providers()[0] != provider:
            return "its driver or libraries are missing or of another version"
        (y,) = session.run(None, {"x": x})
    except Exception as error:  # a driver may raise anything; it becomes the reason
        return first_line(error)
    return None if np.array_equal(y, 2 * x) else "it computed a wrong result"


def _is_memory_failure(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _MEMORY_WORDS)
