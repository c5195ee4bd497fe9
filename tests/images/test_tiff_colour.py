"""TIFF files in YCbCr and Lab come out in true colours; those of high dynamic range are refused with the reason."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from conftest import gradient, noise
from support.cases import case
from support.tiff_fields import RATIONAL, SHORT, SRATIONAL, Array, picture_fields, plain, tiff

from restorect_cli.errors import InputError
from restorect_cli.images.picture import WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.tiff_colour import lab_to_srgb
from restorect_cli.images.writing import encode

LUMA_601, LUMA_709 = (0.299, 0.587, 0.114), (0.2126, 0.7152, 0.0722)
FULL, VIDEO = (0, 255, 128, 255, 128, 255), (16, 235, 128, 240, 128, 240)


def ycbcr(rgb: Array, luma: tuple[float, ...], levels: tuple[int, ...]) -> Array:
    """TIFF 6.0 §21, H×W×3 uint8 → float samples before rounding."""
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    y = luma[0] * red + luma[1] * green + luma[2] * blue
    cb, cr = (blue - y) / (2 - 2 * luma[2]), (red - y) / (2 - 2 * luma[0])
    black, white = levels[0::2], levels[1::2]
    planes = [y / 255, cb / 127, cr / 127]
    return np.stack([b + p * (w - b) for p, b, w in zip(planes, black, white, strict=True)], axis=2)


def fields(
    luma: tuple[float, ...], levels: tuple[int, ...], sampling: tuple[int, int]
) -> dict[int, tuple[int, object]]:
    coefficients = (RATIONAL, [(round(c * 10000), 10000) for c in luma])
    return {0x0211: coefficients, 0x0212: (SHORT, list(sampling)), 0x0214: (RATIONAL, [(v, 1) for v in levels])}


@pytest.mark.parametrize("luma", [LUMA_601, LUMA_709])
@pytest.mark.parametrize("levels", [FULL, VIDEO])
@pytest.mark.parametrize("sampling", [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)])
def test_ycbcr_without_jpeg(luma: tuple[float, ...], levels: tuple[int, ...], sampling: tuple[int, int]) -> None:
    h, v = sampling
    rgb = gradient(16 // v, 16 // h).repeat(v, axis=0).repeat(h, axis=1)  # constant within a block of one colour
    planes = np.clip(np.rint(ycbcr(rgb, luma, levels)), 0, 255).astype(np.uint8)
    units = []
    for y in range(0, 16, v):
        for x in range(0, 16, h):
            units += [planes[y : y + v, x : x + h, 0].tobytes(), planes[y, x, 1:].tobytes()]
    file = tiff(b"".join(units), {**picture_fields(16, 16, 8, 3, 6), **fields(luma, levels, sampling)})
    source = read(file)
    assert source.meta.bits == 8 and np.abs(source.pixels.astype(int) - rgb).max() <= 4
    assert source.meta.notes == ()


def test_ycbcr_is_turned_once() -> None:
    rgb = gradient(8, 16)
    planes = np.clip(np.rint(ycbcr(rgb, LUMA_601, FULL)), 0, 255).astype(np.uint8)
    file = plain(planes, 6, {**fields(LUMA_601, FULL, (1, 1)), 0x0112: (SHORT, 6)})
    assert np.abs(read(file).pixels.astype(int) - np.rot90(rgb, -1)).max() <= 4


def lab(rgb: Array) -> Array:
    """sRGB → CIE Lab relative to D50, by the matrix that everyone publishes."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    scaled = linear @ np.array(matrix).T / [0.96422, 1.0, 0.82521]
    f = np.where(scaled > 216 / 24389, np.cbrt(scaled), (24389 / 27 * scaled + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def test_lab_to_srgb_is_the_inverse() -> None:
    colours = noise(20, 20, 3, "float32")
    np.testing.assert_allclose(lab_to_srgb(lab(colours.astype(float))), colours, atol=3e-3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_icc_lab(dtype: str, order: str, big: bool) -> None:
    rgb = gradient(12, 9, 3, "float32").astype(float) * 0.8 + 0.1
    full = np.iinfo(dtype).max
    values = lab(rgb) * [full / 100, (full + 1) / 256, (full + 1) / 256] + [0, (full + 1) / 2, (full + 1) / 2]
    source = read(plain(np.rint(values).astype(dtype), 9, order=order, big=big))
    np.testing.assert_allclose(source.pixels / full, rgb, atol=0.03 if dtype == "uint8" else 2e-3)
    assert source.meta.notes == ("converted from ICCLab to sRGB",) and source.pixels.dtype == dtype


@pytest.mark.parametrize("ranges", [None, [(0, 1), (100, 1), (-128, 1), (127, 1), (-128, 1), (127, 1)]])
def test_itu_lab(ranges: list[tuple[int, int]] | None) -> None:
    rgb = gradient(12, 9, 3, "float32").astype(float) * 0.3 + 0.4
    least, most = ([0, -128, -128], [100, 127, 127]) if ranges else ([0, -85, -75], [100, 85, 125])
    values = (lab(rgb) - least) / (np.array(most) - least) * 255
    file = plain(np.rint(values).astype(np.uint8), 10, {0x01B1: (SRATIONAL, ranges)} if ranges else {})
    np.testing.assert_allclose(read(file).pixels / 255, rgb, atol=0.03)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_cie_lab(dtype: str) -> None:
    rgb = gradient(12, 9, 3, "float32").astype(float) * 0.8 + 0.1
    scale = 1 if dtype == "int8" else 256
    bright = 255 / 100 if dtype == "int8" else 65535 / 100
    values = np.rint(lab(rgb) * [bright, scale, scale]).astype(np.int64)
    wrapped = values.astype(np.uint8 if dtype == "int8" else np.uint16)
    source = read(plain(wrapped, 8))
    assert source.meta.notes == ("converted from CIELab to sRGB",)
    np.testing.assert_allclose(source.pixels / np.iinfo(source.pixels.dtype).max, rgb, atol=0.03)


@pytest.mark.parametrize(("photometric", "reason"), [(32844, "LogL "), (32845, "LogLuv ")])
def test_light_in_logarithms_is_refused_with_the_reason(photometric: int, reason: str) -> None:
    bands = 1 if photometric == 32844 else 3
    file = plain(noise(4, 4, bands, "uint16"), photometric, {0x0103: (SHORT, 34676)})
    with pytest.raises(InputError, match=f"{reason}.* not supported"):
        read(file)


def test_other_inks_and_deep_ycbcr_are_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match="inks are others"):
        read(plain(noise(4, 4, 4), 5, {0x014C: (SHORT, 2)}))
    with pytest.raises(InputError, match="YCbCr samples are of other than 8 bits"):
        read(plain(noise(4, 4, 3, "uint16"), 6))


@pytest.mark.parametrize("photometric", [6, 9, 10])
def test_cut_files_are_refused(photometric: int) -> None:
    whole = plain(noise(16, 16), photometric)
    cut = whole[:8] + whole[400:]
    with pytest.raises(InputError):
        read(cut)


def test_an_absurd_resolution_is_none() -> None:
    source = read(plain(noise(4, 4), 2, {0x011A: (RATIONAL, [(4000000000, 1)]), 0x011B: (RATIONAL, [(1, 1)])}))
    assert source.meta.dpi is None and read(encode(source, WriteOptions(format="png"))).meta.dpi is None


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_cut_ycbcr_is_refused_quietly(part: float, capfd: pytest.CaptureFixture[str]) -> None:
    file = plain(noise(32, 32), 6)
    fields_first = tiff_with_fields_first(file, len(file) - int(part * 32 * 32 * 3))
    with pytest.raises(InputError, match="damaged or cut short"):
        read(fields_first)
    assert capfd.readouterr() == ("", "")


def tiff_with_fields_first(file: bytes, start: int) -> bytes:
    """The file with its strip said to begin so late that it runs past the end."""
    fields = {0x0111: struct.pack("<I", start)}
    out = bytearray(file)
    at = struct.unpack_from("<I", file, 4)[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", file, at)[0], 12):
        tag = struct.unpack_from("<H", file, entry)[0]
        if tag in fields:
            out[entry + 8 : entry + 12] = fields[tag]
    return bytes(out)


def test_cases() -> None:
    red = read(case("ycbcr-uncompressed.tif")).pixels[0, 0]
    assert red[0] > 250 and red[1:].max() < 5
    assert read(case("icclab.tif")).meta.notes == ("converted from ICCLab to sRGB",)
