"""Second pictures in JPEG files: gain maps stay and are found again, the rest is said, and XMP claims nothing false."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from conftest import exif_block, gradient, pillow
from support import onnx_students
from support.jpegs import (
    ISO_HEADER,
    ISO_METADATA,
    MAP_PACKET,
    VIDEO,
    gain_map,
    mpo,
    primary,
    ultra_hdr,
    with_index,
    with_segments,
)

from restorect_cli.errors import OutputError
from restorect_cli.files import restore_file
from restorect_cli.images import gainmap, jpeg_parts
from restorect_cli.images.picture import GainMap, WriteOptions
from restorect_cli.images.reading import read
from restorect_cli.images.writing import encode, write_notes

CASES = Path(__file__).parents[3] / "shared" / "cases"
KINDS = ("xmp", "iso", "apple")


def second_picture(file: bytes) -> bytes:
    """What a reader finds by the multi-picture index alone."""
    (_, start, length), *rest = jpeg_parts.multi_picture_index(file)[1:]
    assert not rest
    return file[start : start + length]


def xmp_of(file: bytes) -> bytes:
    found = [s.payload for s in jpeg_parts.segments(file) if s.payload.startswith(b"http://ns.adobe.com/xap")]
    return found[0] if found else b""


def hdr(picture: np.ndarray, small: np.ndarray, boost: float = 2.5) -> np.ndarray:
    """Ultra HDR §"Decode", for a gain map of gamma 1 from 0 to `boost` stops: linear light, H×W×3."""
    light = (picture / 255.0) ** 2.2
    rows = np.arange(len(light)) * len(small) // len(light)
    columns = np.arange(light.shape[1]) * small.shape[1] // light.shape[1]
    return (light + 1 / 64) * 2 ** (small[rows][:, columns] / 255.0 * boost) - 1 / 64


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strip", ["none", "gps", "all"])
def test_a_gain_map_is_found_again_and_decodes_to_the_same_hdr_picture(kind: str, strip: str) -> None:
    source = read(ultra_hdr(kind))
    assert source.meta.gain_map is not None and source.meta.notes == ()
    again = encode(source, WriteOptions(quality=95, strip=strip))
    small = second_picture(again)
    first, second = jpeg_parts.multi_picture_index(again)
    assert first == (0x030000, 0, second[1]) and second[1] + second[2] == len(again)
    assert jpeg_parts.end_of_picture(again) == first[2]
    assert jpeg_parts.is_gain_map(small, 0)
    np.testing.assert_array_equal(read(small).pixels, read(gain_map(kind)).pixels)
    before = hdr(source.pixels, read(gain_map(kind)).pixels)
    after = hdr(read(again).pixels, read(small).pixels)
    assert np.abs(after - before).mean() < 0.02
    assert read(again).meta.gain_map == source.meta.gain_map  # and so on for ever


def test_the_metadata_of_each_kind_is_carried() -> None:
    again = encode(read(ultra_hdr("xmp")))
    small = second_picture(again)
    assert MAP_PACKET in small
    assert re.search(rb'Item:Semantic="GainMap"[^>]*Item:Length="%d"' % len(small), xmp_of(again))
    assert b'hdrgm:Version="1.0"' in xmp_of(again) and b"A title" in xmp_of(again)
    again = encode(read(ultra_hdr("iso")))
    assert ISO_HEADER + ISO_METADATA in second_picture(again)
    assert ISO_HEADER + bytes(4) in again[: jpeg_parts.end_of_picture(again)]
    assert b"GainMap" not in xmp_of(again)  # the source's XMP claimed none
    assert b"hdrgainmap" in second_picture(encode(read(ultra_hdr("apple"))))


def test_a_turned_picture_has_its_gain_map_turned() -> None:
    source = read(ultra_hdr(exif=exif_block(6)))
    assert source.pixels.shape == (64, 48, 3)
    small = read(second_picture(encode(source))).pixels
    expected = np.rot90(read(gain_map()).pixels, -1)
    assert small.shape == expected.shape and np.abs(small.astype(int) - expected).max() <= 6
    assert MAP_PACKET in second_picture(encode(source))


def test_private_metadata_of_a_gain_map_is_not_carried() -> None:
    small = with_segments(gain_map(), (0xE1, b"Exif\0\0" + exif_block(1)), (0xFE, b"a comment"))
    source = read(with_index(primary(), [small], [0]))
    assert source.meta.gain_map is not None
    assert b"Exif" not in source.meta.gain_map.file and b"comment" not in source.meta.gain_map.file
    assert MAP_PACKET in source.meta.gain_map.file


@pytest.mark.parametrize("target", ["png", "tiff", "webp", "avif"])
def test_other_formats_say_that_they_have_no_gain_map_and_claim_none(target: str) -> None:
    source = read(ultra_hdr(video=True))
    options = WriteOptions(format=target)
    assert "gain map" in " ".join(write_notes(source.meta, options))
    xmp = read(encode(source, options)).meta.xmp
    assert xmp is not None and b"A title" in xmp
    for claim in (b"hdrgm:Version=", b"MotionPhoto=", b"Directory", b"GainMap"):
        assert claim not in xmp


def test_a_motion_photos_video_is_said_and_no_longer_claimed() -> None:
    source = read(ultra_hdr(video=True))
    assert source.meta.left_out == ("the video of a motion photo",)
    assert "video of a motion photo" in source.meta.notes[0]
    again = encode(source)
    assert b"ftyp" not in again and b"MotionPhoto" not in again
    assert b"GainMap" in xmp_of(again)  # which is still there
    assert read(with_segments(primary()) + VIDEO).meta.left_out  # without any XMP, and without an index


def test_second_pictures_are_counted_and_previews_are_not() -> None:
    source = read(mpo(0x020002, 0x020002))
    assert source.meta.frames == 3 and "holds 3 images" in source.meta.notes[0]
    assert b"MPF\0" not in encode(source)
    source = read(mpo(0x010001, 0x010002))
    assert source.meta.frames == 1 and "previews" in source.meta.notes[0]


def test_what_another_program_put_behind_the_picture() -> None:
    assert read(primary() + bytes(300)).meta.notes == ()  # padding
    assert "7 bytes" in read(primary() + b"trailer").meta.notes[0]
    assert "7 bytes" in " ".join(read(primary() + VIDEO + b"\xee\xee\xee\xee\xee\xee\xee").meta.notes)


def test_a_damaged_gain_map_is_said(tmp_path: Path) -> None:
    small = gain_map()
    broken = small[: len(small) // 2]
    source = read(with_index(primary(), [broken], [0]))
    assert source.meta.gain_map is None and "gain map that is damaged" in source.meta.notes[0]


@pytest.mark.parametrize("data", [ultra_hdr(video=True), ultra_hdr("iso"), mpo(0x020002, 0x010001)])
def test_any_bytes_are_parsed(data: bytes) -> None:
    rng = np.random.default_rng(4)
    for _ in range(300):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), 6):
            broken[int(at)] = int(rng.choice([0, 1, 127, 255, int(rng.integers(0, 256))]))
        jpeg_parts.parts(bytes(broken[: int(rng.integers(2, len(data)))]))


# --- what happens to files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "is_kept"), [("denoise", True), ("derain", True), ("raindrop", True), ("low-light", False)]
)
def test_the_task_decides_whether_the_gain_map_still_fits(tmp_path: Path, task: str, is_kept: bool) -> None:
    student = str(onnx_students.make_student(tmp_path / "student", "identity", task=task))
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    source.write_bytes(ultra_hdr())
    settings = {"task": task, "model": student, "device": "cpu", "threads": 1}
    outcome = restore_file(source, target, **settings)
    result = target.read_bytes()
    assert (read(target).meta.gain_map is not None) == is_kept
    assert (b"hdrgm:" in result) == is_kept and (b"GainMap" in result) == is_kept
    assert ("gain map" in " ".join(outcome.notes)) != is_kept
    if is_kept:
        restore_file(source, source, overwrite=True, **settings)
        assert read(source).meta.gain_map is not None
        return
    before = source.read_bytes()
    with pytest.raises(OutputError, match="gain map"):
        restore_file(source, source, overwrite=True, **settings)
    assert source.read_bytes() == before


@pytest.mark.parametrize("data", [ultra_hdr(video=True), mpo(0x020002)])
def test_an_original_that_holds_more_is_not_replaced(tmp_path: Path, data: bytes) -> None:
    student = str(onnx_students.make_student(tmp_path / "student", "identity"))
    source = tmp_path / "a.jpg"
    source.write_bytes(data)
    with pytest.raises(OutputError, match="motion photo|holds 2 images"):
        restore_file(source, source, model=student, device="cpu", threads=1, overwrite=True)
    assert source.read_bytes() == data


def test_an_original_is_not_replaced_by_another_format_without_its_gain_map(tmp_path: Path) -> None:
    student = str(onnx_students.make_student(tmp_path / "student", "identity"))
    source = tmp_path / "a.png"  # a name that does not fit what is in it
    source.write_bytes(ultra_hdr())
    with pytest.raises(OutputError, match="gain map"):
        restore_file(source, source, model=student, device="cpu", threads=1, overwrite=True)


# --- XMP -------------------------------------------------------------------------------------------------------------


def test_claims_are_cut_out_in_every_spelling() -> None:
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b"<r:Description xmlns:q=\"http://ns.adobe.com/hdr-gain-map/1.0/\" q:Version = '1.0'"
        b' xmlns:Cam="http://ns.google.com/photos/1.0/camera/"'
        b' xmlns:D="http://ns.google.com/photos/1.0/container/" other:Version="1.0" Cam:SpecialTypeID="x">'
        b"<q:GainMapMax><r:Seq><r:li>1</r:li></r:Seq></q:GainMapMax><q:Empty/>"
        b'<Cam:MicroVideo>1</Cam:MicroVideo><Cam:MotionPhotoVersion r:x="1">1</Cam:MotionPhotoVersion>'
        b"<D:Directory><r:Seq><r:li><D:Item/></r:li></r:Seq></D:Directory></r:Description></r:RDF></x:xmpmeta>"
    )
    for xmp in (packet, packet.decode().encode("utf-16"), packet.decode().encode("utf-16-le")):
        left = gainmap.without_claims(xmp)
        for gone in (b"q:Version", b"GainMapMax", b"q:Empty", b"MicroVideo>", b"MotionPhotoVersion", b"Directory"):
            assert gone not in left
        assert b'other:Version="1.0"' in left and b'Cam:SpecialTypeID="x"' in left
    assert gainmap.without_claims(b"<x/>") == b"<x/>"


def test_a_claim_is_put_into_a_packet_whatever_its_prefix_and_made_without_one() -> None:
    small = GainMap(b"12345", "1.0", None)
    packet = b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><a/></r:RDF>'
    claimed = gainmap.claimed(packet, small)
    assert claimed is not None and claimed.startswith(packet[:-8]) and claimed.endswith(b"</r:RDF>")
    assert b'Item:Length="5"' in claimed and gainmap.hdrgm_version(claimed) == "1.0"
    alone = gainmap.claimed(None, small)
    assert alone is not None and gainmap.hdrgm_version(alone) == "1.0"
    assert gainmap.claimed(packet, GainMap(b"", None, b"")) == packet


# --- other programs --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(which("exiftool") is None, reason="needs exiftool")
@pytest.mark.parametrize("kind", KINDS)
def test_exiftool_agrees(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode(read(ultra_hdr(kind, exif=exif_block(1)))))
    shown = subprocess.run(["exiftool", "-j", "-G1", "-a", path], capture_output=True, check=True)
    (facts,) = json.loads(shown.stdout)
    assert facts["MPF0:NumberOfImages"] == 2
    assert facts["MPImage2:MPImageLength"] == len(second_picture(path.read_bytes()))
    if kind == "xmp":
        assert facts["XMP-hdrgm:Version"] == 1.0
    picked = subprocess.run(["exiftool", "-b", "-MPImage2", path], capture_output=True, check=True)
    assert picked.stdout == second_picture(path.read_bytes())
    valid = subprocess.run(["exiftool", "-validate", "-warning", "-a", "-s3", path], capture_output=True, text=True)
    assert "MPF" not in valid.stdout and "offset" not in valid.stdout.lower()


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the cases")
def test_the_cases() -> None:
    both = read(CASES / "ultrahdr-and-motion.jpg")
    assert both.meta.gain_map is not None and both.meta.left_out == ("the video of a motion photo",)
    assert read(CASES / "mpo-two-pictures.jpg").meta.frames == 2


def test_pillow_reads_the_result_as_two_pictures(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "a.mpo"
    path.write_bytes(encode(read(ultra_hdr("iso"))))  # Pillow shows Ultra HDR as one picture
    with Image.open(path) as image:
        assert image.n_frames == 2
        image.seek(1)
        assert image.size == (16, 12)


def test_fills_restarts_and_scans_are_stepped_over() -> None:
    progressive = pillow(gradient(40, 60), "jpeg", progressive=True)
    restarts = pillow(gradient(40, 60), "jpeg", restart_marker_blocks=1)
    for data in (progressive, restarts, primary()):
        assert jpeg_parts.end_of_picture(data) == len(data)
        assert jpeg_parts.end_of_picture(data[:2] + b"\xff\xff" + data[2:]) == len(data) + 2
        assert jpeg_parts.end_of_picture(data[:-2]) is None


def test_the_claims_stay_in_the_first_packet_where_xmp_is_divided() -> None:
    source = read(ultra_hdr())
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"><xmp:Label>%s</xmp:Label>'
        b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    for size in (64_700, 200_000):  # fits alone, but not with the claims; fits not at all
        source.meta = replace(source.meta, xmp=xmp % (b"r" * size))
        file = encode(source, WriteOptions(format="jpeg"))
        packets = [
            s.payload for s in jpeg_parts.segments(file) if s.payload.startswith(b"http://ns.adobe.com/xap/1.0/\0")
        ]
        assert len(packets) == 1 and b"hdrgm:Version" in packets[0] and b"Container:Directory" in packets[0]
        again = read(file).meta
        assert again.gain_map is not None and again.xmp is not None and b"r" * size in again.xmp
