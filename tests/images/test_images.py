"""Files in and out: nothing lost, everything wrong said in one line, nothing half-written."""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ADOBE_LIKE, DISPLAY_P3_LIKE, GREY_GAMMA_18, XMP, exif_block, gradient, noise, picture, pillow, save
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from restorect_cli.errors import InputError, OutputError, RestorectError, UnavailableError, UsageError
from restorect_cli.images import containers, exif, reading
from restorect_cli.images import writing as encoding
from restorect_cli.images.picture import Picture, WriteOptions, output_format, to_depth
from restorect_cli.images.reading import read
from restorect_cli.images.view import WorkingView
from restorect_cli.images.writing import encode, write, write_notes

MakeFile = Callable[[bytes, str], Path]
LOSSLESS = ("png", "tiff")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def same_pixels(one: Picture, other: Picture) -> None:
    np.testing.assert_array_equal(one.pixels, other.pixels)
    assert one.pixels.dtype == other.pixels.dtype
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)


def restored_by_identity(source: Picture) -> Picture:
    view = WorkingView(source)
    view.apply(0, view.window(0, view.height, 0, view.width))
    return view.result()


# --- identity, for files that Pillow made --------------------------------------------------------------------------

RGB = Image.fromarray(noise(23, 17))
FILES: dict[str, bytes] = {
    "png": save(RGB, "png"),
    "png interlaced and small": save(RGB, "png", optimize=True),
    "png grey": save(RGB.convert("L"), "png"),
    "png grey alpha": save(RGB.convert("LA"), "png"),
    "png rgba": pillow(noise(23, 17, 4), "png"),
    "png palette": save(RGB.quantize(16), "png"),
    "png palette transparent": save(RGB.quantize(16), "png", transparency=3),
    "png palette 4 colours": save(RGB.quantize(4), "png", bits=2),
    "png rgb transparent colour": save(RGB, "png", transparency=tuple(noise(23, 17)[0, 0].tolist())),
    "png 1 bit": save(RGB.convert("1"), "png"),
    "png grey 16": save(Image.fromarray(noise(23, 17, 1, "uint16")[..., 0]), "png"),
    "png p3": save(RGB, "png", icc_profile=DISPLAY_P3_LIKE),
    "png adobe": save(RGB, "png", icc_profile=ADOBE_LIKE),
    "png grey profile": save(RGB.convert("L"), "png", icc_profile=GREY_GAMMA_18),
    "tiff": save(RGB, "tiff"),
    "tiff grey": save(RGB.convert("L"), "tiff"),
    "tiff rgba": pillow(noise(23, 17, 4), "tiff"),
    "tiff palette": save(RGB.quantize(16), "tiff"),
    "tiff 1 bit": save(RGB.convert("1"), "tiff"),
    "tiff 1 bit fax": save(RGB.convert("1"), "tiff", compression="group4"),
    "tiff lzw": save(RGB, "tiff", compression="tiff_lzw"),
    "tiff float": save(Image.fromarray(noise(23, 17, 1, "float32")[..., 0]), "tiff"),
    "tiff p3": save(RGB, "tiff", icc_profile=DISPLAY_P3_LIKE),
    "webp lossless": save(RGB, "webp", lossless=True),
    "webp lossless alpha": pillow(noise(23, 17, 4), "webp", lossless=True, exact=True),
    "webp": save(RGB, "webp"),
    "avif": save(RGB, "avif"),
    "jpeg": save(RGB, "jpeg", quality=90),
    "jpeg grey": save(RGB.convert("L"), "jpeg"),
    "jpeg progressive": save(RGB, "jpeg", progressive=True),
    "jpeg p3": save(RGB, "jpeg", icc_profile=DISPLAY_P3_LIKE),
    "jpeg cmyk": save(RGB.convert("CMYK"), "jpeg"),
    "gif": save(RGB.quantize(16), "gif"),
    "gif transparent": save(RGB.quantize(16), "gif", transparency=2),
    "bmp": save(RGB, "bmp"),
    "bmp palette": save(RGB.quantize(16), "bmp"),
    "bmp 1 bit": save(RGB.convert("1"), "bmp"),
    "ppm": save(RGB, "ppm"),
    "pgm": save(RGB.convert("L"), "ppm"),
}


