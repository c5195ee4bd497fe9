"""TIFF files with more than one image: which one is the picture, and what is said about the others."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import gradient
from support.tiffs import Page, rgb_page, tiff

from restorect_cli.errors import InputError, OutputError
from restorect_cli.files import Job, Repairer
from restorect_cli.images import tiff as tiff_module
from restorect_cli.images.picture import WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.writing import encode

FULL, SMALL = gradient(40, 60), gradient(10, 15)


@pytest.mark.parametrize("big", [False, True])
def test_a_thumbnail_in_front_is_not_the_picture(big: bool) -> None:
    source = read(tiff(rgb_page(SMALL, subfile=1), rgb_page(FULL), big=big))
    np.testing.assert_array_equal(source.pixels, FULL)
    assert source.meta.frames == 1 and "thumbnail" in " ".join(source.meta.notes)


@pytest.mark.parametrize("big", [False, True])
def test_the_picture_may_lie_inside_the_thumbnails_directory(big: bool) -> None:
    front = rgb_page(SMALL, subfile=1)
    front.inside = [rgb_page(gradient(20, 30), subfile=1), rgb_page(FULL)]
    np.testing.assert_array_equal(read(tiff(front, big=big)).pixels, FULL)


def test_the_old_subfile_type_counts_too() -> None:
    front = rgb_page(SMALL, t255=(3, [2]))
    del front.tags[254]
    np.testing.assert_array_equal(read(tiff(front, rgb_page(FULL))).pixels, FULL)


def test_levels_of_a_pyramid_are_no_further_pictures() -> None:
    source = read(tiff(rgb_page(FULL), rgb_page(gradient(20, 30), subfile=1), rgb_page(SMALL, subfile=1)))
    np.testing.assert_array_equal(source.pixels, FULL)
    assert source.meta.frames == 1 and "smaller copies" in " ".join(source.meta.notes)


def test_pages_and_masks_are_counted() -> None:
    pages = [rgb_page(FULL, subfile=2), rgb_page(FULL, subfile=2), rgb_page(FULL[:, :, :1], subfile=4)]
    source = read(tiff(*pages))
    assert source.meta.frames == 3 and "holds 3 images" in source.meta.notes[0]


def test_a_file_of_thumbnails_alone_gives_the_first() -> None:
    np.testing.assert_array_equal(read(tiff(rgb_page(SMALL, subfile=1))).pixels, SMALL)


def test_layers_are_said_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "layers.tif"
    path.write_bytes(tiff(rgb_page(FULL, t37724=(7, b"Adobe Photoshop Document Data Block\0"))))
    assert "layers" in " ".join(read(path).meta.notes)
    repairer = Repairer.__new__(Repairer)  # its networks are not asked
    from restorect_cli.files import RepairSettings

    repairer.settings = RepairSettings(write=WriteOptions(overwrite=True))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="layers"):
        repairer.read(Job(path, path))
    assert path.read_bytes() == before


def test_a_bigtiff_whose_directory_lies_beyond_all_files_is_damaged() -> None:
    data = bytearray(tiff(rgb_page(FULL), big=True))
    data[8:16] = b"\xff" * 8
    with pytest.raises(InputError, match="damaged"):
        read(bytes(data))


def test_a_file_cut_to_its_thumbnail_is_damaged() -> None:
    front = rgb_page(SMALL, subfile=1)
    front.inside = [rgb_page(FULL)]
    for page in (tiff(rgb_page(SMALL, subfile=1), rgb_page(FULL)), tiff(front, rgb_page(FULL))):
        for cut in (40, 2000, len(page) - 700):
            with pytest.raises(InputError, match="damaged"):
                read(page[:-cut])


def test_directories_that_point_at_one_another_end() -> None:
    data = bytearray(tiff(rgb_page(SMALL)))
    first = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[first : first + 2], "little")
    data[first + 2 + 12 * count : first + 6 + 12 * count] = data[4:8]  # the next page is this one
    found = tiff_module.contents(bytes(data))
    assert found is not None and found.pictures == 1


def test_any_bytes_are_parsed_or_refused() -> None:
    rng = np.random.default_rng(5)
    front = rgb_page(SMALL, subfile=1)
    front.inside = [rgb_page(FULL)]
    whole = tiff(front, rgb_page(FULL))
    header = whole.index(b"\xfe\0\x04\0")  # a first field: NewSubfileType
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(4):
            data[int(rng.integers(0, len(data)))] = int(rng.integers(0, 256))
            data[header - 2 + int(rng.integers(0, 200))] = int(rng.integers(0, 256))
        tiff_module.contents(bytes(data))
    for size in range(0, len(whole), 97):
        tiff_module.contents(whole[:size])


# --- 64-bit floating point -----------------------------------------------------------------------------------------

DEEP = np.random.default_rng(1).random((9, 14, 3)) * 1.5 - 0.25


def deep_page(samples: np.ndarray, **more: tuple[int, list[int]]) -> Page:
    return rgb_page(samples.astype("<f8"), **more)


def test_float64_keeps_its_values() -> None:
    source = read(tiff(deep_page(DEEP)))
    np.testing.assert_array_equal(source.pixels, DEEP.astype(np.float32))
    assert source.meta.bits == 32
    np.testing.assert_array_equal(read(encode(source)).pixels, source.pixels)


def test_float64_grey_alpha_deflate_planes_and_turned() -> None:
    grey = deep_page(DEEP[:, :, :1])
    np.testing.assert_array_equal(read(tiff(grey)).pixels, DEEP[:, :, :1].astype(np.float32))
    packed = deep_page(DEEP, t259=(3, [8]))
    packed.data = zlib.compress(packed.data)
    np.testing.assert_array_equal(read(tiff(packed)).pixels, DEEP.astype(np.float32))
    turned = deep_page(DEEP, t274=(3, [3]))
    np.testing.assert_array_equal(read(tiff(turned)).pixels, DEEP[::-1, ::-1].astype(np.float32))
    alpha = deep_page(np.concatenate([DEEP, DEEP[:, :, :1]], 2), t338=(3, [2]))
    assert read(tiff(alpha)).alpha is not None


def test_float64_that_is_cut_short_is_damaged_and_one_too_large_refused() -> None:
    page = deep_page(DEEP)
    page.data = page.data[:-100]
    with pytest.raises(InputError, match="damaged"):
        read(tiff(page))
    with pytest.raises(InputError, match="megapixels"):
        read(tiff(deep_page(DEEP)), max_pixels=10)
    with pytest.raises(InputError, match="not numbers"):
        read(tiff(deep_page(DEEP * 1e300)))


def test_a_lost_inner_picture_leaves_a_thumbnail_that_is_not_taken_for_it() -> None:
    data = tiff(rgb_page(SMALL, subfile=1, t330=(4, [0x7FFFFFF0])))
    with pytest.raises(InputError, match="damaged.*thumbnail"):
        read(data)
    whole = read(tiff(rgb_page(FULL, t330=(4, [0x7FFFFFF0]))))
    np.testing.assert_array_equal(whole.pixels, FULL)
    assert "cut short" in " ".join(whole.meta.notes)


def test_lab_behind_a_thumbnail_is_converted() -> None:
    lab = np.full((16, 24, 3), (128, 128, 128), np.uint8)
    page = rgb_page(lab)
    page.tags[262] = (3, [9])
    alone, behind = read(tiff(page)), read(tiff(rgb_page(SMALL, subfile=1), page))
    np.testing.assert_array_equal(behind.pixels, alone.pixels)
    assert "converted from ICCLab to sRGB" in behind.meta.notes
