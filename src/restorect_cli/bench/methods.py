"""What repairs a picture in a benchmark: our model, a library's filter, any other model.

    method = build(MethodSpec("baseline", "wavelet"), settings)
    restored = method(image, sigma=25.0)

A `MethodSpec` is plain text, so that another process can build the same method and measure its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from ..engine.restorer import Precision, Restorer
from ..engine.source import Image
from ..errors import UsageError

Kind = Literal["input", "restorect", "baseline", "peer-onnx", "peer-command"]


@dataclass(frozen=True)
class MethodSpec:
    """One method: its kind, its name in the tables, and for a peer the file or the command."""

    kind: Kind
    name: str
    argument: str = ""


@dataclass(frozen=True)
class Settings:
    """What every method of a run shares; the flow's settings are for our own student."""

    task: str
    threads: int
    model: str = "s"
    steps: int | None = None
    ensemble: int = 1
    strength: float = 1.0
    device: str = "cpu"
    precision: Precision = "fp32"


class Method(Protocol):
    """Repairs one picture; `sigma` is the noise in 8-bit levels where the protocol added it, else None."""

    def __call__(self, image: Image, *, sigma: float | None = None) -> Image: ...


class _Ours:
    def __init__(self, settings: Settings) -> None:
        self._restorer = Restorer(
            settings.task,
            model=settings.model,
            steps=settings.steps,
            ensemble=settings.ensemble,
            strength=settings.strength,
            device=settings.device,
            threads=settings.threads,
            precision=settings.precision,
        )

    def __call__(self, image: Image, *, sigma: float | None = None) -> Image:
        return self._restorer.restore(image)


def _nothing(image: Image, *, sigma: float | None = None) -> Image:
    return image


def build(spec: MethodSpec, settings: Settings) -> Method:
    """The method, loaded. Raises ModelError, DeviceError or UsageError if it is not available."""
    if spec.kind == "input":
        return _nothing
    if spec.kind == "restorect":
        return _Ours(settings)
    if spec.kind == "baseline":
        from .baselines import baseline

        return baseline(spec.name, settings.threads)
    from . import peers

    if spec.kind == "peer-onnx":
        return peers.OnnxPeer(spec.name, spec.argument, settings.threads)
    return peers.CommandPeer(spec.name, spec.argument, settings.threads)


def peer_spec(text: str, *, command: bool) -> MethodSpec:
    """`name=path.onnx`, or `name=prog {in} {out}`; without a name it is called by the file's. Raises UsageError."""
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
