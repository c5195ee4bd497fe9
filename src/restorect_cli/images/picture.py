"""What an image file is in memory, and how it should be written. Data only; no codec is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError, UsageError
from ..names import FORMATS, WRITABLE, Depth, Format, Strip

Pixels = NDArray[Any]  # uint8, uint16 or float32

# format -> the depths it holds, deepest last (32 is float)
DEPTHS: dict[str, tuple[int, ...]] = {
    "jpeg": (8,),
    "png": (8, 16),
    "tiff": (8, 16, 32),
    "webp": (8,),
    "avif": (8, 16),
}

DTYPES: dict[int, type[np.uint8] | type[np.uint16] | type[np.float32]] = {8: np.uint8, 16: np.uint16, 32: np.float32}
FULL_SCALE: dict[int, int] = {8: 255, 16: 65535}


@dataclass(frozen=True)
class GainMap:
    """How much brighter an HDR screen shows each place of a picture; see gainmap."""

    file: bytes  # a JPEG with the metadata that says how to use it; upright
    xmp_version: str | None  # hdrgm:Version of the picture's own XMP, by which Ultra HDR is recognised
    iso: bytes | None  # the picture's own ISO 21496-1 block: the versions


@dataclass(frozen=True)
class Meta:
    """Facts of the file beside its pixels. Everything is as after reading: upright, CMYK and palette resolved."""

    format: str  # one of READABLE
    width: int  # pixels, upright
    height: int
    bits: int  # 8, 16 or 32 (float) per sample of `Picture.pixels`

    # what the pixels are
    is_grey: bool = False
    has_alpha: bool = False
    sample_bits: int = 8  # as stored: 1 for a bilevel file, 10 or 12 for a deep AVIF

    # carried into the result
    icc: bytes | None = None  # a profile that was proved to work on these pixels
    has_own_icc: bool = False  # the file's; otherwise `icc` was made from what follows
    cicp: tuple[int, int] | None = None  # primaries and transfer of H.273
    png_colour: bytes = b""  # gAMA, cHRM and sRGB chunks of a PNG
    exif: bytes | None = None  # TIFF structure without the b"Exif\0\0" prefix; upright, no thumbnail
    xmp: bytes | None = None
    iptc: bytes | None = None  # IPTC-IIM records (captions, keywords); JPEG, TIFF and PNG hold them
    photoshop: bytes | None = None  # Photoshop's image resources but for IPTC and those that no longer hold
    dpi: tuple[float, float] | None = None  # horizontal, vertical; None where the file says nothing

    # how the source was packed
    has_text: bool = False  # a PNG's text chunks, which are not carried into the result
    jpeg_quality: int | None = None  # 1..100, estimated from the quantisation table
    jpeg_sampling: tuple[int, int] | None = None  # pixels, across and down, for a sample of colour: (2, 1) is 4:2:2
    is_lossless: bool = True  # False for JPEG, AVIF and lossy WebP

    frames: int = 1  # of an animation, or pages; only the first is read
    gain_map: GainMap | None = None  # of a JPEG, which alone can be written with one
    left_out: tuple[str, ...] = ()  # what else the file holds and no result will: "the video of a motion photo", …
    notes: tuple[str, ...] = ()  # warnings for the user, one sentence each


@dataclass
class Picture:
    """Upright pixels in the file's own colour space and depth."""

    pixels: Pixels  # H×W×C, C = 1 (grey) or 3; uint8, uint16 or float32; may be read-only
    alpha: Pixels | None  # H×W, same dtype; None where the file has none
    meta: Meta


@dataclass(frozen=True)
class ReadOptions:
    """How to read what can be read in more than one way."""

    accept_truncated: bool = False  # a JPEG that lacks its end: take the rows that are there
    half_size: bool = False  # RAW files at half their width and height, for previews


@dataclass(frozen=True)
class WriteOptions:
    """How to write. The neutral defaults keep what the source had."""

    format: Format | None = None  # None: by the target's extension, else the source's
    quality: int | None = None  # 1..100, 100 is lossless for WebP and AVIF; None: as the source, see `writing`
    depth: Depth | None = None  # None: the source's, as far as the format holds it
    strip: Strip = "none"  # "all" keeps only the colour profile
    overwrite: bool = False
    keep_times: bool = False  # the result gets the source's times, see files.keep_times

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in WRITABLE:
            raise UsageError(f"unknown format {self.format!r}", f"use one of {', '.join(WRITABLE)}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"quality {self.quality} is out of range", "give a number from 1 to 100")
        if self.depth not in (None, 8, 16):
            raise UsageError(f"depth {self.depth} is not possible", "use 8 or 16")
        if self.format is not None and self.depth is not None and self.depth not in DEPTHS[self.format]:
            raise UsageError(
                f"{self.format.upper()} cannot hold {self.depth} bits per channel", "use png, tiff or avif, or depth 8"
            )
        if self.strip not in get_args(Strip):
            raise UsageError(f"cannot strip {self.strip!r}", "use gps or all")


def output_format(options: WriteOptions, path: Path | None, source_format: str) -> str:
    """The format to write: the one asked for, else by the extension of `path`, else the source's, else PNG.

    Raises OutputError for an extension of a format we do not write.
    """
    if options.format:
        return options.format
    if path is not None and path.suffix:
        if path.suffix.lower() not in FORMATS:
            raise OutputError(
                f"cannot write {path}, files ending in {path.suffix} are not supported",
                f"use {', '.join(FORMATS)} or name the format",
            )
        return FORMATS[path.suffix.lower()]
    return source_format if source_format in WRITABLE else "png"


def output_bits(bits: int, depth: int | None, format: str) -> int:
    """Bits per sample that `format` will hold for a picture of `bits`, with `depth` asked for (one that it holds)."""
    if depth is not None:
        return depth
    return max(b for b in DEPTHS[format] if b <= bits)


def to_depth(samples: Pixels, bits: int) -> Pixels:
    """The samples at 8, 16 or 32 (float) bits; full scale stays full scale, and 8 → 16 → 8 gives the same again.

    Samples that have that depth already are returned as they are, not copied.
    """
    if samples.dtype == DTYPES[bits]:
        return samples
    out: Pixels
    if bits == 32:
        out = samples.astype(np.float32)
        out /= np.float32(FULL_SCALE[samples.dtype.itemsize * 8])
    elif samples.dtype == np.float32:
        out = np.rint(np.clip(samples, 0, 1) * np.float32(FULL_SCALE[bits])).astype(DTYPES[bits])
    elif bits == 16:
        out = samples.astype(np.uint16) * np.uint16(257)
    else:  # v/257 rounded to nearest, in integers: 65535/257 = 255
        out = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return out
