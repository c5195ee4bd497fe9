"""The network's view of a picture, and the way back."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ADOBE_LIKE, DISPLAY_P3_LIKE, GREY_GAMMA_18, Array, gradient, noise, picture
from PIL import ImageCms
from support.cases import case

from restorect_cli.errors import OutputError
from restorect_cli.images import icc
from restorect_cli.images import view as color
from restorect_cli.images.picture import Picture
from restorect_cli.images.reading import read
from restorect_cli.images.view import WorkingView

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def through_identity(source: Picture, rows: int = 7) -> Picture:
    view = WorkingView(source)
    for y in range(0, view.height, rows):
        view.apply(y, view.window(y, min(y + rows, view.height), 0, view.width))
    return view.result()


CASES = [
    (dtype, bands, alpha, profile)
    for dtype in ("uint8", "uint16", "float32")
    for bands, profile in ((3, None), (1, None), (3, SRGB), (3, DISPLAY_P3_LIKE), (3, ADOBE_LIKE), (1, GREY_GAMMA_18))
    for alpha in (False, True)
]


@pytest.mark.parametrize(("dtype", "bands", "alpha", "profile"), CASES)
def test_identity_returns_the_files_own_pixels(dtype: str, bands: int, alpha: bool, profile: bytes | None) -> None:
    source = picture(noise(23, 17, bands, dtype), noise(23, 17, 1, dtype, 1)[..., 0] if alpha else None, icc=profile)
    result = through_identity(source)
    assert result.pixels.dtype == source.pixels.dtype
    np.testing.assert_array_equal(result.pixels, source.pixels)
    if alpha:
        assert result.alpha is source.alpha


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("profile", [None, DISPLAY_P3_LIKE])
@pytest.mark.parametrize("alpha", [False, True])
def test_rounding_of_blended_tiles_changes_nothing(dtype: str, profile: bytes | None, alpha: bool) -> None:
    source = picture(noise(16, 16, 3, dtype), noise(16, 16, 1, dtype, 1)[..., 0] if alpha else None, icc=profile)
    view = WorkingView(source)
    rows = view.window(0, 16, 0, 16)
    view.apply(0, rows + np.random.default_rng(0).uniform(-2e-7, 2e-7, rows.shape).astype(np.float32))
    np.testing.assert_array_equal(view.result().pixels, source.pixels)


def test_every_8_bit_value_survives() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(through_identity(picture(ramp)).pixels, ramp)


def test_every_16_bit_value_survives() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    np.testing.assert_array_equal(through_identity(picture(ramp)).pixels, ramp)


def test_window_is_srgb_in_unit_range() -> None:
    pixels = gradient(5, 6)
    window = WorkingView(picture(pixels)).window(1, 4, 2, 6)
    assert window.dtype == np.float32 and window.shape == (3, 4, 3)
    np.testing.assert_allclose(window, pixels[1:4, 2:6] / 255.0, atol=1e-6)


def test_window_does_not_lend_the_files_own_float_pixels() -> None:
    source = picture(noise(4, 4, 3, "float32"))
    WorkingView(source).window(0, 4, 0, 4)[:] = 0
    assert source.pixels.any()


def test_grey_is_repeated_and_the_mean_change_comes_back() -> None:
    view = WorkingView(picture(np.full((2, 2, 1), 100, np.uint8)))
    rows = view.window(0, 2, 0, 2)
    assert (rows == rows[..., :1]).all()
    view.apply(0, rows + np.array([0.0, 30.0, 60.0], np.float32) / 255)
    assert (view.result().pixels == 130).all()


@pytest.mark.parametrize("profile", [None, DISPLAY_P3_LIKE])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("alpha", [False, True])
def test_grey_stored_as_rgb_stays_grey(dtype: str, profile: bytes | None, alpha: bool) -> None:
    grey = np.repeat(gradient(70, 6, 1, dtype), 3, axis=2)
    view = WorkingView(picture(grey, noise(70, 6, 1, dtype)[..., 0] if alpha else None, icc=profile))
    tinted = view.window(0, 70, 0, 6) * np.float32((1, 0.8, 0.9)) + np.float32((0.05, 0.1, 0))
    view.apply(0, tinted)
    red, green, blue = np.moveaxis(view.result().pixels, 2, 0)
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)
    assert not np.array_equal(red, grey[..., 0])


def test_the_case_of_black_and_white_as_rgb() -> None:
    source = read(case("bw-as-rgb-dark.png"))
    view = WorkingView(source)
    view.apply(0, view.window(0, view.height, 0, view.width) * np.float32((3, 2, 1)))
    assert (np.ptp(view.result().pixels, axis=2) == 0).all()


def test_one_coloured_pixel_makes_a_colour_picture() -> None:
    pixels = np.repeat(gradient(200, 6, 1), 3, axis=2)
    pixels[199, 5, 2] ^= 1
    view = WorkingView(picture(pixels))
    view.apply(0, view.window(0, 200, 0, 6) * np.float32((1, 0.5, 1)))
    assert not np.array_equal(view.result().pixels[..., 0], view.result().pixels[..., 1])


def test_change_is_divided_by_alpha_and_invisible_pixels_stay() -> None:
    alpha = np.array([[255, 51, 0]], np.uint8)
    view = WorkingView(picture(np.full((1, 3, 3), 100, np.uint8), alpha))
    rows = view.window(0, 1, 0, 3)
    np.testing.assert_allclose(rows[0, :, 0], np.array([100, 20, 0]) / 255, atol=1e-6)
    view.apply(0, rows + np.float32(10 / 255))
    assert view.result().pixels[0, :, 0].tolist() == [110, 150, 100]


def test_float_samples_pass_unclipped() -> None:
    pixels = np.array([[[-0.5, 0.5, 3.0]]], np.float32)
    view = WorkingView(picture(pixels, format="tiff"))
    np.testing.assert_array_equal(view.window(0, 1, 0, 1), pixels)
    view.apply(0, pixels + np.float32(1))
    np.testing.assert_array_equal(view.result().pixels, pixels + np.float32(1))


def test_depth_of_the_buffer_keeps_what_8_bits_would_round_away() -> None:
    view = WorkingView(picture(np.full((1, 1, 3), 100, np.uint8)), depth=16)
    view.apply(0, view.window(0, 1, 0, 1) + np.float32(0.25 / 255))
    result = view.result()
    assert result.meta.bits == 16
    assert (result.pixels == round(100.25 * 257)).all()


def test_result_can_be_asked_for_at_another_depth() -> None:
    view = WorkingView(picture(noise(3, 3), noise(3, 3, 1)[..., 0]))
    view.apply(0, view.window(0, 3, 0, 3))
    result = view.result(depth=16)
    assert result.pixels.dtype == result.alpha.dtype == np.uint16


@pytest.mark.parametrize("icc_profile", [DISPLAY_P3_LIKE, ADOBE_LIKE])
def test_wide_gamut_pixels_are_seen_as_srgb(icc_profile: bytes) -> None:
    green = np.array([[[60, 200, 60]]], np.uint8)
    seen = WorkingView(picture(green, icc=icc_profile)).window(0, 1, 0, 1)[0, 0] * 255
    assert seen[0] < 55 and seen[1] > 199  # a wider gamut's green is more saturated than the same numbers in sRGB


def test_only_the_change_goes_through_the_profile() -> None:
    """A colour outside sRGB is clipped for the network, and still moves by the network's change alone."""
    vivid = np.array([[[0, 65000, 0]]], np.uint16)
    view = WorkingView(picture(vivid, icc=DISPLAY_P3_LIKE))
    seen = view.window(0, 1, 0, 1)
    view.apply(0, seen - np.float32(0.01))
    moved = view.result().pixels[0, 0].astype(int) - vivid[0, 0]
    assert -2000 < moved[1] < 0 and view.result().pixels[0, 0, 0] == 0


