from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorect_cli.bench.niqe import FEATURES, niqe, patch_features, pristine_model
from restorect_cli.engine.source import Image as Pixels
from restorect_cli.errors import InputError

CLEAN = sorted((Path(__file__).resolve().parents[2] / "examples" / "clean").glob("*.jpg"))


def read(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / 255


def blurred(image: Pixels, sigma: float) -> Pixels:
    filters = pytest.importorskip("skimage.filters")
    return filters.gaussian(image, sigma, mode="nearest", channel_axis=2)


def noisy(image: Pixels, sigma: float) -> Pixels:
    return (image + np.random.default_rng(0).standard_normal(image.shape) * sigma / 255).astype(np.float32)


def compressed(image: Pixels, quality: float) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file), np.float32) / 255


@pytest.mark.parametrize(
    ("degrade", "levels"),
    [(blurred, (0.5, 1, 1.5, 2, 3)), (noisy, (8, 14, 22, 35, 50)), (compressed, (50, 30, 20, 12, 7))],
)
def test_grows_with_degradation(degrade: Callable[[Pixels, float], Pixels], levels: Sequence[float]):
    for path in CLEAN:
        values = [niqe(degrade(read(path), level)) for level in levels]
        assert all(np.diff(values) > 0), (path.name, values)


def test_clean_photographs_lie_low():
    assert 2 < np.median([niqe(read(path)) for path in CLEAN]) < 5.5


def test_features_know_gaussian_noise():
    """White noise, normalised, is Gaussian: shape 2 and no left or right side."""
    image = np.repeat(np.random.default_rng(0).normal(0.5, 0.1, (192, 192, 1)), 3, axis=2).astype(np.float32)
    features, sharpness = patch_features(image)
    assert features.shape == (16, FEATURES) and sharpness.shape == (16,)
    assert np.all(features[:, 0] > 2)  # a 7-pixel window takes the tails away
    assert np.all(features[:, 4] > features[:, 5])  # taking the local mean away turns neighbours against each other


def test_the_packaged_model_is_a_covariance():
    model = pristine_model()
    assert np.allclose(model.covariance, model.covariance.T)
    assert np.linalg.eigvalsh(model.covariance).min() > -1e-9


@pytest.mark.parametrize("image", [np.zeros((20, 20, 3), np.float32), np.full((200, 300, 3), 0.5, np.float32)])
def test_too_small_or_flat(image: Pixels):
    with pytest.raises(InputError, match="too small or too flat"):
        niqe(image)


def test_the_number_of_a_known_picture():
    """Published scores hang on it: a change of the features or of the distance must not pass unseen."""
    image = np.random.default_rng(0).normal(0.5, 0.1, (192, 224, 3)).astype(np.float32)
    assert niqe(image) == pytest.approx(16.726, abs=0.01)
