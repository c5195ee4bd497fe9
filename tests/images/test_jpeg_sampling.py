"""The sampling of a JPEG's colours is kept, whichever it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from conftest import DISPLAY_P3_LIKE, gradient, pillow
from PIL import Image
from support.cases import case

from restorect_cli.images import jpeg_sampling
from restorect_cli.images.containers import jpeg_quality
from restorect_cli.images.picture import WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.writing import encode

SAMPLINGS = [(2, 1), (1, 2), (4, 1), (4, 2), (2, 4), (1, 4)]


def of(file: bytes) -> tuple[int, int] | None:
    return read(file).meta.jpeg_sampling


@pytest.mark.parametrize(("option", "expected"), [(0, (1, 1)), (1, (2, 1)), (2, (2, 2))])
def test_sampling_is_read_and_written(option: int, expected: tuple[int, int]) -> None:
    file = pillow(gradient(40, 33), "jpeg", quality=85, subsampling=option)
    assert of(file) == expected
    assert of(encode(read(file))) == expected


@pytest.mark.parametrize("sampled", SAMPLINGS)
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (37, 53), (65, 31)])
def test_every_sampling_is_read_alike_by_two_decoders(sampled: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = gradient(*size)
    file = jpeg_sampling.encode(pixels, sampled, 90, None)
    assert of(file) == sampled and jpeg_quality(file) == 90
    own = read(file).pixels.astype(int)
    with Image.open(io.BytesIO(file)) as image:
        other = np.asarray(image.convert("RGB")).astype(int)
    assert own.shape == pixels.shape and np.abs(own - other).max() <= 4
    if min(size) >= 16:
        assert np.abs(own - pixels).mean() < 4  # colours are smooth here
    assert of(encode(read(file))) == sampled


def test_colours_are_not_moved() -> None:
    blocks = np.zeros((32, 32, 3), np.uint8)
    blocks[:, :16], blocks[:, 16:] = (200, 40, 40), (40, 40, 200)
    for sampled in SAMPLINGS:
        again = read(jpeg_sampling.encode(blocks, sampled, 95, None)).pixels.astype(int)
        assert np.abs(again - blocks)[:, [2, 8, 23, 29]].max() <= 6


def test_profile_and_quality_are_kept_too() -> None:
    file = pillow(gradient(40, 33), "jpeg", quality=83, subsampling=1, icc_profile=DISPLAY_P3_LIKE)
    again = read(encode(read(file))).meta
    assert (again.icc, again.jpeg_quality, again.jpeg_sampling) == (DISPLAY_P3_LIKE, 83, (2, 1))


def test_large_profiles_are_divided() -> None:
    profile = DISPLAY_P3_LIKE + bytes(150000)
    file = jpeg_sampling.encode(gradient(8, 8), (2, 1), 90, profile)
    with Image.open(io.BytesIO(file)) as image:
        assert image.info["icc_profile"] == profile


def test_a_quality_that_is_asked_for_goes_before_the_sampling() -> None:
    file = pillow(gradient(40, 33), "jpeg", subsampling=1)
    assert of(encode(read(file), WriteOptions(quality=95))) == (1, 1)


def test_of_a_turned_picture_it_turns() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert of(pillow(gradient(40, 33), "jpeg", subsampling=1, exif=exif)) == (1, 2)


def test_grey_has_none() -> None:
    assert of(pillow(gradient(8, 8, 1), "jpeg")) is None


def test_the_case_of_422() -> None:
    source = read(case("chroma-422.jpg"))
    assert source.meta.jpeg_sampling == (2, 1) and of(encode(source)) == (2, 1)
