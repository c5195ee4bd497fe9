from __future__ import annotations

import pytest
import torch

from restorect_cli.training.nets.student import SHAPES, Student
from restorect_cli.training.optimiser import Optimiser, as_matrix


def student() -> Student:
    torch.manual_seed(0)
    return Student(SHAPES["tiny"]).to(memory_format=torch.channels_last)


def gradients(model: Student) -> None:
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)
        if weight.ndim == 4:
            weight.grad = weight.grad.contiguous(memory_format=torch.channels_last)


def test_every_parameter_is_stepped_once():
    model = student()
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimiser = Optimiser(model.parameters(), model.inner_convolutions(), 1e-3)
    gradients(model)
    optimiser.step()
    for name, value in model.named_parameters():
        moved = (value - before[name]).square().mean().sqrt()
        # AdamW's first step is the rate itself; Muon's root mean square is a fifth of it, as AdamW's usually is.
        assert 0.1e-3 < moved < 1.1e-3, name


def test_inner_convolutions_move_along_orthogonal_directions():
    model = student()
    weight = model.inner_convolutions()[0]
    before = weight.detach().clone()
    optimiser = Optimiser(model.parameters(), model.inner_convolutions(), 1e-3)
    gradients(model)
    optimiser.step()
    singular = torch.linalg.svdvals(as_matrix(weight.detach() - before))
    assert singular.min() > 0.4 * singular.max()
    assert torch.linalg.svdvals(as_matrix(weight.grad)).min() < 0.8 * torch.linalg.svdvals(as_matrix(weight.grad)).max()


def test_state_survives_saving():
    ends = []
    for interrupted in (False, True):
        model = student()
        optimiser = Optimiser(model.parameters(), model.inner_convolutions(), 1e-3)
        gradients(model)
        optimiser.step()
        if interrupted:
            state, again = optimiser.state_dict(), student()
            again.load_state_dict(model.state_dict())
            model, optimiser = again, Optimiser(again.parameters(), again.inner_convolutions(), 1e-3)
            optimiser.load_state_dict(state)
        gradients(model)
        optimiser.set_rate(2e-3)
        optimiser.step()
        ends.append([value.detach().clone() for value in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_weights_must_be_channels_last():
    model = Student(SHAPES["tiny"])
    with pytest.raises(ValueError, match="channels-last"):
        Optimiser(model.parameters(), model.inner_convolutions(), 1e-3)
