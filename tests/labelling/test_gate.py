from __future__ import annotations

import numpy as np
import pytest
from support.photographs import picture

from restorect_cli.labelling.gate import fault

INPUT = np.clip(picture(3, 160, 176) + 0.04 * np.random.default_rng(0).standard_normal((160, 176, 3)), 0, 1).astype(
    "f4"
)
GOOD = np.clip(picture(3, 160, 176), 0, 1).astype("f4")


def blocky() -> np.ndarray:
    label = GOOD.copy()
    rng = np.random.default_rng(1)
    label += 0.04 * np.kron(rng.choice([-1, 1], (10, 11)), np.ones((16, 16)))[..., None].astype("f4")
    return np.clip(label, 0, 1)


def green_black() -> np.ndarray:
    label = GOOD.copy()
    dark = INPUT.mean(axis=2) < np.quantile(INPUT.mean(axis=2), 0.15)
    label[dark] += np.float32([0, 0.3, 0])
    return np.clip(label, 0, 1)


def test_a_good_label_passes():
    assert fault(INPUT, GOOD) is None
    dark = np.float32(0.1) * GOOD  # and one that is ten times as bright
    assert fault(dark, GOOD) is None


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (INPUT, "unchanged"),
        (np.round(INPUT * 255).astype("f4") / 255, "unchanged"),
        (np.where(GOOD > 0.45, np.float32(1), GOOD), "clipped"),
        (GOOD * np.float32([1.3, 1, 0.6]), "colour cast"),
        (green_black(), "black turns coloured"),
        (blocky(), "blocks"),
        (np.where(GOOD > 0.5, np.float32("nan"), GOOD), "not numbers"),
    ],
)
def test_what_is_no_improvement_is_dropped(label: np.ndarray, said: str):
    found = fault(INPUT, label)
    assert found is not None and said in found
