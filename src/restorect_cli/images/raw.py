"""Camera raw files, developed by LibRaw (the optional package rawpy) into a 16-bit sRGB picture.

As the camera measured its white balance, with sRGB's tone curve and without automatic brightening: how bright a picture
should be is a question for the repair, not for the developing.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, UnavailableError
from ..extras import how_to_install
from ..one_line import folded
from . import containers, exif, faults, tiff
from .gainmap import without_claims, without_namespace
from .jpeg_parts import segments
from .picture import Meta, Picture

SRGB_GAMMA = (2.4, 12.92)  # IEC 61966-2-1
NOTE = "developed from RAW with {}, as 16-bit sRGB"
HALF_NOTE = "developed at half size"
CAMERA_RAW = b"http://ns.adobe.com/camera-raw-settings/1.0/"  # settings that a program would apply a second time


def is_raw_head(head: bytes) -> bool:
    """Whether these are the first bytes of a raw file that is no TIFF: Canon CR3 and CRW, Fujifilm, Minolta, Sigma."""
    return (
        head[4:12] == b"ftypcrx "
        or head[:15] == b"FUJIFILMCCD-RAW"
        or head[6:14] == b"HEAPCCDR"
        or head[:4] in (b"\0MRM", b"FOVb")
    )


def develop(
    data: bytes | mmap.mmap, name: str, check_size: Callable[[int, int], None], *, half_size: bool = False
) -> Picture:
    """The developed picture, upright; `half_size` takes each 2×2 of the mosaic as one pixel, for previews.

    Raises InputError; UnavailableError without rawpy, and where memory does not suffice.
    """
    rawpy = _library(name)
    found = _directories(data)
    if found and tiff.DNG_VERSION in found[0].fields and any(directory.runs_past_the_file for directory in found):
        raise _cut(name)  # LibRaw would fill the rest with black; cameras' own kinds can state places of another sort
    try:
        with rawpy.imread(io.BytesIO(data[:])) as raw:
            sizes = raw.sizes
            check_size(sizes.width, sizes.height)
            samples = raw.postprocess(
                use_camera_wb=True,
                half_size=half_size,
                output_bps=16,
                output_color=rawpy.ColorSpace.sRGB,
                gamma=SRGB_GAMMA,
                no_auto_bright=True,
            )
            turned = sizes.flip in (5, 6)
            has_balance = min(raw.camera_whitebalance[:3]) > 0
    except (rawpy.LibRawUnsufficientMemoryError, MemoryError):
        raise UnavailableError(f"cannot read {name}, there is not enough memory", "close other programs") from None
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawRequestForNonexistentImageError, rawpy.NotSupportedError):
        raise _not_known(data, name) from None
    except rawpy.LibRawTooBigError:
        problem = f"cannot read {name}, LibRaw finds more pixels stated in it than it takes"
        raise InputError(problem, "get a complete copy, or export a TIFF from the camera maker's program") from None
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else "unknown reason"
        reason = folded(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)
        problem = f"cannot read {name}, the RAW file is damaged or cut short ({reason})"
        raise InputError(problem, "get a complete copy") from None
    block, xmp = _metadata(data)
    balance = "the camera's white balance" if has_balance else "daylight white balance (the file states none)"
    notes = [NOTE.format(balance), *([HALF_NOTE] if half_size else [])]
    if block is not None:
        block, problems = exif.prepare(block, turned)
        notes += problems
    else:
        notes.append("no EXIF block was found in this kind of RAW file")
    samples = np.ascontiguousarray(samples)
    if samples.ndim == 2:
        samples = samples[..., None]
    meta = Meta(
        format="raw",
        width=samples.shape[1],
        height=samples.shape[0],
        bits=16,
        sample_bits=16,
        is_grey=samples.shape[2] == 1,
        exif=block,
        xmp=xmp,
        notes=tuple(notes),
    )
    return Picture(samples, None, meta)


def _not_known(data: bytes | mmap.mmap, name: str) -> InputError:
    """The error for a file of which LibRaw says only that it does not know it, which it says of damaged ones too."""
    if any(directory.runs_past_the_file for directory in _directories(data)):
        return _cut(name)
    kinds = {faults.TIFF_COMPRESSIONS.get(d.number(tiff.COMPRESSION, 1)) for d in _directories(data)} - {None}
    if kinds:
        problem = f"cannot read {name}, RAW with {' and '.join(sorted(map(str, kinds)))} compression is not supported"
    else:
        problem = f"cannot read {name}, LibRaw does not know this kind of RAW file, or it is cut short"
    return InputError(problem, "export a TIFF from the camera maker's program, or convert it to an older DNG")


def _cut(name: str) -> InputError:
    return InputError(f"cannot read {name}, the RAW file is damaged or cut short", "get a complete copy")


def _directories(data: bytes | mmap.mmap) -> list[tiff.Directory]:
    """Those of a file with a TIFF head, as far as they can be parsed."""
    found: list[tiff.Directory] = []
    if data[:2] in (b"II", b"MM"):
        with contextlib.suppress(ValueError, struct.error):
            found.extend(tiff.directories(data))
    return found


def _library(name: str) -> Any:
    try:
        import rawpy
    except ImportError:
        problem = f"cannot read {name}, it is a RAW file and rawpy, which develops those, is not installed"
        raise UnavailableError(problem, how_to_install("raw")) from None
    return rawpy


def _metadata(data: bytes | mmap.mmap) -> tuple[bytes | None, bytes | None]:
    """EXIF and XMP, where the kind of file has them at a place we know: a TIFF head, or Fujifilm's JPEG preview."""
    if data[:15] == b"FUJIFILMCCD-RAW" and len(data) >= 92:
        (at,) = struct.unpack_from(">I", data, 84)
        blocks = (s.payload for s in segments(data, at) if s.payload.startswith(containers.EXIF_HEADER))
        return next((block.removeprefix(containers.EXIF_HEADER) for block in blocks), None), None
    if data[:2] not in (b"II", b"MM"):
        return None, None
    head = b"II*\0" if data[:2] == b"II" else b"MM\0*"  # Olympus and Panasonic write others
    block = exif.from_tiff(data if data[:4] == head else head + data[4:])
    try:
        packet = next(tiff.directories(data)).bytes(tiff.XMP)
    except (ValueError, StopIteration):
        packet = None
    if packet:
        packet = containers.upright_xmp(without_claims(without_namespace(packet, CAMERA_RAW)))
    return block, packet
