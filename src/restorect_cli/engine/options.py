"""How to repair a picture: one value that travels whole from the command line or a caller to the network.

This module imports neither numpy nor ONNX Runtime, so a wrong value is refused before anything is loaded.
"""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..names import DEVICES, ENSEMBLES, PRECISIONS, DeviceName, Precision

MOST_STEPS = 4  # of any model: the limit of `StudentSpec.max_steps`
MOST_THREADS = 512
"""ONNX Runtime starts every thread it is asked for, one after the other: with 100,000 it never returns."""


@dataclass(frozen=True)
class RestoreOptions:
    """How to repair; the neutral defaults leave every choice to the model and the machine.

    Raises UsageError for a value that no model accepts. `Restorer` checks what depends on the model: more steps than it
    was trained for, a tile smaller than its halo.
    """

    model: str | os.PathLike[str] = "s"
    """A size ("s", "m"), a model's name, or a folder that holds prior.onnx and velocity.onnx: a Path, or text with a
    separator ("./mine")."""

    # the flow
    steps: int | None = None
    """Passes of the network, from 1 to the model's most; None for the model's own default."""

    ensemble: int = 1
    """1, 2 or 4: how many mirrored copies of a window the network sees at each step; their results are averaged.

    Slightly more accurate and smoother, and that many times slower (self-ensemble: Timofte et al., CVPR 2016, without
    the rotations by 90 degrees, because rain falls downwards)."""

    strength: float = 1.0
    """0 (the input itself) to 1 (the whole restoration): how far to follow the flow."""

    # the machine
    device: DeviceName = "auto"
    """"auto" takes the best that works; a named device that does not work is an error."""

    threads: int | None = None
    """CPU threads; None for all that the process may use."""

    tile: int | None = None
    """A window holds at most tile² pixels, halo included; None: as large as the memory budget allows."""

    precision: Precision = "fp32"
    """"int8" is faster, for models that come with an int8 graph."""

    def __post_init__(self) -> None:
        if self.steps is not None and not _is_whole(self.steps, 1, MOST_STEPS):
            raise UsageError(f"{self.steps} steps are not possible", f"give a whole number from 1 to {MOST_STEPS}")
        if self.ensemble not in ENSEMBLES:
            raise UsageError(f"an ensemble of {self.ensemble} is not possible", f"give {_listed(ENSEMBLES)}")
        if not 0.0 <= self.strength <= 1.0:  # NaN is not
            raise UsageError(f"strength {self.strength} is out of range", "give a number from 0 to 1")
        if self.device not in DEVICES:
            raise UsageError(f"unknown device {self.device!r}", f"choose {_listed(DEVICES)}")
        if self.threads is not None and not _is_whole(self.threads, 1, MOST_THREADS):
            raise UsageError(f"{self.threads} threads are out of range", f"give 1 to {MOST_THREADS}")
        if self.tile is not None and not _is_whole(self.tile, 1):
            raise UsageError(f"a tile of {self.tile} pixels is not possible", "give the side of a square in pixels")
        if self.precision not in PRECISIONS:
            raise UsageError(f"unknown precision {self.precision!r}", f"choose {_listed(PRECISIONS)}")


def restore_options(options: RestoreOptions | None, keywords: dict[str, Any]) -> RestoreOptions:
    """`options` itself, or options made of the keywords.

    Raises UsageError if both are given, and TypeError for an unknown keyword.
    """
    if options is None:
        return RestoreOptions(**keywords)
    if keywords:
        raise UsageError(f"options and {', '.join(keywords)} are both given", "put all of them into the options")
    return options


def _is_whole(value: object, least: int, most: int | None = None) -> bool:
    try:
        whole = operator.index(value)  # type: ignore[arg-type]  # may be 1.5 or "1"
    except TypeError:
        return False
    return least <= whole and (most is None or whole <= most)


def _listed(words: tuple[object, ...]) -> str:
    *first, last = map(str, words)
    return f"{', '.join(first)} or {last}"