@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize("name", FILES)
def test_identity_network_returns_the_files_pixels(name: str, target: str) -> None:
    source = read(FILES[name])
    again = read(encode(restored_by_identity(source), WriteOptions(format=target)))
    if source.meta.bits == 32 and target == "png":
        source.pixels = to_depth(source.pixels, 16)
    same_pixels(again, source)
    assert again.meta.icc == source.meta.icc


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith(("png", "tiff", "webp lossless"))])
def test_identity_in_the_sources_own_format(name: str) -> None:
    source = read(FILES[name])
    again = read(encode(restored_by_identity(source)))
    assert again.meta.format == source.meta.format
    same_pixels(again, source)


@pytest.mark.parametrize("name", [n for n in FILES if not re.search("16|float|cmyk|avif", n)])
def test_pixels_are_those_that_pillow_reads(name: str) -> None:
    if name.startswith(("jpeg", "webp")) and "lossless" not in name:
        tolerance = 3  # decoders differ by rounding
    else:
        tolerance = 0
    source = read(FILES[name])
    mode = {(1, False): "L", (1, True): "LA", (3, False): "RGB", (3, True): "RGBA"}
    with Image.open(io.BytesIO(FILES[name])) as image:
        expected = np.asarray(image.convert(mode[source.pixels.shape[2], source.alpha is not None]))
    expected = expected.reshape(*expected.shape[:2], -1).astype(int)
    colours = source.pixels.shape[2]
    visible = slice(None) if source.alpha is None else source.alpha > 0
    assert np.abs(source.pixels.astype(int) - expected[..., :colours])[visible].max() <= tolerance
    if source.alpha is not None:
        np.testing.assert_array_equal(source.alpha, expected[..., -1])


@pytest.mark.parametrize("target", LOSSLESS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("bands", "alpha"), [(1, False), (1, True), (3, False), (3, True)])
@pytest.mark.parametrize("profiled", [False, True])
def test_depth_alpha_and_grey_are_kept(target: str, dtype: str, bands: int, alpha: bool, profiled: bool) -> None:
    if dtype == "float32" and target == "png":
        pytest.skip("PNG has no float")
    profile = (DISPLAY_P3_LIKE if bands == 3 else GREY_GAMMA_18) if profiled else None
    source = picture(noise(9, 31, bands, dtype), noise(9, 31, 1, dtype, 1)[..., 0] if alpha else None, icc=profile)
    again = read(encode(source, WriteOptions(format=target)))
    same_pixels(again, source)
    assert again.meta.bits == source.meta.bits
    assert again.meta.icc == profile
    same_pixels(read(encode(restored_by_identity(again), WriteOptions(format=target))), source)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 4000), (3000, 1)])
@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_odd_sizes(shape: tuple[int, int], target: str) -> None:
    again = read(encode(picture(noise(*shape)), WriteOptions(format=target)))
    assert again.pixels.shape[:2] == shape == (again.meta.height, again.meta.width)


@pytest.mark.parametrize("target", ["webp", "avif"])
def test_quality_100_is_lossless(target: str) -> None:
    source = picture(noise(12, 13), noise(12, 13, 1)[..., 0])
    same_pixels(read(encode(source, WriteOptions(format=target, quality=100))), source)


def test_deep_avif_stays_deep() -> None:
    source = picture(gradient(32, 32, 3, "uint16"))
    again = read(encode(source, WriteOptions(format="avif")))
    assert again.meta.bits == 16 and again.meta.sample_bits == 12
    assert np.abs(again.pixels.astype(int) - source.pixels).mean() < 300


# --- facts ---------------------------------------------------------------------------------------------------------


def test_facts_of_the_file() -> None:
    assert read(FILES["png 1 bit"]).meta.sample_bits == 1
    assert read(FILES["png grey alpha"]).meta.is_grey
    assert read(FILES["webp lossless"]).meta.is_lossless and not read(FILES["webp"]).meta.is_lossless


