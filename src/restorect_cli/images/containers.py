"""JPEG, PNG and WebP as sequences of segments: metadata read out of them, and put in exactly as it was.

The encoders rewrite EXIF field by field and lose what they do not know, so they write the pixels and the colour
profile, and the other metadata is added here byte for byte. Each function takes a whole encoded file.
"""

from __future__ import annotations

import mmap
import re
import struct
import zlib
from collections.abc import Iterable, Iterator

JPEG_SEGMENT_MAX = 65533  # bytes of payload: the two-byte length counts itself
ICC_HEADER = b"ICC_PROFILE\0"
EXIF_HEADER = b"Exif\0\0"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"

# Luminance table of ITU-T T.81 annex K.1 in zigzag order, which libjpeg scales by the quality.
# fmt: off
LUMA: tuple[int, ...] = (
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51,
    61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62,
    77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
)
# fmt: on


# --- JPEG ----------------------------------------------------------------------------------------------------------


def jpeg_segments(head: bytes | mmap.mmap) -> Iterator[tuple[int, bytes]]:
    """(marker, payload) of the segments before the pixels, as far as `head` reaches."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        (size,) = struct.unpack_from(">H", head, at + 2)
        if size < 2 or marker == 0xDA:
            return
        yield marker, head[at + 4 : at + 2 + size]
        at += 2 + size


def jpeg_quality(head: bytes) -> int | None:
    """Quality 1..100 of the libjpeg scale whose luminance table is nearest to the file's; None without a table."""
    for marker, payload in jpeg_segments(head):
        if marker == 0xDB and len(payload) >= 65 and payload[0] & 15 == 0:
            wide = payload[0] >> 4
            if wide and len(payload) < 129:
                return None
            table = struct.unpack_from(">64H", payload, 1) if wide else tuple(payload[1:65])
            return min(range(1, 101), key=lambda q: sum(abs(a - b) for a, b in zip(table, _luma(q), strict=True)))
    return None


def jpeg_dpi(head: bytes) -> tuple[float, float] | None:
    """Pixels per inch of the JFIF header; None where there is none or it states only an aspect."""
    for marker, payload in jpeg_segments(head):
        if marker == 0xE0 and payload[:5] == b"JFIF\0" and len(payload) >= 12:
            unit, x, y = struct.unpack_from(">BHH", payload, 7)
            scale = {1: 1.0, 2: 2.54}.get(unit)
            return (x * scale, y * scale) if scale and x and y else None
    return None


