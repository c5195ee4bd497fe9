"""Netpbm files of every kind keep their depth."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import gradient, noise
from support.cases import case

from restorect_cli.errors import InputError
from restorect_cli.images.picture import WriteOptions
from restorect_cli.images.reading import MAX_PIXELS, read
from restorect_cli.images.writing import encode


@pytest.mark.parametrize("maximum", [1, 15, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6", "P7 1", "P7 2", "P7 3", "P7 4"])
def test_integers_of_every_maximum(magic: str, maximum: int) -> None:
    bands = {"P2": 1, "P5": 1}.get(magic[:2], int(magic[3:]) if magic.startswith("P7") else 3)
    stored = np.random.default_rng(0).integers(0, maximum + 1, (7, 5, bands))
    stored[0, 0] = maximum
    kind = ">u2" if maximum > 255 else "u1"
    if magic in ("P2", "P3"):
        body = "\n".join(map(str, stored.ravel())).encode()
    else:
        body = stored.astype(kind).tobytes()
    if magic.startswith("P7"):
        head = f"P7\n# a comment\nWIDTH 5\nHEIGHT 7\nDEPTH {bands}\nMAXVAL {maximum}\nENDHDR\n"
    else:
        head = f"{magic}\n# a comment 9 9\n5 7 # another\n{maximum}\n"
    source = read(head.encode() + body)
    full = 255 if maximum <= 255 else 65535
    expected = np.floor(stored * full / maximum + 0.5).astype(np.uint8 if full == 255 else np.uint16)
    has_alpha = bands in (2, 4)
    np.testing.assert_array_equal(source.pixels, expected[..., :-1] if has_alpha else expected)
    assert source.pixels.dtype == expected.dtype and source.meta.sample_bits == maximum.bit_length()
    if has_alpha:
        assert source.alpha is not None
        np.testing.assert_array_equal(source.alpha, expected[..., -1])


@pytest.mark.parametrize("target", ["png", "tiff"])
def test_sixteen_bits_reach_the_result(target: str) -> None:
    pixels = noise(9, 13, 3, "uint16")
    source = read(b"P6 13 9 65535\n" + pixels.astype(">u2").tobytes())
    np.testing.assert_array_equal(read(encode(source, WriteOptions(format=target))).pixels, pixels)


@pytest.mark.parametrize("binary", [False, True])
def test_bitmaps_of_one_bit(binary: bool) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (7, 13), np.uint8)
    if binary:
        file = b"P4\n13 7\n" + np.packbits(bits, axis=1).tobytes()
    else:
        file = b"P1\n13 7\n" + b"\n".join(b"".join(b"%d" % b for b in row) for row in bits)
    np.testing.assert_array_equal(read(file).pixels[..., 0], 255 - 255 * bits)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_float(bands: int, order: str) -> None:
    pixels = gradient(6, 4, bands, "float32") * 2 - np.float32(0.5)
    magic = "PF" if bands == 3 else "Pf"
    head = f"{magic}\n4 6\n{'-1.0' if order == '<' else '1.0'}\n".encode()
    source = read(head + pixels[::-1].astype(order + "f4").tobytes())
    np.testing.assert_array_equal(source.pixels, pixels)
    assert source.meta.bits == 32
    np.testing.assert_array_equal(read(encode(source, WriteOptions(format="tiff"))).pixels, pixels)


@pytest.mark.parametrize(
    "file",
    [
        b"P6\n",
        b"P6\n4 4\n255\n" + bytes(47),
        b"P5\n4 4\n65536\n" + bytes(64),
        b"P5\n4 4\n0\n" + bytes(64),
        b"P5\n-4 4\n255\n" + bytes(64),
        b"P5\n4 4\n100\n" + b"\xff" * 16,
        b"P2\n2 2\n9\n1 2 3",
        b"P2\n2 2\n9\n1 2 3 x",
        b"P1\n2 2\n012",
        b"P7\nWIDTH 4\nHEIGHT 4\nDEPTH 3\nMAXVAL 255\n" + bytes(99),
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n" + bytes(99),
        b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 5\nMAXVAL 255\nENDHDR\n" + bytes(99),
        b"PF\n1 1\n0\n" + bytes(12),
        b"PF\n1 1\nnan\n" + bytes(12),
        b"PF\n1 1\nx\n" + bytes(12),
    ],
)
def test_damaged_ones_are_refused(file: bytes) -> None:
    with pytest.raises(InputError, match="damaged or cut short"):
        read(file)


def test_floats_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="not numbers"):
        read(b"Pf\n1 1\n-1\n" + np.array([np.nan], "<f4").tobytes())


def test_the_size_is_checked_first() -> None:
    with pytest.raises(InputError, match="megapixels"):
        read(b"P6\n100000 100000\n255\n", max_pixels=MAX_PIXELS)


def test_a_second_picture_is_said() -> None:
    one = b"P5\n2 2\n255\n" + bytes(4)
    assert read(one).meta.frames == 1
    assert read(one + one).meta.frames == 2 and "several images" in read(one + one).meta.notes[0]


def test_the_case_of_16_bits() -> None:
    assert read(case("ppm16.ppm")).pixels.dtype == np.uint16
