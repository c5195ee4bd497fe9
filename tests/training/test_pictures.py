from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from support.photographs import picture

from restorect_cli.training.pictures import load_pairs, load_pictures, read_pixels, with_matched_exposure


def test_pictures_are_read_as_they_are_shown(tmp_path: Path):
    grey = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_allclose(read_pixels(tmp_path / "grey.png")[..., 1], grey / 257, atol=0.51)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter
    Image.fromarray((255 * picture(1, 48, 64)).astype(np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_pixels(tmp_path / "turned.jpg").shape == (64, 48, 3)
    Image.new("RGBA", (48, 64), (200, 100, 50, 0)).save(tmp_path / "clear.png")
    assert read_pixels(tmp_path / "clear.png").max() == 0


def test_exposure_of_the_target_is_fitted_to_the_input(data: Path):
    pair = with_matched_exposure(load_pairs(data / "pairs")[0])  # inputs are half as bright
    assert pair.degraded is not None
    assert np.abs(pair.clean.astype(int) - pair.degraded).max() <= 2
    assert pair.degraded_thumb is not None
    np.testing.assert_allclose(pair.clean_thumb, pair.degraded_thumb, atol=0.01)


def test_every_kind_of_picture_is_trained_on_and_hidden_files_are_not(tmp_path: Path):
    """macOS leaves `._NAME` beside a picture, which looks like one by its name."""
    image = Image.fromarray((255 * picture(1, 48, 64)).astype(np.uint8))
    image.save(tmp_path / "a.avif")
    image.save(tmp_path / "b.jfif", "jpeg")
    image.save(tmp_path / "c.JPE", "jpeg")
    (tmp_path / "._IMG.jpg").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    (tmp_path / "notes.txt").write_text("no picture")
    assert [shown.name for shown in load_pictures(tmp_path, pairs=False, minimum_px=48)] == ["a", "b", "c"]
