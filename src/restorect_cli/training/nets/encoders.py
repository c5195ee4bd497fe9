"""Prior encoders: describe the light and the degradation as two vectors (RestoRect, arXiv 2509.23480).

    image encoder      degraded (and clean) picture          -> z_image   (B, latent_dim)
    Retinex encoder    maps R, L of the degraded (and clean) -> z_retinex (B, latent_dim), three quarters of it from R

With the clean picture they are the teacher's and hold what no degraded picture shows; without it they are the
condition of the latent flow that generates the teacher's vectors. Unlike in the released code, all vectors are layer
normalised without gain, so both ends of the flow have one scale; the encoders therefore end in a linear layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .padding import pad_to_multiple

UNSHUFFLE = 4
LEAK = 0.1


@dataclass(frozen=True)
class EncoderShape:
    """Size of the encoders; `latent_dim` is a multiple of 4."""

    width: int = 64
    blocks: int = 5
    latent_dim: int = 256
    # The released Retinex encoder shares one list of residual blocks between its branches, probably by accident; True
    # reproduces its parameter count.
    shared_blocks: bool = False


class EncoderBlock(nn.Module):
    """x + conv(leaky(conv(x))), 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(x), LEAK))  # type: ignore[no-any-return]


def residual_blocks(shape: EncoderShape) -> list[EncoderBlock]:
    """The blocks of one branch."""
    return [EncoderBlock(shape.width) for _ in range(shape.blocks)]


class Branch(nn.Module):
    """Convolutions, a mean over all pixels and two linear layers: (B,channels,h,w) -> (B,out)."""

    def __init__(self, channels: int, out: int, shape: EncoderShape, blocks: Iterable[EncoderBlock]) -> None:
        super().__init__()
        w = shape.width
        self.features = nn.Sequential(
            nn.Conv2d(channels, w, 3, padding=1),
            nn.LeakyReLU(LEAK),
            *blocks,
            nn.Conv2d(w, 2 * w, 3, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(2 * w, 2 * w, 3, padding=1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(2 * w, out, 3, padding=1),
            nn.LeakyReLU(LEAK),
        )
        self.head = nn.Sequential(nn.Linear(out, out), nn.LeakyReLU(LEAK), nn.Linear(out, out))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean(dim=(2, 3)))  # type: ignore[no-any-return]


def normalised(vector: Tensor) -> Tensor:
    """Layer norm of (B,n) without gain, in float32: mean 0 and variance 1 over the entries."""
    return F.layer_norm(vector.float(), vector.shape[1:])


def _cells(*pictures: Tensor) -> Tensor:
    """Pictures (B,C,H,W) of one size, concatenated in the channels, 4x4 pixels to a cell."""
    return torch.cat([F.pixel_unshuffle(pad_to_multiple(p, UNSHUFFLE), UNSHUFFLE) for p in pictures], dim=1)


class ImageEncoder(nn.Module):
    """z_image of a degraded picture and, if `sees_clean`, of the clean one."""

    def __init__(self, shape: EncoderShape, *, sees_clean: bool) -> None:
        super().__init__()
        channels = 3 * UNSHUFFLE**2 * (2 if sees_clean else 1)
        self.branch = Branch(channels, shape.latent_dim, shape, residual_blocks(shape))

    def forward(self, *pictures: Tensor) -> Tensor:
        """degraded (and clean), each (B,3,H,W) in [0,1] -> (B,latent_dim), normalised."""
        return normalised(self.branch(_cells(*pictures)))


class RetinexEncoder(nn.Module):
    """z_retinex of the Retinex maps of a degraded picture and, if `sees_clean`, of the clean one."""

    def __init__(self, shape: EncoderShape, *, sees_clean: bool) -> None:
        super().__init__()
        cells = UNSHUFFLE**2 * (2 if sees_clean else 1)
        own = residual_blocks(shape)
        light = shape.latent_dim // 4
        self.reflectance = Branch(3 * cells, shape.latent_dim - light, shape, own)
        self.illumination = Branch(cells, light, shape, own if shape.shared_blocks else residual_blocks(shape))

    def forward(self, *maps: Tensor) -> Tensor:
        """Maps of degraded (and clean), each (B,4,H,W) -> (B,latent_dim), normalised as a whole."""
        reflectance = self.reflectance(_cells(*(m[:, :3] for m in maps)))
        illumination = self.illumination(_cells(*(m[:, 3:] for m in maps)))
        return normalised(torch.cat([reflectance, illumination], dim=1))
