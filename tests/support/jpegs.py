"""JPEG files with more than one picture in them, put together by hand."""

from __future__ import annotations

import struct

import numpy as np
from conftest import gradient, pillow

XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
ISO_HEADER = b"urn:iso:std:iso:ts:21496:-1\0"
VIDEO = struct.pack(">I4s4sI4s", 20, b"ftyp", b"mp42", 0, b"isom") + struct.pack(">I4s", 1008, b"mdat") + bytes(1000)

PACKET = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
    ' xmlns:C="http://ns.google.com/photos/1.0/container/" xmlns:I="http://ns.google.com/photos/1.0/container/item/"'
    ' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"{attributes}><dc:title>A title</dc:title>{directory}'
    "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
)
MAP_PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
    b' hdrgm:GainMapMax="2.5" hdrgm:HDRCapacityMax="2.5"/></rdf:RDF></x:xmpmeta>'
)
ISO_METADATA = struct.pack(">HHB", 0, 0, 0x40) + struct.pack(">12I", *range(1, 13))


def with_segments(file: bytes, *segments: tuple[int, bytes]) -> bytes:
    """The JPEG with these (marker, payload) behind its start."""
    made = b"".join(struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload for marker, payload in segments)
    return file[:2] + made + file[2:]


def with_index(first: bytes, others: list[bytes], kinds: list[int], *behind: bytes) -> bytes:
    """A multi-picture file (CIPA DC-007): the index goes in front of everything else in the first picture."""
    table = 50
    size = 4 + 4 + table + 16 * (1 + len(others))
    lengths = [len(first) + size, *map(len, others)]
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    base = 2 + 4 + 4
    index = b"II*\0" + struct.pack("<IH", 8, 3) + struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    index += struct.pack("<HHII", 0xB001, 4, 1, len(lengths))
    index += struct.pack("<HHII", 0xB002, 7, 16 * len(lengths), table) + bytes(4)
    for kind, length, start in zip([0x030000, *kinds], lengths, starts, strict=True):
        index += struct.pack("<IIIHH", kind, length, start - base if start else 0, 0, 0)
    return with_segments(first, (0xE2, b"MPF\0" + index)) + b"".join([*others, *behind])


def gain_map(kind: str = "xmp", height: int = 12, width: int = 16) -> bytes:
    """A gain map with the metadata of Ultra HDR, ISO 21496-1 or Apple."""
    file = pillow(gradient(height, width, 1), "jpeg", quality=90)
    packet = MAP_PACKET
    if kind == "iso":
        return with_segments(file, (0xE2, ISO_HEADER + ISO_METADATA))
    if kind == "apple":
        packet = MAP_PACKET.replace(b"hdrgm:Version", b'apdi:AuxiliaryImageType="x:hdrgainmap" hdrgm:Version')
        packet = packet.replace(b"ns.adobe.com/hdr-gain-map/1.0/", b"ns.apple.com/HDRGainMap/1.0/")
    return with_segments(file, (0xE1, XMP_HEADER + packet))


def primary(quality: int = 90) -> bytes:
    return pillow(gradient(48, 64), "jpeg", quality=quality, subsampling=0)


def ultra_hdr(kind: str = "xmp", video: bool = False, exif: bytes = b"", orientation: int = 1) -> bytes:
    """A picture with its gain map behind it, and with a motion photo's video behind that."""
    small = gain_map(kind)
    items = [("Primary", "image/jpeg", None), ("GainMap", "image/jpeg", len(small))]
    items += [("MotionPhoto", "video/mp4", len(VIDEO))] if video else []
    entries = "".join(
        f'<rdf:li rdf:parseType="Resource"><C:Item I:Semantic="{semantic}" I:Mime="{mime}"'
        + (f' I:Length="{length}"' if length else "")
        + "/></rdf:li>"
        for semantic, mime, length in items
    )
    attributes = (' hdrgm:Version="1.0"' if kind == "xmp" else "") + (' GCamera:MotionPhoto="1"' if video else "")
    directory = f"<C:Directory><rdf:Seq>{entries}</rdf:Seq></C:Directory>" if kind == "xmp" or video else ""
    packet = PACKET.format(attributes=attributes, directory=directory).encode()
    segments = [(0xE1, XMP_HEADER + packet)]
    if exif:
        segments.insert(0, (0xE1, b"Exif\0\0" + exif))
    if kind == "iso":
        segments.append((0xE2, ISO_HEADER + bytes(4)))
    return with_index(with_segments(primary(), *segments), [small], [0], *([VIDEO] if video else []))


def mpo(*kinds: int) -> bytes:
    """A picture with others behind it, of these MP types (0x020002: the other eye, 0x010001: a preview)."""
    others = [pillow(gradient(24 + i, 32), "jpeg") for i in range(len(kinds))]
    return with_index(primary(), others, list(kinds))


def noisy(height: int = 200, width: int = 300, **options: object) -> bytes:
    """A JPEG with bytes for every row."""
    pixels = np.random.default_rng(3).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return pillow(pixels, "jpeg", **options)
