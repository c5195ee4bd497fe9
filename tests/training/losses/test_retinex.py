from __future__ import annotations

import torch

from restorect_cli.training.losses.retinex import (
    EDGE,
    decomposition_errors,
    diffusion,
    illumination_roughness,
    texture_errors,
)
from restorect_cli.training.nets.retinex import Decomposition


def test_diffusion_moves_and_never_makes():
    image = torch.rand(2, 3, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(diffusion(image).sum(dim=(2, 3)), torch.zeros(2, 3, dtype=torch.float64))
    assert float(diffusion(0.01 * image).abs().max()) > 1e-4


def test_diffusion_of_a_gentle_wave_is_its_laplacian():
    """Far below the edge c is 1; a wave's Laplacian is -k^2 times the wave."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    k = 0.2
    wave = (1e-4 * torch.sin(k * rows + k * columns))[None, None].double()
    inside = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(diffusion(wave)[inside], (-2 * k**2 * wave)[inside], rtol=0.01, atol=1e-8)


def test_diffusion_is_a_divergence_and_not_a_directional_derivative():
    """On a ramp nothing gathers, though its slope is not zero."""
    ramp = (0.004 * torch.arange(12.0)).expand(1, 1, 12, 12)
    assert float(diffusion(ramp)[..., 2:-2, 2:-2].abs().max()) < 1e-7


def test_edges_stop_it():
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1
    low = diffusion(step * EDGE / 2).abs().max() / (EDGE / 2)
    assert float(low) > 0.8 and float(diffusion(step).abs().max()) < 1e-3


def test_texture_is_that_of_the_reflectance():
    image = torch.rand(1, 3, 8, 8) * 0.05
    maps = torch.cat([image, torch.rand(1, 1, 8, 8)], dim=1)
    assert float(texture_errors(maps, image)) == 0
    assert float(texture_errors(0 * maps, image)) > 0.01


def test_roughness_prefers_smooth_light_and_forgives_edges():
    smooth, rough = torch.full((1, 4, 8, 8), 0.5), torch.rand(1, 4, 8, 8)
    assert float(illumination_roughness(smooth)) < 1e-12 < float(illumination_roughness(rough))
    step = torch.zeros(1, 4, 8, 8)
    step[..., 4:] = 1
    by_square = 8 / 64  # eight pixels of slope 1
    assert abs(float(illumination_roughness(step)) - by_square * torch.e**-2) < 1e-4


def test_a_perfect_decomposition_costs_its_smoothness_only():
    image = torch.full((1, 3, 8, 8), 0.4)
    maps = torch.cat([torch.ones(1, 3, 8, 8), image[:, :1]], dim=1)
    assert float(decomposition_errors(maps, maps, image, image)) < 1e-6


def test_both_nets_are_trained_whole():
    torch.manual_seed(0)
    low, high = Decomposition(), Decomposition()
    degraded, clean = 0.2 * torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    errors = decomposition_errors(low(degraded), high(clean), degraded, clean)
    assert errors.shape == (2,)
    errors.sum().backward()
    for net in (low, high):
        assert [n for n, p in net.named_parameters() if p.grad is None or not bool(p.grad.any())] == []


def test_a_little_training_lowers_it():
    torch.manual_seed(0)
    low, high = Decomposition(width=8), Decomposition(width=8)
    clean = torch.rand(2, 3, 4, 4).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    optimiser = torch.optim.Adam([*low.parameters(), *high.parameters()], lr=3e-3)
    values = []
    for _ in range(60):
        loss = decomposition_errors(low(0.3 * clean), high(clean), 0.3 * clean, clean).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(float(loss.detach()))
    assert values[-1] < 0.7 * values[0]
