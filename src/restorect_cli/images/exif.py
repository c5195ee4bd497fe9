"""EXIF, which is a small TIFF: made upright, rid of its thumbnail or position, moved into and out of TIFF files.

Edits are made in place, byte for byte: maker notes hold offsets that count from the start of the block, and a block
that is taken apart and written anew leaves them pointing at nothing. Layout: TIFF 6.0 §2, Exif 2.32 §4.6.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from dataclasses import dataclass

Block = bytes | bytearray | mmap.mmap

TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
BIG_TYPES = (16, 17, 18)  # of BigTIFF alone
HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}

ORIENTATION = 0x0112
EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
THUMBNAIL_OFFSET, THUMBNAIL_BYTES = 0x0201, 0x0202
SIZES_THAT_TURN = ((0x0100, 0x0101), (0xA002, 0xA003))  # width and height, of the image and of the EXIF pixel area
IPTC, PHOTOSHOP = 0x83BB, 0x8649

# What describes the photograph in a TIFF's first directory; the other tags describe how the file stores its pixels.
DESCRIPTIVE = frozenset(
    (0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298)
    + (0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F)
)
MAX_ENTRIES = 4096  # of one directory; a real one has under a hundred


@dataclass(frozen=True)
class Entry:
    """One field of a directory. `value` is where its bytes lie in the block, inside the entry or outside."""

    position: int
    tag: int
    type: int
    count: int
    value: int

    @property
    def size(self) -> int:
        return self.count * TYPE_BYTES.get(self.type, 1)


def byte_order(block: Block) -> str:
    """`<` or `>` for struct. Raises ValueError where this is no TIFF structure."""
    return _layout(block)[0]


def _layout(block: Block) -> tuple[str, bool]:
    """Byte order, and whether this is a BigTIFF. Raises ValueError where it is no TIFF structure."""
    layout = HEADERS.get(bytes(block[:4]))
    if layout is None or len(block) < (16 if layout[1] else 8):
        raise ValueError("not a TIFF structure")
    return layout


def first_offset(block: Block) -> int:
    order, is_big = _layout(block)
    return int(struct.unpack_from(order + ("Q" if is_big else "I"), block, 8 if is_big else 4)[0])


def entries(block: Block, offset: int) -> list[Entry]:
    """Fields of the directory at `offset`, those that point outside the block left out. Raises ValueError."""
    order, is_big = _layout(block)
    head, entry, inline = ("Q", "HHQ", 8) if is_big else ("H", "HHI", 4)
    pointer = "Q" if is_big else "I"
    table = offset + struct.calcsize(order + head)
    size_each = struct.calcsize(order + entry) + inline
    if not 8 <= offset <= len(block) - (table - offset):
        raise ValueError("directory outside the block")
    (count,) = struct.unpack_from(order + head, block, offset)
    if count > MAX_ENTRIES or table + size_each * count > len(block):
        raise ValueError("directory runs past the block")
    found = []
    for position in range(table, table + size_each * count, size_each):
        tag, kind, number = struct.unpack_from(order + entry, block, position)
        size, inside = number * TYPE_BYTES.get(kind, 1), position + size_each - inline
        value = inside if size <= inline else struct.unpack_from(order + pointer, block, inside)[0]
        if value + size <= len(block):
            found.append(Entry(position, tag, kind, number, value))
    return found


def prepare(exif: bytes, turned: bool) -> tuple[bytes | None, tuple[str, ...]]:
    """The block for an upright picture, and notes: orientation 1, sizes swapped if turned, the old thumbnail gone.

    The thumbnail shows the unrestored picture. One field that cannot be understood is left out alone. None for a
    block that has no directory: what it says about the orientation could then be wrong.
    """
    block, notes = bytearray(exif.removeprefix(b"Exif\0\0")), []
    try:
        if _layout(block)[1]:
            raise ValueError("a BigTIFF is no EXIF block")
        first = first_offset(block)
        for field in [e for e in entries(block, first) if e.tag == ORIENTATION]:
            try:
                _write_number(block, field, 1)
            except ValueError:
                _remove(block, first, ORIENTATION)
                notes.append("the EXIF field Orientation is damaged and was left out")
        fields = entries(block, first)
        if turned:
            _swap_sizes(block, fields + _sub_entries(block, fields, EXIF_IFD))
        _drop_thumbnail(block)
    except (ValueError, struct.error):
        return None, ("the EXIF block is damaged and was left out",)
    return bytes(block), tuple(notes)


def resolution(exif: Block) -> tuple[float, float] | None:
    """Pixels per inch, horizontal and vertical, as the block says; None where it does not, or not sensibly."""
    order = byte_order(exif)
    found = {e.tag: e for e in entries(exif, first_offset(exif))}
    sides = []
    for tag in (0x011A, 0x011B):
        if tag not in found or found[tag].type != 5 or found[tag].count != 1:
            return None
        top, bottom = struct.unpack_from(order + "II", exif, found[tag].value)
        sides.append(top / bottom if bottom else 0.0)
    unit = found.get(0x0128)
    try:
        scale = {2: 1.0, 3: 2.54}.get(2 if unit is None else _number(exif, unit))
    except ValueError:
        return None
    return (sides[0] * scale, sides[1] * scale) if scale and min(sides) > 0 else None


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """The block stating a resolution, for formats that have no other place for it; one that it states is left alone.

    Its offsets stay as they are: a new first directory is appended. Without a block, one that holds nothing else.
    """
    if exif is None:
        exif = b"II*\0" + struct.pack("<IHI", 8, 0, 0)
    elif resolution(exif):
        return exif
    order = byte_order(exif)
    fields = [Field(0x0128, 3, 1, struct.pack(order + "H", 2), order)]  # inch
    for tag, side in zip((0x011A, 0x011B), dpi, strict=True):
        fields.append(Field(tag, 5, 1, struct.pack(order + "II", round(side * 1000), 1000), order))
    own = [cell for cell in _own_entries(exif) if cell[0] not in (0x011A, 0x011B, 0x0128)]
    return _with_new_first(exif, {0: fields}, own)


def without_gps(exif: bytes) -> bytes:
    """The block without the position: its directory unlinked and overwritten with zeros."""
    block = bytearray(exif)
    first = first_offset(block)
    _drop_gps(block, first)
    for field in entries(block, first):
        if field.tag == EXIF_IFD:
            _drop_gps(block, _number(block, field))
    return bytes(block)


# --- into and out of a TIFF file ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A field taken out of its block: its bytes, in the byte order of `order`."""

    tag: int
    type: int
    count: int
    data: bytes
    order: str

    def in_order(self, order: str) -> bytes:
        width = {5: 4, 10: 4}.get(self.type, TYPE_BYTES[self.type])
        if order == self.order or width == 1:
            return self.data
        return b"".join(self.data[i : i + width][::-1] for i in range(0, len(self.data), width))


