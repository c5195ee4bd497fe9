"""Spatial-channel layer norm (RestoRect, arXiv 2509.23480)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-5
LIMIT = 10.0


class SCLN(nn.Module):
    """clamp((x - mean) / std, -10, 10) * w with mean and std of each sample over channels and pixels alike.

    Unlike a norm per pixel it keeps the contrast within a picture; unlike batch norm a sample does not depend on its
    neighbours. The statistics are those of whatever is passed: a crop has others than its picture.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B,C,H,W), finite for constant input, of the dtype of `x`."""
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 has too few digits for a variance
            # As a layer norm of one long row in the order in which pixels lie in memory: one fused pass on a CPU, a
            # third of the time that mean and variance over three dimensions take.
            rows = x.float().permute(0, 2, 3, 1)
            flat = rows.flatten(1)
            standard = F.layer_norm(flat, flat.shape[1:], eps=EPSILON).view(rows.shape)
            scaled = standard.clamp(-LIMIT, LIMIT) * self.weight
        return scaled.permute(0, 3, 1, 2).to(x.dtype)
