"""TIFF directories: which of a file's images is the picture, and whether it is a camera's raw mosaic.

Classic TIFF and BigTIFF, and the two heads that cameras changed (Olympus, Panasonic). Layout: TIFF 6.0 §2,
TIFF Technical Note 1 (SubIFDs), the BigTIFF design, DNG 1.7.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Block = bytes | mmap.mmap

SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 0xFE, 0xFF, 0x100, 0x101, 0x102, 0x103, 0x106
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR, PREDICTOR = 0x111, 0x115, 0x116, 0x117, 0x11C, 0x13D
TILE_WIDTH, TILE_OFFSETS, TILE_BYTES = 0x142, 0x144, 0x145
SUB_IFDS, SAMPLE_FORMAT, XMP, DNG_VERSION, LAYERS = 0x14A, 0x153, 0x2BC, 0xC612, 0x935C

REDUCED, MASK = 1, 4  # bits of NewSubfileType
CFA, LINEAR_RAW = 32803, 34892  # PhotometricInterpretation of a mosaic, and of one that is resolved but not developed
CAMERA_COMPRESSIONS = frozenset(
    (32767, 32769, 32770, 34713, 65000, 65535)
)  # Sony, Epson, Samsung, Nikon, Kodak, Pentax

_HEADS = {b"*\0": "<", b"\0*": ">", b"RO": "<", b"RS": "<", b"OR": ">", b"U\0": "<"}
_FORMS = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SIZES = {**{kind: struct.calcsize("=" + form) for kind, form in _FORMS.items()}, 5: 8, 10: 8, 11: 4, 12: 8}
MAX_ENTRIES = 4096  # of one directory; a real one has under a hundred
MAX_DIRECTORIES = 10_000
MAX_NUMBERS = 1 << 20  # of one field


@dataclass(frozen=True)
class Directory:
    """One directory: an image with its facts. `page` counts along the chain, `sub` those inside a page (or None)."""

    page: int
    sub: int | None
    order: str
    fields: dict[int, tuple[int, int, int]]  # tag -> type, count, where the values lie
    data: Block
    at: int  # where it lies

    def numbers(self, tag: int) -> tuple[int, ...]:
        """The field's values; empty where it is not there, or its values are no whole numbers or outside the file."""
        kind, count, at = self.fields.get(tag, (0, 0, 0))
        if kind not in _FORMS or count > MAX_NUMBERS or at + count * _SIZES[kind] > len(self.data):
            return ()
        return struct.unpack_from(f"{self.order}{count}{_FORMS[kind]}", self.data, at)

    def number(self, tag: int, default: int = 0) -> int:
        return next(iter(self.numbers(tag)), default)

    def bytes(self, tag: int) -> bytes | None:
        kind, count, at = self.fields.get(tag, (0, 0, 0))
        end = at + count * _SIZES.get(kind, 1)
        return bytes(self.data[at:end]) if count and end <= len(self.data) else None

    @property
    def is_first(self) -> bool:
        return self.page == 0 and self.sub is None

    @property
    def runs_past_the_file(self) -> bool:
        """Whether samples that the directory names lie outside the file, as in one that is cut short."""
        places = ((STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES))
        return any(
            at + size > len(self.data)
            for offsets, sizes in places
            for at, size in zip(self.numbers(offsets), self.numbers(sizes), strict=False)
        )

    @property
    def is_reduced(self) -> bool:
        """A thumbnail, preview or level of a pyramid: smaller copy of another image in the file."""
        return bool(self.number(SUBFILE) & REDUCED) or self.number(OLD_SUBFILE) == 2

    @property
    def is_mask(self) -> bool:
        return bool(self.number(SUBFILE) & MASK)


def directories(data: Block) -> Iterator[Directory]:
    """All directories, each page followed by those inside it. Raises ValueError where this is no TIFF structure."""
    order, is_big = _head(data)
    (at,) = struct.unpack_from(order + "Q" if is_big else order + "I", data, 8 if is_big else 4)
    seen: set[int] = set()
    page = 0
    while at and at not in seen and len(seen) < MAX_DIRECTORIES:
        seen.add(at)
        directory, at = _directory(data, at, order, is_big, page, None)
        yield directory
        for number, inner in enumerate(directory.numbers(SUB_IFDS)):
            if inner not in seen and len(seen) < MAX_DIRECTORIES:
                seen.add(inner)
                yield _directory(data, inner, order, is_big, page, number)[0]
        page += 1


def _head(data: Block) -> tuple[str, bool]:
    """Byte order, and whether this is a BigTIFF."""
    mark, magic = bytes(data[:2]), bytes(data[2:4])
    if len(data) >= 16 and (mark, magic) in ((b"II", b"+\0"), (b"MM", b"\0+")):
        return ("<" if mark == b"II" else ">"), True
    order = _HEADS.get(magic)
    if mark not in (b"II", b"MM") or len(data) < 8 or order != ("<" if mark == b"II" else ">"):
        raise ValueError("not a TIFF structure")
    return order, False


def _directory(data: Block, at: int, order: str, is_big: bool, page: int, sub: int | None) -> tuple[Directory, int]:
    """The directory at this place, and where the next page's lies. Raises ValueError."""
    head, entry, form, inline = (8, 20, "HHQ", 8) if is_big else (2, 12, "HHI", 4)
    try:
        (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, at)
        end = at + head + entry * count
        if count > MAX_ENTRIES or end > len(data):
            raise ValueError("directory runs past the file")
        fields: dict[int, tuple[int, int, int]] = {}
        for position in range(at + head, end, entry):
            tag, kind, number = struct.unpack_from(order + form, data, position)
            value = position + entry - inline
            if number * _SIZES.get(kind, 1) > inline:
                (value,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, value)
            fields.setdefault(tag, (kind, number, value))
        after = len(data)  # a link that is cut off leads out of the file
        if end + inline <= len(data):
            (after,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, end)
    except (struct.error, OverflowError) as error:  # BigTIFF's offsets can exceed what Python can index
        raise ValueError("directory outside the file") from error
    return Directory(page, sub, order, fields, data, at), after


def with_first(data: Block, directory: Directory) -> bytes:
    """A copy of the file that begins with this directory."""
    copy = bytearray(data[:])
    order, is_big = _head(data)
    struct.pack_into(order + ("Q" if is_big else "I"), copy, 8 if is_big else 4, directory.at)
    return bytes(copy)


# --- which of them is the picture ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contents:
    """What a TIFF file holds: where the picture lies, and how much there is beside it."""

    picture: Directory
    is_raw: bool  # a camera's raw file: a mosaic of colours, or one that is resolved but not developed
    pictures: int  # of full size, the chosen one included
    copies: int  # smaller ones of some picture
    has_layers: bool  # Photoshop's
    is_cut: bool  # the chain of directories leads out of the file


def contents(data: Block) -> Contents | None:
    """NewSubfileType decides which image is the picture: the first that is neither a smaller copy nor a mask.

    None where no directory can be parsed.
    """
    found: list[Directory] = []
    is_cut = False
    try:
        found.extend(directories(data))  # keeps those before the fault
    except (ValueError, struct.error):
        is_cut = True
    if not found:
        return None
    full = [d for d in found if not d.is_reduced and not d.is_mask and d.number(WIDTH)] or found[:1]
    masks = sum(d.is_mask for d in found)
    copies = sum(d.is_reduced and not d.is_mask for d in found if d is not full[0])
    has_layers = any(LAYERS in d.fields for d in found)
    return Contents(full[0], _is_raw(data, found), len(full) + masks, copies, has_layers, is_cut)


def _is_raw(data: Block, found: list[Directory]) -> bool:
    head = bytes(data[:16])
    if head[8:10] == b"CR" or head[8:12] in (b"IIII", b"MMMM"):  # Canon, Phase One
        return True
    # DNGVersion alone is no proof: programs copy it into the TIFF they export
    return any(
        d.number(PHOTOMETRIC) in (CFA, LINEAR_RAW) or d.number(COMPRESSION) in CAMERA_COMPRESSIONS for d in found
    )
