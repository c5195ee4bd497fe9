from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from restorect_cli.recipes.recipe import load_recipe
from restorect_cli.training.nets.student import SHAPES, Student, StudentShape, made_to_fit, receptive_radius_px

CONTEXT = replace(SHAPES["tiny"], context=12)


def inputs(batch: int = 2, side: int = 32) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    x, thumb = torch.rand(batch, 3, side, side, generator=generator), torch.rand(batch, 3, 16, 24, generator=generator)
    return x, torch.rand(batch, generator=generator), thumb, torch.rand(batch, 9, generator=generator) / 10


def shaken(shape: StudentShape) -> Student:
    torch.manual_seed(0)
    student = Student(shape)
    with torch.no_grad():
        for p in student.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return student


def test_student_s_stays_within_its_size():
    largest = replace(SHAPES["s"], context=load_recipe("raindrop-s").context)
    assert sum(p.numel() for p in Student(largest).parameters()) <= 800_000


def test_untrained_student_is_the_identity():
    assert torch.equal(Student(SHAPES["tiny"])(*inputs()), torch.zeros(2, 3, 32, 32))


@pytest.mark.parametrize("shape", [SHAPES["tiny"], CONTEXT], ids=["plain", "context"])
def test_every_parameter_receives_a_gradient(shape: StudentShape):
    student = shaken(shape)
    student(*inputs()).square().mean().backward()
    idle = [name for name, p in student.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


def test_prior_takes_pictures_of_any_shape():
    prior = Student(SHAPES["tiny"]).prior
    assert prior(torch.rand(1, 3, 8, 160), torch.rand(1, 9)).shape == (1, SHAPES["tiny"].latent_dim)


@pytest.mark.parametrize("shape", [SHAPES["tiny"], SHAPES["s"], CONTEXT], ids=["tiny", "s", "context"])
def test_nothing_beyond_the_receptive_radius_is_seen(shape: StudentShape):
    student, radius = shaken(shape), receptive_radius_px(shape)
    side, middle = 2 * radius + 48, radius + 24
    x = torch.rand(1, 3, side, side, requires_grad=True)
    displacement = student.velocity(x, torch.ones(1), torch.zeros(1, shape.latent_dim))
    displacement[0, :, middle : middle + 8, middle : middle + 8].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(dim=0).nonzero()
    assert middle - int(seen.min()) <= radius
    assert int(seen.max()) - (middle + 7) <= radius
    assert middle - int(seen.min()) > radius - 16  # and the radius is no larger than it must be


def test_a_context_block_starts_as_the_identity():
    plain = shaken(SHAPES["tiny"])
    wider = Student(CONTEXT)
    wider.load_state_dict(made_to_fit(plain.state_dict(), wider))
    assert torch.equal(wider(*inputs()), plain(*inputs()))
    x, t, thumb, statistics = inputs()
    wider(x, t, thumb, statistics).square().mean().backward()
    assert wider.velocity.middle.context is not None
    moved = wider.velocity.middle.context.second.weight.grad
    assert moved is not None and moved.abs().sum() > 0


def test_red_stays_red():
    """Channels are never exchanged: raising red in the input raises the gain branch's red only."""
    student = Student(SHAPES["tiny"])
    with torch.no_grad():
        student.velocity.log_gain.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    x, t, thumb, statistics = inputs()
    restored = x - student(x, t, thumb, statistics)
    torch.testing.assert_close(restored[:, 0], x[:, 0] * torch.e)
    torch.testing.assert_close(restored[:, 1:], x[:, 1:])


def test_enlarging_starts_without_a_grid():
    """The four neighbours a pixel-shuffle makes of one cell start equal."""
    layer = Student(SHAPES["tiny"]).velocity.up1
    enlarged = torch.nn.functional.pixel_shuffle(layer(torch.rand(1, layer.in_channels, 3, 3)), 2)
    torch.testing.assert_close(enlarged[..., ::2, ::2], enlarged[..., 1::2, 1::2])
