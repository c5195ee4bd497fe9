"""Metadata of every container: joined, split, moved, mended field by field, or said to be left out."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import XMP, exif_block, gradient, noise, picture, pillow
from support.cases import case
from support.tiff_fields import ASCII, LONG, SHORT, plain

from restorect_cli.images import photoshop, xmp
from restorect_cli.images.containers import jpeg_segments, png_chunk
from restorect_cli.images.picture import WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.writing import encode, write_notes

JPEG = pillow(gradient(24, 16), "jpeg")
FORMATS = ("jpeg", "png", "tiff", "webp", "avif")


def with_segments(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with these (marker, payload) segments in front."""
    parts = [struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload for marker, payload in segments]
    return JPEG[:2] + b"".join(parts) + JPEG[2:]


# --- XMP -----------------------------------------------------------------------------------------------------------

RDF = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
END = b"</rdf:RDF></x:xmpmeta>"
DC = b'xmlns:dc="http://purl.org/dc/elements/1.1/"'


def extended(size: int, *, damage: bytes = b"") -> bytes:
    """A JPEG whose XMP goes on in segments of 60000 bytes, the last one first."""
    more = RDF + b'<rdf:Description rdf:about="" ' + DC + b"><dc:source>" + b"y" * size
    more += b"</dc:source></rdf:Description>" + END
    name = hashlib.md5(more).hexdigest().upper().encode()
    first = RDF + b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
    first += b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" xmpNote:HasExtendedXMP="' + name + b'"/>' + END
    parts = [
        (0xE1, xmp.EXTENSION_HEADER + name + struct.pack(">II", len(more), at) + more[at : at + 60000] + damage)
        for at in range(0, len(more), 60000)
    ]
    return with_segments((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + first), *reversed(parts))


@pytest.mark.parametrize("size", [100, 70000, 200000])
@pytest.mark.parametrize("target", FORMATS)
def test_extended_xmp_is_joined_and_divided_again(size: int, target: str) -> None:
    source = read(extended(size))
    assert source.meta.notes == () and source.meta.xmp is not None
    assert b"y" * size in source.meta.xmp and b"HasExtendedXMP" not in source.meta.xmp
    again = encode(source, WriteOptions(format=target))
    packet = read(again).meta.xmp
    assert packet is not None and b"y" * size in packet and b"Rating" in packet and b"HasExtended" not in packet
    if target == "jpeg":
        assert (xmp.EXTENSION_HEADER in again) == (size > 65000)
    assert write_notes(source.meta, WriteOptions(format=target)) == ()


def test_damaged_extended_xmp_is_said() -> None:
    source = read(extended(70000, damage=b"x"))
    assert source.meta.notes == ("the extended XMP is damaged and was left out",)
    assert source.meta.xmp is not None and b"Rating" in source.meta.xmp and b"HasExtended" not in source.meta.xmp


def test_large_attributes_move_too_and_prefixes_stay() -> None:
    packet = RDF + b'<rdf:Description rdf:about="" xmlns:acme="http://acme.example/" acme:Long="' + b"z" * 70000
    packet += b'" acme:Short="s"/>' + END
    parts = xmp.split(packet)
    assert parts is not None
    first, payloads = parts
    assert b'acme:Short="s"' in first and len(first) < 1000 and len(payloads) == 2
    joined, note = xmp.joined(first, [(0xE1, payload) for payload in payloads])
    assert note == "" and b'acme:Long="' + b"z" * 70000 in joined


@pytest.mark.parametrize("packet", [b"<x>" + b" " * 70000, b"<!DOCTYPE x>" + b" " * 70000, b"\0<" * 40000])
def test_xmp_that_cannot_be_divided_is_left_out_of_a_jpeg_with_a_note(packet: bytes) -> None:
    source = picture(noise(4, 4), xmp=packet)
    assert read(encode(source, WriteOptions(format="jpeg"))).meta.xmp is None
    assert "cannot be divided" in write_notes(source.meta, WriteOptions(format="jpeg"))[0]


# --- PNG -----------------------------------------------------------------------------------------------------------


def raw_profile(name: str, data: bytes, packed: bool = True) -> bytes:
    text = f"\n{name}\n{len(data):8}\n{data.hex()}\n".encode()
    keyword = f"Raw profile type {name}\0".encode()
    return png_chunk(b"zTXt", keyword + b"\0" + zlib.compress(text)) if packed else png_chunk(b"tEXt", keyword + text)


def png_with(*chunks: bytes) -> bytes:
    file = pillow(gradient(24, 16), "png")
    return file[:33] + b"".join(chunks) + file[33:]


