"""What the loop trains: a net together with its losses, as one module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tensors:
    """`data.Batch` on the device: y, x (B,3,H,W); thumb, clean_thumb (B,3,h,w); statistics (B,9)."""

    y: Tensor
    x: Tensor
    thumb: Tensor
    clean_thumb: Tensor
    statistics: Tensor


def shown_to_encoders(batch: Tensors, task: str) -> tuple[Tensor, Tensor]:
    """What a teacher's encoders see of a batch, two pictures (B,3,h,w): degraded and clean.

    In low light the whole pictures, shrunk, as the student's prior does: how bright a picture is meant to be is told
    by no part of it. Elsewhere the crops: noise and rain are averaged away in a thumbnail.
    """
    return (batch.thumb, batch.clean_thumb) if task == "low-light" else (batch.y, batch.x)


class Stage(nn.Module, ABC):
    """A net in training. DistributedDataParallel sees one forward per step."""

    net: nn.Module
    """What is averaged, validated and saved as the run's weights."""

    aside: nn.Module
    """Trained along with the net and kept in checkpoints only."""

    weights: Mapping[str, float]
    """Of the terms in their sum; a term of weight 0 is logged and trains nothing."""

    origin = ""
    """What the run learns from beside its recipe and data, as a digest; a resumed run must match it."""

    partial = False
    """Whether some iterations leave parameters without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Module()

    @abstractmethod
    def forward(self, batch: Tensors, iteration: int) -> dict[str, Tensor]:
        """This process's part of every term: its samples' sum over the size of the whole batch."""

    def loss(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum; of a term of weight 0 not even a gradient of zeros is computed."""
        return torch.stack([self.weights[name] * term for name, term in terms.items() if self.weights[name]]).sum()

    def losses(self, means: Mapping[str, float]) -> dict[str, float]:
        """What is logged of a step: `loss`, the weighted sum, and the terms by name; one that is all of it but once."""
        live = {name: weight for name, weight in self.weights.items() if weight}
        loss = sum(live[name] * mean for name, mean in means.items() if name in live)
        alone = set(live) if list(live.values()) == [1.0] else set()
        return {"loss": loss} | {name: mean for name, mean in means.items() if name not in alone}

    @abstractmethod
    def restored(self, net: nn.Module, batch: Tensors) -> dict[str, Tensor]:
        """Pictures (B,3,H,W) that `net`, a copy of the stage's own, makes of `batch`, by how; "" is as in use."""

    @abstractmethod
    def inner_convolutions(self) -> list[Tensor]:
        """Weights of convolutions that `Optimiser` steps as matrices."""
