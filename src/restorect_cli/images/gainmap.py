"""HDR gain maps in JPEG files: taken out of the source, put behind the restored picture, and claimed in its XMP.

A gain map says for each place how much brighter an HDR screen shows the picture. It is a small JPEG behind the first
one, found by the multi-picture index (CIPA DC-007). Three kinds of metadata say how to use it: that of Ultra HDR
(hdrgm in XMP, with a directory of lengths), ISO 21496-1 (APP2 segments), and Apple's (XMP of the map, maker note). The
map's own metadata is kept byte for byte; index, lengths and claims are made for the file that is written.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from .jpeg_parts import APPLE_GAIN_MAP, HDRGM, ISO_GAIN_MAP, MPF_HEADER, Block, end_of_picture, segments
from .picture import GainMap, Pixels
from .vips import from_vips, pyvips, to_vips

CONTAINER = b"http://ns.google.com/photos/1.0/container/"
CAMERA = b"http://ns.google.com/photos/1.0/camera/"
RDF = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
ICC_HEADER = b"ICC_PROFILE\0"

TURNED_QUALITY = 95  # of a gain map that is turned upright with its picture, which means to encode it again


def taken_out(data: Block, map_file: bytes, upright: Callable[[Pixels], Pixels] | None) -> GainMap | None:
    """The gain map `map_file` of the JPEG `data`, turned by `upright`; None where it cannot be decoded."""
    kept = [s for s in segments(map_file) if _describes_map(s.marker, s.payload)]
    try:
        image = pyvips.Image.jpegload_buffer(map_file, fail_on="error")
        turned = from_vips(image) if upright is None else upright(from_vips(image))
        if upright is None:
            coded = _without_segments(map_file)
        else:
            quality = {"Q": TURNED_QUALITY, "subsample_mode": "off", "keep": "none"}
            coded = _without_segments(to_vips(turned).jpegsave_buffer(**quality))
    except pyvips.Error:
        return None
    head = b"".join(_segment(s.marker, s.payload) for s in kept)
    version, iso = None, None
    for segment in segments(data):
        if segment.marker == 0xE1 and segment.payload.startswith(XMP_HEADER):
            version = hdrgm_version(segment.payload)
        elif segment.marker == 0xE2 and segment.payload.startswith(ISO_GAIN_MAP):
            iso = segment.payload[len(ISO_GAIN_MAP) :]
    return GainMap(coded[:2] + head + coded[2:], version, iso)


def _describes_map(marker: int, payload: bytes) -> bool:
    """Metadata that says how to use the map, or in which colours it is. The rest (EXIF, comments) can be private."""
    if marker == 0xE1:
        return payload.startswith(XMP_HEADER) and (HDRGM in payload or APPLE_GAIN_MAP in payload)
    return marker == 0xE2 and payload.startswith((ISO_GAIN_MAP, ICC_HEADER))


def _without_segments(file: bytes) -> bytes:
    """The JPEG without its application segments and comments, but with that of Adobe, which says how colour is coded.

    Bytes behind the end of the picture are cut off.
    """
    out, at = [file[:2]], 2
    for segment in segments(file):
        size = 4 + len(segment.payload)
        is_beside = 0xE0 <= segment.marker <= 0xEF or segment.marker == 0xFE
        if not is_beside or (segment.marker == 0xEE and segment.payload.startswith(b"Adobe")):
            out.append(file[segment.at : segment.at + size])
        at = segment.at + size
    return b"".join([*out, file[at : end_of_picture(file)]])


# --- into a file ---------------------------------------------------------------------------------------------------


def attached(file: bytes, gain_map: GainMap) -> bytes:
    """The JPEG file with the gain map behind it, and the multi-picture index that leads there."""
    at = 2
    for segment in segments(file):
        if not 0xE0 <= segment.marker <= 0xEF:
            break
        at = segment.at + 4 + len(segment.payload)
    iso = _segment(0xE2, ISO_GAIN_MAP + gain_map.iso) if gain_map.iso is not None else b""
    table = 8 + 2 + 3 * 12 + 4  # where the entries lie, counted from the byte order mark
    index_bytes = 4 + len(MPF_HEADER) + table + 32
    size = len(file) + len(iso) + index_bytes
    base = at + len(iso) + 4 + len(MPF_HEADER)  # offsets count from here
    index = b"MM\0*" + struct.pack(">IH", 8, 3)
    index += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    index += struct.pack(">HHII", 0xB001, 4, 1, 2)
    index += struct.pack(">HHII", 0xB002, 7, 32, table) + bytes(4)
    index += struct.pack(">IIIHH", 0x030000, size, 0, 0, 0)  # baseline primary image
    index += struct.pack(">IIIHH", 0, len(gain_map.file), size - base, 0, 0)
    return file[:at] + iso + _segment(0xE2, MPF_HEADER + index) + file[at:] + gain_map.file


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


# --- what XMP says about other parts of the file ---------------------------------------------------------------------


def hdrgm_version(xmp: bytes) -> str | None:
    """The version of the gain map's metadata that the packet of a picture states."""
    for prefix in _prefixes(xmp, HDRGM):
        name = re.escape(prefix) + rb":Version"
        found = re.search(name + rb"\s*=\s*[\"']([\d.]{1,16})[\"']", xmp)
        found = found or re.search(rb"<" + name + rb"[^>]*>\s*([\d.]{1,16})\s*<", xmp)
        if found:
            return found[1].decode()
    return None


