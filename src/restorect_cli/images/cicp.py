"""Colours told by numbers in place of an ICC profile: CICP in AVIF and PNG, and gAMA, cHRM and sRGB in PNG.

Codes and curves are those of ITU-T H.273. What they say is made into an ICC profile, so that the rest of the program
knows one kind of colour only. Curves of high dynamic range (PQ, HLG) do not fit: their values are light in nits or
relative to a scene, and a picture restored as if white were full scale would be wrong.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .containers import png_chunk, png_chunks

Data = bytes | mmap.mmap
Chromaticities = tuple[float, float, float, float, float, float, float, float]  # x, y of red, green, blue and white

D65 = (0.3127, 0.3290)
D50_XYZ = (0.9642, 1.0, 0.8249)  # the white of the ICC's connection space
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

UNSPECIFIED = 2
SRGB = (1, 13)
PRIMARIES: dict[int, tuple[str, Chromaticities]] = {
    1: ("BT.709", (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *D65)),
    4: ("BT.470 M", (0.670, 0.330, 0.210, 0.710, 0.140, 0.080, 0.310, 0.316)),
    5: ("BT.601 (625 lines)", (0.640, 0.330, 0.290, 0.600, 0.150, 0.060, *D65)),
    6: ("BT.601 (525 lines)", (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65)),
    7: ("SMPTE 240M", (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *D65)),
    8: ("film", (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316)),
    9: ("BT.2020", (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *D65)),
    11: ("DCI-P3", (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351)),
    12: ("Display P3", (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *D65)),
    22: ("EBU 3213", (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *D65)),
}

# Curves as the ICC's parametric kinds: (gamma,), or (g, a, b, c, d) for (aX+b)^g from d on and cX below.
Curve = tuple[float, ...]
BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
TRANSFERS: dict[int, tuple[str, Curve]] = {
    **dict.fromkeys((1, 6, 11, 12, 14, 15), ("BT.709", BT709_CURVE)),
    4: ("gamma 2.2", (2.2,)),
    5: ("gamma 2.8", (2.8,)),
    7: ("SMPTE 240M", (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912)),
    8: ("linear", (1.0,)),
    13: ("sRGB", (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)),
}
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
GAMMA_OF_SRGB = 1 / 2.2  # a gAMA chunk of 45455 stands beside, or for, an sRGB chunk
CHUNKS = (b"gAMA", b"cHRM", b"sRGB")


class UnsupportedColourError(ValueError):
    """The colours are of a valid kind that cannot be restored; the text says which."""


@dataclass(frozen=True)
class Told:
    """What a file says of its colours outside an ICC profile."""

    cicp: tuple[int, int] | None = None  # primaries and transfer; None where CICP says nothing
    chunks: bytes = b""  # a PNG's gAMA, cHRM and sRGB chunks, whole
    icc: bytes | None = None  # the same as a profile; None for sRGB
    note: str = ""  # what could not be used


# --- reading -------------------------------------------------------------------------------------------------------


def told_by_png(file: Data, bands: int) -> Told:
    """Colours of a PNG whose pixels have 1 or 3 colour bands; cICP goes before the other chunks, as PNG 3 has it.

    Raises UnsupportedColourError.
    """
    found: dict[bytes, bytes] = {}
    for kind, at, size in png_chunks(file):
        if kind in (b"IDAT", b"IEND"):
            break
        if kind in (*CHUNKS, b"cICP") and size <= 32 and at + size <= len(file):
            found.setdefault(kind, bytes(file[at : at + size]))
    chunks = b"".join(png_chunk(kind, found[kind]) for kind in CHUNKS if kind in found)
    if len(found.get(b"cICP", b"")) == 4:
        primaries, transfer = found[b"cICP"][:2]
        return told_by_cicp(primaries, transfer, bands, chunks)
    if b"sRGB" in found:
        return Told(chunks=chunks)
    return _told_by_gamma(found, bands, chunks)


def told_by_cicp(primaries: int, transfer: int, bands: int, chunks: bytes = b"") -> Told:
    """Colours that H.273 codes name; unspecified ones are taken as sRGB's. Raises UnsupportedColourError."""
    if transfer in HDR_TRANSFERS:
        raise UnsupportedColourError(f"its colours are HDR ({HDR_TRANSFERS[transfer]}), which is not supported")
    if primaries == UNSPECIFIED and transfer == UNSPECIFIED:
        return Told(chunks=chunks)
    known_primaries = PRIMARIES.get(1 if primaries == UNSPECIFIED else primaries)
    known_transfer = TRANSFERS.get(13 if transfer == UNSPECIFIED else transfer)
    if known_primaries is None or known_transfer is None:
        what = f"primaries {primaries}" if known_primaries is None else f"transfer {transfer}"
        raise UnsupportedColourError(f"its colours are of a kind that is not supported (CICP {what})")
    is_srgb = known_primaries is PRIMARIES[1] and known_transfer is TRANSFERS[13]
    name = f"{known_primaries[0]}, {known_transfer[0]}"
    icc = None if is_srgb else made_profile(name, known_primaries[1], known_transfer[1], bands)
    return Told((primaries, transfer), chunks, icc)


