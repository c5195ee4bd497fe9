"""Pictures to files: what each format holds and how it is packed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import check_target, write_file
from ..errors import OutputError
from ..one_line import folded
from . import cicp, containers, exif, gainmap, jpeg_sampling, photoshop
from . import xmp as extended_xmp
from .picture import DEPTHS, Meta, Picture, Pixels, WriteOptions, output_bits, output_format, to_depth
from .png_profiles import iptc_chunk
from .vips import from_vips, pyvips, to_vips

# Without a source quality to keep. 92 is where the loss of a JPEG drowns in what a restoration is good for; AVIF and
# WebP count differently, these give about the same PSNR. A source of lower quality than the floor is not followed
# down: the blocks it had are part of what was just repaired.
DEFAULT_QUALITY = {"jpeg": 92, "webp": 90, "avif": 85}
QUALITY_FLOOR = 75
MAX_SIDE_PX = {"jpeg": 65500, "webp": 16383, "avif": 16384}  # of libjpeg; of the format; of libvips
AVIF_EFFORT = 2  # 1.5 s per megapixel on a busy core; the default, 4, takes 6 for files 6 % smaller
WHITE = 255


@dataclass(frozen=True)
class _Carried:
    """The metadata that goes into the file."""

    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    iptc: bytes | None
    photoshop: bytes | None
    dpi: tuple[float, float] | None


def encode(picture: Picture, options: WriteOptions | None = None, path: Path | None = None) -> bytes:
    """The picture as the bytes of a file; `path` serves only to choose the format by its extension.

    JPEG has no alpha: the picture is put on white. JPEG and WebP hold 8 bits, AVIF 12 (and grey as RGB); PNG and TIFF
    hold all, float in TIFF alone. `write_notes` says what a format cannot hold.

    Raises OutputError.
    """
    options = options or WriteOptions()
    check_fits(picture.meta, options, path)
    format = output_format(options, path, picture.meta.format)
    bits = output_bits(picture.meta.bits, options.depth, format)
    carried = _carried(picture.meta, options)
    try:
        image = _with_profile(to_vips(_samples(picture, bits, format)), carried.icc)
        return _SAVERS[format](image, picture.meta, options, carried)
    except pyvips.Error as error:
        raise OutputError(f"cannot encode the result as {format}, {folded(error.detail or error)}", "try PNG") from None


def check_fits(meta: Meta, options: WriteOptions, path: Path | None = None) -> None:
    """Find out, before the work, whether the format holds such a picture. Raises OutputError."""
    format = output_format(options, path, meta.format)
    problem = f"cannot write {path or 'the result'}, {format.upper()}"
    if options.depth is not None and options.depth not in DEPTHS[format]:
        raise OutputError(
            f"{problem} cannot hold {options.depth} bits per channel", "use png, tiff or avif, or depth 8"
        )
    limit = MAX_SIDE_PX.get(format)
    if limit and max(meta.width, meta.height) > limit:
        raise OutputError(
            f"{problem} holds at most {limit} pixels a side and the image has {meta.width}×{meta.height}", "use PNG"
        )


def write_notes(meta: Meta, options: WriteOptions, path: Path | None = None) -> tuple[str, ...]:
    """What writing this picture loses, one sentence each; empty where nothing is."""
    format = output_format(options, path, meta.format)
    notes = []
    if meta.has_alpha and format == "jpeg":
        notes.append("JPEG has no transparency: the picture was put on white")
    if options.depth is None and meta.bits > (held := max(DEPTHS[format])):
        notes.append(f"{format.upper()} holds {held} bits per channel, the source has {meta.bits}")
    if format == "avif" and output_bits(meta.bits, options.depth, format) == 16 and meta.sample_bits > 12:
        notes.append("AVIF stores 12 of the 16 bits per channel")
    if meta.gain_map is not None and format != "jpeg":
        notes.append(f"{format.upper()} is written without the HDR gain map of the source")
    if meta.is_grey and meta.icc and format in ("webp", "avif") and options.strip != "all":
        notes.append(f"{format.upper()} has no grey: the grey colour profile was left out")
    if meta.icc and (meta.cicp or meta.png_colour) and not meta.has_own_icc and format != "png":
        notes.append("the colours, which the file tells without a profile, were written as an ICC profile")
    carried = _carried(meta, options)
    if format in ("jpeg", "avif") and not containers.exif_fits_jpeg(carried.exif):
        kind = "a JPEG" if format == "jpeg" else "the AVIF encoder"
        notes.append(f"the EXIF block is too large for {kind} and was left out")
    if format == "jpeg" and carried.xmp and _divided_xmp(meta, carried.xmp) is None:
        notes.append("the XMP block is too large for a JPEG, cannot be divided and was left out")
    if carried.iptc and format in ("webp", "avif"):
        notes.append(f"{format.upper()} has no place for IPTC captions: they were left out")
    if carried.photoshop and format in ("webp", "avif"):
        notes.append(
            f"{format.upper()} has no place for Photoshop's resources (paths and the like): they were left out"
        )
    if meta.has_text and options.strip != "all":
        notes.append("the text chunks of the PNG (comments, settings of a program) were left out")
    if options.strip == "gps" and meta.xmp and carried.xmp is None:
        notes.append("the XMP block could not be freed of its position and was left out")
    return tuple(notes)


def write(
    picture: Picture,
    path: Path | str,
    options: WriteOptions | None = None,
    *,
    temporary_prefix: str = ".restorect-",
) -> None:
    """Write the picture to `path`, whole or not at all, as `atomic.write_file` does.

    A file that is already there is replaced only with `options.overwrite`, even if it appears at the last moment.

    Raises OutputError; nothing is left behind then.
    """
    options, path = options or WriteOptions(), Path(path)
    check_target(path, options.overwrite)  # before the encoding, which may take a while
    data = encode(picture, options, path)
    write_file(path, data, overwrite=options.overwrite, temporary_prefix=temporary_prefix)


# --- what goes in --------------------------------------------------------------------------------------------------


def _carried(meta: Meta, options: WriteOptions) -> _Carried:
    if options.strip == "all":
        return _Carried(meta.icc, None, None, None, None, None)
    block, xmp = meta.exif, meta.xmp
    if options.strip == "gps":
        xmp = containers.xmp_without_gps(xmp) if xmp else None
        try:
            block = exif.without_gps(block) if block else None
        except (ValueError, struct.error):
            block = None  # better no EXIF than a position that was to go
    return _Carried(meta.icc, block, xmp, meta.iptc, meta.photoshop, meta.dpi)


def _samples(picture: Picture, bits: int, format: str) -> Pixels:
    """H×W×(C or C+1) samples of so many bits: with alpha where the format holds it, else put on white."""
    pixels = to_depth(picture.pixels, bits)
    if picture.alpha is None:
        return np.ascontiguousarray(pixels)
    if format != "jpeg":
        return np.concatenate([pixels, to_depth(picture.alpha, bits)[..., None]], axis=2)
    flat = np.empty_like(pixels)
    for y in range(0, len(pixels), 256):  # rows at a time: the products are float
        opaque = to_depth(picture.alpha[y : y + 256], 32)[..., None]
        flat[y : y + 256] = np.rint(pixels[y : y + 256] * opaque + WHITE * (1 - opaque))
    return flat


def _with_profile(image: Any, icc: bytes | None) -> Any:
    image = image.copy()
    if icc:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    return image


def _with_dpi(image: Any, dpi: tuple[float, float] | None) -> Any:
    x, y = dpi or (72.0, 72.0)  # TIFF must say something; 72 is what readers assume
    image = image.copy(xres=x / 25.4, yres=y / 25.4)
    image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    return image


def _quality(format: str, meta: Meta, options: WriteOptions) -> int:
    if options.quality is not None:
        return options.quality
    if format == "jpeg" and meta.jpeg_quality is not None:
        return max(meta.jpeg_quality, QUALITY_FLOOR)
    return DEFAULT_QUALITY[format]


# --- one saver per format ------------------------------------------------------------------------------------------


def _save_jpeg(image: Any, meta: Meta, options: WriteOptions, carried: _Carried) -> bytes:
    sampled = meta.jpeg_sampling if options.quality is None else None
    quality = _quality("jpeg", meta, options)
    if image.bands == 3 and sampled is not None and sampled not in jpeg_sampling.ENCODERS_OWN:
        file = jpeg_sampling.encode(from_vips(image), sampled, quality, carried.icc)
    else:
        mode = {(1, 1): "off", (2, 2): "on"}.get(sampled or (0, 0), "auto")
        file = image.jpegsave_buffer(Q=quality, subsample_mode=mode, keep="icc")
    xmp, extension = (_divided_xmp(meta, carried.xmp) if carried.xmp else None) or (None, ())
    if meta.gain_map is not None:
        xmp = gainmap.claimed(xmp, meta.gain_map)
    resources = photoshop.jpeg_payloads(photoshop.with_iptc(carried.photoshop, carried.iptc))
    more = [*((0xE1, payload) for payload in extension), *((0xED, payload) for payload in resources)]
    block = carried.exif if containers.exif_fits_jpeg(carried.exif) else None
    file = containers.with_jpeg_metadata(file, block, xmp, more, carried.dpi)
    return file if meta.gain_map is None else gainmap.attached(file, meta.gain_map)


def _divided_xmp(meta: Meta, xmp: bytes) -> tuple[bytes, tuple[bytes, ...]] | None:
    """As `xmp.split`, with room in the first packet for what is said there about a gain map."""
    claims = gainmap.claimed(None, meta.gain_map) if meta.gain_map is not None else None
    return extended_xmp.split(xmp, extended_xmp.STANDARD_MAX - len(claims or b""))


def _save_png(image: Any, meta: Meta, options: WriteOptions, carried: _Carried) -> bytes:
    file = image.pngsave_buffer(keep="none")
    is_told = bool(meta.cicp or meta.png_colour) and not meta.has_own_icc  # then the profile says nothing more
    file = containers.with_png_metadata(file, None if is_told else carried.icc, carried.exif, carried.xmp, carried.dpi)
    resources = photoshop.with_iptc(carried.photoshop, carried.iptc)
    text = iptc_chunk(resources) if resources else b""
    return cicp.with_png_colour(file, meta.cicp, meta.png_colour + text)


def _save_tiff(image: Any, meta: Meta, options: WriteOptions, carried: _Carried) -> bytes:
    image = _with_dpi(image, carried.dpi)
    if carried.xmp:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", carried.xmp)
    predictor = "float" if image.format == "float" else "horizontal"
    file = image.tiffsave_buffer(compression="deflate", predictor=predictor, keep="icc|xmp")
    if carried.exif or carried.iptc or carried.photoshop:
        file = exif.attach_to_tiff(file, carried.exif, carried.iptc, carried.photoshop)
    return bytes(file)


def _save_webp(image: Any, meta: Meta, options: WriteOptions, carried: _Carried) -> bytes:
    lossless = options.quality == 100 or (options.quality is None and meta.format == "webp" and meta.is_lossless)
    image = _without_grey_profile(image)
    if lossless:
        file = image.webpsave_buffer(lossless=True, exact=True, keep="icc")
    else:
        file = image.webpsave_buffer(Q=_quality("webp", meta, options), keep="icc")
    block = exif.with_resolution(carried.exif, carried.dpi) if carried.dpi else carried.exif
    return containers.with_webp_metadata(file, block, carried.xmp, (image.width, image.height), image.hasalpha())


def _save_avif(image: Any, meta: Meta, options: WriteOptions, carried: _Carried) -> bytes:
    image = _without_grey_profile(image)
    image = _with_dpi(image, carried.dpi)  # which AVIF holds in its EXIF block
    block = carried.exif if containers.exif_fits_jpeg(carried.exif) else None
    if block:
        image = _with_exif_fields(image, block)
    if carried.xmp:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", carried.xmp)
    if image.format == "ushort":
        bitdepth = 10 if meta.format == "avif" and meta.sample_bits == 10 else 12
    else:
        bitdepth = 8
    keep = "exif|xmp|icc" if block or carried.dpi else "xmp|icc"  # else libvips makes up an EXIF block
    settings = {"lossless": True} if options.quality == 100 else {"Q": _quality("avif", meta, options)}
    return bytes(image.heifsave_buffer(compression="av1", bitdepth=bitdepth, effort=AVIF_EFFORT, keep=keep, **settings))


def _without_grey_profile(image: Any) -> Any:
    """WebP and AVIF are written as RGB, which a grey profile does not describe."""
    if image.bands < 3 and image.get_typeof("icc-profile-data"):
        image = image.copy()
        image.remove("icc-profile-data")
    return image


def _with_exif_fields(image: Any, block: bytes) -> Any:
    """The image with an EXIF block as libvips wants it: it writes only fields that one of its loaders has parsed.

    So a tiny JPEG with that block is loaded, and the image laid over it; the result has the fields of both.
    """
    file = to_vips(np.zeros((1, 1, 1), np.uint8)).jpegsave_buffer(keep="none")
    carrier = pyvips.Image.jpegload_buffer(containers.with_jpeg_metadata(file, block, None, (), None))
    laid = carrier.insert(image, 0, 0, expand=True)
    return laid.copy(interpretation=image.interpretation, xres=image.xres, yres=image.yres)


_SAVERS = {"jpeg": _save_jpeg, "png": _save_png, "tiff": _save_tiff, "webp": _save_webp, "avif": _save_avif}
