"""Pads pictures to the size that a net needs."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """(B,C,H,W) padded at the right and bottom to multiples: reflected, or replicated if too small for that."""
    height, width = image.shape[2:]
    below, right = -height % multiple, -width % multiple
    if not (below or right):
        return image
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(image, (0, right, 0, below), mode=mode)
