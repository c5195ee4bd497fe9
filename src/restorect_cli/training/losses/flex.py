"""FLEX: pulls the student's decoder maps to the teacher's, layer by layer (RestoRect, arXiv 2509.23480).

Both maps are measured in units of the student's own spread, per sample and channel. In the released code the gradient
also went through that spread, so the student could lower the loss by inflating it. Here statistics and mask are
constants, and the gradient points straight from student to teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

OUTLIER_QUANTILE = 0.95  # of a channel's pixels; the farthest twentieth is left out
LAYER_WEIGHTS = (2.0, 1.41, 1.0)  # from the coarsest decoder map to the finest
LEAST_SPREAD = 0.5
"""Least spread of a student's channel as a share of the teacher's, because a constant channel would weigh infinitely.

At 0.1 an untrained student's FLEX was above 1000, and with the clipped gradient it learned nothing else.
"""


def flex(teacher: Tensor, student: Tensor) -> Tensor:
    """Per sample (B,): mean squared distance of maps (B,C,H,W), inliers only, in units of the student's spread.

    Weighted by resolution, (64*64/(H*W))^(1/4) but at least 0.1. No gradient reaches `teacher`.
    """
    wide, wanted = student.float(), teacher.detach().float()
    with torch.no_grad():
        spread, mean = torch.std_mean(wide, dim=(2, 3), correction=0, keepdim=True)
        least = LEAST_SPREAD * torch.std(wanted, dim=(2, 3), correction=0, keepdim=True)
        spread = torch.maximum(spread, least) + 1e-8
        distance = ((wide - mean) / spread).abs().flatten(2)
        # kthvalue is ten times as fast as torch.quantile, which sorts.
        rank = 1 + int(OUTLIER_QUANTILE * (distance.shape[2] - 1))
        mask = (distance <= distance.kthvalue(rank, dim=2, keepdim=True).values).reshape(wide.shape).float()
        resolution: float = max((64 * 64 / (wide.shape[2] * wide.shape[3])) ** 0.25, 0.1)
    squares = mask * ((wanted - wide) / spread).square()
    return resolution * squares.sum(dim=(1, 2, 3)) / (mask.sum(dim=(1, 2, 3)) + 1e-8)


def matched(teacher: Tensor, student: Tensor) -> Tensor:
    """Static feature matching, FLEX's rival, per sample (B,): mean squared distance over the teacher's mean square."""
    wide, wanted = student.float(), teacher.detach().float()
    scale = wanted.square().mean(dim=(1, 2, 3)) + 1e-8
    return (wanted - wide).square().mean(dim=(1, 2, 3)) / scale


class Adapters(nn.Module):
    """1x1 convolutions that bring a student's maps to the teacher's widths; none if they are equal."""

    def __init__(self, student: Sequence[int], teacher: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Identity() if own == wanted else nn.Conv2d(own, wanted, 1)
            for own, wanted in zip(student, teacher, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [layer(m) for layer, m in zip(self.layers, maps, strict=True)]


def over_layers(
    loss: Callable[[Tensor, Tensor], Tensor], teacher: Sequence[Tensor], student: Sequence[Tensor]
) -> Tensor:
    """Per sample (B,): `flex` or `matched` of each pair of maps, coarsest first, weighted and averaged."""
    pairs = zip(LAYER_WEIGHTS, teacher, student, strict=False)
    return torch.stack([weight * loss(wanted, own) for weight, wanted, own in pairs]).mean(dim=0)
