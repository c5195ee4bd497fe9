"""The two-graph student: a prior that sees the whole picture once, and a velocity net that runs on tiles.

    prior(thumb, statistics) -> z          describes the light and the degradation
    velocity(x_t, t, z) -> D               remaining displacement (cumulative) or y - x (velocity)

The velocity net is a plain 3x3-convolution U-Net without normalisation: depthwise convolutions and layer norms are
memory-bound on a CPU, four times slower for fewer operations. One scale-and-shift per level comes from (t, z). A global
gain per colour, also from (t, z), lifts the picture before the convolutions: in low light nearly all of the
displacement is one exposure, and 3x3 convolutions multiply by ten badly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .latent import FlowShape, LatentFlow

STATISTICS = 9  # prior.py: three quantiles of three colours
CONDITION = 64 + STATISTICS
FLOW_WIDTH = 128
TIME_FEATURES = 16
LOG_GAIN_RANGE = (-1.0, 3.5)  # exp: 0.37 to 33 times; LOL's darkest pictures need about 20


@dataclass(frozen=True)
class StudentShape:
    """Size of a student; `blocks` are residual blocks at 1/2, 1/4, 1/8, 1/4, 1/2 of the resolution."""

    width: int = 32
    blocks: tuple[int, int, int, int, int] = (1, 1, 2, 1, 1)
    latent_dim: int = 64
    embed_dim: int = 96
    context: int = 0  # inner channels of a dilated block at 1/8, to see wider drops; 0: none
    vectors: int = 0  # length of the teacher's vectors that the prior generates; 0: no latent flow


SHAPES = {
    "s": StudentShape(),
    "m": StudentShape(width=56, embed_dim=128),
    "tiny": StudentShape(width=8, blocks=(1, 1, 1, 1, 1), latent_dim=8, embed_dim=16),
}
CONTEXT_DILATIONS = (2, 4)  # of the two convolutions: extend the view by 48 pixels
SIZE_MULTIPLE = 8  # 2 (pixel-unshuffle) x 4 (two strided convolutions)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3, no normalisation; `inner` channels between the two, by default those of x."""

    def __init__(self, channels: int, inner: int | None = None, dilations: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        inner, (near, far) = inner or channels, dilations
        self.first = nn.Conv2d(channels, inner, 3, padding=near, dilation=near)
        self.second = nn.Conv2d(inner, channels, 3, padding=far, dilation=far)
        nn.init.zeros_(self.second.weight)  # every block starts as the identity
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))  # type: ignore[no-any-return]


class StudentLevel(nn.Module):
    """Scale and shift from the embedding, then residual blocks; the context block (if any) follows the first."""

    def __init__(self, channels: int, blocks: int, embed_dim: int, context: int = 0) -> None:
        super().__init__()
        self.modulation = nn.Linear(embed_dim, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.context = ResidualBlock(channels, context, CONTEXT_DILATIONS) if context else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        x = x * (1 + scale) + shift
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number == 0 and self.context is not None:
                x = self.context(x)
        return x


@torch.no_grad()
def same_for_neighbours(layer: nn.Conv2d) -> None:
    """Start a 1x1 convolution before a pixel-shuffle as nearest-neighbour enlargement (ICNR, Aitken et al. 2017).

    Random weights make a grid of period two. A short training leaves a level or more of it, which shows in the smooth
    sky of a lifted night photograph.
    """
    layer.weight.copy_(layer.weight[::4].repeat_interleave(4, dim=0))
    if layer.bias is not None:
        layer.bias.copy_(layer.bias[::4].repeat_interleave(4))


class Prior(nn.Module):
    """Whole picture, shrunk -> latent vector z.

    A convolutional encoder is pooled over the picture; the noise statistics, which shrinking destroys, are added. If
    the student learns from a teacher, a latent flow generates the teacher's vectors from this condition, and both
    make z.
    """

    def __init__(self, shape: StudentShape) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(6, 24, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 64, 1),
            nn.ReLU(),
        )
        inputs = CONDITION + shape.vectors
        self.head = nn.Sequential(nn.Linear(inputs, 96), nn.ReLU(), nn.Linear(96, shape.latent_dim), nn.Tanh())
        self.flow = LatentFlow(FlowShape(shape.vectors, CONDITION, FLOW_WIDTH, blocks=2)) if shape.vectors else None

    def condition(self, thumb: Tensor, statistics: Tensor) -> Tensor:
        """thumb (B,3,h,w) in [0,1], statistics (B,9) >= 0 -> features (B, 64+9)."""
        lifted = torch.sqrt(thumb.clamp(min=1e-4))  # spreads the dark end, where low light is
        pooled = self.encoder(torch.cat([thumb, lifted], dim=1)).mean(dim=(2, 3))
        # from noise of a tenth of a level to a fifth of the range: about -1 to 1
        logs = 0.35 * torch.log(statistics.clamp(min=0) + 4e-4) + 1.4
        return torch.cat([pooled, logs], dim=1)

    def forward(self, thumb: Tensor, statistics: Tensor) -> Tensor:
        """Return z (B, latent_dim) in (-1, 1)."""
        return self.latent(self.condition(thumb, statistics))

    def latent(self, condition: Tensor) -> Tensor:
        """z of a condition (B, 64+9)."""
        if self.flow is not None:
            condition = torch.cat([condition, self.flow(condition)], dim=1)
        return self.head(condition)  # type: ignore[no-any-return]


