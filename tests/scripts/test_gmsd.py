from __future__ import annotations

import numpy as np
import pytest

from .conftest import load_script

gmsd = load_script("gmsd").gmsd


def test_gmsd_by_hand():
    """An edge of 100 levels at column 8 of 16, in one picture only: no gradient in the other."""
    flat = np.full((16, 16, 3), 100 / 255, np.float32)
    edge = flat.copy()
    edge[:, 8:] = 200 / 255
    gradient = 100 * 219 / 255  # of Y after halving, over both columns beside the edge; Prewitt over 3 rows / 3
    similarity = np.ones((6, 6))
    similarity[:, 2:4] = 170 / (gradient**2 + 170)
    assert gmsd(edge, flat) == pytest.approx(similarity.std(), rel=1e-6)
    assert gmsd(edge, edge) == 0


def test_gmsd_grows_with_blur_and_forgives_brightness():
    rng = np.random.default_rng(0)
    image = np.cumsum(rng.normal(0, 0.02, (64, 64, 3)), axis=1).astype(np.float32)
    image = (image - image.min()) / (image.max() - image.min())
    found = []
    blurred = image
    for _ in range(4):
        blurred = (np.roll(blurred, 1, 1) + blurred + np.roll(blurred, -1, 1)) / 3
        found.append(gmsd(blurred, image))
    assert found == sorted(found) and found[0] > 0.001
    assert gmsd(0.8 * image + 0.1, 0.8 * image) < 0.1 * found[0]
    with pytest.raises(ValueError, match="6x6"):
        gmsd(image[:5], image[:5])