def test_cmyk_becomes_rgb_and_says_so() -> None:
    source = read(save(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "jpeg"))
    assert "CMYK" in source.meta.notes[0]
    red, green, blue = source.pixels[0, 0].tolist()
    assert red > 180 and green < 80 and blue < 80
    assert source.meta.icc is None


@pytest.mark.parametrize("format", ["gif", "webp", "tiff", "png"])
def test_of_an_animation_the_first_frame_is_read(format: str) -> None:
    data = save(
        RGB, format, save_all=True, append_images=[RGB.rotate(180)], **({"lossless": True} if format == "webp" else {})
    )
    source = read(data)
    assert source.pixels.shape == (23, 17, 3)
    if format == "webp":
        np.testing.assert_array_equal(source.pixels, np.asarray(RGB))
    assert source.meta.frames == 2 and "2 images" in source.meta.notes[0]


def test_the_still_image_of_an_apng_counts_where_it_is_no_frame() -> None:
    others = [RGB.rotate(90), RGB.rotate(180)]
    data = save(RGB, "png", save_all=True, append_images=others, default_image=True)
    assert read(data).meta.frames == 3 and read(FILES["png"]).meta.frames == 1


@pytest.mark.parametrize("quality", [10, 50, 75, 85, 92, 95, 100])
def test_jpeg_quality_is_estimated(quality: int) -> None:
    assert read(save(RGB, "jpeg", quality=quality)).meta.jpeg_quality == quality


def test_jpeg_is_written_with_its_own_quality_and_sampling() -> None:
    for subsampling, is_subsampled in ((0, False), (2, True)):
        source = read(save(RGB, "jpeg", quality=83, subsampling=subsampling))
        again = read(encode(source)).meta
        assert (again.jpeg_quality, again.jpeg_sampling) == (83, (2, 2) if is_subsampled else (1, 1))


def test_jpeg_quality_has_a_floor_and_can_be_set() -> None:
    source = read(save(RGB, "jpeg", quality=20))
    assert read(encode(source)).meta.jpeg_quality == encoding.QUALITY_FLOOR
    assert read(encode(source, WriteOptions(quality=30))).meta.jpeg_quality == 30


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_orientations_come_out_upright(orientation: int, format: str) -> None:
    stored = Image.fromarray(gradient(24, 40))
    block = Image.Exif()
    block[0x0112] = orientation
    data = save(stored, format, exif=block, **({"lossless": True} if format == "webp" else {}))
    source = read(data)
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert source.pixels.shape == upright.shape
    assert np.abs(source.pixels.astype(int) - upright).max() <= (3 if format == "jpeg" else 0)
    for target in ("jpeg", "png", "tiff", "webp", "avif"):
        again = read(encode(source, WriteOptions(format=target)))
        assert again.pixels.shape == upright.shape
        assert np.abs(again.pixels.astype(int) - upright).mean() < 4
        with Image.open(io.BytesIO(encode(source, WriteOptions(format=target)))) as image:
            assert image.getexif().get(0x0112, 1) == 1


def test_turned_sizes_in_exif_and_resolution_turn_too() -> None:
    source = read(save(Image.fromarray(gradient(24, 40)), "jpeg", exif=b"Exif\0\0" + exif_block(6), dpi=(300, 200)))
    with Image.open(io.BytesIO(encode(source))) as image:
        inner = image.getexif().get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (24, 40) == image.size
        assert image.info["dpi"] == (200, 300)


# --- metadata ------------------------------------------------------------------------------------------------------


def tagged(format: str = "jpeg", orientation: int = 1) -> Picture:
    source = read(
        save(
            RGB,
            "jpeg",
            exif=b"Exif\0\0" + exif_block(orientation),
            xmp=XMP,
            icc_profile=DISPLAY_P3_LIKE,
            dpi=(300, 300),
        )
    )
    return read(encode(source, WriteOptions(format=format)))