def _luma(quality: int) -> list[int]:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(max((v * scale + 50) // 100, 1), 255) for v in LUMA]


def with_jpeg_metadata(
    file: bytes,
    exif: bytes | None,
    xmp: bytes | None,
    more: Iterable[tuple[int, bytes]],
    dpi: tuple[float, float] | None,
) -> bytes:
    """The JPEG file with EXIF, XMP, `more` segments (marker, payload) and the JFIF density (1:1 without one) set."""
    unit, x, y = (1, *(min(max(round(d), 1), 65535) for d in dpi)) if dpi else (0, 1, 1)
    head, rest = file[:2], file[2:]
    if rest[:2] == b"\xff\xe0" and rest[4:9] == b"JFIF\0":  # the encoder's own, whose density is made up
        rest = rest[2 + struct.unpack_from(">H", rest, 2)[0] :]
    head += jpeg_segment(0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", unit, x, y, 0, 0))
    if exif:
        head += jpeg_segment(0xE1, EXIF_HEADER + exif)
    if xmp:
        head += jpeg_segment(0xE1, XMP_HEADER + xmp)
    return head + b"".join(jpeg_segment(marker, payload) for marker, payload in more) + rest


def exif_fits_jpeg(exif: bytes | None) -> bool:
    """Whether the block goes into one segment, the only one that it may have."""
    return exif is None or len(exif) + len(EXIF_HEADER) <= JPEG_SEGMENT_MAX


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


# --- PNG -----------------------------------------------------------------------------------------------------------

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
RAW_PROFILE = b"Raw profile type "
RAW_PROFILES = (b"exif", b"APP1", b"xmp", b"iptc", b"8bim")
PNG_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"  # keyword, no compression, no language, no translated keyword


def png_chunks(file: bytes | mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """(name, offset of the data, its size) of the chunks, as far as the bytes reach."""
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(file):
        size, kind = struct.unpack_from(">I4s", file, at)
        yield kind, at + 8, size
        at += 12 + size


def png_dpi(head: bytes) -> tuple[float, float] | None:
    """Pixels per inch of the pHYs chunk; None where there is none or it states only an aspect."""
    for kind, at, size in png_chunks(head):
        if kind == b"IDAT":
            return None
        if kind == b"pHYs" and size == 9 and at + 9 <= len(head):
            x, y, unit = struct.unpack_from(">IIB", head, at)
            return (x * 0.0254, y * 0.0254) if unit == 1 and x and y else None
    return None


def png_has_text(file: bytes | mmap.mmap) -> bool:
    """Whether there are text chunks other than XMP and the metadata that some programs store as text."""
    texts = ((kind, at) for kind, at, _ in png_chunks(file) if kind in (b"tEXt", b"zTXt", b"iTXt"))
    kept = (PNG_XMP, *(RAW_PROFILE + name + b"\0" for name in RAW_PROFILES))
    return any(not file[at : at + 40].startswith(kept) for _, at in texts)


def png_frames(head: bytes) -> int:
    """Images in the file: 1, or for an APNG those that its acTL chunk counts and a still one that is not among them."""
    count, is_frame = 0, False
    for kind, at, size in png_chunks(head):
        if kind == b"IDAT":
            break
        if kind == b"acTL" and size == 8 and at + 8 <= len(head):
            (count,) = struct.unpack_from(">I", head, at)
        is_frame |= kind == b"fcTL"
    return count + (not is_frame) if count else 1


def with_png_metadata(
    file: bytes, icc: bytes | None, exif: bytes | None, xmp: bytes | None, dpi: tuple[float, float] | None
) -> bytes:
    """The PNG file with iCCP, pHYs, eXIf and XMP set; a pHYs that the encoder made up is taken out.

    The profile goes in here because libpng refuses to write ones with slips that every other program overlooks.
    """
    end = 8 + 12 + 13  # signature and IHDR
    extra = png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc)) if icc else b""
    if dpi:
        extra += png_chunk(b"pHYs", struct.pack(">IIB", *(max(round(d / 0.0254), 1) for d in dpi), 1))
    if exif:
        extra += png_chunk(b"eXIf", exif)
    if xmp:
        extra += png_chunk(b"iTXt", PNG_XMP + xmp)
    kept, at = [file[:end]], end
    while at + 8 <= len(file):
        size, kind = struct.unpack_from(">I4s", file, at)
        if kind == b"IDAT":
            break
        if kind != b"pHYs":
            kept.append(file[at : at + 12 + size])
        at += 12 + size
    return b"".join([*kept, extra, file[at:]])


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- WebP ----------------------------------------------------------------------------------------------------------


def webp_chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(file):
        kind, size = struct.unpack_from("<4sI", file, at)
        yield kind, file[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def webp_is_lossless(head: bytes) -> bool:
    """Whether the first image chunk is the lossless kind. `head` needs only to reach that chunk's name."""
    return next((kind == b"VP8L" for kind, _ in webp_chunks(head) if kind in (b"VP8L", b"VP8 ", b"ANMF")), False)


def with_webp_metadata(
    file: bytes, exif: bytes | None, xmp: bytes | None, size: tuple[int, int], has_alpha: bool
) -> bytes:
    """The WebP file with EXIF and XMP chunks; `size` is (width, height). A simple file becomes an extended one."""
    if not exif and not xmp:
        return file
    chunks = [(kind, data) for kind, data in webp_chunks(file) if kind not in (b"VP8X", b"EXIF", b"XMP ")]
    has_icc = any(kind == b"ICCP" for kind, _ in chunks)
    flags = 0x20 * has_icc | 0x10 * has_alpha | 0x08 * bool(exif) | 0x04 * bool(xmp)
    sizes = b"".join(struct.pack("<I", side - 1)[:3] for side in size)
    chunks.insert(0, (b"VP8X", struct.pack("<I", flags) + sizes))
    chunks += [(kind, data) for kind, data in ((b"EXIF", exif), (b"XMP ", xmp)) if data]
    body = b"".join(struct.pack("<4sI", k, len(d)) + d + b"\0" * (len(d) % 2) for k, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


# --- XMP -----------------------------------------------------------------------------------------------------------

_PLACE = rb"[\w.-]+:(?i:\w*gps\w*|\w*latitude|\w*longitude|\w*altitude)"
_PLACE_ATTRIBUTE = re.compile(rb"\s+" + _PLACE + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_PLACE_ELEMENT = re.compile(rb"<(" + _PLACE + rb")(?:\s[^>]*)?(?:/>|>.*?</\1\s*>)", re.DOTALL)
_PLACE_LEFT = re.compile(_PLACE)
_THUMBNAILS = re.compile(rb"<xmp:Thumbnails\b.*?</xmp:Thumbnails\s*>", re.DOTALL)
_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>\s*))[2-8](?=\s*[\"'<])")


def upright_xmp(xmp: bytes) -> bytes:
    """The packet for an upright, restored picture: orientation 1, and no thumbnail of the unrestored one."""
    return _ORIENTATION.sub(rb"\g<1>1", _THUMBNAILS.sub(b"", xmp))


def xmp_without_gps(xmp: bytes) -> bytes | None:
    """The packet without positions; None where one is left that we do not know how to cut out."""
    if b"\0" in xmp[:64]:  # UTF-16 or UTF-32, which the patterns do not see through
        return None
    cut = _PLACE_ELEMENT.sub(b"", _PLACE_ATTRIBUTE.sub(b"", xmp))
    return None if _PLACE_LEFT.search(cut) else cut
