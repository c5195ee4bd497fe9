"""The teacher of RestoRect (arXiv 2509.23480), stage I: prior encoders that see the truth, and a U-Net transformer.

maps = low(y), high(x)                               Retinex maps of the degraded and the clean picture
z_image, z_retinex = encode(y, x)                    the priors
restored = transformer(y, z_image, z_retinex)        the picture, and decoder maps to learn from
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import Block, ImageAttention, RetinexAttention
from .encoders import EncoderShape, ImageEncoder, RetinexEncoder
from .padding import pad_to_multiple
from .retinex import Decomposition

SIZE_MULTIPLE = 8  # three times halved


@dataclass(frozen=True)
class TeacherShape:
    """Size of a teacher; `width` is a multiple of 4, and levels have 1, 2, 4 and 8 times as many channels."""

    width: int
    blocks: tuple[int, int, int, int]  # at 1, 1/2, 1/4, 1/8 of the resolution, in encoder and decoder alike
    refinement: int
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    expansion: float = 2.66
    encoder: EncoderShape = field(default_factory=EncoderShape)


TEACHERS = {
    "teacher-tiny": TeacherShape(16, (1, 1, 1, 1), 1, encoder=EncoderShape(width=16, blocks=2, latent_dim=64)),
    "teacher-small": TeacherShape(32, (2, 2, 2, 2), 2, encoder=EncoderShape(width=32, blocks=3, latent_dim=128)),
    # As released, shared blocks included: its parameter counts are the published ones.
    "teacher-paper": TeacherShape(64, (3, 3, 3, 3), 3, encoder=EncoderShape(shared_blocks=True)),
}


@dataclass(frozen=True)
class Restoration:
    """The results of one pass; pixels refer to the picture padded to multiples of 8."""

    restored: Tensor  # (B,3,H,W), of the size of the input
    maps: tuple[Tensor, Tensor, Tensor]  # decoder 3, 2, 1: at 1/4, 1/2, 1 of the resolution
    features_degraded: Tensor  # (B,width,H,W): of encoder 1
    features_clean: Tensor  # (B,width,H,W): input of decoder 1


class TeacherLevel(nn.Module):
    """Blocks at one resolution."""

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, z)
        return x


class Transformer(nn.Module):
    """U-Net of channel attention, modulated at every block: (B,3,H,W) and two priors -> `Restoration`."""

    def __init__(self, shape: TeacherShape) -> None:
        super().__init__()
        d, latent_dim = shape.width, shape.encoder.latent_dim

        def level(channels: int, index: int) -> TeacherLevel:
            heads = shape.heads[index]
            return TeacherLevel(
                [
                    Block(RetinexAttention(channels, heads, latent_dim), channels, shape.expansion, latent_dim)
                    for _ in range(shape.blocks[index])
                ]
            )

        def conv(channels: int, out: int, size: int = 3) -> nn.Conv2d:
            return nn.Conv2d(channels, out, size, padding=size // 2, bias=False)

        self.embed = conv(3, d)
        self.encoder1 = level(d, 0)
        self.down1 = conv(d, d // 2)
        self.encoder2 = level(2 * d, 1)
        self.down2 = conv(2 * d, d)
        self.encoder3 = level(4 * d, 2)
        self.down3 = conv(4 * d, 2 * d)
        self.bottleneck = level(8 * d, 3)
        self.up3 = conv(8 * d, 16 * d)
        self.join3 = conv(8 * d, 4 * d, 1)
        self.decoder3 = level(4 * d, 2)
        self.up2 = conv(4 * d, 8 * d)
        self.join2 = conv(4 * d, 2 * d, 1)
        self.decoder2 = level(2 * d, 1)
        self.up1 = conv(2 * d, 4 * d)
        self.decoder1 = level(2 * d, 0)
        self.refinement = TeacherLevel(
            [
                Block(ImageAttention(2 * d, shape.heads[0], latent_dim), 2 * d, shape.expansion, latent_dim)
                for _ in range(shape.refinement)
            ]
        )
        self.output = conv(2 * d, 3)
        nn.init.zeros_(self.output.weight)  # the untrained teacher is the identity
        # Not part of `forward`: training uses it to keep features that split into R and L.
        self.inner = Decomposition(d, d)

    def decoder_maps(self, y: Tensor, z_retinex: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps of decoders 3 and 2, at 1/4 and 1/2 of the resolution, and of encoder 1."""
        skip1 = self.encoder1(self.embed(pad_to_multiple(y, SIZE_MULTIPLE)), z_retinex)
        skip2 = self.encoder2(F.pixel_unshuffle(self.down1(skip1), 2), z_retinex)
        skip3 = self.encoder3(F.pixel_unshuffle(self.down2(skip2), 2), z_retinex)
        h = self.bottleneck(F.pixel_unshuffle(self.down3(skip3), 2), z_retinex)
        h = self.join3(torch.cat([F.pixel_shuffle(self.up3(h), 2), skip3], dim=1))
        map3 = self.decoder3(h, z_retinex)
        h = self.join2(torch.cat([F.pixel_shuffle(self.up2(map3), 2), skip2], dim=1))
        return map3, self.decoder2(h, z_retinex), skip1

    def forward(self, y: Tensor, z_image: Tensor, z_retinex: Tensor) -> Restoration:
        """y in [0,1] of any size; the restored picture may exceed [0,1] slightly."""
        map3, map2, skip1 = self.decoder_maps(y, z_retinex)
        raised = F.pixel_shuffle(self.up1(map2), 2)
        map1 = self.decoder1(torch.cat([raised, skip1], dim=1), z_retinex)
        residual = self.output(self.refinement(map1, z_image))[:, :, : y.shape[2], : y.shape[3]]
        return Restoration(y + residual.float(), (map3, map2, map1), skip1, raised)


class Teacher(nn.Module):
    """All nets of stage I."""

    def __init__(self, shape: TeacherShape) -> None:
        super().__init__()
        self.shape = shape
        self.low = Decomposition()
        self.high = Decomposition()
        self.image_encoder = ImageEncoder(shape.encoder, sees_clean=True)
        self.retinex_encoder = RetinexEncoder(shape.encoder, sees_clean=True)
        self.transformer = Transformer(shape)

    def encode(self, degraded: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Priors z_image, z_retinex, each (B,latent_dim), of two pictures (B,3,H,W) in [0,1].

        The decomposition nets have their own loss and learn nothing from here.
        """
        with torch.no_grad():
            low, high = self.low(degraded), self.high(clean)
        return self.image_encoder(degraded, clean), self.retinex_encoder(low, high)

    def forward(self, y: Tensor, degraded: Tensor, clean: Tensor) -> Restoration:
        """y (B,3,H,W) restored under the priors of two pictures, which may be of another size (the whole, shrunk)."""
        return self.transformer(y, *self.encode(degraded, clean))  # type: ignore[no-any-return]
