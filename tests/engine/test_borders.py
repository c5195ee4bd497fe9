"""Borders: found whatever their side, colour and noise; never in a picture that has none; never all of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from support.check_data import DATA
from support.photographs import picture

from restorect_cli.engine.borders import Inside, inside_borders
from restorect_cli.engine.prior import prior_inputs
from restorect_cli.engine.source import ArraySource

CHECK_SETS = (
    *("lowlight/DICM16", "lowlight/LOL-eval8", "lowlight/LIME", "derain/Rain100L-40", "derain/Rain100H-40"),
    *("derain/real", "denoise/CBSD68-34", "denoise/PolyU-9", "denoise/Kodak24-12", "raindrop/Qian-3", "raindrop/real"),
)


def framed(image: np.ndarray, top: int, bottom: int, left: int, right: int, level: float | tuple) -> np.ndarray:
    height, width = image.shape[:2]
    out = np.full((height + top + bottom, width + left + right, 3), level, np.float32)
    out[top : top + height, left : left + width] = image
    return out


def box(source: object) -> tuple[int, int, int, int] | None:
    return (source.top, source.bottom, source.left, source.right) if isinstance(source, Inside) else None


@pytest.mark.parametrize("level", [0.0, 1.0, 0.5, (0.9, 0.1, 0.3)])
@pytest.mark.parametrize("sides", [(20, 20, 0, 0), (0, 0, 15, 15), (30, 10, 20, 5), (9, 0, 0, 0), (0, 0, 0, 40)])
def test_the_prior_of_a_framed_picture_is_that_of_the_picture(level, sides):
    image = picture(3, 80, 96)
    plain, bordered = (prior_inputs(ArraySource(i)) for i in (image, framed(image, *sides, level)))
    np.testing.assert_array_equal(bordered.thumb, plain.thumb)
    np.testing.assert_array_equal(bordered.statistics, plain.statistics)


def test_frames_inside_one_another():
    image = picture(3, 80, 96)
    frames = framed(framed(framed(image, 10, 10, 10, 10, 1.0), 5, 5, 5, 5, 0.0), 20, 30, 25, 25, 0.9)
    assert box(inside_borders(ArraySource(frames))) == (35, 115, 40, 136)


@pytest.mark.parametrize("quality", [60, 75, 95])
def test_the_bars_of_a_jpeg_are_found(quality):
    bars = framed(picture(3, 120, 160), 44, 44, 0, 0, 0.0)
    file = io.BytesIO()
    Image.fromarray(np.rint(bars * 255).astype(np.uint8)).save(file, "jpeg", quality=quality)
    decoded = np.asarray(Image.open(file)).astype(np.float32) / 255
    found = inside_borders(ArraySource(decoded))
    assert isinstance(found, Inside)
    assert abs(found.top - 44) <= 8 and abs(found.bottom - 164) <= 8 and (found.left, found.right) == (0, 160)


def test_a_dark_photograph_on_a_white_mat_is_dark():
    dark = picture(3, 80, 96) * 0.1
    assert prior_inputs(ArraySource(framed(dark, 60, 60, 60, 60, 1.0))).thumb.mean() < 0.1


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (5, 300), (300, 5), (40, 40)])
def test_nothing_but_border_is_no_border(level, size):
    source = ArraySource(np.full((*size, 3), level, np.float32))
    assert inside_borders(source) is source
    assert np.isfinite(prior_inputs(source).statistics).all()


def test_a_frame_around_next_to_nothing_is_the_picture():
    source = ArraySource(framed(picture(1, 64, 72)[:10, :12], 30, 30, 30, 30, 0.0))
    assert inside_borders(source) is source


def clipped_sky() -> np.ndarray:
    image = picture(2, 120, 160)
    skyline = (30 + 12 * np.sin(np.arange(160) / 9)).astype(int)
    image[np.arange(120)[:, None] < skyline] = 1.0
    return image


def night() -> np.ndarray:
    image = picture(2, 120, 160) * 0.01
    image[50:60, 70:80] = 1.0
    return image


@pytest.mark.parametrize(
    "image",
    [picture(5, 90, 70), clipped_sky(), night(), picture(5, 3, 21), np.eye(64)[..., None] + np.zeros(3)],
)
def test_a_picture_without_borders_is_the_source_itself(image):
    source = ArraySource(image.astype(np.float32))
    assert inside_borders(source) is source


class Covered(ArraySource):
    """An image of which only a box is visible, premultiplied."""

    def coverage(self, y0, y1):
        return ((self.image[y0:y1] > 0).any(axis=2) * 1.0).astype(np.float32)


def test_transparent_margins_are_no_border_and_opaque_ones_are():
    image = picture(3, 80, 96)
    transparent, opaque = Covered(framed(image, 20, 20, 9, 9, 0.0)), Covered(framed(image, 20, 20, 9, 9, 1.0))
    assert inside_borders(transparent) is transparent
    assert box(inside_borders(opaque)) == (20, 100, 9, 105)


def test_no_picture_of_the_check_data_has_borders():
    names = [p for part in CHECK_SETS for p in sorted((DATA / part).rglob("*")) if p.suffix in (".png", ".jpg")]
    if not names:
        pytest.skip("the check data are not here")
    bordered = []
    for name in names:
        pixels = np.asarray(Image.open(name).convert("RGB")).astype(np.float32) / 255
        if isinstance(found := inside_borders(ArraySource(pixels)), Inside):
            bordered.append((name.name, box(found), pixels.shape))
    assert bordered == []
