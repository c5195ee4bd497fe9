"""Blocks of the teacher's transformer (RestoRect, arXiv 2509.23480): attention over channels, modulated by priors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .scln import SCLN


class Modulation(nn.Module):
    """x * (1 + W z): features (B,C,H,W) scaled per channel by a prior (B,n)."""

    def __init__(self, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Linear(latent_dim, channels, bias=False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        scale: Tensor = self.weight(z)
        return x * (1 + scale[:, :, None, None]).to(x.dtype)


class Mix(nn.Sequential):
    """1x1 convolution over the channels, then a depthwise 3x3: makes queries, keys and values."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(
            nn.Conv2d(channels, out, 1, bias=False), nn.Conv2d(out, out, 3, padding=1, groups=out, bias=False)
        )


class TransposedAttention(nn.Module):
    """Attention of channels to channels with normalised queries and keys, linear in the number of pixels.

    Each pixel's query and key is layer normalised over the channels of a head, then each channel is scaled to length
    one over the pixels, so the learned temperature bounds the logits.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_q = nn.LayerNorm(channels // heads)
        self.norm_k = nn.LayerNorm(channels // heads)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Three times (B,C,H,W) -> (B,C,H,W)."""
        queries, keys, values = self._by_head(q), self._by_head(k), self._by_head(v)
        queries, keys = self.norm_q(queries).to(values.dtype), self.norm_k(keys).to(values.dtype)
        products = torch.einsum("bnhc,bnhd->bhcd", queries, keys).float()
        # Dividing the few products equals dividing the many entries.
        cosines = products / (_lengths(queries)[..., :, None] * _lengths(keys)[..., None, :])
        weights = torch.softmax(cosines * self.temperature, dim=-1)
        mixed = torch.einsum("bhcd,bnhd->bnhc", weights.to(values.dtype), values)
        return self.project(mixed.flatten(2).transpose(1, 2).reshape(q.shape))  # type: ignore[no-any-return]

    def _by_head(self, x: Tensor) -> Tensor:
        """(B,C,H,W) -> (B, pixels, heads, channels of a head)."""
        batch, channels, height, width = x.shape
        return x.flatten(2).transpose(1, 2).reshape(batch, height * width, self.heads, channels // self.heads)


def _lengths(x: Tensor) -> Tensor:
    """Length of each channel over the pixels, (B, pixels, heads, channels) -> (B, heads, channels), never zero."""
    lengths: Tensor = torch.linalg.vector_norm(x, dim=1, dtype=torch.float32)
    return lengths.clamp(min=1e-6)


class ImageAttention(nn.Module):
    """Queries, keys and values from features modulated by the image prior."""

    def __init__(self, channels: int, heads: int, latent_dim: int) -> None:
        super().__init__()
        self.modulation = Modulation(latent_dim, channels)
        self.mix = Mix(channels, 3 * channels)
        self.attention = TransposedAttention(channels, heads)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        q, k, v = self.mix(self.modulation(x, z)).chunk(3, dim=1)
        return self.attention(q, k, v)  # type: ignore[no-any-return]


class RetinexAttention(nn.Module):
    """Queries from the reflectance, keys and values from the illumination.

    The first three quarters of the channels stand for reflectance, modulated by the first three quarters of the prior;
    the last quarter stands for illumination, modulated by the last quarter of the prior.
    """

    def __init__(self, channels: int, heads: int, latent_dim: int) -> None:
        super().__init__()
        light, light_dim = channels // 4, latent_dim // 4
        self.channels = [channels - light, light]
        self.entries = [latent_dim - light_dim, light_dim]
        self.modulate_reflectance = Modulation(self.entries[0], self.channels[0])
        self.modulate_illumination = Modulation(self.entries[1], self.channels[1])
        self.mix_q = Mix(channels - light, channels)
        self.mix_kv = Mix(light, 2 * channels)
        self.attention = TransposedAttention(channels, heads)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        reflectance, illumination = torch.split(x, self.channels, dim=1)
        z_reflectance, z_illumination = torch.split(z, self.entries, dim=1)
        q = self.mix_q(self.modulate_reflectance(reflectance, z_reflectance))
        k, v = self.mix_kv(self.modulate_illumination(illumination, z_illumination)).chunk(2, dim=1)
        return self.attention(q, k, v)  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """Gated: gelu(a) * b of two mixed projections of features modulated by the prior."""

    def __init__(self, channels: int, expansion: float, latent_dim: int) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.modulation = Modulation(latent_dim, channels)
        self.mix = Mix(channels, 2 * hidden)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        gate, value = self.mix(self.modulation(x, z)).chunk(2, dim=1)
        return self.project(F.gelu(gate) * value)  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention(SCLN(x), z), then x + feed-forward(SCLN(x), z)."""

    def __init__(
        self, attention: ImageAttention | RetinexAttention, channels: int, expansion: float, latent_dim: int
    ) -> None:
        super().__init__()
        self.norm1 = SCLN(channels)
        self.attention = attention
        self.norm2 = SCLN(channels)
        self.feed_forward = FeedForward(channels, expansion, latent_dim)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x), z)
        return x + self.feed_forward(self.norm2(x), z)  # type: ignore[no-any-return]
