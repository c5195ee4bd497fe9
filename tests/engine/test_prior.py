"""The prior's inputs: exact on pictures whose answer is known; streamed and batched forms agree bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from restorect_cli.engine import prior
from restorect_cli.engine.prior import THUMB_SHAPE, prior_inputs, statistics_batch, thumbnail
from restorect_cli.engine.source import ArraySource

SIZES = [(1, 1), (7, 5), (1, 4000), (4000, 1), (8, 8), (37, 53), (128, 128), (300, 517), (513, 200)]


def noise(height: int, width: int, sigma: float = 0.1, seed: int = 0) -> np.ndarray:
    return (0.5 + sigma * np.random.default_rng(seed).standard_normal((height, width, 3))).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_training_sees_the_same_numbers_as_the_streamed_form(size, monkeypatch):
    monkeypatch.setattr(prior, "_STRIP_PIXELS", 5000)  # several strips even on small pictures
    images = np.stack([noise(*size, seed=seed) for seed in range(3)])
    for image, numbers in zip(images, statistics_batch(images), strict=True):
        single = prior_inputs(ArraySource(image))
        np.testing.assert_array_equal(single.thumb, thumbnail(image))
        np.testing.assert_array_equal(single.statistics, numbers)
        assert single.thumb.dtype == single.statistics.dtype == np.float32
        assert single.thumb.shape == (*THUMB_SHAPE, 3)


def test_large_pictures_agree_too_and_skip_bands(monkeypatch):
    monkeypatch.setattr(prior, "STATISTICS_MAX_PIXELS", 10_000)
    image = noise(203, 301)
    image[8:16] = np.random.default_rng(1).random((8, 301, 3))  # the second band is not looked at
    single = prior_inputs(ArraySource(image))
    np.testing.assert_array_equal(single.statistics, statistics_batch(image[None])[0])
    assert single.statistics.max() < 0.15


def test_thumbnail_is_the_box_mean():
    image = np.random.default_rng(0).random((300, 600, 3), np.float32)  # cells of 3×4 pixels
    expected = image.reshape(100, 3, 150, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(prior_inputs(ArraySource(image)).thumb, expected, rtol=1e-5)


def test_thumbnail_is_pillows_where_cells_are_uneven():
    grey = np.random.default_rng(0).random((333, 457), np.float32)
    expected = Image.fromarray(grey).resize(THUMB_SHAPE[::-1], Image.Resampling.BOX)
    np.testing.assert_allclose(thumbnail(np.repeat(grey[..., None], 3, axis=2))[..., 0], expected, atol=1e-5)


def test_a_portrait_is_turned_on_its_side():
    image = np.random.default_rng(0).random((300, 200, 3), np.float32)
    np.testing.assert_allclose(thumbnail(image), thumbnail(np.ascontiguousarray(np.rot90(image))), rtol=1e-5)


def test_a_small_picture_is_enlarged_to_the_same_shape():
    image = np.random.default_rng(0).random((50, 75, 3), np.float32)
    np.testing.assert_array_equal(thumbnail(image), image.repeat(2, axis=0).repeat(2, axis=1))


def test_constant_picture_has_a_constant_thumbnail_and_no_roughness():
    inputs = prior_inputs(ArraySource(np.full((301, 207, 3), 0.25, np.float32)))
    np.testing.assert_array_equal(inputs.thumb, np.float32(0.25))
    np.testing.assert_array_equal(inputs.statistics, 0)


def test_white_noise_is_measured_as_its_standard_deviation():
    statistics = prior_inputs(ArraySource(noise(400, 400, sigma=0.1))).statistics.reshape(3, 3)
    np.testing.assert_allclose(statistics[1], 0.1, rtol=0.02)
    assert (statistics[0] < statistics[1]).all() and (statistics[1] < statistics[2]).all()


def test_statistics_are_ordered_by_quantile_then_channel():
    image = noise(200, 200) * np.array([1, 2, 3], np.float32)
    r10, g10, b10, r50, *_ = prior_inputs(ArraySource(image)).statistics
    assert r10 < g10 < b10 and r10 < r50


class CutOut:
    """A picture premultiplied by its alpha, as files with transparency are seen."""

    def __init__(self, image: np.ndarray, alpha: np.ndarray) -> None:
        self.image, self.alpha = image * alpha[..., None], alpha
        self.height, self.width = alpha.shape

    def window(self, y0, y1, x0, x1):
        return self.image[y0:y1, x0:x1]

    def coverage(self, y0, y1):
        return self.alpha[y0:y1]


def test_a_cut_out_is_as_bright_and_as_noisy_as_the_photograph():
    rng = np.random.default_rng(0)
    image = (0.6 + 0.1 * rng.standard_normal((96, 128, 3))).astype(np.float32)
    alpha = np.zeros((96, 128), np.float32)
    alpha[16:56, 16:80] = 1
    seen, whole = prior_inputs(CutOut(image, alpha)), prior_inputs(ArraySource(image))
    assert abs(seen.thumb.mean() - 0.6) < 0.01 and seen.thumb.min() > 0.1  # a hole is 0
    np.testing.assert_allclose(seen.statistics[3:6], whole.statistics[3:6], rtol=0.05)
    nothing = prior_inputs(CutOut(image, np.zeros_like(alpha)))
    assert (nothing.thumb == 0).all() and np.isfinite(nothing.statistics).all()


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_bars_do_not_hide_the_noise(level):
    rng = np.random.default_rng(0)
    image = (0.5 + 0.1 * rng.standard_normal((160, 160, 3))).astype(np.float32)
    image[:48] = level
    np.testing.assert_allclose(prior_inputs(ArraySource(image)).statistics, 0.1, rtol=0.25)
    sky = image.copy()
    sky[:48] = np.clip(1 + 0.1 * rng.standard_normal((48, 160, 3)), 0, 1)  # clipped half-noise
    np.testing.assert_allclose(prior_inputs(ArraySource(sky)).statistics, 0.1, rtol=0.25)


def test_a_picture_of_nothing_but_black_and_white_is_measured_all_the_same():
    image = np.random.default_rng(0).integers(0, 2, (64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(prior_inputs(ArraySource(image)).statistics[3:6], 0.5, atol=0.05)
