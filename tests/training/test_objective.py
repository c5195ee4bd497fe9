from __future__ import annotations

import torch

from restorect_cli.training.objective import detail_loss, draw_times, flow_loss, flow_target, path_point


def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 8, 8, generator=generator), torch.rand(3, 3, 8, 8, generator=generator)


def test_path_starts_at_the_degraded_picture_bit_for_bit():
    y, x = images()
    assert torch.equal(path_point(y, x, torch.ones(3)), y)
    assert torch.equal(path_point(y, x, torch.zeros(3)), x)


def test_cumulative_target_is_what_is_left_to_undo():
    y, x = images()
    t = torch.tensor([0.0, 0.3, 1.0])
    target = flow_target(y, x, t, "cumulative")
    assert torch.equal(target[0], torch.zeros_like(target[0]))
    torch.testing.assert_close(path_point(y, x, t) - target, x)


def test_velocity_target_does_not_depend_on_time():
    y, x = images()
    torch.testing.assert_close(flow_target(y, x, torch.tensor([0.0, 0.3, 1.0]), "velocity"), y - x)


def test_times_stand_at_the_start_as_often_as_asked():
    t = draw_times(20_000, 0.5, torch.Generator().manual_seed(0))
    assert 0.48 < float((t == 1).float().mean()) < 0.52
    assert float(t.min()) >= 0 and abs(float(t[t < 1].mean()) - 0.5) < 0.01


def test_losses_by_hand():
    wanted, prediction = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    prediction[0] = 0.2
    assert abs(float(flow_loss(prediction, wanted, "l1")) - 0.1) < 1e-6
    assert abs(float(flow_loss(prediction, wanted, "l2")) - 0.1) < 1e-3


def test_detail_loss_sees_a_grid_and_not_an_exposure():
    y, x = images()
    assert float(detail_loss(x + 0.3, x)) < 1e-6
    grid = torch.zeros_like(x)
    grid[..., ::2] = 0.1
    assert abs(float(detail_loss(x + grid, x)) - 0.1) < 1e-6
