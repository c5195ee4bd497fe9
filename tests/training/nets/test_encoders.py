from __future__ import annotations

import pytest
import torch

from restorect_cli.training.nets.encoders import EncoderShape, ImageEncoder, RetinexEncoder

PAPER = EncoderShape(shared_blocks=True)
TINY = EncoderShape(width=8, blocks=1, latent_dim=16)


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("sees_clean", "image", "retinex"), [(True, 1_072_832, 1_263_616), (False, 1_045_184, 1_226_752)]
)
def test_sizes_are_the_published_ones(sees_clean: bool, image: int, retinex: int):
    assert parameters(ImageEncoder(PAPER, sees_clean=sees_clean)) == image
    assert parameters(RetinexEncoder(PAPER, sees_clean=sees_clean)) == retinex


def test_branches_have_blocks_of_their_own_unless_asked():
    own, shared = (
        RetinexEncoder(TINY, sees_clean=True),
        RetinexEncoder(EncoderShape(width=8, blocks=1, latent_dim=16, shared_blocks=True), sees_clean=True),
    )
    assert parameters(own) - parameters(shared) == 2 * (8 * 8 * 9 + 8)


def test_vectors_are_normalised_for_any_picture():
    encoder = ImageEncoder(TINY, sees_clean=True)
    for y, x in [
        (torch.rand(2, 3, 16, 24), torch.rand(2, 3, 16, 24)),
        (torch.zeros(2, 3, 5, 7), torch.zeros(2, 3, 5, 7)),
    ]:
        z = encoder(y, x)
        assert z.shape == (2, 16)
        torch.testing.assert_close(z.mean(dim=1), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(z.var(dim=1, correction=0), torch.ones(2), atol=2e-2, rtol=0)


def test_three_quarters_of_the_retinex_vector_are_of_the_reflectance():
    encoder = RetinexEncoder(TINY, sees_clean=True)
    low, high = torch.rand(1, 4, 8, 8, requires_grad=True), torch.rand(1, 4, 8, 8, requires_grad=True)
    z = encoder(low, high)
    # Before the normalisation, which mixes them, the branches are apart: 12 entries of R, 4 of L.
    assert [encoder.reflectance.head[2].out_features, encoder.illumination.head[2].out_features] == [12, 4]
    z[0, 0].backward()
    for maps in (low, high):
        assert maps.grad is not None and float(maps.grad.abs().sum()) > 0


def test_the_clean_picture_reaches_the_vector():
    torch.manual_seed(0)
    encoder, y = ImageEncoder(TINY, sees_clean=True), torch.rand(1, 3, 8, 8)
    assert not torch.allclose(encoder(y, y), encoder(y, (3 * y).clamp(max=1)), atol=1e-3)