@pytest.mark.parametrize("middle", ["jpeg", "png", "tiff", "webp", "avif"])
@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_metadata_survives_between_all_formats(middle: str, target: str) -> None:
    data = encode(tagged(middle), WriteOptions(format=target))
    with Image.open(io.BytesIO(data)) as image:
        block = image.getexif()
        assert block[0x010F] == "A maker" and block[0x013B] == "An artist"
        inner = block.get_ifd(0x8769)
        assert inner[0x9003] == "2024:05:06 07:08:09" and inner[0x927C] == b"note\0\1\2\3"
        assert block.get_ifd(0x8825)[2] == (47.0, 22.0, 30.0)
        assert image.info["icc_profile"] == DISPLAY_P3_LIKE
    again = read(data).meta
    assert again.xmp == containers.upright_xmp(XMP)
    assert again.icc == DISPLAY_P3_LIKE
    assert again.dpi == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("target", ["jpeg", "png", "webp"])
def test_exif_is_kept_byte_for_byte(target: str) -> None:
    source = read(save(RGB, "jpeg", exif=b"Exif\0\0" + exif_block()))
    assert source.meta.exif is not None
    assert read(encode(source, WriteOptions(format=target))).meta.exif == source.meta.exif


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_strip_gps(target: str) -> None:
    data = encode(tagged(), WriteOptions(format=target, strip="gps"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x010F] == "A maker"
        assert not image.getexif().get_ifd(0x8825) and 0x8825 not in image.getexif()
    assert b"GPS" not in data and b"title" in (read(data).meta.xmp or b"")
    assert struct.pack(">6I", 47, 1, 22, 1, 30, 1) not in data and struct.pack("<6I", 47, 1, 22, 1, 30, 1) not in data


@pytest.mark.parametrize("target", ["jpeg", "png", "tiff", "webp", "avif"])
def test_strip_all_keeps_only_the_profile(target: str) -> None:
    again = read(encode(tagged(), WriteOptions(format=target, strip="all"))).meta
    assert (again.exif, again.xmp, again.iptc) == (None, None, None)
    assert again.icc == DISPLAY_P3_LIKE


def test_the_thumbnail_of_the_unrestored_picture_is_dropped() -> None:
    assert b"\xff\xd8\xff" in exif_block()
    assert b"\xff\xd8\xff" not in (tagged().meta.exif or b"")


def test_no_resolution_is_made_up() -> None:
    for target in ("jpeg", "png", "webp", "avif"):
        assert read(encode(picture(noise(4, 4)), WriteOptions(format=target))).meta.dpi is None


def test_iptc_captions_survive_and_the_old_thumbnail_goes() -> None:
    records = b"\x1c\x02\x78\x00\x09A caption"
    resource = b"8BIM" + struct.pack(">HH", 0x040C, 0) + struct.pack(">I", 5) + b"thumb\0"
    resource += b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(records)) + records
    segment = b"Photoshop 3.0\0" + resource
    plain = save(RGB, "jpeg")
    source = read(plain[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + plain[2:])
    assert source.meta.iptc == records
    for target in ("jpeg", "tiff", "png"):
        data = encode(source, WriteOptions(format=target))
        assert read(data).meta.iptc == records and b"thumb" not in data
    assert "IPTC" in write_notes(source.meta, WriteOptions(format="webp"))[0]


def test_text_of_a_png_is_left_out_with_a_note() -> None:
    with_text, with_xmp = PngInfo(), PngInfo()
    with_text.add_text("Comment", "by the sea", zip=True)
    with_xmp.add_itxt("XML:com.adobe.xmp", XMP.decode())
    source, other = read(save(RGB, "png", pnginfo=with_text)), read(save(RGB, "png", pnginfo=with_xmp))
    (note,) = write_notes(source.meta, WriteOptions())
    assert "text chunks" in note and b"zTXt" not in encode(source)
    assert write_notes(source.meta, WriteOptions(strip="all")) == write_notes(other.meta, WriteOptions()) == ()


def test_blocks_too_large_for_a_jpeg_are_left_out_with_a_note() -> None:
    source = picture(noise(4, 4), xmp=b"<x>" + b" " * 70000)
    assert read(encode(source, WriteOptions(format="jpeg"))).meta.xmp is None
    assert "too large" in write_notes(source.meta, WriteOptions(format="jpeg"))[0]
    assert read(encode(source, WriteOptions(format="png"))).meta.xmp == source.meta.xmp


def test_damaged_metadata_does_not_stop_a_picture() -> None:
    source = read(save(RGB, "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", icc_profile=b"junk" * 50))
    assert source.meta.exif is None and source.meta.icc is None
    assert len(source.meta.notes) == 2
    same_pixels(read(encode(source, WriteOptions(format="png"))), source)


@pytest.mark.parametrize(
    "xmp", [b"<a drone-dji:GpsLatitude='1'/>", b'<exif:GPSAltitude rdf:x="1">3</exif:GPSAltitude>']
)
def test_positions_are_cut_out_of_xmp(xmp: bytes) -> None:
    cut = containers.xmp_without_gps(xmp)
    assert cut is not None and b"1" not in cut


@pytest.mark.parametrize(
    "xmp", ["<a exif:GPSLatitude='1'/>".encode("utf-16"), b"<exif:GPSLatitude>1", b"<a exif:GPSx=1/>"]
)
def test_xmp_that_cannot_be_freed_of_its_position_goes_whole(xmp: bytes) -> None:
    assert containers.xmp_without_gps(xmp) is None


def test_exif_text_that_is_no_utf8_survives() -> None:
    block = exif_block().replace(b"An artist", b"An \xe4rtist")
    source = read(save(RGB, "jpeg", exif=b"Exif\0\0" + block))
    for target in ("jpeg", "png", "tiff", "webp", "avif"):
        assert b"\xe4rtist" in (read(encode(source, WriteOptions(format=target))).meta.exif or b"")


def test_exif_editing_survives_any_bytes() -> None:
    block = exif_block(6)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        mutated = bytearray(block[: rng.integers(0, len(block) + 1)])
        for _ in range(int(rng.integers(0, 6)) if mutated else 0):
            mutated[rng.integers(0, len(mutated))] = rng.integers(0, 256)
        prepared, _ = exif.prepare(bytes(mutated), True)
        if prepared is not None:
            encode(picture(np.zeros((1, 1, 3), np.uint8), exif=prepared), WriteOptions(format="tiff", strip="gps"))


# --- what a format cannot hold -------------------------------------------------------------------------------------


def test_jpeg_puts_alpha_on_white() -> None:
    source = picture(np.full((16, 16, 3), 40, np.uint8), np.zeros((16, 16), np.uint8))
    assert read(encode(source, WriteOptions(format="jpeg"))).pixels.min() >= 254
    assert write_notes(source.meta, WriteOptions(format="jpeg")) == (
        "JPEG has no transparency: the picture was put on white",
    )


def test_16_bits_become_8_where_the_format_holds_8() -> None:
    source = picture(noise(5, 5, 3, "uint16"))
    again = read(encode(source, WriteOptions(format="webp", quality=100)))
    np.testing.assert_array_equal(again.pixels, np.rint(source.pixels / 257).astype(np.uint8))
    assert "8 bits" in write_notes(source.meta, WriteOptions(format="webp"))[0]
    with pytest.raises(UsageError, match="cannot hold 16"):
        encode(source, WriteOptions(format="webp", depth=16))


def test_depth_8_16_8_is_the_same_again() -> None:
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_depth(to_depth(values, 16), 8), values)
    deep = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(to_depth(deep, 8), np.rint(deep / 257))


