"""HEIC and HEIF files, which need the optional package pillow-heif: its decoder of HEVC is not ours to ship."""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, UnavailableError
from ..one_line import folded
from . import colour as colours
from . import containers, exif, heif_boxes
from .faults import DAMAGED
from .gainmap import without_claims
from .picture import Meta, Picture

BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
MODES = {"L": 8, "LA": 8, "RGB": 8, "RGBA": 8, "RGB;16": 16, "RGBA;16": 16, "L;16": 16, "LA;16": 16, "I;16": 16}


def is_heif(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and any(brand in (head[8:12], *_brands(head)) for brand in BRANDS)


def _brands(head: bytes) -> list[bytes]:
    return [head[at : at + 4] for at in range(16, len(head) - 3, 4)]


def decode_heif(data: bytes | mmap.mmap, name: str, check_size: Callable[[int, int], None]) -> Picture:
    """The picture in these bytes, upright, 8 or 16 bits (10 and 12 are scaled up).

    Raises InputError; UnavailableError without pillow-heif, and where memory does not suffice.
    """
    library = _library(name)
    try:
        file = library.open_heif(io.BytesIO(data[:]), convert_hdr_to_8bit=False)
        image = file[file.primary_index]
        check_size(*image.size)
        samples, mode, info = np.array(image), image.mode, dict(image.info)
        frames = len(file)
    except MemoryError:
        raise UnavailableError(f"cannot read {name}, there is not enough memory", "close other programs") from None
    except (OSError, SyntaxError, ValueError, RuntimeError, EOFError, IndexError) as error:
        said = folded(error)
        if any(word in said.lower() for word in ("unsupported", "no decoding plugin", "not supported")):
            raise InputError(f"cannot read {name}, this kind of HEIF is not supported ({said})") from None
        raise InputError(f"cannot read {name}, {DAMAGED} ({said})", "get a complete copy") from None
    if mode not in MODES:
        raise InputError(f"cannot read {name}, its pixels are of kind {mode}", "save it as PNG or TIFF")
    samples = samples.reshape(*samples.shape[:2], -1)
    bits = 16 if samples.dtype == np.uint16 else 8
    stored_bits = min(info.get("bit_depth", bits), bits)
    if stored_bits < bits:  # the library shifts them up, so that white falls short of full scale
        samples |= samples >> stored_bits
    has_alpha = samples.shape[2] in (2, 4)
    pixels = np.ascontiguousarray(samples[..., :-1] if has_alpha else samples)
    notes = []
    if frames > 1:
        notes.append(f"the file holds {frames} images; only the first is restored")
    left_out = heif_boxes.beside_the_picture(data)
    notes += [f"the file also holds {what}, which is left out" for what in left_out]
    pixels, colour = colours.of_file(name, "heif", data, info.get("icc_profile") or None, pixels)
    notes += colour.notes
    block, xmp = info.get("exif"), info.get("xmp")
    if block:
        block, problems = exif.prepare(block, info.get("original_orientation") in (5, 6, 7, 8))
        notes += problems
    meta = Meta(
        format="heif",
        width=pixels.shape[1],
        height=pixels.shape[0],
        bits=bits,
        is_grey=pixels.shape[2] == 1,
        has_alpha=has_alpha,
        sample_bits=stored_bits,
        icc=colour.icc,
        cicp=colour.cicp,
        has_own_icc=colour.has_own_icc,
        exif=block or None,
        xmp=containers.upright_xmp(without_claims(xmp)) if xmp else None,
        dpi=exif.resolution(block) if block else None,
        is_lossless=False,
        frames=frames,
        left_out=left_out,
        notes=tuple(notes),
    )
    return Picture(pixels, np.ascontiguousarray(samples[..., -1]) if has_alpha else None, meta)


def _library(name: str) -> Any:
    try:
        import pillow_heif
    except ImportError:
        problem = f"cannot read {name}, it is a HEIC file and pillow-heif, which decodes those, is not installed"
        raise UnavailableError(problem, "run: pip install pillow-heif") from None
    return pillow_heif