def _told_by_gamma(found: dict[bytes, bytes], bands: int, chunks: bytes) -> Told:
    """gAMA and cHRM of a PNG, each standing for sRGB's where it is missing."""
    curve, corners = TRANSFERS[13][1], PRIMARIES[1][1]
    names, note = [], ""
    if len(found.get(b"gAMA", b"")) == 4:
        gamma = struct.unpack(">I", found[b"gAMA"])[0] / 100000
        if not 0.1 <= gamma <= 10:
            note = "the gAMA chunk is damaged and was left out"
        elif abs(gamma - GAMMA_OF_SRGB) > 0.001:
            curve = (1 / gamma,)
            names.append(f"gamma {1 / gamma:.3g}")
    if len(found.get(b"cHRM", b"")) == 32 and bands == 3:
        wx, wy, *rest = (value / 100000 for value in struct.unpack(">8i", found[b"cHRM"]))
        told: Chromaticities = (*rest, wx, wy)
        if _matrix(told) is None:
            note = "the cHRM chunk is damaged and was left out"
        elif max(abs(a - b) for a, b in zip(told, corners, strict=True)) > 0.001:
            corners = told
            names.append("its own primaries")
    if note:
        return Told(note=note)
    return Told(chunks=chunks, icc=made_profile(", ".join(names), corners, curve, bands) if names else None)


def cicp_of_avif(file: Data) -> tuple[int, int] | None:
    """Primaries and transfer of the primary picture's colour property (nclx); None where there is none."""
    try:
        return _nclx_of_primary(file)
    except (struct.error, IndexError):
        return None


def _nclx_of_primary(file: Data) -> tuple[int, int] | None:
    meta = next(((at + 4, end) for kind, at, end in boxes(file, 0, len(file)) if kind == b"meta"), None)
    if meta is None:
        return None
    inside = {kind: (at, end) for kind, at, end in boxes(file, *meta)}
    if b"iprp" not in inside:
        return None
    properties, used = [], set()
    primary = _primary_item(file, *inside[b"pitm"]) if b"pitm" in inside else None
    for kind, at, end in boxes(file, *inside[b"iprp"]):
        if kind == b"ipco":
            properties = list(boxes(file, at, end))
        if kind == b"ipma":
            used |= _associated(file, at, primary)
    for index, (kind, at, end) in enumerate(properties, start=1):
        if kind == b"colr" and file[at : at + 4] == b"nclx" and end - at >= 10 and (index in used or not used):
            primaries, transfer = struct.unpack_from(">HH", file, at + 4)
            return int(primaries), int(transfer)
    return None


def boxes(file: Data, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of the content, its end) of the boxes of ISO 14496-12 between `at` and `end`."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", file, at)
        head = 8
        if size == 1:
            if at + 16 > end:
                return
            (size,), head = struct.unpack_from(">Q", file, at + 8), 16
        elif size == 0:
            size = end - at
        if size < head:
            return
        yield kind, at + head, min(at + size, end)
        at += size


