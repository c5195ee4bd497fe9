from __future__ import annotations

import torch

from restorect_cli.training.nets.padding import pad_to_multiple


def test_pictures_that_fit_are_left_alone():
    image = torch.rand(1, 3, 8, 16)
    assert pad_to_multiple(image, 8) is image


def test_the_border_is_reflected_and_where_too_small_replicated():
    image = torch.arange(7.0).reshape(1, 1, 1, 7).expand(1, 1, 7, 7)
    assert pad_to_multiple(image, 8)[0, 0, 7].tolist() == [0, 1, 2, 3, 4, 5, 6, 5]
    assert pad_to_multiple(image[..., :2], 8)[0, 0, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
