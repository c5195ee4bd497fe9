"""Image files to pixels and back: the public face of everything that touches a codec.

    picture = read(path)                          upright pixels in the file's own colours and depth
    write(picture, path, WriteOptions())          temporary file beside the target, then rename

libvips reads and writes (it keeps 16 bits and metadata, and streams); Pillow reads BMP, which the libvips
wheel lacks, and Netpbm files are read by a parser of our own, which keeps their depth.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, UnavailableError
from ..names import READABLE
from ..one_line import folded
from . import cicp, containers, exif, jpeg_sampling, photoshop, tiff_colour
from . import colour as colours
from . import xmp as extended_xmp
from .bitmaps import decode_bitmap
from .netpbm import decode_netpbm, is_netpbm
from .picture import Meta, Picture, Pixels
from .png_profiles import raw_profiles
from .vips import from_vips, pyvips

MAX_PIXELS = 250_000_000
SNIFF_BYTES = 32
HEAD_BYTES = 1 << 20  # enough to reach a JPEG's quantisation table behind its metadata
MAX_SAMPLE = 1000  # of a float file: highlights of a scene reach a hundred times white; float32 computes safely so far
STREAM_BYTES = 2_000_000_000  # what is read of a pipe or device, which may never end
ROWS_AT_ONCE = 256
MAX_DPI = 1e6  # more is a slip, and goes into no field of a PNG

STANDARD_INPUT = "the image on standard input"

# The user's words for what a decoder says.
DAMAGED = "the file is damaged or cut short"


@dataclass(frozen=True)
class _Source:
    """Where an image comes from: a file on disk, or bytes in memory."""

    name: str  # for messages
    path: Path | None
    data: bytes | mmap.mmap
    format: str

    def open(self) -> Any:
        """The libvips image, header read, pixels to be streamed. Raises pyvips.Error."""
        options: dict[str, Any] = {"access": "sequential", "fail_on": "error"}
        loader = "heifload" if self.format == "avif" else f"{self.format}load"
        if self.path is None:
            return getattr(pyvips.Image, loader + "_buffer")(bytes(self.data), **options)
        # revalidate: a file that was replaced under the same name must not come from libvips' cache
        return getattr(pyvips.Image, loader)(os.fsencode(self.path), revalidate=True, **options)


def read(source: Path | str | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> Picture:
    """The picture in a file, in bytes or in what a stream still holds; `name` stands for it in messages.

    Orientation is applied. CMYK and Lab become sRGB, palettes RGB; of animations and documents the first image is
    read, and `meta.notes` says so. The size is checked on the header, before anything is decoded.

    Raises InputError for everything that is wrong with the file, UnavailableError where that is not its content.
    """
    if isinstance(source, bytes):
        return _read_data(name or STANDARD_INPUT, None, source, max_pixels)
    if not isinstance(source, (Path, str)):
        return _read_stream(name or STANDARD_INPUT, source, max_pixels)
    path, name = Path(source), name or str(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"cannot read {name}, it is a folder", "name the image files in it")
        with path.open("rb") as file:
            if not stat.S_ISREG(mode):  # a pipe can be read only once
                return _read_stream(name, file, max_pixels)
            if os.fstat(file.fileno()).st_size == 0:
                return _read_data(name, None, b"", max_pixels)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read_data(name, path, data, max_pixels)
    except FileNotFoundError:
        raise UnavailableError(f"cannot read {name}, there is no such file", "check the name") from None
    except PermissionError:
        raise UnavailableError(f"cannot read {name}, permission denied", "check the file's permissions") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UnavailableError(f"cannot read {name}, {error}", "check the name and the disk") from None


def _read_stream(name: str, stream: BinaryIO, max_pixels: int) -> Picture:
    """Raises InputError at the first bytes that are no image, so what never ends is not waited for."""
    try:
        parts = [stream.read(SNIFF_BYTES)]
        _format(name, parts[0])
        left = STREAM_BYTES
        while parts[-1] and left > 0:
            parts.append(stream.read(min(left, 1 << 24)))
            left -= len(parts[-1])
    except OSError as error:
        raise InputError(f"cannot read {name}, {error.strerror or error}", "check where it comes from") from None
    if left <= 0:
        raise InputError(f"cannot read {name}, it goes on after {STREAM_BYTES / 1e9:.0f} GB", "save it as a file first")
    return _read_data(name, None, b"".join(parts), max_pixels)


def _format(name: str, head: bytes) -> str:
    if len(head) == 0:
        raise InputError(f"cannot read {name}, it is empty", "get a complete copy of the image")
    format = sniff(head)
    if format is None:
        known = ", ".join(name.upper() for name in READABLE)
        raise InputError(
            f"cannot read {name}, it is not an image of a known format",
            f"use one of {known} (from RAW or HEIC export a TIFF or JPEG first)",
        )
    return format


def _read_data(name: str, path: Path | None, data: bytes | mmap.mmap, max_pixels: int) -> Picture:
    format = _format(name, data[:SNIFF_BYTES])
    source = _Source(name, path, data, format)
    if format in ("bmp", "ppm"):
        decode = decode_netpbm if format == "ppm" else decode_bitmap
        picture = decode(data, name, lambda width, height: _check_size(name, width, height, max_pixels))
        if picture.pixels.dtype == np.float32:
            _check_values(name, picture.pixels)
        return picture
    try:
        return _decode(source, max_pixels)
    except pyvips.Error as error:
        raise InputError(f"cannot read {name}, {DAMAGED} ({_reason(error)})", "get a complete copy") from None
    except MemoryError:
        raise UnavailableError(f"cannot read {name}, there is not enough memory", "close other programs") from None


def sniff(head: bytes) -> str | None:
    """Format by the first SNIFF_BYTES, one of READABLE; None for anything else. The extension is never asked."""
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if head[:8] == containers.PNG_SIGNATURE:
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and (b"avif" in head or b"avis" in head):
        return "avif"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:2] == b"BM":
        return "bmp"
    if is_netpbm(head):
        return "ppm"
    return None


def _reason(error: pyvips.Error) -> str:
    """The first line of what libvips says, without its operation names."""
    lines = [line.strip() for line in (error.detail or str(error)).splitlines() if line.strip()]
    return lines[0].split(": ", 1)[-1][:120] if lines else "unknown reason"


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise InputError(
            f"cannot read {name}, {width}×{height} is {width * height / 1e6:.0f} megapixels and "
            f"the limit is {max_pixels / 1e6:.0f}",
            "shrink the image or cut it into parts",
        )


def _decode(source: _Source, max_pixels: int) -> Picture:
    image = _opened(source)
    _check_size(source.name, image.width, image.height, max_pixels)
    notes: list[str] = []
    is_png = source.format == "png"  # libvips shows the still image of an APNG, and does not count the others
    frames = containers.png_frames(bytes(source.data[:HEAD_BYTES])) if is_png else _field(image, "n-pages", 1)
    if frames > 1:
        notes.append(f"the file holds {frames} images; only the first is restored")
    orientation = _orientation(source, image)
    turned = orientation in (5, 6, 7, 8)
    facts = _facts(source, image, turned, notes)
    icc = _field(image, "icc-profile-data", None)

    if image.interpretation in ("cmyk", "lab", "labs", "labq", "xyz"):
        general = image.interpretation == "cmyk" and not (icc and colours.describes(icc, b"CMYK"))
        how = " by a general press profile, for want of a usable one in the file" if general else ""
        notes.append(f"converted from {image.interpretation.upper()} to sRGB{how}")
        image, icc = _to_srgb(image), None
    tiff_kind = tiff_colour.own_kind(source.data) if source.format == "tiff" else ""
    if tiff_kind in tiff_colour.LABS.values():
        notes.append(f"converted from {tiff_kind} to sRGB")
        icc = None
    samples = _tiff_samples(source) if tiff_kind else _samples(source, image)
    if samples.dtype == np.float32:
        _check_values(source.name, samples)
    samples = _upright(samples, orientation) if orientation not in (0, 1) else samples

    bands = samples.shape[2]
    has_alpha = bands in (2, 4)
    alpha = np.ascontiguousarray(samples[:, :, -1]) if has_alpha else None
    pixels = np.ascontiguousarray(samples[:, :, :-1]) if has_alpha else samples
    pixels, colour = _colour(source, icc, pixels)
    meta = replace(
        facts,
        width=pixels.shape[1],
        height=pixels.shape[0],
        bits=pixels.dtype.itemsize * 8,
        is_grey=pixels.shape[2] == 1,
        has_alpha=has_alpha,
        icc=colour.icc,
        cicp=colour.cicp,
        png_colour=colour.png_chunks,
        has_own_icc=colour.has_own_icc,
        frames=frames,
        notes=(*notes, *colour.notes),
    )
    return Picture(pixels, alpha, meta)


def _colour(source: _Source, icc: bytes | None, pixels: Pixels) -> tuple[Pixels, colours.Colour]:
    """Raises InputError for colours that cannot be restored."""
    try:
        return colours.settle(source.format, source.data, icc, pixels)
    except cicp.UnsupportedColourError as error:
        advice = "convert it to SDR first, or develop it as TIFF or JPEG"
        raise InputError(f"cannot read {source.name}, {error}", advice) from None


def _opened(source: _Source) -> Any:
    """The image, header read. Raises InputError for a TIFF of colours that are not supported, pyvips.Error."""
    if source.format == "tiff" and (reason := tiff_colour.refusal(source.data)):
        raise InputError(f"cannot read {source.name}, {reason}", "save it as RGB")
    if source.format == "tiff" and tiff_colour.own_kind(source.data) in tiff_colour.LABS.values():
        return tiff_colour.as_rgb(source.data)
    return source.open()


def _tiff_samples(source: _Source) -> Pixels:
    """Of a TIFF in YCbCr or Lab. Raises InputError, pyvips.Error."""
    try:
        return tiff_colour.samples(source.data)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise InputError(f"cannot read {source.name}, {DAMAGED} ({folded(error)})", "get a complete copy") from None


def _orientation(source: _Source, image: Any) -> int:
    """EXIF's number; of a PNG also where its EXIF is stored as text, which libvips does not look into."""
    if source.format == "png" and not image.get_typeof("exif-data"):
        return exif.number(raw_profiles(source.data).get("exif", b""), exif.ORIENTATION) or 1
    return int(_field(image, "orientation", 1))


