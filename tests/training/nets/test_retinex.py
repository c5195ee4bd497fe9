from __future__ import annotations

import torch

from restorect_cli.training.nets.retinex import Decomposition, illumination, largest_colour, recombined, reflectance


def test_size_is_the_published_one():
    assert sum(p.numel() for p in Decomposition().parameters()) == 20_548


@torch.no_grad()
def test_maps_are_not_negative_and_alive_from_the_start():
    for seed in range(5):
        torch.manual_seed(seed)
        maps = Decomposition()(torch.rand(1, 3, 16, 16))
        assert maps.shape == (1, 4, 16, 16) and float(maps.min()) >= 0
        assert bool((maps.amax(dim=(0, 2, 3)) > 0).all())


def test_maps_recombine_by_their_product():
    maps = torch.rand(2, 4, 3, 3)
    assert torch.equal(recombined(maps), reflectance(maps) * illumination(maps))
    assert recombined(maps).shape == (2, 3, 3, 3)


def test_largest_colour():
    image = torch.tensor([0.2, 0.7, 0.1]).reshape(1, 3, 1, 1)
    assert largest_colour(image).tolist() == [[[[torch.tensor(0.7).item()]]]]
