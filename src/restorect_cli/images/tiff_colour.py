"""TIFF files whose samples are neither grey, RGB, palette nor CMYK: YCbCr and Lab.

YCbCr without JPEG goes through libtiff's own conversion (Pillow's), which knows the file's sampling, coefficients and
reference levels. The kinds of Lab, of which libvips reads some raw and others not at all, are decoded as
if RGB and converted here: TIFF 6.0 §23, Adobe's TIFF Technical Notes (ICCLab), TIFF-FX (RFC 3949 §5.3.1). Lab is
relative to D50.
"""

from __future__ import annotations

import io
import mmap
import struct
import warnings
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cicp, exif
from .picture import FULL_SCALE, Pixels, to_depth
from .vips import from_vips, pyvips

Data = bytes | mmap.mmap

RGB, CMYK, YCBCR, CIE_LAB, ICC_LAB, ITU_LAB = 2, 5, 6, 8, 9, 10
LABS = {CIE_LAB: "CIELab", ICC_LAB: "ICCLab", ITU_LAB: "ITULab"}
REFUSED = {32844: "LogL (light in steps of its logarithm)", 32845: "LogLuv (HDR light in steps of its logarithm)"}
PHOTOMETRIC, COMPRESSION, INK_SET, DECODE = 0x0106, 0x0103, 0x014C, 0x01B1
JPEG = (6, 7)  # compressions whose YCbCr libtiff turns into RGB while it decodes
ITU_RANGES = (0.0, 100.0, -85.0, 85.0, -75.0, 125.0)  # where the file has no Decode field
ROWS_AT_ONCE = 256

_READING = Lock()


def refusal(file: Data) -> str:
    """Why the colours of this TIFF cannot be read, in the user's words; empty where they can."""
    kind = exif.number(file, PHOTOMETRIC)
    if kind in REFUSED:
        return f"its samples are {REFUSED[kind]}, which is not supported"
    if kind == CMYK and exif.number(file, INK_SET) == 2:
        return "its inks are others than cyan, magenta, yellow and black, which is not supported"
    if kind == YCBCR and exif.number(file, COMPRESSION) not in JPEG and exif.number(file, 0x0102) != 8:
        return "its YCbCr samples are of other than 8 bits, which is not supported"
    if kind in LABS and exif.number(file, 0x0102) not in (8, 16):
        return f"its {LABS[kind]} samples are of other than 8 or 16 bits, which is not supported"
    return ""


def own_kind(file: Data) -> str:
    """The name of the colours if they are read here, else empty."""
    kind = exif.number(file, PHOTOMETRIC)
    if kind == YCBCR:
        return "YCbCr" if exif.number(file, COMPRESSION) not in JPEG else ""
    return LABS.get(kind or 0, "")


def samples(file: Data) -> Pixels:
    """sRGB or, of YCbCr, the file's RGB, as stored (not turned), alpha last; 8 or 16 bits as in the file.

    For files that `own_kind` names. Raises pyvips.Error, OSError, ValueError and SyntaxError for damaged ones.
    """
    kind = exif.number(file, PHOTOMETRIC)
    if kind == YCBCR:
        return _through_libtiff(file)
    raw = from_vips(as_rgb(file))
    if raw.shape[2] not in (3, 4) or raw.dtype not in (np.uint8, np.uint16):
        raise ValueError("not three Lab channels of 8 or 16 bits")
    decode = exif.rationals(file, DECODE) or ITU_RANGES
    out = np.empty_like(raw)
    for y in range(0, len(raw), ROWS_AT_ONCE):
        rows = raw[y : y + ROWS_AT_ONCE]
        lab = _itu_lab(rows[..., :3], decode) if kind == ITU_LAB else _lab(rows[..., :3], is_signed=kind == CIE_LAB)
        out[y : y + ROWS_AT_ONCE, :, :3] = to_depth(lab_to_srgb(lab), raw.dtype.itemsize * 8)
        out[y : y + ROWS_AT_ONCE, :, 3:] = rows[..., 3:]
    return out