def _facts(source: _Source, image: Any, turned: bool, notes: list[str]) -> Meta:
    """What the header says beside the pixels; sizes and bits are filled in later."""
    head = bytes(source.data[:HEAD_BYTES])
    block, xmp = _field(image, "exif-data", None), _field(image, "xmp-data", None)
    resources, iptc = b"", None
    if source.format == "tiff":
        block, iptc = exif.from_tiff(source.data), exif.iptc_from_tiff(source.data)
        resources = exif.photoshop_from_tiff(source.data) or b""
    elif source.format == "jpeg":
        segments = list(containers.jpeg_segments(source.data))
        resources = photoshop.of_jpeg(segments)
        if xmp:
            xmp, problem = extended_xmp.joined(xmp, segments)
            notes.extend([problem] if problem else [])
    elif source.format == "png":
        profiles = raw_profiles(source.data)
        block, xmp = block or profiles.get("exif"), xmp or profiles.get("xmp")
        resources = profiles.get("iptc", b"")
        if not resources.startswith(b"8BIM"):
            resources, iptc = b"", resources or None
    kept, captions, problems = photoshop.sorted_out(resources, turned)
    notes.extend(problems)
    if block is not None:
        block, problems = exif.prepare(block, turned)
        notes.extend(problems)
    dpi = _dpi(source, image, head, block)
    is_jpeg = source.format == "jpeg"
    sampled = jpeg_sampling.sampling(containers.jpeg_segments(source.data)) if is_jpeg else None
    return Meta(
        format=source.format,
        width=0,
        height=0,
        bits=0,
        sample_bits=_field(image, "bits-per-sample", 8),
        exif=block,
        xmp=containers.upright_xmp(xmp) if xmp else None,
        iptc=iptc or captions,
        photoshop=kept,
        dpi=(dpi[1], dpi[0]) if dpi and turned else dpi,
        has_text=source.format == "png" and containers.png_has_text(source.data),
        jpeg_quality=containers.jpeg_quality(head) if is_jpeg else None,
        jpeg_sampling=(sampled[1], sampled[0]) if sampled and turned else sampled,
        is_lossless={"jpeg": False, "avif": False, "webp": containers.webp_is_lossless(head)}.get(source.format, True),
    )