def _primary_item(file: Data, at: int, end: int) -> int:
    return int(struct.unpack_from(">I" if file[at] else ">H", file, at + 4)[0])


def _associated(file: Data, at: int, item: int | None) -> set[int]:
    """Numbers, from 1, of the properties that belong to the item."""
    version, is_wide = file[at], bool(file[at + 3] & 1)
    (count,) = struct.unpack_from(">I", file, at + 4)
    at, found = at + 8, set()
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if version else ">H", file, at)
        at += 4 if version else 2
        entries = file[at]
        at += 1
        for _ in range(entries):
            (index,) = struct.unpack_from(">H" if is_wide else ">B", file, at)
            at += 2 if is_wide else 1
            if item is None or number == item:
                found.add(index & (0x7FFF if is_wide else 0x7F))
    return found


# --- writing -------------------------------------------------------------------------------------------------------


def with_png_colour(file: bytes, cicp: tuple[int, int] | None, chunks: bytes) -> bytes:
    """The PNG file with these colour chunks after its header, and cICP where there is one (RGB, full range)."""
    own = png_chunk(b"cICP", bytes([*cicp, 0, 1])) if cicp else b""
    end = 8 + 12 + 13  # signature and IHDR
    return file[:end] + own + chunks + file[end:]


# --- a profile out of numbers --------------------------------------------------------------------------------------


def made_profile(name: str, corners: Chromaticities, curve: Curve, bands: int) -> bytes:
    """An ICC version 4 profile (ICC.1:2010): a matrix and one curve, or for grey the curve alone.

    Raises ValueError for primaries that span no colours.
    """
    tags = {b"desc": _text(name), b"cprt": _text("no copyright, use freely"), b"wtpt": _xyz(D50_XYZ)}
    if bands == 1:
        tags[b"kTRC"] = _curve(curve)
    else:
        found = _matrix(corners)
        if found is None:
            raise ValueError("the primaries span no colours")
        columns, adaptation = found
        for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True):
            tags[tag] = _xyz(tuple(column))
        tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(adaptation.ravel())
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve))
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    placed: dict[bytes, int] = {}  # equal curves are stored once
    for tag, data in tags.items():
        if data not in placed:
            placed[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", tag, placed[data], len(data))
    space = b"GRAY" if bands == 1 else b"RGB "
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"\0" * 4, 0x04300000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(D50_XYZ)
    return header.ljust(128, b"\0") + table + body


def rgb_to_xyz(primaries: int) -> NDArray[np.float64]:
    """Linear RGB of these primaries (a number of H.273) → XYZ relative to D50, 3×3."""
    found = _matrix(PRIMARIES[primaries][1])
    assert found is not None  # those of the table span colours
    return found[0]


def _matrix(corners: Chromaticities) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """RGB → XYZ relative to D50 (3×3, a column per primary) and the adaptation in it; None where there is none."""
    if any(not -1 <= value <= 2 for value in corners) or min(corners[1::2]) <= 1e-4:
        return None
    x, y = np.array(corners[0::2]), np.array(corners[1::2])
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    if abs(np.linalg.det(xyz[:, :3])) < 1e-3:
        return None
    bradford = np.array(BRADFORD)
    white, d50 = bradford @ xyz[:, 3], bradford @ np.array(D50_XYZ)
    if min(white) <= 0:
        return None
    adaptation: NDArray[np.float64] = np.linalg.inv(bradford) @ np.diag(d50 / white) @ bradford
    return adaptation @ (xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3])), adaptation


def _fixed(values: tuple[float, ...] | NDArray[np.float64]) -> bytes:
    return struct.pack(f">{len(values)}i", *(min(max(round(v * 65536), -(1 << 31)), (1 << 31) - 1) for v in values))


def _xyz(value: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(value)


def _curve(curve: Curve) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(curve)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded
