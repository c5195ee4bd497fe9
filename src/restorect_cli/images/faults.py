"""Why a codec could not read a file, in the user's words. Four kinds, so that nobody looks for the wrong remedy:

    damaged       the file is not what it should be               InputError, "get a complete copy"
    unsupported   it is whole, and we lack what would read it     InputError, what it is and what to save it as
    not now       memory, file handles or threads ran out         UnavailableError; `batch` tries again
    yours         no such file, no permission                     UnavailableError, where the file is opened

What the file's header says goes before what the codec says: libtiff calls a ZSTD strip a bad seek.
"""

from __future__ import annotations

import errno
import mmap
import re

from ..errors import InputError, UnavailableError
from . import jpeg_parts, tiff

Block = bytes | mmap.mmap

DAMAGED = "the file is damaged or cut short"
ENDS_EARLY = "premature end"  # libjpeg's words

# What libvips and GLib say when the machine is at its limit, not the file.
_NOT_NOW = (
    (re.compile(r"out of memory|cannot allocate|unable to malloc|malloc failed|not enough memory|memory limit", re.I),
     "there is not enough memory", "close other programs"),
    (re.compile(r"too many open files|no file descriptors", re.I),
     "too many files are open", "close other programs, or raise the limit (ulimit -n)"),
    (re.compile(r"unable to create thread|error creating thread|resource temporarily unavailable", re.I),
     "no further thread can be started", "close other programs, or raise the limit (ulimit -u)"),
    (re.compile(r"no space left on device", re.I), "the disk for temporary files is full", "make room on it"),
)  # fmt: skip
_UNSUPPORTED = re.compile(
    r"not configured|not supported|unsupported|not implemented|not compiled|unknown codec|no decoding plugin"
    r"|compression scheme|cannot handle",
    re.I,
)

TIFF_COMPRESSIONS = {
    **dict.fromkeys((9, 10, 34661), "JBIG"),
    **dict.fromkeys((32895, 32896, 32897, 32898), "IT8"),
    **dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000"),
    **dict.fromkeys((34926, 50000), "ZSTD"),
    **dict.fromkeys((34927, 50001), "WebP"),
    **dict.fromkeys((50002, 52546), "JPEG XL"),
    **{32908: "PixarFilm", 34718: "MDI", 34887: "LERC", 34892: "lossy JPEG", 34925: "LZMA", 34933: "PNG"},
    34934: "JPEG XR",
}

_SAVE_AS = {
    "tiff": "save it without compression or with deflate, in 8 or 16 bits per channel or as 32-bit float",
    "jpeg": "save it as an ordinary JPEG or as PNG",
}

JPEG_KINDS = {
    0xC3: "lossless JPEG", 0xC5: "hierarchical JPEG", 0xC6: "hierarchical JPEG", 0xC7: "hierarchical JPEG",
    0xC9: "arithmetic-coded JPEG", 0xCA: "arithmetic-coded JPEG", 0xCB: "lossless JPEG",
    0xCD: "hierarchical JPEG", 0xCE: "hierarchical JPEG", 0xCF: "hierarchical JPEG", 0xF7: "JPEG-LS",
}  # fmt: skip

# Files whose head we know without reading them: (test, name, how to go on).
_OTHER_HEADS = (
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), "a JPEG XL file"),
    (re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"), "a JPEG 2000 file"),
    (re.compile(rb"II\xbc"), "a JPEG XR file"),
    (re.compile(rb"8BPS"), "a Photoshop document"),
    (re.compile(rb"\x76\x2f\x31\x01"), "an OpenEXR file"),
    (re.compile(rb"#\?RADIANCE|#\?RGBE"), "a Radiance HDR file"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"\s*<(?:\?xml[^>]*>\s*<)?(?:!DOCTYPE svg|svg)"), "an SVG drawing"),
    (re.compile(rb"....ftyp(?:mp4|isom|qt  |M4V |avc1|3gp)", re.DOTALL), "a video"),
    (re.compile(rb"\x1aE\xdf\xa3"), "a video"),
)  # fmt: skip


def of_codec(name: str, format: str, data: Block, said: str) -> InputError:
    """The error for what the codec of `format` said about these bytes; `said` is all of its message."""
    limit = at_limit(said)
    if limit is not None:
        return UnavailableError(f"cannot read {name}, {limit.problem}", limit.fix)
    kind = unsupported_kind(format, data)
    if kind:
        return InputError(f"cannot read {name}, {kind} is not supported", _SAVE_AS[format])
    if _UNSUPPORTED.search(said):
        return InputError(f"cannot read {name}, this kind of {format.upper()} is not supported ({first_line(said)})")
    fix = "get a complete copy"
    if format == "jpeg" and ENDS_EARLY in said:
        fix += ", or repair what is there with --accept-truncated"
    return InputError(f"cannot read {name}, {DAMAGED} ({first_line(said)})", fix)


def at_limit(said: str) -> UnavailableError | None:
    """The error where a library's message says that the machine is at its limit; None where it says something else."""
    found = (UnavailableError(problem, fix) for pattern, problem, fix in _NOT_NOW if pattern.search(said))
    return next(found, None)


def of_system(name: str, error: OSError) -> InputError:
    """The error for a file that the system did not open or read."""
    if isinstance(error, FileNotFoundError):
        return UnavailableError(f"cannot read {name}, there is no such file", "check the name")
    if isinstance(error, PermissionError):
        return UnavailableError(f"cannot read {name}, permission denied", "check the file's permissions")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        _, problem, fix = _NOT_NOW[1]
        return UnavailableError(f"cannot read {name}, {problem}", fix)
    if error.errno == errno.ENOMEM:
        _, problem, fix = _NOT_NOW[0]
        return UnavailableError(f"cannot read {name}, {problem}", fix)
    if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.ELOOP):
        return UnavailableError(f"cannot read {name}, {error.strerror}", "check the name")
    return UnavailableError(f"cannot read {name}, {error.strerror or error}", "check the disk")


def unsupported_kind(format: str, data: Block) -> str | None:
    """What the header says the file uses and our codecs lack; None where it says nothing of the kind."""
    if format == "jpeg":
        return _jpeg_kind(data)
    if format == "tiff":
        return _tiff_kind(data)
    return None


def other_kind(head: bytes) -> str | None:
    """What a file is that we do not read, by its first bytes, as far as we know it."""
    return next((kind for pattern, kind in _OTHER_HEADS if pattern.match(head)), None)


def first_line(said: str) -> str:
    """The first line of what libvips says, without its operation names."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[0].split(": ", 1)[-1][:120] if lines else "unknown reason"


def _jpeg_kind(data: Block) -> str | None:
    for segment in jpeg_parts.segments(data):
        marker = segment.marker
        if marker in JPEG_KINDS:
            return JPEG_KINDS[marker]
        if marker in (0xC0, 0xC1, 0xC2) and segment.payload[:1] not in (b"\x08", b""):
            return f"JPEG with {segment.payload[0]} bits per channel"
    return None


def _tiff_kind(data: Block) -> str | None:
    found = tiff.contents(data)
    if found is None:
        return None
    picture = found.picture
    compression = picture.number(tiff.COMPRESSION, 1)
    if compression in TIFF_COMPRESSIONS:
        return f"TIFF with {TIFF_COMPRESSIONS[compression]} compression"
    bits, sample_format = picture.number(tiff.BITS, 1), picture.number(tiff.SAMPLE_FORMAT, 1)
    kinds = {
        1: "whole numbers",
        2: "signed numbers",
        3: "floating-point numbers",
        5: "complex numbers",
        6: "complex numbers",
    }
    if (sample_format, bits) not in {(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (3, 32)}:
        return f"TIFF with {bits}-bit {kinds.get(sample_format, 'samples of an unknown kind')}"
    return None