CAPTION = b"\x1c\x02\x78\x00\x09A caption"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_exif_stored_as_text_in_a_png(name: str, packed: bool) -> None:
    block = exif_block(orientation=6, thumbnail=False)
    source = read(png_with(raw_profile(name, b"Exif\0\0" + block, packed)))
    assert source.meta.exif is not None and b"A maker" in source.meta.exif
    np.testing.assert_array_equal(source.pixels, np.rot90(gradient(24, 16), -1))
    assert not source.meta.has_text
    again = read(encode(source))
    assert again.meta.exif == source.meta.exif
    np.testing.assert_array_equal(again.pixels, source.pixels)


def test_xmp_and_captions_stored_as_text_in_a_png() -> None:
    resources = photoshop.with_iptc(None, CAPTION)
    for iptc in (resources, CAPTION):
        source = read(png_with(raw_profile("xmp", XMP), raw_profile("iptc", iptc)))
        assert source.meta.xmp is not None and b"A title" in source.meta.xmp and source.meta.iptc == CAPTION
        assert read(encode(source)).meta.iptc == CAPTION


@pytest.mark.parametrize("text", [b"\nexif\n 9\n00", b"\nexif\nx\n00", b"", b"\nexif\n1\nzz", b"\n\n\n"])
def test_damaged_text_is_no_metadata(text: bytes) -> None:
    source = read(png_with(png_chunk(b"tEXt", b"Raw profile type exif\0" + text)))
    assert source.meta.exif is None


# --- EXIF ----------------------------------------------------------------------------------------------------------


def bad_orientation(kind: int) -> bytes:
    block = bytearray(exif_block(orientation=6, thumbnail=False))
    at = block.index(struct.pack(">HH", 0x0112, 3))
    block[at + 2 : at + 12] = struct.pack(">HI4s", kind, 2, b"6\0\0\0")
    return bytes(block)


@pytest.mark.parametrize("kind", [2, 7, 5, 99])
@pytest.mark.parametrize("target", FORMATS)
def test_one_bad_field_costs_that_field(kind: int, target: str) -> None:
    source = read(with_segments((0xE1, b"Exif\0\0" + bad_orientation(kind))))
    assert source.meta.exif is not None
    if kind != 5:  # a fraction does not fit where it points
        assert source.meta.notes == ("the EXIF field Orientation is damaged and was left out",)
    again = read(encode(source, WriteOptions(format=target)))
    assert again.meta.exif is not None and b"A maker" in again.meta.exif and b"2024:05:06" in again.meta.exif


@pytest.mark.parametrize("format", ["jpeg", "avif"])
def test_exif_too_large_for_its_container_is_said(format: str) -> None:
    source = picture(noise(16, 16), exif=exif_block(thumbnail=False) + bytes(70000))
    assert "EXIF block is too large" in write_notes(source.meta, WriteOptions(format=format))[0]
    assert read(encode(source, WriteOptions(format=format))).meta.exif is None
    for roomy in ("png", "webp"):
        assert write_notes(source.meta, WriteOptions(format=roomy)) == ()
        assert read(encode(source, WriteOptions(format=roomy))).meta.exif == source.meta.exif


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_metadata_of_a_bigtiff(order: str, big: bool) -> None:
    fields = {
        **{0x010F: (ASCII, b"A maker of cameras\0"), 0x0112: (SHORT, 6), 0x83BB: (7, CAPTION)},
        0x8649: (1, resource(0x040B, b"https://example.org")),
    }
    sub = {0x8769: {0xA431: (ASCII, b"serial 0123456789\0"), 0xA002: (LONG, 16), 0xA003: (LONG, 24)}}
    pixels = gradient(24, 16)
    source = read(plain(pixels, 2, fields, order=order, big=big, sub=sub))
    np.testing.assert_array_equal(source.pixels, np.rot90(pixels, -1))
    assert source.meta.iptc == CAPTION and source.meta.photoshop == resource(0x040B, b"https://example.org")
    for target in FORMATS:
        block = read(encode(source, WriteOptions(format=target))).meta.exif
        assert block is not None and b"A maker of cameras" in block and b"serial 0123456789" in block


# --- Photoshop -----------------------------------------------------------------------------------------------------