def _lab(raw: Pixels, is_signed: bool) -> NDArray[np.float64]:
    """Of CIELab, whose a and b are signed, and ICCLab, where the middle is zero; of 16 bits, 8 follow the point."""
    step, middle = 1 << (raw.dtype.itemsize * 8 - 8), 1 << (raw.dtype.itemsize * 8 - 1)
    lab = raw.astype(np.float64)
    lab[..., 0] *= 100 / FULL_SCALE[raw.dtype.itemsize * 8]
    zero_in_the_middle = raw[..., 1:] ^ raw.dtype.type(middle if is_signed else 0)
    lab[..., 1:] = (zero_in_the_middle.astype(np.float64) - middle) / step
    return lab


def _itu_lab(raw: Pixels, ranges: tuple[float, ...]) -> NDArray[np.float64]:
    if len(ranges) != 6:
        raise ValueError("the Decode field is not of three ranges")
    least, most = np.array(ranges[0::2]), np.array(ranges[1::2])
    lab: NDArray[np.float64] = least + raw / FULL_SCALE[raw.dtype.itemsize * 8] * (most - least)
    return lab


def lab_to_srgb(lab: NDArray[np.float64]) -> NDArray[np.float32]:
    """CIE Lab relative to D50 → sRGB in [0, 1], what lies outside clipped."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * np.array(cicp.D50_XYZ)
    linear = np.clip(xyz @ np.linalg.inv(cicp.rgb_to_xyz(1)).T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    srgb: NDArray[np.float32] = encoded.astype(np.float32)
    return srgb


def as_rgb(file: Data) -> Any:
    """The libvips image of a Lab file whose samples are taken for RGB. Raises pyvips.Error."""
    patched = _with_numbers(file, {PHOTOMETRIC: RGB})
    return pyvips.Image.tiffload_buffer(patched, access="sequential", fail_on="error")


def _through_libtiff(file: Data) -> Pixels:
    from PIL import Image, TiffImagePlugin

    _check_strips(file)
    upright = _with_numbers(file, {exif.ORIENTATION: 1})  # Pillow would turn it; the caller does
    with _READING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tags that it does not like, and of sizes, which are checked before
        before = TiffImagePlugin.READ_LIBTIFF
        TiffImagePlugin.READ_LIBTIFF = True  # its own decoder of uncompressed files ignores sampling and coefficients
        try:
            with Image.open(io.BytesIO(upright), formats=["TIFF"]) as image:
                return np.asarray(image.convert("RGB"))
        except Image.DecompressionBombError as error:
            raise ValueError(str(error)) from None
        finally:
            TiffImagePlugin.READ_LIBTIFF = before


def _check_strips(file: Data) -> None:
    """That the pixels are all there: libtiff prints where they are not. Raises ValueError."""
    starts = exif.numbers(file, 0x0111) or exif.numbers(file, 0x0144)  # of strips, of tiles
    sizes = exif.numbers(file, 0x0117) or exif.numbers(file, 0x0145)
    is_whole = bool(starts) and len(starts) == len(sizes) and min(sizes) > 0
    if not is_whole or any(start + size > len(file) for start, size in zip(starts, sizes, strict=True)):
        raise ValueError("the pixels are not all there")


def _with_numbers(file: Data, numbers: dict[int, int]) -> bytes:
    """A copy of the file in which these fields of the first directory, where they are, have other values."""
    copy = bytearray(file[:])
    order = exif.byte_order(copy)
    for entry in exif.entries(copy, exif.first_offset(copy)):
        if entry.tag in numbers and entry.type in (3, 4) and entry.count == 1:
            struct.pack_into(order + ("H" if entry.type == 3 else "I"), copy, entry.value, numbers[entry.tag])
    return bytes(copy)