def from_tiff(file: Block) -> bytes | None:
    """EXIF block of a TIFF file, its maker notes included; None where it has nothing descriptive."""
    try:
        tree = _read_tree(file)
    except (ValueError, struct.error):
        return None
    if not any(tree.values()):
        return None
    order = byte_order(file)
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return header + _directories(tree, order, 8, [])


def iptc_from_tiff(file: Block) -> bytes | None:
    """IPTC-IIM records of a TIFF file."""
    return _bytes_of(file, IPTC)


def photoshop_from_tiff(file: Block) -> bytes | None:
    """Photoshop's image resources of a TIFF file."""
    return _bytes_of(file, PHOTOSHOP)


def _bytes_of(file: Block, tag: int) -> bytes | None:
    try:
        found = [e for e in entries(file, first_offset(file)) if e.tag == tag]
    except (ValueError, struct.error):
        return None
    return bytes(file[found[0].value : found[0].value + found[0].size]) if found else None


def number(file: Block, tag: int) -> int | None:
    """The first value of a field of whole numbers in a TIFF file's first directory; None where it has none."""
    try:
        return next((_number(file, e) for e in entries(file, first_offset(file)) if e.tag == tag), None)
    except (ValueError, struct.error):
        return None


def numbers(file: Block, tag: int) -> tuple[int, ...]:
    """All values of a field of whole numbers in a TIFF file's first directory; empty where it has none."""
    try:
        field = next((e for e in entries(file, first_offset(file)) if e.tag == tag and e.type in NUMBERS), None)
        code = None if field is None else f"{byte_order(file)}{field.count}{NUMBERS[field.type]}"
        return () if field is None or code is None else struct.unpack_from(code, file, field.value)
    except (ValueError, struct.error):
        return ()


