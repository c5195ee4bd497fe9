"""Metadata that ImageMagick and others put into a PNG as text: hexadecimal under "Raw profile type ..."."""

from __future__ import annotations

import mmap
import zlib

from .containers import RAW_PROFILE, png_chunk, png_chunks

KINDS = {b"exif": "exif", b"APP1": "APP1", b"xmp": "xmp", b"iptc": "iptc", b"8bim": "iptc"}
MAX_BYTES = 1 << 26  # of one profile, inflated


def raw_profiles(file: bytes | mmap.mmap) -> dict[str, bytes]:
    """The intact ones by kind: exif (without header), xmp, iptc (Photoshop resources or bare IPTC-IIM records)."""
    found: dict[str, bytes] = {}
    for kind, at, size in png_chunks(file):
        if kind not in (b"tEXt", b"zTXt") or file[at : at + len(RAW_PROFILE)] != RAW_PROFILE or at + size > len(file):
            continue
        name, _, text = bytes(file[at + len(RAW_PROFILE) : at + size]).partition(b"\0")
        data = _data(text[1:] if kind == b"zTXt" else text, kind == b"zTXt")
        if name in KINDS and data is not None:
            found.setdefault(KINDS[name], data)
    shared = found.pop("APP1", b"")  # a JPEG's segment: EXIF or XMP
    if shared.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
        found.setdefault("xmp", shared.partition(b"\0")[2])
    elif shared:
        found.setdefault("exif", shared)
    if "exif" in found:
        found["exif"] = found["exif"].removeprefix(b"Exif\0\0")
    return found


def iptc_chunk(resources: bytes) -> bytes:
    """Photoshop resources as the chunk that ImageMagick and exiftool read captions from."""
    digits = resources.hex().encode()
    lines = b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = b"\niptc\n%8d\n" % len(resources) + lines + b"\n"
    return png_chunk(b"zTXt", RAW_PROFILE + b"iptc\0\0" + zlib.compress(text))


def _data(text: bytes, is_packed: bool) -> bytes | None:
    """What the text stands for: a line with its name, one with its length, hexadecimal digits."""
    try:
        if is_packed:
            unpacker = zlib.decompressobj()
            text = unpacker.decompress(text, 2 * MAX_BYTES)
            if unpacker.unconsumed_tail:
                return None
        _, length, digits = text.lstrip(b"\n").split(b"\n", 2)
        data, size = bytes.fromhex(digits.decode("ascii")), int(length)
    except (ValueError, zlib.error):
        return None
    return data if len(data) == size else None
