"""XMP in a JPEG: one segment, and what does not fit in it as extended XMP (XMP specification, part 3, §1.1.3.1)."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterable

EXTENSION_HEADER = b"http://ns.adobe.com/xmp/extension/\0"
STANDARD_MAX = 65000  # bytes of the first packet; a segment holds 65502
PORTION = 65000  # of the extension in one segment; it holds 65458 beside its own header
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NOTE = "http://ns.adobe.com/xmp/note/"

_HAS_EXTENDED = re.compile(
    rb"\s+xmpNote:HasExtendedXMP\s*=\s*([\"'])([0-9A-Fa-f]{32})\1"
    rb"|<xmpNote:HasExtendedXMP>\s*()([0-9A-Fa-f]{32})\s*</xmpNote:HasExtendedXMP>"
)
_RDF = re.compile(rb"<rdf:RDF\b([^>]*)>(.*)</rdf:RDF\s*>", re.DOTALL)
_NAMESPACE = re.compile(rb"\s(xmlns:[\w.-]+)\s*=\s*(\"[^\"]*\"|'[^']*')")


def joined(packet: bytes, segments: Iterable[tuple[int, bytes]]) -> tuple[bytes, str]:
    """The packet with its extension put in, out of a JPEG's (marker, payload) segments; and a note if that fails."""
    told = _HAS_EXTENDED.search(packet)
    if told is None:
        return packet, ""
    wanted = (told[2] or told[4]).upper()
    alone = _HAS_EXTENDED.sub(b"", packet)
    extension = _extension(wanted, segments)
    merged = _merged(alone, extension) if extension is not None else None
    if merged is None:
        return alone, "the extended XMP is damaged and was left out"
    return merged, ""


def _extension(wanted: bytes, segments: Iterable[tuple[int, bytes]]) -> bytes | None:
    """The whole extension of this GUID; None where a part is missing."""
    parts, whole = {}, 0
    for marker, payload in segments:
        body = payload[len(EXTENSION_HEADER) :]
        if marker == 0xE1 and payload.startswith(EXTENSION_HEADER) and len(body) > 40 and body[:32].upper() == wanted:
            whole, offset = struct.unpack_from(">II", body, 32)
            parts[offset] = body[40:]
    extension = b"".join(parts[offset] for offset in sorted(parts))
    is_whole = len(extension) == whole and hashlib.md5(extension, usedforsecurity=False).hexdigest().encode()
    return extension if is_whole and is_whole.upper() == wanted else None


def _merged(packet: bytes, extension: bytes) -> bytes | None:
    """The packet with the extension's descriptions behind its own."""
    main, more = _RDF.search(packet), _RDF.search(extension)
    if main is None or more is None:
        return None
    outside = dict(_NAMESPACE.findall(packet[: main.end(1)]))  # declared around the descriptions
    missing = b""
    for name, address in _NAMESPACE.findall(extension[: more.end(1)]):
        if name in outside and outside[name][1:-1] != address[1:-1]:
            return None
        if name not in outside:
            outside[name] = address
            missing += b" " + name + b"=" + address
    return packet[: main.end(1)] + missing + packet[main.end(1) : main.end(2)] + more[2] + packet[main.end(2) :]


def split(packet: bytes, standard_max: int = STANDARD_MAX) -> tuple[bytes, tuple[bytes, ...]] | None:
    """The packet for a JPEG's first segment, and the payloads of extension segments; None where it cannot be split.

    The largest properties move, until the rest fits into `standard_max` bytes. A packet that fits is left as it is,
    byte for byte.
    """
    if len(packet) <= standard_max:
        return packet, ()
    if b"\0" in packet[:64] or b"<!" in packet:  # UTF-16; declarations, which no XMP needs
        return None
    try:
        for _, (prefix, address) in ET.iterparse(io.BytesIO(packet), events=["start-ns"]):
            if not re.fullmatch(r"ns\d+", prefix):  # reserved by ElementTree for its own
                ET.register_namespace(prefix, address)
        ET.register_namespace("xmpNote", NOTE)
        root = ET.fromstring(packet)
    except (ET.ParseError, ValueError):
        return None
    rdf = root if root.tag == f"{{{RDF}}}RDF" else root.find(f".//{{{RDF}}}RDF")
    descriptions = [] if rdf is None else rdf.findall(f"{{{RDF}}}Description")
    if not descriptions:
        return None
    about = descriptions[0].get(f"{{{RDF}}}about", "")
    moved = ET.Element(f"{{{RDF}}}Description", {f"{{{RDF}}}about": about})
    sizes = [(len(ET.tostring(p)), d, p) for d in descriptions for p in d]
    left = len(ET.tostring(root)) + 200 - standard_max
    for size, description, found in sorted(sizes, key=lambda entry: -entry[0]):
        if left <= 0:
            break
        description.remove(found)
        moved.append(found)
        left -= size
    for description in descriptions:
        for name, value in sorted(description.attrib.items(), key=lambda item: -len(item[1])):
            if left > 0 and not name.startswith(f"{{{RDF}}}"):
                moved.set(name, description.attrib.pop(name))
                left -= len(value)
    if left > 0:
        return None
    extension = ET.Element(f"{{{RDF}}}RDF")
    extension.append(moved)
    data = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + ET.tostring(extension, encoding="utf-8") + b"</x:xmpmeta>"
    name = hashlib.md5(data, usedforsecurity=False).hexdigest().upper()
    descriptions[0].set(f"{{{NOTE}}}HasExtendedXMP", name)
    portions = range(0, len(data), PORTION)
    head = EXTENSION_HEADER + name.encode()
    payloads = tuple(head + struct.pack(">II", len(data), at) + data[at : at + PORTION] for at in portions)
    return ET.tostring(root, encoding="utf-8"), payloads