@pytest.mark.parametrize("format", encoding.MAX_SIDE_PX)
def test_the_largest_side_of_a_format(format: str) -> None:
    limit = encoding.MAX_SIDE_PX[format]
    encode(picture(np.zeros((1, limit, 1), np.uint8)), WriteOptions(format=format))
    with pytest.raises(OutputError, match=f"{format.upper()} holds at most {limit}"):
        encode(picture(np.zeros((limit + 1, 1, 1), np.uint8)), WriteOptions(format=format))


DEEP_JPEG = {"format": "jpeg", "depth": 16}


@pytest.mark.parametrize(
    "options", [{"format": "gif"}, {"quality": 0}, {"quality": 101}, {"depth": 12}, {"strip": "x"}, DEEP_JPEG]
)
def test_options_out_of_range(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        WriteOptions(**options)  # type: ignore[arg-type]


def test_the_format_follows_option_then_extension_then_source() -> None:
    assert output_format(WriteOptions(format="png"), Path("a.jpg"), "tiff") == "png"
    assert output_format(WriteOptions(), Path("a.JPG"), "tiff") == "jpeg"
    assert output_format(WriteOptions(), None, "tiff") == "tiff"
    assert output_format(WriteOptions(), Path("a"), "bmp") == "png"
    with pytest.raises(OutputError, match=r"\.xyz"):
        output_format(WriteOptions(), Path("a.xyz"), "png")


# --- bad input -----------------------------------------------------------------------------------------------------


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20), 9)
    return containers.PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def float_tiff(value: float) -> bytes:
    array = np.zeros((3, 4), np.float32)
    array[1, 2] = value
    return save(Image.fromarray(array), "tiff")


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "text": (b"this is not an image\n" * 20, "not an image of a known format"),
    "jpeg cut": (FILES["jpeg"][: len(FILES["jpeg"]) // 2], "damaged or cut short"),
    "jpeg cut at the end": (FILES["jpeg"][:-30], "damaged or cut short"),
    "jpeg header only": (FILES["jpeg"][:20], "damaged or cut short"),
    "png cut": (FILES["png"][: len(FILES["png"]) // 2], "damaged or cut short"),
    "png header only": (FILES["png"][:33], "damaged or cut short"),
    "tiff cut": (FILES["tiff"][: len(FILES["tiff"]) // 2], "damaged or cut short"),
    "webp cut": (FILES["webp"][: len(FILES["webp"]) // 2], "damaged or cut short"),
    "avif cut": (FILES["avif"][: len(FILES["avif"]) // 2], "damaged or cut short"),
    "gif cut": (FILES["gif"][:40], "damaged or cut short"),
    "bmp cut": (FILES["bmp"][:100], "damaged or cut short"),
    "ppm cut": (FILES["ppm"][:100], "damaged or cut short"),
    "bomb": (png_of_size(30000, 30000), "30000×30000 is 900 megapixels"),
    "bmp bomb": (FILES["bmp"][:18] + struct.pack("<ii", 30000, 30000) + FILES["bmp"][26:], "900000000 pixels"),
    "nan": (float_tiff(float("nan")), "not numbers"),
    "infinity": (float_tiff(float("-inf")), "not numbers"),
    "far too bright": (float_tiff(3e38), "beyond ±1000"),
    "far too dark": (float_tiff(-1001), "beyond ±1000"),
    "32-bit integers": (save(Image.fromarray(np.zeros((4, 4), np.int32)), "tiff"), "of type int"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("from_file", [True, False])
def test_bad_input_is_one_clear_line(case: str, from_file: bool, image_file: MakeFile) -> None:
    data, says = BAD[case]
    source: Path | bytes = image_file(data, "photo.png") if from_file else data
    with pytest.raises(InputError) as caught:
        read(source)
    line = str(caught.value)
    assert says in line and "\n" not in line and len(line) < 400
    assert ("photo.png" if from_file else "standard input") in line
    assert caught.value.fix


def test_missing_folder_and_odd_names(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "no.jpg", "no such file"), (tmp_path, "is a folder"), (Path("a\0b"), "null")):
        with pytest.raises(InputError, match=says):
            read(path)


def test_unreadable(image_file: MakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    path = image_file(FILES["png"], "a.png")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a superuser may read everything, so file modes prove nothing
    with pytest.raises(UnavailableError, match="permission denied"):
        read(path)


def test_a_limit_of_pixels_is_exact() -> None:
    read(FILES["png"], max_pixels=23 * 17)
    with pytest.raises(InputError, match="limit"):
        read(FILES["png"], max_pixels=23 * 17 - 1)


def test_names_with_brackets_and_wrong_extensions_are_just_names(image_file: MakeFile) -> None:
    same_pixels(read(image_file(FILES["png"], "a[1].jpg")), read(FILES["png"]))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_names_in_no_encoding(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    write(picture(noise(5, 6)), path)
    assert read(path).meta.width == 6


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", 'cat > "$0"', str(pipe)], stdin=subprocess.PIPE)
    assert writer.stdin is not None
    with writer.stdin as stdin:
        stdin.write(FILES["png"])
    same_pixels(read(pipe), read(FILES["png"]))
    assert writer.wait() == 0


class Endless(io.RawIOBase):
    """These bytes, and then zeros for ever."""

    def __init__(self, head: bytes) -> None:
        self._head, self.taken = io.BytesIO(head), 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole of it was asked for"
        given = self._head.read(size) or bytes(size)
        self.taken += len(given)
        return given


def test_what_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "STREAM_BYTES", 1 << 20)
    for head, says, limit in ((b"", "not an image", 32), (FILES["jpeg"], "goes on after", (1 << 20) + 32)):
        stream = Endless(head)
        with pytest.raises(InputError, match=says):
            read(stream)
        assert stream.taken <= limit
    with pytest.raises(InputError, match="/dev/zero, it is not an image"):
        read("/dev/zero")


# --- writing -------------------------------------------------------------------------------------------------------


def test_write_and_read_again(tmp_path: Path) -> None:
    source = picture(noise(5, 6))
    write(source, tmp_path / "a.png")
    same_pixels(read(tmp_path / "a.png"), source)
    assert os.listdir(tmp_path) == ["a.png"]


def test_an_existing_file_is_replaced_only_if_allowed(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        write(picture(noise(5, 6)), target)
    assert target.read_bytes() == b"mine"
    target.chmod(0o640)
    write(picture(noise(5, 6)), target, WriteOptions(overwrite=True))
    assert read(target).meta.width == 6
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a.png"]


def test_reading_and_writing_the_same_file(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    for seed in range(3):  # a stale cache would give the first one again
        source = picture(noise(5, 6, seed=seed))
        write(source, target, WriteOptions(overwrite=True))
        same_pixels(read(target), source)


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_target_that_cannot_be_written_is_reported_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "encode", lambda *_: pytest.fail("the work was begun"))
    (tmp_path / "there.png").touch()
    for target, overwrite, says in (
        (tmp_path / "no" / "a.png", True, "is not there"),
        (tmp_path, True, "is a folder"),
        (tmp_path / "there.png", False, "exists already"),
    ):
        with pytest.raises(OutputError, match=says):
            write(picture(noise(5, 6)), target, WriteOptions(overwrite=overwrite))


# --- manners -------------------------------------------------------------------------------------------------------


def test_the_codecs_print_nothing(tmp_path: Path) -> None:
    """libvips warns about damaged metadata, and its libraries about damaged pixels, on standard error."""
    odd = [save(RGB, "jpeg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", icc_profile=b"junk" * 50)]
    odd += [containers.PNG_SIGNATURE + FILES["png"][8:33] + b"\0\0\0\4\xdf\x80\xe3\x81" + FILES["png"][33:]]
    odd += [data for data, _ in BAD.values()]
    for number, data in enumerate(odd):
        (tmp_path / f"{number}.bin").write_bytes(data)
    done = run_python(
        """
        import pathlib, sys
        from restorect_cli.errors import InputError
        from restorect_cli.images import encode, read
        for path in pathlib.Path(sys.argv[1]).iterdir():
            for source in (path, path.read_bytes()):
                try:
                    encode(read(source))
                except InputError:
                    continue
        """,
        str(tmp_path),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_memory_of_a_large_jpeg(tmp_path: Path) -> None:
    """12 megapixels (36 MB a copy): reading, applying and writing take a few copies of 8 bits, none of float."""
    write(picture(np.tile(gradient(300, 400), (10, 10, 1))), tmp_path / "a.jpg")
    done = run_python(
        """
        import resource, sys
        from restorect_cli.images.view import WorkingView
        from restorect_cli.images import read, write
        def peak_mb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before = peak_mb()
        view = WorkingView(read(sys.argv[1]))
        for y in range(0, view.height, 256):
            view.apply(y, view.window(y, min(y + 256, view.height), 0, view.width))
        write(view.result(), sys.argv[2])
        print(peak_mb() - before)
        """,
        str(tmp_path / "a.jpg"),
        str(tmp_path / "b.jpg"),
    )
    assert not done.stderr
    assert float(done.stdout) < 220


def test_all_errors_here_belong_to_the_tree() -> None:
    assert all(issubclass(kind, RestorectError) for kind in (InputError, OutputError, UsageError))