def rationals(file: Block, tag: int) -> tuple[float, ...]:
    """The values of a field of fractions in a TIFF file's first directory; empty where it has none."""
    try:
        field = next((e for e in entries(file, first_offset(file)) if e.tag == tag and e.type in (5, 10)), None)
        if field is None:
            return ()
        code = byte_order(file) + str(2 * field.count) + ("I" if field.type == 5 else "i")
        parts = struct.unpack_from(code, file, field.value)
        return tuple(top / bottom for top, bottom in zip(parts[0::2], parts[1::2], strict=True))
    except (ValueError, ZeroDivisionError, struct.error):
        return ()


def attach_to_tiff(file: bytes, exif: bytes | None, iptc: bytes | None, photoshop: bytes | None = None) -> bytes:
    """The TIFF file with descriptive fields, EXIF and GPS directories, IPTC records and Photoshop resources added.

    A new first directory is appended that repeats the file's own fields and holds these too.
    """
    order = byte_order(file)
    tree: dict[int, list[Field]] = _read_tree(exif) if exif else {0: []}
    for tag, data in ((IPTC, iptc), (PHOTOSHOP, photoshop)):
        if data:
            tree[0] = [*tree[0], Field(tag, 7 if tag == IPTC else 1, len(data), data, order)]
    return _with_new_first(file, tree, [cell for cell in _own_entries(file) if cell[0] not in (EXIF_IFD, GPS_IFD)])


def _own_entries(block: bytes) -> list[tuple[int, bytes]]:
    """(tag, the twelve bytes) of the first directory's entries."""
    return [(e.tag, block[e.position : e.position + 12]) for e in entries(block, first_offset(block))]


def _with_new_first(block: bytes, tree: dict[int, list[Field]], own: list[tuple[int, bytes]]) -> bytes:
    """The block with directories for this tree appended, and the header pointing at the first of them."""
    order = byte_order(block)
    padding = bytes(len(block) % 2)
    start = len(block) + len(padding)
    body = block + padding + _directories(tree, order, start, own)
    return body[:4] + struct.pack(order + "I", start) + body[8:]


def _read_tree(block: Block) -> dict[int, list[Field]]:
    """Descriptive fields of the first directory under key 0, and each sub-directory under its tag."""
    order = byte_order(block)

    def field(e: Entry) -> Field:
        return Field(e.tag, e.type, e.count, bytes(block[e.value : e.value + e.size]), order)

    first = entries(block, first_offset(block))
    inner = _sub_entries(block, first, EXIF_IFD)
    pointers = (EXIF_IFD, GPS_IFD, INTEROP_IFD)
    return {
        0: [field(e) for e in first if e.tag in DESCRIPTIVE and _is_classic(e)],
        EXIF_IFD: [field(e) for e in inner if e.tag not in pointers and _is_classic(e)],
        INTEROP_IFD: [field(e) for e in _sub_entries(block, inner, INTEROP_IFD) if _is_classic(e)],
        GPS_IFD: [field(e) for e in _sub_entries(block, first, GPS_IFD) if _is_classic(e)],
    }


def _is_classic(entry: Entry) -> bool:
    return entry.type in TYPE_BYTES and entry.type not in BIG_TYPES


def _directories(tree: dict[int, list[Field]], order: str, start: int, own: list[tuple[int, bytes]]) -> bytes:
    """All directories of the tree as they lie from `start` on; `own` are finished entries of the first one."""
    out = bytearray()

    def add(fields: list[Field], finished: list[tuple[int, bytes]]) -> int:
        """Append one directory, return its offset."""
        taken = {tag for tag, _ in finished}
        unique = {f.tag: f for f in fields if f.tag not in taken}
        offset = start + len(out)
        values = offset + 2 + 12 * (len(unique) + len(finished)) + 4
        tail, table = bytearray(), list(finished)
        for f in unique.values():
            data = f.in_order(order)
            if len(data) <= 4:
                cell = data.ljust(4, b"\0")
            else:
                cell = struct.pack(order + "I", values + len(tail))
                tail += data + b"\0" * (len(data) % 2)
            table.append((f.tag, struct.pack(order + "HHI", f.tag, f.type, f.count) + cell))
        out.extend(struct.pack(order + "H", len(table)))
        out.extend(b"".join(cell for _, cell in sorted(table)) + b"\0\0\0\0" + tail)
        return offset

    def pointer(tag: int) -> Field:
        """Sub-directories come after the one that names them, so their place must be known first: sizes are."""
        return Field(tag, 4, 1, b"\0\0\0\0", order)

    present = [tag for tag in (EXIF_IFD, GPS_IFD) if tree.get(tag) or (tag == EXIF_IFD and tree.get(INTEROP_IFD))]
    add([*tree.get(0, []), *map(pointer, present)], own)
    for tag in present:
        inner = [pointer(INTEROP_IFD)] if tag == EXIF_IFD and tree.get(INTEROP_IFD) else []
        at = add([*tree.get(tag, []), *inner], [])
        _patch(out, order, 0, tag, at)
        if inner:
            _patch(out, order, at - start, INTEROP_IFD, add(tree[INTEROP_IFD], []))
    return bytes(out)


