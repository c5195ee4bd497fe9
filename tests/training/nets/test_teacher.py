from __future__ import annotations

import pytest
import torch

from restorect_cli.training.nets.encoders import EncoderShape
from restorect_cli.training.nets.retinex import Decomposition
from restorect_cli.training.nets.teacher import TEACHERS, Teacher, TeacherShape, Transformer

MINIATURE = TeacherShape(8, (1, 1, 1, 1), 1, (1, 2, 2, 4), encoder=EncoderShape(width=8, blocks=1, latent_dim=16))


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def shaken(shape: TeacherShape = MINIATURE) -> Teacher:
    torch.manual_seed(0)
    teacher = Teacher(shape)
    with torch.no_grad():
        teacher.transformer.output.weight.normal_(std=0.1)
    return teacher


def test_sizes_are_the_published_ones():
    paper = Teacher(TEACHERS["teacher-paper"])
    assert parameters(paper.transformer) == 23_552_315
    assert parameters(paper) - 2 * parameters(Decomposition()) == 25_888_763  # published as 25.89 M
    assert 4.5e6 < parameters(Teacher(TEACHERS["teacher-small"])) < 5.5e6


def test_the_untrained_teacher_is_the_identity():
    y, x = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    assert torch.equal(Teacher(MINIATURE)(y, y, x).restored, y)


@pytest.mark.parametrize(("height", "width"), [(32, 40), (21, 13), (1, 1)])
def test_pictures_of_any_size_are_restored(height: int, width: int):
    teacher, y = shaken(), torch.rand(2, 3, height, width)
    out = teacher(y, y, torch.rand(2, 3, height, width))
    assert out.restored.shape == y.shape and bool(out.restored.isfinite().all())
    rows, columns = -(-height // 8) * 8, -(-width // 8) * 8
    assert [tuple(m.shape[1:]) for m in out.maps] == [
        (32, rows // 4, columns // 4),
        (16, rows // 2, columns // 2),
        (16, rows, columns),
    ]
    assert out.features_degraded.shape == out.features_clean.shape == (2, 8, rows, columns)


def test_the_truth_reaches_the_picture_through_the_priors():
    teacher, y, x = shaken(), torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)
    assert not torch.equal(teacher(y, y, x).restored, teacher(y, y, y).restored)


def test_priors_may_come_from_pictures_of_another_size():
    teacher, y = shaken(), torch.rand(1, 3, 16, 24)
    assert teacher(y, torch.rand(1, 3, 10, 15), torch.rand(1, 3, 10, 15)).restored.shape == y.shape


def test_the_picture_trains_all_but_the_decompositions():
    teacher, y, x = shaken(), torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    (teacher(y, y, x).restored - x).square().mean().backward()
    idle = {name.split(".")[0] for name, p in teacher.transformer.named_parameters() if p.grad is None}
    assert idle == {"inner"}
    for encoder in (teacher.image_encoder, teacher.retinex_encoder):
        assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in encoder.parameters())
    assert all(p.grad is None for net in (teacher.low, teacher.high) for p in net.parameters())


def test_halves_of_a_batch_do_not_see_each_other():
    transformer = Transformer(MINIATURE)
    with torch.no_grad():
        transformer.output.weight.normal_(std=0.1)
    y, z = torch.rand(2, 3, 16, 16), torch.randn(2, 16)
    alone = transformer(y[:1], z[:1], z[:1]).restored
    torch.testing.assert_close(transformer(y, z, z).restored[:1], alone)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_pictures_are_finite_in_bfloat16_too(value: float):
    teacher = shaken()
    y = torch.full((1, 3, 16, 16), value)
    with torch.autocast("cpu", torch.bfloat16):
        out = teacher(y, y, y)
        (out.restored - 0.3).square().mean().backward()
    assert out.restored.dtype == torch.float32 and bool(out.restored.isfinite().all())
    assert all(bool(p.grad.isfinite().all()) for p in teacher.parameters() if p.grad is not None)


@torch.no_grad()
def test_bfloat16_says_nearly_the_same():
    teacher, y, x = shaken(), torch.rand(1, 3, 24, 24), torch.rand(1, 3, 24, 24)
    wide = teacher(y, y, x).restored - y
    with torch.autocast("cpu", torch.bfloat16):
        narrow = teacher(y, y, x).restored - y
    assert float((wide - narrow).norm() / wide.norm()) < 0.05
