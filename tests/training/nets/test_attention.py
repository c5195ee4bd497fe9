from __future__ import annotations

import torch

from restorect_cli.training.nets.attention import (
    Block,
    FeedForward,
    ImageAttention,
    RetinexAttention,
    TransposedAttention,
)


def test_attention_by_hand():
    """One head, its norms as made: queries and keys of length one over the pixels, softmax over the keys' channels."""
    torch.manual_seed(0)
    attention = TransposedAttention(4, 1)
    with torch.no_grad():
        attention.project.weight.copy_(torch.eye(4)[:, :, None, None])
    q, k, v = (torch.randn(1, 4, 3, 5) for _ in range(3))

    def rows(x: torch.Tensor) -> torch.Tensor:
        flat = x[0].reshape(4, 15)
        flat = (flat - flat.mean(dim=0)) / (flat.var(dim=0, correction=0) + 1e-5).sqrt()
        return flat / flat.norm(dim=1, keepdim=True)

    expected = torch.softmax(rows(q) @ rows(k).T, dim=1) @ v[0].reshape(4, 15)
    torch.testing.assert_close(attention(q, k, v)[0].reshape(4, 15), expected)


def test_heads_do_not_see_each_other():
    attention = TransposedAttention(8, 2)
    with torch.no_grad():
        attention.project.weight.copy_(torch.eye(8)[:, :, None, None])
    q, k, v = (torch.randn(1, 8, 4, 4) for _ in range(3))
    before = attention(q, k, v)
    v[:, 4:] = 0
    after = attention(q, k, v)
    assert torch.equal(before[:, :4], after[:, :4]) and not torch.equal(before[:, 4:], after[:, 4:])


def test_the_size_of_queries_and_keys_does_not_matter():
    attention = TransposedAttention(16, 2)
    q, k, v = (torch.randn(1, 16, 6, 6) for _ in range(3))
    torch.testing.assert_close(attention(50 * q, 20 * k, v), attention(q, k, v), atol=1e-3, rtol=0)


def test_queries_come_from_reflectance_and_values_from_illumination():
    torch.manual_seed(0)
    attention, z = RetinexAttention(8, 2, 16), torch.randn(1, 16)
    x = torch.randn(1, 8, 4, 4)
    dark = x.clone()
    dark[:, 6:] = 0  # no illumination: nothing to attend to
    assert not bool(attention(dark, z).any())
    assert bool(attention(x, z).any())


def test_priors_modulate_every_part():
    torch.manual_seed(0)
    x = torch.randn(1, 8, 4, 4)
    for net in (ImageAttention(8, 2, 16), RetinexAttention(8, 2, 16), FeedForward(8, 2.66, 16)):
        z = torch.randn(1, 16, requires_grad=True)
        net(x, z).square().sum().backward()
        assert z.grad is not None and bool((z.grad != 0).all())


def test_a_block_is_finite_for_constant_input_with_its_gradient():
    for value in (0.0, 0.5):
        block = Block(RetinexAttention(8, 2, 16), 8, 2.66, 16)
        x = torch.full((1, 8, 8, 8), value, requires_grad=True)
        out = block(x, torch.randn(1, 16))
        out.square().sum().backward()
        assert bool(out.isfinite().all()) and x.grad is not None and bool(x.grad.isfinite().all())
