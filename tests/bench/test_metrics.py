from __future__ import annotations

import numpy as np
import pytest

from restorect_cli.bench.measures import choose_measures
from restorect_cli.bench.metrics import luma_bt601, match_mean, psnr, ssim


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


@pytest.mark.parametrize("luma", [False, True])
def test_ssim_is_scikit_images(luma: bool):
    metrics = pytest.importorskip("skimage.metrics")
    rng = np.random.default_rng(0)
    a = np.round(rng.random((40, 30, 3)) * 255) / 255
    b = np.round(np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1) * 255) / 255
    left, right = (luma_bt601(image * 255) if luma else image * 255 for image in (a, b))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = metrics.structural_similarity(left, right, channel_axis=None if luma else 2, **options)
    assert ssim(a.astype(np.float32), b.astype(np.float32), luma=luma) == pytest.approx(expected, abs=1e-4)


def test_ssim_of_equal_and_of_tiny_pictures():
    image = np.random.default_rng(0).random((20, 20, 3), np.float32)
    assert ssim(image, image) == 1
    assert np.isnan(ssim(image[:10], image[:10]))


def test_match_mean_undoes_a_change_of_brightness_alone():
    image = np.random.default_rng(0).random((20, 20, 3), np.float32)
    assert psnr(match_mean(image * np.float32(0.5), image), image) > 60
    assert psnr(match_mean(image[::-1].copy(), image), image) < 15
    assert not match_mean(np.zeros_like(image), image).any()


def test_the_measure_of_gt_mean_fits_the_brightness_and_psnr_does_not():
    target = np.random.default_rng(0).uniform(0.2, 0.8, (32, 32, 3)).astype(np.float32)
    (plain, fitted), _ = choose_measures(["psnr", "psnr-gtmean"], has_targets=True)
    assert plain.score(target / 2, target) < 15 and fitted.score(target / 2, target) > 45
