from __future__ import annotations

import numpy as np
import pytest

from restorect_cli.metrics import luma_bt601, psnr


def test_luma_is_matlabs():
    assert luma_bt601(np.array([[[255.0, 0, 0]]]))[0, 0] == pytest.approx(81.48, abs=0.005)
    assert luma_bt601(np.array([[[255.0, 255, 255]]]))[0, 0] == pytest.approx(235)
    assert luma_bt601(np.zeros((1, 1, 3)))[0, 0] == 16


def test_psnr_by_hand():
    black = np.zeros((4, 4, 3), np.float32)
    assert psnr(black, black) == float("inf")
    assert psnr(black + np.float32(10 / 255), black) == pytest.approx(20 * np.log10(25.5))
    assert psnr(black + np.float32(0.3 / 255), black) == float("inf")  # rounded to 8 bits first
    assert psnr(black - 1, black) == float("inf")  # and clipped
    assert psnr(black + 1, black, luma=True) == pytest.approx(20 * np.log10(255 / 219))


def test_psnr_is_scikit_images():
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    a, b = (np.round(rng.random((20, 30, 3)) * 255).astype(np.uint8) for _ in range(2))
    expected = metrics.peak_signal_noise_ratio(b, a)
    assert psnr(a.astype(np.float32) / 255, b.astype(np.float32) / 255) == pytest.approx(expected, abs=1e-4)