def _dpi(source: _Source, image: Any, head: bytes, block: bytes | None) -> tuple[float, float] | None:
    """Resolution that the file states, as stored (not turned): its own, else that of its EXIF block."""
    dpi: tuple[float, float] | None = None
    if source.format == "jpeg":  # not from libvips: a default that it makes up for the EXIF block wins over JFIF
        dpi = containers.jpeg_dpi(head)
    elif source.format == "png":
        dpi = containers.png_dpi(head)
    elif source.format == "tiff" and not image.xres == image.yres == 1.0:  # libvips' word for "not said"
        dpi = (image.xres * 25.4, image.yres * 25.4)
    dpi = dpi or (exif.resolution(block) if block else None)
    return dpi if dpi and max(dpi) <= MAX_DPI else None


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default


def _to_srgb(image: Any) -> Any:
    """A CMYK, Lab or XYZ image as sRGB of the same depth, through its own profile or libvips' press profile."""
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        return image.icc_transform("srgb", embedded=True, input_profile="cmyk", intent="relative", depth=depth)
    return image.colourspace("srgb" if image.format == "uchar" else "rgb16")


def _samples(source: _Source, image: Any) -> Pixels:
    """All samples, H×W×C, decoded now. Raises InputError for kinds of samples we do not take, pyvips.Error."""
    if image.bands > 4:
        raise InputError(f"cannot read {source.name}, it has {image.bands} channels", "save it as grey or RGB")
    if image.format == "double":
        image = image.cast("float")
    if image.format not in ("uchar", "ushort", "float"):
        raise InputError(
            f"cannot read {source.name}, its samples are of type {image.format}",
            "save it with 8 or 16 bits per channel, or as 32-bit float",
        )
    return from_vips(image)


def _check_values(name: str, samples: Pixels) -> None:
    for y in range(0, len(samples), ROWS_AT_ONCE):
        rows = samples[y : y + ROWS_AT_ONCE]
        if not np.isfinite(rows).all():
            raise InputError(
                f"cannot read {name}, it holds samples that are not numbers (NaN or infinity)", "replace them first"
            )
        if max(rows.max(), -rows.min()) > MAX_SAMPLE:
            raise InputError(
                f"cannot read {name}, it holds samples beyond ±{MAX_SAMPLE}, where 0 is black and 1 is white",
                "scale them first",
            )


def _upright(samples: Pixels, orientation: int) -> Pixels:
    """EXIF 2.32 §4.6.4 A, tag 0x0112: where row 0 and column 0 of the stored picture lie in the upright one."""
    if orientation in (5, 6, 7, 8):  # row 0 is a side
        samples = samples.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):  # upside down
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):  # right to left
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)
