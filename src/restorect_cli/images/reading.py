"""Image files to pixels and back: the public face of everything that touches a codec.

    picture = read(path)                          upright pixels in the file's own colours and depth
    write(picture, path, WriteOptions())          temporary file beside the target, then rename

libvips reads and writes (it keeps 16 bits and metadata, and streams); Pillow reads BMP, which the libvips wheel lacks;
Netpbm files are read by a parser of our own, which keeps their depth; the optional rawpy and pillow-heif read RAW and
HEIC files. What lies in a file beside its picture is found by `beside`; `faults` says why a codec failed.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError, UnavailableError
from ..names import READABLE
from ..one_line import folded
from . import colour as colours
from . import containers, exif, faults, float64, jpeg_sampling, photoshop, raw, tiff, tiff_colour, truncated
from . import xmp as extended_xmp
from .beside import beside_the_picture
from .bitmaps import decode_bitmap
from .gainmap import without_claims
from .heif import decode_heif, is_heif
from .netpbm import decode_netpbm, is_netpbm
from .picture import Meta, Picture, Pixels, ReadOptions
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


@dataclass(frozen=True)
class _Source:
    """Where an image comes from: a file on disk, or bytes in memory."""

    name: str  # for messages
    path: Path | None
    data: bytes | mmap.mmap
    format: str
    fail_on: str = "error"
    inside: tiff.Contents | None = None  # of a TIFF file

    def place(self) -> dict[str, int]:
        """Where among a TIFF's images the picture lies, in libvips' words; empty for the first."""
        if self.inside is None:
            return {}
        where = {"page": self.inside.picture.page, "subifd": self.inside.picture.sub}
        return {word: number for word, number in where.items() if number is not None and (word, number) != ("page", 0)}

    @cached_property
    def picture_first(self) -> bytes | mmap.mmap:
        """The data of a TIFF file in which the picture is the first image, for readers that look at no other."""
        if self.inside is None or self.inside.picture.is_first:
            return self.data
        return tiff.with_first(self.data, self.inside.picture)

    def open(self) -> Any:
        """The libvips image, header read, pixels to be streamed. Raises pyvips.Error."""
        options: dict[str, Any] = {"access": "sequential", "fail_on": self.fail_on, **self.place()}
        loader = "heifload" if self.format == "avif" else f"{self.format}load"
        if self.path is None:
            return getattr(pyvips.Image, loader + "_buffer")(bytes(self.data), **options)
        # revalidate: a file that was replaced under the same name must not come from libvips' cache
        return getattr(pyvips.Image, loader)(os.fsencode(self.path), revalidate=True, **options)


@dataclass(frozen=True)
class _Reading:
    """What a read goes by."""

    max_pixels: int
    options: ReadOptions


def read(
    source: Path | str | bytes | BinaryIO,
    *,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    options: ReadOptions | None = None,
) -> Picture:
    """The picture in a file, in bytes or in what a stream still holds; `name` stands for it in messages.

    Orientation is applied. CMYK and Lab become sRGB, palettes RGB, RAW files are developed; of animations and documents
    the first image is read, and `meta.notes` says so. The size is checked on the header, before anything is decoded.

    Raises InputError for everything that is wrong with the file, UnavailableError where that is not its content.
    """
    how = _Reading(max_pixels, options or ReadOptions())
    if isinstance(source, bytes):
        return _read_data(name or STANDARD_INPUT, None, source, how)
    if not isinstance(source, (Path, str)):
        return _read_stream(name or STANDARD_INPUT, source, how)
    path, name = Path(source), name or str(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"cannot read {name}, it is a folder", "name the image files in it")
        with path.open("rb") as file:
            if not stat.S_ISREG(mode):  # a pipe can be read only once
                return _read_stream(name, file, how)
            if os.fstat(file.fileno()).st_size == 0:
                return _read_data(name, None, b"", how)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read_data(name, path, data, how)
    except OSError as error:
        raise faults.of_system(name, error) from None
    except ValueError as error:  # a null byte in the name
        raise UnavailableError(f"cannot read {name}, {error}", "check the name") from None


def _read_stream(name: str, stream: BinaryIO, how: _Reading) -> Picture:
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
    return _read_data(name, None, b"".join(parts), how)


def _format(name: str, head: bytes) -> str:
    if len(head) == 0:
        raise InputError(f"cannot read {name}, it is empty", "get a complete copy of the image")
    format = sniff(head)
    if format is None:
        known = ", ".join(name.upper() for name in READABLE)
        kind = faults.other_kind(head)
        what = f"{kind}, which is not supported" if kind else "not an image of a known format"
        raise InputError(f"cannot read {name}, it is {what}", f"use one of {known}")
    return format


def _read_data(name: str, path: Path | None, data: bytes | mmap.mmap, how: _Reading) -> Picture:
    format = _format(name, data[:SNIFF_BYTES])

    def check_size(width: int, height: int) -> None:
        _check_size(name, width, height, how.max_pixels)

    try:
        inside = tiff.contents(data) if format == "tiff" else None
        if format == "raw" or (inside is not None and inside.is_raw):
            return raw.develop(data, name, check_size, half_size=how.options.half_size)
        if format == "heif":
            return decode_heif(data, name, check_size)
        if format in ("bmp", "ppm"):
            picture = (decode_netpbm if format == "ppm" else decode_bitmap)(data, name, check_size)
            if picture.pixels.dtype == np.float32:
                _check_values(name, picture.pixels)
            return picture
        source = _Source(name, path, data, format, inside=inside)
        return _decode_strictly(source, how.max_pixels) if format == "jpeg" else _decode(source, how.max_pixels)
    except pyvips.Error as error:
        said = error.detail or str(error)
        if how.options.accept_truncated and format == "jpeg" and faults.ENDS_EARLY in said:
            return _decode_truncated(name, data, how.max_pixels, said)
        raise faults.of_codec(name, format, data, said) from None
    except MemoryError:
        raise UnavailableError(f"cannot read {name}, there is not enough memory", "close other programs") from None


def _decode_strictly(source: _Source, max_pixels: int) -> Picture:
    """The picture of a JPEG, refused also where an end marker inside it passes for its end: that is only a warning.

    Other warnings (stray bytes between segments) cost no pixels, and are overlooked. Raises pyvips.Error, InputError.
    """
    try:
        return _decode(replace(source, fail_on="warning"), max_pixels)
    except pyvips.Error as error:
        if faults.ENDS_EARLY in (error.detail or ""):
            raise
        return _decode(source, max_pixels)


def _decode_truncated(name: str, data: bytes | mmap.mmap, max_pixels: int, said: str) -> Picture:
    """The picture of a JPEG that lacks its end, with the rows that are lost in its notes. Raises InputError."""

    def load(whole: bytes, fail_on: str) -> Any:
        image = _Source(name, None, whole, "jpeg", fail_on).open()
        _check_size(name, image.width, image.height, max_pixels)
        return image

    try:
        saved = truncated.lost_rows(data, load)
        if saved is None:
            raise InputError(f"cannot read {name}, it ends before the first row", "get a complete copy")
        image = load(saved.file, "none")
        note = saved.note(_field(image, "orientation", 1))
        picture = _decode(_Source(name, None, saved.file, "jpeg", "none"), max_pixels)
    except pyvips.Error as error:
        raise faults.of_codec(name, "jpeg", data, error.detail or said) from None
    picture.meta = replace(picture.meta, notes=(note, *picture.meta.notes))
    return picture


def sniff(head: bytes) -> str | None:
    """Format by the first SNIFF_BYTES, one of READABLE; None for anything else. The extension is never asked."""
    if head[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if head[:8] == containers.PNG_SIGNATURE:
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:4] in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0"):  # Olympus, Panasonic
        return "raw"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if raw.is_raw_head(head):
        return "raw"
    if head[4:8] == b"ftyp" and (b"avif" in head or b"avis" in head):
        return "avif"
    if is_heif(head):
        return "heif"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:2] == b"BM":
        return "bmp"
    if is_netpbm(head):
        return "ppm"
    return None


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise InputError(
            f"cannot read {name}, {width}×{height} is {width * height / 1e6:.0f} megapixels and "
            f"the limit is {max_pixels / 1e6:.0f}",
            "shrink the image or cut it into parts",
        )


def _decode(source: _Source, max_pixels: int) -> Picture:
    image = _opened(source, max_pixels)
    _check_size(source.name, image.width, image.height, max_pixels)
    orientation = _orientation(source, image)
    upright = None if orientation in (0, 1) else lambda samples: _upright(samples, orientation)
    beside = beside_the_picture(source.format, source.data, source.inside, _field(image, "n-pages", 1), upright)
    notes = beside.notes()
    turned = orientation in (5, 6, 7, 8)
    facts = _facts(source, image, turned, notes)
    icc = _field(image, "icc-profile-data", None)

    if image.interpretation in ("cmyk", "lab", "labs", "labq", "xyz"):
        general = image.interpretation == "cmyk" and not (icc and colours.describes(icc, b"CMYK"))
        how = " by a general press profile, for want of a usable one in the file" if general else ""
        notes.append(f"converted from {image.interpretation.upper()} to sRGB{how}")
        image, icc = _to_srgb(image), None
    tiff_kind = tiff_colour.own_kind(source.picture_first) if source.format == "tiff" else ""
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
    pixels, colour = colours.of_file(source.name, source.format, source.data, icc, pixels)
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
        xmp=without_claims(facts.xmp) if facts.xmp else None,
        frames=beside.frames,
        gain_map=beside.gain_map,
        left_out=tuple(beside.left_out),
        notes=(*notes, *colour.notes),
    )
    return Picture(pixels, alpha, meta)


def _opened(source: _Source, max_pixels: int) -> Any:
    """The image, header read. Raises InputError for a TIFF of colours that are not supported, pyvips.Error."""
    if source.format != "tiff":
        return source.open()
    if source.inside is not None and source.inside.is_cut and source.inside.picture.is_reduced:
        problem = f"cannot read {source.name}, {faults.DAMAGED} (what is left of it is a thumbnail)"
        raise InputError(problem, "get a complete copy")
    if reason := tiff_colour.refusal(source.picture_first):
        raise InputError(f"cannot read {source.name}, {reason}", "save it as RGB")
    if tiff_colour.own_kind(source.picture_first) in tiff_colour.LABS.values():
        return tiff_colour.as_rgb(source.picture_first)
    try:
        return source.open()
    except pyvips.Error:
        try:
            image = float64.opened(source.data, lambda w, h: _check_size(source.name, w, h, max_pixels))
        except ValueError as error:
            raise InputError(f"cannot read {source.name}, {faults.DAMAGED} ({error})", "get a complete copy") from None
        if image is None:
            raise
        return image


def _tiff_samples(source: _Source) -> Pixels:
    """Of a TIFF in YCbCr or Lab. Raises InputError, pyvips.Error."""
    try:
        return tiff_colour.samples(source.picture_first)
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        problem = f"cannot read {source.name}, {faults.DAMAGED} ({folded(error)})"
        raise InputError(problem, "get a complete copy") from None


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
