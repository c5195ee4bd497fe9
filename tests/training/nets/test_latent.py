from __future__ import annotations

import pytest
import torch

from restorect_cli.training.nets.latent import FlowShape, LatentFlow, LatentVelocity

SHAPE = FlowShape(latent_dim=8, condition_dim=6, width=16)


class Exact(torch.nn.Module):
    """The velocity of straight lines from zero to a goal, as told by the condition."""

    def forward(self, z: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return -c


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_a_straight_field_ends_exactly_at_its_goal(steps: int):
    flow = LatentFlow(FlowShape(latent_dim=8, condition_dim=8, steps=steps))
    flow.velocity = Exact()  # type: ignore[assignment]
    goal = torch.randn(3, 8)
    torch.testing.assert_close(flow(goal), goal)


def test_the_net_is_told_the_time_its_state_is_at():
    flow, times = LatentFlow(SHAPE), []

    class Asked(torch.nn.Module):
        def forward(self, z: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            times.append(t.tolist())
            return torch.zeros_like(z)

    flow.velocity = Asked()  # type: ignore[assignment]
    flow(torch.randn(2, 6))
    assert times == [[1, 1], [0.75, 0.75], [0.5, 0.5], [0.25, 0.25]]


def test_the_vector_trains_every_parameter_and_the_condition():
    torch.manual_seed(0)
    flow, condition = LatentFlow(SHAPE), torch.randn(4, 6, requires_grad=True)
    flow(condition).square().mean().backward()
    assert [n for n, p in flow.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)] == []
    assert condition.grad is not None and bool((condition.grad != 0).all())


def test_it_is_deterministic_and_wide_under_autocast():
    flow, condition = LatentFlow(SHAPE), torch.randn(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = flow(condition)
    assert narrow.dtype == torch.float32 and torch.equal(narrow, flow(condition))


def test_the_velocity_can_have_either_sign():
    torch.manual_seed(0)
    velocity = LatentVelocity(SHAPE)(torch.randn(64, 8), torch.rand(64), torch.randn(64, 6)).detach()
    assert float(velocity.min() / velocity.max()) < -0.3