def test_change_in_a_profile_agrees_with_little_cms() -> None:
    source = picture(noise(8, 8, 3, "uint16"), icc=DISPLAY_P3_LIKE)
    view = WorkingView(source)
    view.apply(0, np.full((8, 8, 3), 0.5, np.float32))
    profile = icc.Profile(DISPLAY_P3_LIKE, 3)
    expected = source.pixels / 65535 + profile.from_srgb(np.full((8, 8, 3), 0.5, np.float32))
    expected -= profile.from_srgb(profile.to_srgb(source.pixels))
    np.testing.assert_allclose(view.result().pixels / 65535, expected.clip(0, 1), atol=2e-5)


def test_profile_there_and_back() -> None:
    profile = icc.Profile(DISPLAY_P3_LIKE, 3)
    srgb = np.float32(0.95) * gradient(9, 9, 3, "float32")
    np.testing.assert_allclose(
        profile.to_srgb(np.rint(profile.from_srgb(srgb) * 65535).astype(np.uint16)), srgb, atol=2e-3
    )


def test_srgb_profile_is_recognised_and_others_are_not() -> None:
    assert icc.Profile(SRGB, 3).is_srgb
    assert not any(icc.Profile(p, 3).is_srgb for p in (DISPLAY_P3_LIKE, ADOBE_LIKE))
    assert not icc.Profile(GREY_GAMMA_18, 1).is_srgb


@pytest.mark.parametrize(
    ("profile", "bands"), [(b"junk", 3), (b"", 1), (GREY_GAMMA_18, 3), (SRGB, 1), (SRGB[: len(SRGB) // 2], 3)]
)
def test_a_profile_that_does_not_fit_is_refused(profile: bytes, bands: int) -> None:
    with pytest.raises(icc.BadProfileError):
        icc.Profile(profile, bands)


@pytest.mark.parametrize(("y0", "shape"), [(1, (4, 5, 3)), (-1, (1, 5, 3)), (0, (4, 4, 3)), (0, (4, 5, 1))])
def test_rows_that_do_not_fit_are_refused(y0: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        WorkingView(picture(gradient(4, 5))).apply(y0, np.zeros(shape, np.float32))


def test_result_with_rows_missing_is_refused() -> None:
    view = WorkingView(picture(gradient(4, 5)))
    view.apply(0, view.window(0, 3, 0, 5))
    with pytest.raises(ValueError, match="1 rows"):
        view.result()


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 4000), (4000, 1)])
def test_odd_sizes(shape: tuple[int, int]) -> None:
    source = picture(noise(*shape))
    np.testing.assert_array_equal(through_identity(source).pixels, source.pixels)


def test_rows_larger_than_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "ROWS_AT_ONCE_PX", 40)
    source: Picture = picture(noise(31, 13), noise(31, 13, 1)[..., 0])
    result: Array = through_identity(source, rows=31).pixels
    np.testing.assert_array_equal(result, source.pixels)


def test_meta_is_kept() -> None:
    source = picture(gradient(3, 3), xmp=b"x", dpi=(300.0, 300.0))
    assert through_identity(source).meta == dataclasses.replace(source.meta, bits=8)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_profile_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    class Full:
        def __init__(self, descriptor: int, mode: str) -> None:
            pass

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, data: bytes) -> None:
            raise failure

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(icc, "open", Full, raising=False)
    with pytest.raises(OutputError if isinstance(failure, OSError) else KeyboardInterrupt):
        icc.Profile(DISPLAY_P3_LIKE, 3)
    assert not list(tmp_path.iterdir())
