"""What a run will take, estimated from a few of its batches and a step of each phase."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..engine.prior import THUMB_SHAPE
from ..errors import RestorectError
from ..one_line import folded
from ..recipes.recipe import Recipe
from .data import PairStream
from .memory import out_of_memory
from .optimiser import Optimiser
from .ranks import Ranks
from .stages.stage import Stage, Tensors
from .stages.table import make_stage

TIMED_BATCHES = 3  # one sample can take many times as long to make as another


@dataclass(frozen=True)
class Phase:
    """Iterations of one kind, and the seconds that one takes on this device without making its pictures."""

    name: str
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """What a whole run takes on this device."""

    trained: int  # parameters
    frozen: int
    phases: tuple[Phase, ...]
    pictures_seconds: float  # to make one batch, which no step overlaps
    memory_bytes: int | None  # at the peak; None where the system does not say

    @property
    def hours(self) -> float:
        """Of all iterations together."""
        return sum(phase.iterations * (phase.seconds + self.pictures_seconds) for phase in self.phases) / 3600


def estimate(recipe: Recipe, data: Path, device: str, teacher: Path | None = None) -> Estimate:
    """Build the nets, read the pictures and take two steps of each phase, the second timed; nothing is written.

    Raises InputError as `PairStream` does, RestorectError where a batch needs more memory than there is.
    """
    try:
        return _estimate(recipe, data, device, teacher)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        side = recipe.crop_px
        raise RestorectError(
            f"a batch of {recipe.batch} x {side} x {side} pixels needs more memory than {device} has",
            f"use a smaller batch or crop_px ({folded(error)})",
        ) from error


def _estimate(recipe: Recipe, data: Path, device: str, teacher: Path | None) -> Estimate:
    stage = make_stage(recipe, Ranks(), teacher).to(device)
    stage.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    inside = stage.inner_convolutions() if recipe.optimiser == "muon" else []
    trained = [p for p in stage.parameters() if p.requires_grad]
    optimiser = Optimiser(trained, inside, recipe.learning_rate)
    stream = PairStream(recipe, data)  # after the nets: a teacher that does not fit is found at once
    first = int(getattr(stage, "first_phase", 0))
    phases = [("prior", 0, first)] if first else []
    phases.append(("all", first, recipe.iterations - first))
    timed = tuple(
        Phase(name, count, _seconds(stage, optimiser, recipe, start, device)) for name, start, count in phases
    )
    return Estimate(
        trained=sum(p.numel() for p in trained),
        frozen=sum(p.numel() for p in stage.parameters() if not p.requires_grad),
        phases=timed,
        pictures_seconds=_pictures_seconds(stream),
        memory_bytes=_peak_bytes(device),
    )


def _pictures_seconds(stream: PairStream) -> float:
    stream.batch(0)
    started = time.monotonic()
    for iteration in range(1, 1 + TIMED_BATCHES):
        stream.batch(iteration)
    return (time.monotonic() - started) / TIMED_BATCHES


def _seconds(stage: Stage, optimiser: Optimiser, recipe: Recipe, iteration: int, device: str) -> float:
    """Of one step on random pictures: all of `Trainer.step` except making pictures."""
    side = recipe.crop_px
    sizes = ((3, side, side), (3, side, side), (3, *THUMB_SHAPE), (3, *THUMB_SHAPE), (9,))
    random = (torch.rand(recipe.batch, *size, device=device) for size in sizes)
    batch = Tensors(*(r.contiguous(memory_format=torch.channels_last) if r.dim() == 4 else r for r in random))
    for _ in range(2):
        started = time.monotonic()
        with torch.autocast(batch.y.device.type, torch.bfloat16):
            terms = stage(batch, iteration)
        loss = stage.loss(terms)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(stage.parameters(), recipe.gradient_clip)
        optimiser.step()
        if batch.y.is_cuda:
            torch.cuda.synchronize()
        seconds = time.monotonic() - started
    return seconds


def _peak_bytes(device: str) -> int | None:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
