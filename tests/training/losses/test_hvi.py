from __future__ import annotations

import colorsys
import math

import pytest
import torch

from restorect_cli.training.losses.hvi import EPSILON, K, hvi_errors, to_hvi


def pixel(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb).reshape(1, 3, 1, 1)


@pytest.mark.parametrize("rgb", [(0.9, 0.2, 0.1), (0.1, 0.8, 0.3), (0.2, 0.3, 0.7), (0.6, 0.6, 0.1), (0.7, 0.1, 0.5)])
def test_forward_by_the_standard_library_hue(rgb: tuple[float, float, float]):
    hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
    radius = (math.sin(math.pi / 2 * value) + EPSILON) ** K * saturation
    expected = [radius * math.cos(2 * math.pi * hue), radius * math.sin(2 * math.pi * hue), value]
    torch.testing.assert_close(to_hvi(pixel(*rgb)).flatten(), torch.tensor(expected))


def test_black_white_and_grey_have_no_colour():
    for value in (0.0, 0.5, 1.0):
        torch.testing.assert_close(to_hvi(pixel(value, value, value)).flatten(), torch.tensor([0.0, 0.0, value]))


def test_red_has_no_seam():
    """Hue just above 0 and just below 1 is the same red: a 60-degree angle would part them."""
    above, below = to_hvi(pixel(0.8, 0.1001, 0.1)), to_hvi(pixel(0.8, 0.1, 0.1001))
    torch.testing.assert_close(above, below, atol=1e-3, rtol=0)


def test_opposite_colours_lie_opposite():
    red, cyan = to_hvi(pixel(1, 0, 0)).flatten(), to_hvi(pixel(0, 1, 1)).flatten()
    torch.testing.assert_close(red[:2], -cyan[:2], atol=1e-6, rtol=0)
    assert abs(float(red[0]) - 1) < 1e-6


def test_the_loss_is_zero_for_equal_pictures_and_sees_a_hue():
    image = torch.rand(2, 3, 8, 8)
    assert torch.equal(hvi_errors(image, image), torch.zeros(2))
    grey = image.mean(dim=1, keepdim=True).expand_as(image)
    assert bool((hvi_errors(grey, image) > 0.1).all())


@pytest.mark.parametrize("value", [-0.1, 0.0, 1e-6, 0.5, 1.0, 1.1])
def test_gradients_are_bounded_at_grey_and_black(value: float):
    image = torch.full((1, 3, 4, 4), value, requires_grad=True)
    hvi_errors(image, torch.rand(1, 3, 4, 4)).sum().backward()
    assert image.grad is not None and float(image.grad.abs().max()) < 300


def test_every_colour_of_the_picture_is_trained():
    image = (0.1 + 0.8 * torch.rand(1, 3, 4, 4)).requires_grad_()
    hvi_errors(image, torch.rand(1, 3, 4, 4)).sum().backward()
    assert image.grad is not None and bool((image.grad != 0).any(dim=3).all())
