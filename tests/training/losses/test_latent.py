from __future__ import annotations

import torch

from restorect_cli.training.losses.latent import vector_errors, velocity_errors
from restorect_cli.training.nets.latent import FlowShape, LatentFlow


def test_velocity_by_hand():
    flow = LatentFlow(FlowShape(2, 2, 4))

    class Echo(torch.nn.Module):
        def forward(self, z: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            return z

    flow.velocity = Echo()  # type: ignore[assignment]
    wanted, noise = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    # At t = 1/4 the state is (3/4, 1/2); the velocity to learn is (-1, 2).
    errors = velocity_errors(flow, torch.zeros(1, 2), wanted, noise, torch.tensor([0.25]))
    torch.testing.assert_close(errors, torch.tensor([(1.75**2 + 1.5**2) / 2]))


def test_both_train_flow_and_condition_and_never_the_teacher():
    torch.manual_seed(0)
    for which in ("velocity", "vector"):
        flow = LatentFlow(FlowShape(8, 6, 16))
        condition, wanted = torch.randn(4, 6, requires_grad=True), torch.randn(4, 8, requires_grad=True)
        if which == "velocity":
            loss = velocity_errors(flow, condition, wanted, torch.randn(4, 8), torch.rand(4))
        else:
            loss = vector_errors(flow(condition), wanted)
        assert loss.shape == (4,)
        loss.sum().backward()
        assert [n for n, p in flow.named_parameters() if p.grad is None or not bool(p.grad.any())] == []
        assert wanted.grad is None and condition.grad is not None and bool(condition.grad.any())


def test_together_they_learn_to_generate_the_vectors():
    """What the released code cannot: there only the velocity's error carries a gradient."""
    torch.manual_seed(0)
    flow, teach = LatentFlow(FlowShape(8, 6, 32)), torch.randn(6, 8)
    optimiser = torch.optim.Adam(flow.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(150):
        condition = torch.randn(32, 6, generator=generator)
        wanted = condition @ teach
        noise, t = torch.randn(32, 8, generator=generator), torch.rand(32, generator=generator)
        vectors = vector_errors(flow(condition), wanted).mean()
        loss = vectors + 0.1 * velocity_errors(flow, condition, wanted, noise, t).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(float(vectors.detach()))
    assert values[-1] < 0.3 * values[0]
