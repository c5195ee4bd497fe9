from __future__ import annotations

import math

import torch

from restorect_cli.training.losses.flex import LAYER_WEIGHTS, Adapters, flex, matched, over_layers


def maps(seed: int = 0, size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(2, 3, size, size, generator=generator)
    return teacher, teacher + 0.5 * torch.randn(2, 3, size, size, generator=generator)


def test_zero_for_equal_maps_and_only_for_them():
    teacher, student = maps()
    assert torch.equal(flex(teacher, teacher), torch.zeros(2))
    assert bool((flex(teacher, student) > 0.01).all())


def test_a_common_gain_and_offset_per_channel_does_not_matter():
    teacher, student = maps()
    gain, offset = torch.tensor([0.2, 3.0, 40.0])[:, None, None], torch.tensor([5.0, -1.0, 0.0])[:, None, None]
    torch.testing.assert_close(flex(gain * teacher + offset, gain * student + offset), flex(teacher, student))


def test_the_gradient_points_from_student_to_teacher():
    """2 omega rho M (S - T) / (sigma^2 sum(M) layers), the closed form without the slope of the statistics."""
    teacher, student = maps()
    student.requires_grad_()
    over_layers(flex, [teacher, teacher], [student, teacher]).sum().backward()
    fixed = student.detach()
    sigma = fixed.std(dim=(2, 3), correction=0, keepdim=True)
    distance = ((fixed - fixed.mean(dim=(2, 3), keepdim=True)) / sigma).abs()
    mask = distance <= torch.quantile(distance.flatten(2), 0.95, dim=2)[..., None, None]
    rho = math.sqrt(64 / 16)
    count = mask.sum(dim=(1, 2, 3), keepdim=True)
    expected = 2 * LAYER_WEIGHTS[0] * rho * mask * (fixed - teacher) / (sigma**2 * count * 2)
    torch.testing.assert_close(student.grad, expected)


def test_no_gradient_reaches_the_teacher():
    teacher, student = maps()
    teacher.requires_grad_()
    loss = flex(teacher, student.requires_grad_()).sum() + matched(teacher, student).sum()
    loss.backward()
    assert teacher.grad is None and student.grad is not None


def test_the_twentieth_farthest_out_is_left_out():
    teacher, student = maps()
    before = flex(teacher, student)
    farthest = student[0, 0].abs().argmax()
    teacher[0, 0].view(-1)[farthest] += 100
    torch.testing.assert_close(flex(teacher, student)[1], before[1])
    assert float(flex(teacher, student)[0] / before[0]) < 1.01  # its difference of 100 does not count


def test_coarse_maps_weigh_more():
    teacher, student = maps(size=64)
    torch.testing.assert_close(
        flex(teacher[..., :16, :16], 0 * student[..., :16, :16]).mean() / 2,
        flex(teacher, 0 * student).mean(),
        rtol=0.15,
        atol=0,
    )


def test_constant_maps_are_finite_with_their_gradient():
    for teacher in (torch.full((1, 2, 8, 8), 0.5), torch.randn(1, 2, 8, 8)):
        student = torch.full((1, 2, 8, 8), 0.5, requires_grad=True)
        loss = flex(teacher, student)
        loss.sum().backward()
        assert bool(loss.isfinite().all()) and student.grad is not None and bool(student.grad.isfinite().all())
        assert float(loss.detach()) < 2000  # bounded by the teacher's own spread


def test_adapters_match_widths_and_are_trained_with_the_student():
    torch.manual_seed(0)
    adapters = Adapters([4, 6], [8, 6])
    own = [torch.randn(2, 4, 8, 8, requires_grad=True), torch.randn(2, 6, 16, 16, requires_grad=True)]
    adapted = adapters(own)
    assert [tuple(m.shape) for m in adapted] == [(2, 8, 8, 8), (2, 6, 16, 16)] and adapted[1] is own[1]
    over_layers(flex, [torch.randn_like(m) for m in adapted], adapted).sum().backward()
    for value in (*own, *adapters.parameters()):
        assert value.grad is not None and bool(value.grad.any())


def test_static_matching_by_hand():
    teacher = torch.full((2, 1, 2, 2), 2.0)
    torch.testing.assert_close(matched(teacher, torch.ones(2, 1, 2, 2)), torch.full((2,), 0.25))
