"""Which colours the pixels of a file are in: its ICC profile or what it tells otherwise, used, converted or explained.

A profile that converts both ways is used. One that only describes what the pixels look like (a scanner's table without
its reverse) serves once: the pixels become sRGB. Any other one is left out, with the true reason.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .cicp import SRGB, UnsupportedColourError, cicp_of_avif, told_by_cicp, told_by_png
from .icc import BadProfileError, Profile, check
from .picture import Pixels, to_depth

SPACES = {
    **{b"RGB ": "RGB", b"GRAY": "grey", b"CMYK": "CMYK", b"Lab ": "Lab", b"XYZ ": "XYZ", b"YCbr": "YCbCr"},
    **{b"HSV ": "HSV", b"HLS ": "HLS", b"CMY ": "CMY", b"Luv ": "Luv", b"Yxy ": "Yxy"},
}
NOT_OF_PIXELS = {b"link": "a device link", b"abst": "an abstract profile", b"nmcl": "a list of named colours"}
AS_SRGB = "the colours are taken as sRGB"
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Colour:
    """What the result is told of its colours, beside the pixels."""

    icc: bytes | None
    cicp: tuple[int, int] | None = None  # from which `icc` was made: primaries and transfer of H.273
    png_chunks: bytes = b""  # gAMA, cHRM and sRGB of a PNG; `icc` was made from them where there is no `own_icc`
    has_own_icc: bool = False
    notes: tuple[str, ...] = ()


def of_file(
    name: str, format: str, file: bytes | mmap.mmap, icc: bytes | None, pixels: Pixels
) -> tuple[Pixels, Colour]:
    """As `settle`, for the file of this name. Raises InputError for colours that cannot be restored."""
    try:
        return settle(format, file, icc, pixels)
    except UnsupportedColourError as error:
        advice = "convert it to SDR first, or develop it as TIFF or JPEG"
        raise InputError(f"cannot read {name}, {error}", advice) from None


def settle(format: str, file: bytes | mmap.mmap, icc: bytes | None, pixels: Pixels) -> tuple[Pixels, Colour]:
    """The pixels (H×W×1 or 3) and what describes them; converted to sRGB where nothing else is possible.

    Raises cicp.UnsupportedColourError for colours of high dynamic range.
    """
    bands = pixels.shape[2]
    if format == "png":
        told = told_by_png(file, bands)
        if icc is None or told.cicp is not None:
            return pixels, Colour(told.icc, told.cicp, told.chunks, notes=(told.note,) if told.note else ())
        pixels, icc, note = fitted(icc, pixels)
        return pixels, Colour(icc, None, told.chunks if not note else b"", True, (note,) if note else ())
    if format in ("avif", "heif") and icc is None:
        told = told_by_cicp(*(cicp_of_avif(file) or SRGB), bands)
        return pixels, Colour(told.icc, told.cicp if told.icc else None)
    if icc is None:
        return pixels, Colour(None)
    pixels, icc, note = fitted(icc, pixels)
    return pixels, Colour(icc, has_own_icc=icc is not None, notes=(note,) if note else ())


def fitted(icc: bytes, pixels: Pixels) -> tuple[Pixels, bytes | None, str]:
    """(pixels, profile, note): the profile as it is, or None with pixels in sRGB and the reason."""
    bands = pixels.shape[2]
    reason = mismatch(icc, bands)
    if reason == "" or (bands == 1 and icc[16:20] == b"RGB "):
        try:
            profile = Profile(icc, bands if reason == "" else 3)
        except BadProfileError:
            return pixels, None, f"the colour profile is damaged; {AS_SRGB}"
        if reason == "" and profile.has_reverse:
            return pixels, icc, ""
        why = reason or "the colour profile converts one way only"
        return _to_srgb(profile, pixels), None, f"{why}; the picture was converted to sRGB"
    return pixels, None, f"{reason}; {AS_SRGB}"


def mismatch(icc: bytes, bands: int) -> str:
    """Why a profile does not describe pixels of so many bands; empty where it does. ICC.1:2022 §7.2."""
    if len(icc) < 132 or icc[36:40] != b"acsp":
        return "the colour profile is damaged"
    kind, space = icc[12:16], icc[16:20]
    if kind in NOT_OF_PIXELS:
        return f"the colour profile is {NOT_OF_PIXELS[kind]}, which describes no pixels"
    wanted = b"GRAY" if bands == 1 else b"RGB "
    if space != wanted:
        name = SPACES.get(space, "other pixels")
        return f"the colour profile is for {name} and the pixels are {SPACES[wanted]}"
    return ""


def describes(icc: bytes, space: bytes) -> bool:
    """Whether the profile converts pixels of this space (b"CMYK" and the like) to sRGB."""
    try:
        check(icc, SPACES[space])
    except BadProfileError:
        return False
    return icc[16:20] == space


def _to_srgb(profile: Profile, pixels: Pixels) -> Pixels:
    """The pixels in sRGB, in their own depth and number of bands."""
    if profile.is_srgb:
        return pixels
    bits = pixels.dtype.itemsize * 8
    converted = np.empty_like(pixels)
    for y in range(0, len(pixels), ROWS_AT_ONCE):
        rows = pixels[y : y + ROWS_AT_ONCE]
        if rows.shape[2] < profile.bands:
            rows = np.repeat(rows, profile.bands, axis=2)
        srgb = profile.to_srgb(rows)
        if pixels.shape[2] == 1:
            srgb = srgb.mean(axis=2, keepdims=True, dtype=np.float32)
        converted[y : y + ROWS_AT_ONCE] = to_depth(srgb, bits)
    return converted
