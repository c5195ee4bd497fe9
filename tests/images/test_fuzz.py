"""Mutated image files: whatever comes, the outcome is a picture or one clear line, soon.

Bounded in count (MUTATIONS of every seed) and in time (SECONDS in all); the mutations are the same in every run.
"""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import DISPLAY_P3_LIKE, XMP, exif_block, noise, pillow, save
from PIL import Image
from support.jpegs import mpo, ultra_hdr
from support.tiff_fields import plain
from support.tiffs import dng, mosaic, rgb_page, tiff

from restorect_cli.errors import InputError
from restorect_cli.images.picture import Picture, WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.writing import encode

MUTATIONS = 60
SECONDS = 60.0
MAX_PIXELS = 1_000_000

RGB = Image.fromarray(noise(24, 40))
TAGS = {"exif": b"Exif\0\0" + exif_block(6), "icc_profile": DISPLAY_P3_LIKE}
SEEDS = {
    "jpeg": save(RGB, "jpeg", xmp=XMP, dpi=(300, 300), **TAGS),
    "jpeg progressive": save(RGB, "jpeg", progressive=True),
    "jpeg cmyk": save(RGB.convert("CMYK"), "jpeg"),
    "png": save(RGB, "png", **TAGS),
    "png palette": save(RGB.quantize(16), "png", transparency=1),
    "png 16": save(Image.fromarray(noise(24, 40, 1, "uint16")[..., 0]), "png"),
    "tiff": save(RGB, "tiff", **TAGS),
    "tiff lzw": save(RGB, "tiff", compression="tiff_lzw"),
    "tiff float": save(Image.fromarray(noise(24, 40, 1, "float32")[..., 0]), "tiff"),
    "webp": save(RGB, "webp", xmp=XMP, **TAGS),
    "webp lossless": pillow(noise(24, 40, 4), "webp", lossless=True),
    "avif": save(RGB, "avif", xmp=XMP, **TAGS),
    "gif": save(RGB.quantize(16), "gif", save_all=True, append_images=[RGB.rotate(90).quantize(8)]),
    "bmp": save(RGB, "bmp"),
    "ppm": save(RGB, "ppm"),
    "jpeg ultra hdr": ultra_hdr(video=True),
    "jpeg mpo": mpo(0x020002, 0x010001),
    "tiff thumbnail first": tiff(rgb_page(noise(6, 10), subfile=1), rgb_page(noise(24, 40))),
    "tiff float64": tiff(rgb_page(noise(24, 40, dtype="float32").astype("<f8"))),
    **({"dng": dng(mosaic(noise(24, 40, dtype="float32")))} if find_spec("rawpy") else {}),
    "pam 16": b"P7\nWIDTH 4\nHEIGHT 4\nDEPTH 4\nMAXVAL 999\nTUPLTYPE RGB_ALPHA\nENDHDR\n" + bytes(128),
    "pfm": b"PF\n4 4\n-1\n" + bytes(192),
    "tiff lab": plain(noise(8, 8), 10),
    "tiff ycbcr": plain(noise(8, 8), 6),
    "bigtiff": plain(noise(8, 8), 2, {0x010F: (2, b"A maker of cameras\0"), 0x0112: (3, 6)}, big=True),
    "jpeg 4:2:2": save(RGB, "jpeg", subsampling=1),
}

HOLD_MORE = ("jpeg ultra hdr", "jpeg mpo")  # the picture may be whole and what is behind it cut


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four of: bytes changed (mostly in the headers), cut off, doubled, taken out, or filled with one value."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        reach = min(len(out), 64 if rng.random() < 0.4 else len(out))
        if reach < 2:
            break
        at, size = int(rng.integers(0, reach)), int(rng.integers(1, 32))
        kind = int(rng.integers(0, 6))
        if kind <= 1:
            out[at] = int(rng.integers(0, 256))
        elif kind == 2:
            del out[at + size :]
        elif kind == 3:
            out[at:at] = out[at : at + size]
        elif kind == 4:
            del out[at : at + size]
        else:
            out[at : at + size] = bytes([int(rng.choice([0, 1, 127, 128, 255]))]) * len(out[at : at + size])
    return bytes(out)


def check(picture: Picture) -> None:
    """A picture that came out is sound, and can be written."""
    height, width, bands = picture.pixels.shape
    assert (height, width) == (picture.meta.height, picture.meta.width)
    assert bands in (1, 3) and 0 < height * width <= MAX_PIXELS
    assert picture.alpha is None or picture.alpha.shape == (height, width)
    for target in ("png", "jpeg") if picture.meta.bits < 32 else ("tiff",):
        again = read(encode(picture, WriteOptions(format=target, strip="gps")), max_pixels=MAX_PIXELS)
        if target != "jpeg":
            np.testing.assert_array_equal(again.pixels, picture.pixels)


@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files(name: str) -> None:
    rng = np.random.default_rng([7, *name.encode()])
    start = time.monotonic()
    for number in range(MUTATIONS):
        data = mutate(SEEDS[name], rng)
        try:
            picture = read(data, max_pixels=MAX_PIXELS)
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 400, (name, number)
            continue
        check(picture)
        if time.monotonic() - start > SECONDS / len(SEEDS):
            break


@pytest.mark.parametrize("name", SEEDS)
def test_cut_files_never_pass_for_whole(name: str) -> None:
    data = save(RGB, "gif") if name == "gif" else SEEDS[name]  # of an animation the first frame may be whole
    for part in (0.1, 0.3, 0.5, 0.7, 0.9):
        try:
            notes = " ".join(read(data[: int(len(data) * part)], max_pixels=MAX_PIXELS).meta.notes)
        except InputError:
            continue
        assert name in HOLD_MORE and ("cut short" in notes or "damaged" in notes), part


@pytest.mark.parametrize(
    "head", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"RIFF\0\0\0\0WEBP", b"BM", b"P6 ", b"GIF89a"]
)
def test_noise_behind_a_right_signature(head: bytes) -> None:
    rng = np.random.default_rng(1)
    for size in (0, 1, 7, 100, 5000):
        with pytest.raises(InputError):
            read(head + rng.bytes(size), max_pixels=MAX_PIXELS)
