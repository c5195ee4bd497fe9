"""Builds the methods of a benchmark.

method = build(MethodSpec("baseline", "wavelet"), "denoise", RestoreOptions(threads=2))
restored = method(image, sigma=25.0)
"""

from __future__ import annotations

from ..engine.options import RestoreOptions
from ..engine.restorer import Restorer
from ..engine.runtime import threads_to_run
from ..engine.source import Image
from ..errors import UsageError
from . import peers
from .baselines import baseline
from .method import Method, MethodSpec


class _Ours:
    def __init__(self, task: str, options: RestoreOptions) -> None:
        self._restorer = Restorer(task, options)

    def __call__(self, image: Image, *, sigma: float | None = None) -> Image:
        return self._restorer.restore(image)


def _nothing(image: Image, *, sigma: float | None = None) -> Image:
    return image


def build(spec: MethodSpec, task: str, options: RestoreOptions) -> Method:
    """The method, loaded. Raises ModelError, DeviceError or UsageError if it is not available.

    options: for our own model; its threads apply to every method.
    """
    if spec.kind == "input":
        return _nothing
    if spec.kind == "restorect":
        return _Ours(task, options)
    threads = threads_to_run(options.threads)
    if spec.kind == "baseline":
        return baseline(spec.name, threads)
    if spec.kind == "peer-onnx":
        return peers.OnnxPeer(spec.name, spec.argument, threads)
    return peers.CommandPeer(spec.name, spec.argument, threads)


def peer_spec(text: str, *, command: bool) -> MethodSpec:
    """`name=path.onnx`, or `name=prog {in} {out}`; the default name is the file's. Raises UsageError."""
    name, equals, argument = text.partition("=")
    if not equals or (command and ("{" in name or " " in name)):
        name, argument = text.split()[0] if command and text.split() else text, text
        name = name.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx")
    name, argument = name.strip(), argument.strip()
    if not name or not argument:
        how = "--peer-cmd 'name=program {in} {out}'" if command else "--peer name=path.onnx"
        raise UsageError(f"cannot parse peer '{text}'", f"write {how}")
    if command and not ("{in}" in argument and "{out}" in argument):
        raise UsageError(f"command '{argument}' lacks {{in}} or {{out}}", "write --peer-cmd 'name=program {in} {out}'")
    return MethodSpec("peer-command" if command else "peer-onnx", name, argument)