def without_claims(xmp: bytes) -> bytes:
    """The packet without what it says about a gain map, a motion photo's video or other parts of its file."""
    if b"\0" in xmp[:64]:
        xmp = _as_utf8(xmp)
    xmp = without_namespace(xmp, HDRGM)
    for prefix in _prefixes(xmp, CONTAINER):
        xmp = _without(xmp, re.escape(prefix) + rb":Directory")
    for prefix in _prefixes(xmp, CAMERA):
        xmp = _without(xmp, re.escape(prefix) + rb":(?:MotionPhoto|MicroVideo)\w*")
    return xmp


def without_namespace(xmp: bytes, namespace: bytes) -> bytes:
    """The packet without the properties of this namespace."""
    for prefix in _prefixes(xmp, namespace):
        xmp = _without(xmp, re.escape(prefix) + rb":[\w.-]+")
    return xmp


def claimed(xmp: bytes | None, gain_map: GainMap) -> bytes | None:
    """The packet (without claims) with those of Ultra HDR about this gain map, where the source made them."""
    if gain_map.xmp_version is None:
        return xmp
    # fmt: off
    claim = (
        b'<rdf:Description xmlns:rdf="%s" rdf:about="" xmlns:Container="%s" xmlns:Item="%sitem/" xmlns:hdrgm="%s"'
        b' hdrgm:Version="%s"><Container:Directory><rdf:Seq>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
        b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg"'
        b' Item:Length="%d"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description>'
    ) % (RDF, CONTAINER, CONTAINER, HDRGM, gain_map.xmp_version.encode(), len(gain_map.file))
    # fmt: on
    for prefix in _prefixes(xmp or b"", RDF):
        place = re.search(rb"</" + re.escape(prefix) + rb":RDF\s*>", xmp or b"")
        if xmp and place:
            return xmp[: place.start()] + claim + xmp[place.start() :]
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%s">%s</rdf:RDF></x:xmpmeta>' % (RDF, claim)


def _prefixes(xmp: bytes, namespace: bytes) -> set[bytes]:
    found = re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(namespace) + rb"[\"']", xmp)
    return set(found)


def _without(xmp: bytes, name: bytes) -> bytes:
    """The packet without attributes and elements of this (escaped) name."""
    xmp = re.sub(rb"\s+" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
    return re.sub(rb"<(" + name + rb")(?=[\s/>])(?:[^>]*/>|[^>]*>.*?</\1\s*>)", b"", xmp, flags=re.DOTALL)


def _as_utf8(xmp: bytes) -> bytes:
    """A UTF-16 packet as UTF-8, so that it can be edited; unchanged where it is neither."""
    for encoding in ("utf-16" if xmp[:2] in (b"\xff\xfe", b"\xfe\xff") else "", "utf-16-le", "utf-16-be"):
        try:
            text = xmp.decode(encoding) if encoding else ""
        except UnicodeDecodeError:
            continue
        if "<" in text[:4]:
            return text.encode()
    return xmp