def _patch(out: bytearray, order: str, directory: int, tag: int, target: int) -> None:
    """Let the pointer `tag` of the directory at `directory` (within `out`) say `target`."""
    (count,) = struct.unpack_from(order + "H", out, directory)
    for position in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from(order + "H", out, position)[0] == tag:
            struct.pack_into(order + "I", out, position + 8, target)


# --- editing in place ---------------------------------------------------------------------------------------------


def _number(block: Block, field: Entry) -> int:
    code = NUMBERS.get(field.type)
    if code is None or field.count < 1:
        raise ValueError("not a whole number")
    return int(struct.unpack_from(byte_order(block) + code, block, field.value)[0])


def _write_number(block: bytearray, field: Entry, number: int) -> None:
    code = {1: "B", 3: "H", 4: "I"}.get(field.type)
    if code is None or field.count < 1:
        raise ValueError("not a whole number")
    struct.pack_into(byte_order(block) + code, block, field.value, number)


def _sub_entries(block: Block, fields: list[Entry], tag: int) -> list[Entry]:
    """Fields of the sub-directory that `tag` points at; a broken pointer costs only that directory."""
    for field in fields:
        if field.tag == tag:
            try:
                return entries(block, _number(block, field))
            except ValueError:
                return []
    return []


def _swap_sizes(block: bytearray, fields: list[Entry]) -> None:
    by_tag = {field.tag: field for field in fields}
    for wide, high in SIZES_THAT_TURN:
        if wide in by_tag and high in by_tag and by_tag[wide].type == by_tag[high].type:
            with contextlib.suppress(ValueError):  # of another type than a size can be: as wrong turned as not
                width, height = _number(block, by_tag[wide]), _number(block, by_tag[high])
                _write_number(block, by_tag[wide], height)
                _write_number(block, by_tag[high], width)


def _drop_thumbnail(block: bytearray) -> None:
    order, first = byte_order(block), first_offset(block)
    (count,) = struct.unpack_from(order + "H", block, first)
    link = first + 2 + 12 * count
    if link + 4 > len(block):
        return
    (second,) = struct.unpack_from(order + "I", block, link)
    if not second:
        return
    struct.pack_into(order + "I", block, link, 0)
    try:
        numbers = {e.tag: _number(block, e) for e in entries(block, second) if e.tag in (0x0201, 0x0202)}
    except ValueError:
        return
    start, size = numbers.get(THUMBNAIL_OFFSET, 0), numbers.get(THUMBNAIL_BYTES, 0)
    if link + 4 <= start and start + size <= len(block):
        if start + size >= len(block) - 1:
            del block[start:]
        else:
            block[start : start + size] = bytes(size)


def _drop_gps(block: bytearray, directory: int) -> None:
    order = byte_order(block)
    while True:
        (count,) = struct.unpack_from(order + "H", block, directory)
        end = directory + 2 + 12 * count + 4
        if end > len(block):
            raise ValueError("directory runs past the block")
        field = next((e for e in entries(block, directory) if e.tag == GPS_IFD), None)
        if field is None:
            return
        try:
            at = _number(block, field)
            for inner in entries(block, at):
                if inner.value >= 8:
                    block[inner.value : inner.value + inner.size] = bytes(inner.size)
                block[inner.position : inner.position + 12] = bytes(12)
            block[at : at + 2] = b"\0\0"
        except ValueError:
            pass  # it points at nothing, so there is no position to overwrite; the pointer itself goes below
        _remove(block, directory, GPS_IFD)


def _remove(block: bytearray, directory: int, tag: int) -> None:
    """Take the first field of this tag out: the entries behind it and the link to the next directory move up."""
    order = byte_order(block)
    (count,) = struct.unpack_from(order + "H", block, directory)
    end = min(directory + 2 + 12 * count + 4, len(block))  # some writers leave the link out
    position = next(e.position for e in entries(block, directory) if e.tag == tag)
    block[position:end] = block[position + 12 : end] + bytes(12)
    struct.pack_into(order + "H", block, directory, count - 1)
