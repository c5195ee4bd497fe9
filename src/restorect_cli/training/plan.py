"""What a run will take, found by trying a step of each phase on random pictures."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ..prior import THUMB_SHAPE
from .ranks import Ranks
from .recipe import Recipe
from .stage import Stage, Tensors
from .stages import make_stage


@dataclass(frozen=True)
class Phase:
    """Iterations of one kind and what one takes on this device, data apart."""

    name: str
    iterations: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Sizes in numbers, memory in bytes at the peak (None where the system does not tell)."""

    trained: int
    frozen: int
    phases: tuple[Phase, ...]
    memory_bytes: int | None

    @property
    def hours(self) -> float:
        """Of all iterations together."""
        return sum(phase.iterations * phase.seconds for phase in self.phases) / 3600


def make_plan(recipe: Recipe, device: str, teacher: Path | None = None) -> Plan:
    """Builds the nets and takes two steps of each phase, the second of which is timed; nothing is written."""
    stage = make_stage(recipe, Ranks(), teacher).to(device)
    first = int(getattr(stage, "first_phase", 0))
    phases = [("prior", 0, first)] if first else []
    phases.append(("all", first, recipe.iterations - first))
    timed = tuple(Phase(name, count, _seconds(stage, recipe, start, device)) for name, start, count in phases)
    return Plan(
        trained=sum(p.numel() for p in stage.parameters() if p.requires_grad),
        frozen=sum(p.numel() for p in stage.parameters() if not p.requires_grad),
        phases=timed,
        memory_bytes=_peak_bytes(device),
    )


def _seconds(stage: Stage, recipe: Recipe, iteration: int, device: str) -> float:
    side = recipe.crop_px
    sizes = ((3, side, side), (3, side, side), (3, *THUMB_SHAPE), (3, *THUMB_SHAPE), (9,))
    batch = Tensors(*(torch.rand(recipe.batch, *size, device=device) for size in sizes))
    for _ in range(2):
        started = time.monotonic()
        with torch.autocast(batch.y.device.type, torch.bfloat16):
            terms = stage(batch, iteration)
        stage.loss(terms).backward()  # type: ignore[no-untyped-call]
        if batch.y.is_cuda:
            torch.cuda.synchronize()
        seconds = time.monotonic() - started
        stage.zero_grad()
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