class VelocityNet(nn.Module):
    """D(x_t, t, z): x (B,3,H,W) with H, W multiples of 8, t (B,) in [0,1], z (B,latent_dim) -> (B,3,H,W)."""

    frequencies: Tensor

    def __init__(self, shape: StudentShape) -> None:
        super().__init__()
        w, blocks, e = shape.width, shape.blocks, shape.embed_dim
        half = TIME_FEATURES // 2
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.linspace(-1, 3, half), persistent=False)
        self.embed = nn.Sequential(
            nn.Linear(TIME_FEATURES + shape.latent_dim, e), nn.SiLU(), nn.Linear(e, e), nn.SiLU()
        )
        self.log_gain = nn.Linear(e, 3)
        self.stem = nn.Conv2d(24, w, 3, padding=1)
        self.encode1 = StudentLevel(w, blocks[0], e)
        self.down1 = nn.Conv2d(w, 2 * w, 2, stride=2)
        self.encode2 = StudentLevel(2 * w, blocks[1], e)
        self.down2 = nn.Conv2d(2 * w, 3 * w, 2, stride=2)
        self.middle = StudentLevel(3 * w, blocks[2], e, shape.context)
        self.up2 = nn.Conv2d(3 * w, 8 * w, 1)
        self.decode2 = StudentLevel(2 * w, blocks[3], e)
        self.up1 = nn.Conv2d(2 * w, 4 * w, 1)
        self.decode1 = StudentLevel(w, blocks[4], e)
        self.out = nn.Conv2d(w, 12, 3, padding=1)
        same_for_neighbours(self.up2)
        same_for_neighbours(self.up1)
        for layer in (self.log_gain, self.out):  # D starts at zero: the untrained student is the identity
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def embedding(self, t: Tensor, z: Tensor) -> Tensor:
        phase = t[:, None] * self.frequencies[None]
        return self.embed(torch.cat([phase.sin(), phase.cos(), z], dim=1))  # type: ignore[no-any-return]

    def forward(self, x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        return self.evaluate(x, t, z)[0]

    def evaluate(self, x: Tensor, t: Tensor, z: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """D, and the decoder maps (B,2w,H/4,W/4) and (B,w,H/2,W/2), to compare with a teacher's."""
        # The embedding and the gain stay in float32 under autocast: bfloat16 has three digits, and an exposure error of
        # 0.4 % is a level.
        with torch.autocast(x.device.type, enabled=False):
            embedding = self.embedding(t.float(), z.float())
            gain = torch.exp(self.log_gain(embedding).clamp(*LOG_GAIN_RANGE))[:, :, None, None]
        cells = F.pixel_unshuffle(x, 2)  # four neighbours of a colour become adjacent channels
        lifted = cells * gain.repeat_interleave(4, dim=1)
        h = self.stem(torch.cat([cells, lifted], dim=1))
        skip1 = self.encode1(h, embedding)
        skip2 = self.encode2(self.down1(skip1), embedding)
        h = self.middle(self.down2(skip2), embedding)
        map2 = self.decode2(F.pixel_shuffle(self.up2(h), 2) + skip2, embedding)
        map1 = self.decode1(F.pixel_shuffle(self.up1(map2), 2) + skip1, embedding)
        return F.pixel_shuffle(cells - lifted + self.out(map1).float(), 2), (map2, map1)


class Student(nn.Module):
    """Prior and velocity net, trained together."""

    def __init__(self, shape: StudentShape) -> None:
        super().__init__()
        self.shape = shape
        self.prior = Prior(shape)
        self.velocity = VelocityNet(shape)

    def forward(self, x: Tensor, t: Tensor, thumb: Tensor, statistics: Tensor) -> Tensor:
        return self.velocity(x, t, self.prior(thumb, statistics))  # type: ignore[no-any-return]

    def inner_convolutions(self) -> list[Tensor]:
        """Weights of the velocity net's convolutions except the first and the last, for `Optimiser`."""
        ends = (self.velocity.stem, self.velocity.out)
        return [m.weight for m in self.velocity.modules() if isinstance(m, nn.Conv2d) and m not in ends]


def made_to_fit(weights: dict[str, Tensor], student: Student) -> dict[str, Tensor]:
    """Weights of a narrower student, or of one without a latent flow or a context block, made to fit one that has them.

    At first both compute the same: new channels get what `student` holds, their incoming weights random, and 0 as their
    weights into the old ones; the flow keeps its values, but the next layer weighs its vectors with 0, and the context
    block starts as the identity. Other weights are returned unchanged.
    """
    own = student.state_dict()
    lacking = own.keys() - weights.keys()
    if not all(name.startswith(("prior.flow.", "velocity.middle.context.")) for name in lacking):
        return weights
    if any(name in own and not _fits_into(value, own[name]) for name, value in weights.items()):
        return weights
    fitting = {**weights, **{name: own[name] for name in lacking}}
    for name, value in weights.items():
        if name in own and own[name].shape != value.shape:
            fitting[name] = _widened(name, value, own[name])
    return fitting


def _fits_into(small: Tensor, large: Tensor) -> bool:
    return small.dim() == large.dim() and all(a <= b for a, b in zip(small.shape, large.shape, strict=True))


def _widened(name: str, small: Tensor, large: Tensor) -> Tensor:
    """`large` with `small` in its first rows, to which the columns that `small` lacks add nothing."""
    halves = 2 if ".modulation." in name else 1  # rows are scales, then shifts: the old ones lead in each
    parts = []
    for old, new in zip(small.chunk(halves), large.chunk(halves), strict=True):
        part = new.clone()
        part[: len(old)] = 0
        part[tuple(slice(side) for side in old.shape)] = old
        parts.append(part)
    return torch.cat(parts)


def receptive_radius_px(shape: StudentShape) -> int:
    """Pixels on each side that one evaluation of the velocity net can see, rounded up to the size multiple.

    At 1/2 of the resolution: stem, blocks of two convolutions, output, one pixel each; likewise at 1/4 and 1/8, plus
    the footprint of the strided cells.
    """
    half = 2 * (2 + 2 * shape.blocks[0] + 2 * shape.blocks[4])
    quarter = 4 * (2 * shape.blocks[1] + 2 * shape.blocks[3])
    eighth = 8 * (2 * shape.blocks[2] + (sum(CONTEXT_DILATIONS) if shape.context else 0))
    cells = SIZE_MULTIPLE - 1
    return math.ceil((half + quarter + eighth + cells) / SIZE_MULTIPLE) * SIZE_MULTIPLE
