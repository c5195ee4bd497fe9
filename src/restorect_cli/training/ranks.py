"""Several processes on one run, as torchrun starts them: each takes its share of every batch.

    torchrun --nproc-per-node 4 -m restorect_cli train derain-s --data DIR -o RUN --device cuda

Process r of N takes samples r, r + N, r + 2N, ... of a batch, and losses are divided by the size of the whole
batch, so N processes take the very steps that one would, up to the order of additions. Process 0 alone logs,
validates and saves.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from ..errors import DeviceError, UsageError


@dataclass(frozen=True)
class Ranks:
    """This process among those that share a run."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"  # the process's own: "cuda:1"

    @property
    def leads(self) -> bool:
        """Whether this is the process that logs, validates and saves."""
        return self.rank == 0

    def share(self, whole: Tensor) -> Tensor:
        """This process's part of something that has one row per sample."""
        return whole[self.rank :: self.count]

    def share_of(self, first: int) -> int:
        """How many of the first `first` samples of a batch are this process's."""
        return len(range(self.rank, first, self.count))

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, in place; every process must call it."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values


def _place() -> tuple[int, int, int]:
    """Rank, number of processes and rank on this machine."""
    fix = "start it through torchrun, or unset WORLD_SIZE to train in one process"
    try:
        rank, count, local = (
            int(os.environ.get(name, usual))
            for name, usual in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
        )
    except ValueError as error:
        raise UsageError(f"WORLD_SIZE, RANK and LOCAL_RANK must be numbers ({error})", fix) from None
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if count > 1 and missing:
        raise UsageError(f"WORLD_SIZE asks for {count} processes, and {', '.join(missing)} is not set", fix)
    return rank, count, local


@contextmanager
def join(device: str) -> Iterator[Ranks]:
    """The process's place in the group that torchrun describes in the environment; alone if there is none.

    Raises DeviceError when `device` is cuda and this process has no GPU of its own, UsageError when the environment
    describes only part of a group.
    """
    rank, count, local = _place()
    if device == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if local >= found:
            raise DeviceError(
                f"process {local} of this machine needs a GPU of its own and torch sees {found}",
                "train with --device cpu, start fewer processes, or install a torch with CUDA",
            )
        torch.cuda.set_device(local)
        device = f"cuda:{local}"
    if count == 1:
        yield Ranks(device=device)
        return
    own = torch.device(device) if device.startswith("cuda") else None
    distributed.init_process_group("nccl" if own else "gloo", device_id=own)
    try:
        yield Ranks(rank, count, device)
    finally:
        distributed.destroy_process_group()
        # Gloo's threads are joined only once nothing refers to the group. One that still drops a tensor while the
        # interpreter is going down aborts the process, after its work is done (pytorch/pytorch#179291).
        gc.collect()
