from __future__ import annotations

import numpy as np

from restorect_cli.bench.pictures import add_noise

GREY = np.full((40, 48, 3), 0.5, np.float32)


def test_noise_is_the_same_every_time_and_leaves_the_range():
    noisy = add_noise(GREY, 50)
    np.testing.assert_array_equal(noisy, add_noise(GREY, 50))
    assert noisy.dtype == np.float32 and noisy.max() > 1 and noisy.min() < 0


def test_clipped_noise_is_what_a_file_of_eight_bits_holds():
    levels = add_noise(GREY, 50, clipped=True) * 255
    assert levels.min() == 0 and levels.max() == 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
