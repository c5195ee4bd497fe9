"""A method of a benchmark: our model, a library's filter, another network or program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from ..engine.source import Image

Kind = Literal["input", "restorect", "baseline", "peer-onnx", "peer-command"]


@dataclass(frozen=True)
class MethodSpec:
    """One method: its kind, its name in the tables, and for a peer the file or the command.

    It is plain text, so another process can build the same method and measure its memory.
    """

    kind: Kind
    name: str
    argument: str = ""


class Method(Protocol):
    """Repairs one picture; `sigma` is the noise in 8-bit levels if the protocol added it, else None."""

    def __call__(self, image: Image, *, sigma: float | None = None) -> Image: ...
