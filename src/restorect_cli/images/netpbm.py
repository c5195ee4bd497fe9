"""The Netpbm family, which keeps its depth: PBM, PGM, PPM (P1 to P6), PAM (P7) and PFM (PF, Pf).

Formats: netpbm.sourceforge.net/doc/pbm.html and so on; PFM: www.pauldebevec.com/Research/HDR/PFM. Samples up to 255 are
read as 8 bits, up to 65535 as 16, scaled so that the file's maximum is full scale.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..one_line import folded
from .picture import FULL_SCALE, Meta, Picture, Pixels

Data = bytes | mmap.mmap

MAGIC = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"PF", b"Pf")
HEADER_BYTES = 1 << 16  # comments included
ROWS_AT_ONCE = 256
_SPACE_OR_COMMENT = rb"(?:\s|#[^\n\r]*[\n\r])"
_NUMBER = re.compile(_SPACE_OR_COMMENT + rb"+([^\s#]+)")
_TUPLES = {
    **{b"BLACKANDWHITE": (1, False), b"GRAYSCALE": (1, False), b"RGB": (3, False)},
    **{b"BLACKANDWHITE_ALPHA": (1, True), b"GRAYSCALE_ALPHA": (1, True), b"RGB_ALPHA": (3, True)},
}


@dataclass(frozen=True)
class _Header:
    magic: bytes
    width: int
    height: int
    bands: int  # alpha included
    has_alpha: bool
    maximum: int  # sample value of full scale; 0 for float
    order: str  # of bytes, for numpy
    start: int  # of the samples

    @property
    def is_text(self) -> bool:
        return self.magic in (b"P1", b"P2", b"P3")

    @property
    def sample_bytes(self) -> int:
        return 4 if self.maximum == 0 else 2 if self.maximum > 255 else 1

    @property
    def size(self) -> int:
        """Bytes of the samples of a binary file."""
        if self.magic == b"P4":
            return (self.width + 7) // 8 * self.height
        return self.width * self.height * self.bands * self.sample_bytes


class _BadHeaderError(ValueError):
    pass


def is_netpbm(head: bytes) -> bool:
    return head[:2] in MAGIC and head[2:3].isspace()


def decode_netpbm(data: Data, name: str, check_size: Callable[[int, int], None]) -> Picture:
    """The first picture in these bytes; `check_size(width, height)` may refuse it before it is decoded.

    Raises InputError.
    """
    try:
        header = _header(data[:HEADER_BYTES])
        check_size(header.width, header.height)
        samples = _text_samples(data, header) if header.is_text else _binary_samples(data, header)
    except (ValueError, IndexError) as error:
        problem = f"cannot read {name}, the file is damaged or cut short ({folded(error)})"
        raise InputError(problem, "get a complete copy") from None
    has_more = not header.is_text and is_netpbm(data[header.start + header.size :][:3].lstrip())
    alpha = np.ascontiguousarray(samples[:, :, -1]) if header.has_alpha else None
    pixels = np.ascontiguousarray(samples[:, :, : header.bands - header.has_alpha])
    meta = Meta(
        format="ppm",
        width=header.width,
        height=header.height,
        bits=pixels.dtype.itemsize * 8,
        is_grey=pixels.shape[2] == 1,
        has_alpha=header.has_alpha,
        sample_bits=header.maximum.bit_length() or 32,
        frames=1 + has_more,
        notes=("the file holds several images; only the first is restored",) if has_more else (),
    )
    return Picture(pixels, alpha, meta)


def _header(head: bytes) -> _Header:
    magic = head[:2]
    if magic == b"P7":
        return _pam_header(head)
    count = 2 if magic in (b"P1", b"P4") else 3
    fields, at = [], 2
    for _ in range(count):
        match = _NUMBER.match(head, at)
        if match is None:
            raise _BadHeaderError("the header is incomplete")
        fields.append(match[1])
        at = match.end()
    width, height = _whole(fields[0], 1, 1 << 31), _whole(fields[1], 1, 1 << 31)
    if magic in (b"PF", b"Pf"):
        scale = float(fields[2]) if re.fullmatch(rb"[-+]?[0-9.]{1,20}(?:[eE][-+]?[0-9]{1,3})?", fields[2]) else 0.0
        if not np.isfinite(scale) or scale == 0:
            raise _BadHeaderError("the scale of a PFM is no number, or zero")
        order = "<" if scale < 0 else ">"  # its amount is a unit of light that nothing here asks for
        return _Header(magic, width, height, 3 if magic == b"PF" else 1, False, 0, order, at + 1)
    maximum = 1 if count == 2 else _whole(fields[2], 1, 65535)
    return _Header(magic, width, height, 3 if magic in (b"P3", b"P6") else 1, False, maximum, ">", at + 1)


def _pam_header(head: bytes) -> _Header:
    end = re.search(rb"\nENDHDR[^\S\n]*\n", head)
    if end is None:
        raise _BadHeaderError("the header is incomplete")
    lines = [line.split(None, 1) for line in head[2 : end.start()].splitlines() if not line.lstrip().startswith(b"#")]
    fields = {line[0].upper(): line[1].strip() for line in lines if len(line) == 2}
    width, height = _whole(fields.get(b"WIDTH", b""), 1, 1 << 31), _whole(fields.get(b"HEIGHT", b""), 1, 1 << 31)
    bands, maximum = _whole(fields.get(b"DEPTH", b""), 1, 4), _whole(fields.get(b"MAXVAL", b""), 1, 65535)
    colours, has_alpha = _TUPLES.get(fields.get(b"TUPLTYPE", b"").upper(), (bands - (bands in (2, 4)), bands in (2, 4)))
    if colours + has_alpha != bands or colours not in (1, 3):
        raise _BadHeaderError("depth and tuple type of the PAM contradict each other")
    return _Header(b"P7", width, height, bands, has_alpha, maximum, ">", end.end())


def _whole(field: bytes, least: int, most: int) -> int:
    if not re.fullmatch(rb"[0-9]{1,10}", field) or not least <= int(field) <= most:
        raise _BadHeaderError("a number of the header is out of range")
    return int(field)


def _binary_samples(data: Data, header: _Header) -> Pixels:
    if header.start + header.size > len(data):
        raise ValueError("the pixels are not all there")
    raw = data[header.start : header.start + header.size]
    if header.magic == b"P4":
        rows = np.frombuffer(raw, np.uint8).reshape(header.height, -1)
        bits = np.unpackbits(rows, axis=1)[:, : header.width, None]
        black_is_one: Pixels = (1 - bits) * np.uint8(255)
        return black_is_one
    kind = {1: "u1", 2: "u2", 4: "f4"}[header.sample_bytes]
    samples = np.frombuffer(raw, header.order + kind).reshape(header.height, header.width, header.bands)
    if header.maximum == 0:
        floats: Pixels = np.ascontiguousarray(samples[::-1], np.float32)  # bottom row first
        return floats
    return _full_scale(samples, header.maximum)


def _text_samples(data: Data, header: _Header) -> Pixels:
    text = re.sub(rb"#[^\n\r]*", b"", data[header.start - 1 :])
    count = header.width * header.height * header.bands
    if header.magic == b"P1":  # digits need no space between them
        digits = np.frombuffer(re.sub(rb"\s", b"", text)[:count], np.uint8)
        if digits.size < count or not ((digits == 48) | (digits == 49)).all():
            raise ValueError("the pixels are not all there")
        bitmap: Pixels = ((49 - digits) * np.uint8(255)).reshape(header.height, header.width, 1)
        return bitmap
    fields = text.split(None, count)[:count]
    if len(fields) < count or not all(field.isdigit() and len(field) <= 5 for field in fields):
        raise ValueError("the pixels are not all there")
    numbers = np.array(fields, dtype="S5").astype(np.uint32)
    return _full_scale(numbers.reshape(header.height, header.width, header.bands), header.maximum)


def _full_scale(samples: Pixels, maximum: int) -> Pixels:
    """The samples with `maximum` as full scale of 8 or 16 bits. Raises ValueError for one above it."""
    bits = 16 if maximum > 255 else 8
    full, dtype = FULL_SCALE[bits], np.uint16 if bits == 16 else np.uint8
    if maximum == full:
        return samples.astype(dtype)
    out = np.empty(samples.shape, dtype)
    for y in range(0, len(samples), ROWS_AT_ONCE):
        rows = samples[y : y + ROWS_AT_ONCE].astype(np.uint64)
        if rows.max() > maximum:
            raise ValueError("a sample exceeds the maximum of the header")
        out[y : y + ROWS_AT_ONCE] = (rows * full + maximum // 2) // maximum
    return out