def resource(kind: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", kind, 0, len(data)) + data + bytes(len(data) % 2)


PATH, DIGEST, URL = resource(2000, bytes(26)), resource(0x0425, bytes(16)), resource(0x040B, b"https://x.example")
SIZES = struct.pack(">iHHiHH", 300 << 16, 1, 1, 72 << 16, 1, 1)
DROPPED = resource(0x0409, b"old thumbnail") + resource(0x0422, b"old exif") + resource(0x0424, b"old xmp")


@pytest.mark.parametrize("target", ["jpeg", "tiff", "png"])
def test_photoshops_resources_are_kept(target: str) -> None:
    block = DROPPED + PATH + resource(0x03ED, SIZES) + DIGEST + resource(0x0404, CAPTION) + URL
    source = read(with_segments((0xED, photoshop.HEADER + block)))
    assert source.meta.photoshop == PATH + resource(0x03ED, SIZES) + DIGEST + URL
    again = encode(source, WriteOptions(format=target))
    assert read(again).meta.photoshop == source.meta.photoshop and read(again).meta.iptc == CAPTION
    assert write_notes(source.meta, WriteOptions(format=target)) == ()
    assert b"old " not in encode(source)
    stripped = read(encode(source, WriteOptions(format=target, strip="all"))).meta
    assert stripped.photoshop is None and stripped.iptc is None


@pytest.mark.parametrize("target", ["webp", "avif"])
def test_formats_without_a_place_for_them_say_so(target: str) -> None:
    source = read(with_segments((0xED, photoshop.HEADER + PATH)))
    assert "no place for Photoshop's resources" in write_notes(source.meta, WriteOptions(format=target))[0]


def test_of_a_turned_picture_paths_go_and_resolution_turns() -> None:
    exif = b"Exif\0\0" + exif_block(orientation=6)
    source = read(with_segments((0xE1, exif), (0xED, photoshop.HEADER + PATH + resource(0x03ED, SIZES))))
    assert "clipping paths" in source.meta.notes[0]
    assert source.meta.photoshop == resource(0x03ED, SIZES[8:] + SIZES[:8])


def test_resources_of_many_segments() -> None:
    large = resource(0x0404, CAPTION * 10000) + URL
    payloads = photoshop.jpeg_payloads(large)
    assert len(payloads) == 3
    source = read(with_segments(*((0xED, payload) for payload in payloads)))
    assert source.meta.iptc == CAPTION * 10000 and source.meta.photoshop == URL
    assert read(encode(source)).meta.iptc == CAPTION * 10000


@pytest.mark.parametrize("end", range(0, 60, 5))
def test_cut_resources_are_left(end: int) -> None:
    photoshop.sorted_out((DIGEST + URL)[:end], False)


# --- with another program ------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not here")
@pytest.mark.parametrize("target", ["jpeg", "png", "tiff"])
def test_exiftool_finds_what_was_kept(target: str, tmp_path: Path) -> None:
    more = RDF + b'<rdf:Description rdf:about="" ' + DC + b"><dc:source>" + b"y" * 70000
    more += b"</dc:source></rdf:Description>" + END
    source = picture(gradient(24, 16), xmp=more, iptc=CAPTION, photoshop=URL, exif=exif_block(thumbnail=False))
    file = tmp_path / f"a.{target}"
    file.write_bytes(encode(source, WriteOptions(format=target)))
    done = subprocess.run(["exiftool", "-json", "-a", "-G1", str(file)], capture_output=True, check=True)
    (found,) = json.loads(done.stdout)
    assert found["XMP-dc:Source"].startswith("yyyy") and len(found["XMP-dc:Source"]) == 70000
    assert found["IPTC:Caption-Abstract"] == "A caption"
    assert found["Photoshop:URL"] == "https://x.example"
    assert found["IFD0:Make"] == "A maker"
    complaints = [text for name, text in found.items() if "Warning" in name or "Error" in name]
    assert not [text for text in complaints if "minor" not in text]  # of the maker note, which is no maker's


def test_cases() -> None:
    long = read(case("extended-xmp.jpg"))
    assert long.meta.xmp is not None and b"yyyy" in long.meta.xmp and long.meta.notes == ()
    assert read(case("png-raw-profile-exif.png")).meta.exif is not None
    ascii_orientation = read(case("exif-orientation-ascii.jpg"))
    assert ascii_orientation.meta.exif is not None and b"Acme" in ascii_orientation.meta.exif
    assert len(ascii_orientation.meta.notes) == 1


def test_segments_of_what_we_write_are_in_order() -> None:
    source = picture(gradient(8, 8), xmp=XMP, exif=exif_block(), iptc=CAPTION)
    markers = [marker for marker, _ in jpeg_segments(encode(source, WriteOptions(format="jpeg")))]
    assert markers[:4] == [0xE0, 0xE1, 0xE1, 0xED]
