"""HEIC in, where pillow-heif is installed; what AVIF and HEIF files hold beside their picture."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import DISPLAY_P3_LIKE, XMP, exif_block, gradient, pillow
from PIL import Image
from support import onnx_students

from restorect_cli.errors import InputError, OutputError, UnavailableError
from restorect_cli.files import restore_file
from restorect_cli.images.heif_boxes import DEPTH_MAP, GAIN_MAP, OTHER, beside_the_picture
from restorect_cli.images.reading import read, sniff
from restorect_cli.names import HEIF_EXTENSIONS, PHOTOGRAPHS

HEAD = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf"


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def item(number: int, kind: bytes, version: int = 2) -> bytes:
    place = struct.pack(">HH" if version == 2 else ">IH", number, 0)
    return box(b"infe", bytes([version, 0, 0, 0]), place, kind, b"\0")


def meta(kinds: list[bytes], auxiliary: list[bytes] = (), version: int = 2) -> bytes:  # type: ignore[assignment]
    items = b"".join(item(number, kind, version) for number, kind in enumerate(kinds, 1))
    listed = box(b"iinf", bytes(4), struct.pack(">H", len(kinds)), items)
    properties = box(b"ipco", *(box(b"auxC", bytes(4), name + b"\0") for name in auxiliary))
    return box(b"ftyp", b"avif", bytes(4), b"mif1") + box(b"meta", bytes(4), listed, box(b"iprp", properties))


@pytest.mark.parametrize("version", [2, 3])
def test_what_lies_beside_the_picture(version: int) -> None:
    assert beside_the_picture(meta([b"av01"], version=version)) == ()
    assert beside_the_picture(meta([b"av01", b"av01", b"tmap"], version=version)) == (GAIN_MAP,)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", (GAIN_MAP,)),
        (b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth", (DEPTH_MAP,)),
        (b"urn:mpeg:hevc:2015:auxid:2", (DEPTH_MAP,)),
        (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", (OTHER,)),
        (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", ()),
        (b"urn:mpeg:hevc:2015:auxid:1", ()),
    ],
)
def test_auxiliary_pictures(name: bytes, what: tuple[str, ...]) -> None:
    assert beside_the_picture(meta([b"hvc1", b"hvc1"], [name])) == what


def test_any_bytes_are_parsed() -> None:
    data = meta([b"av01", b"tmap"], [b"urn:mpeg:hevc:2015:auxid:2"])
    rng = np.random.default_rng(6)
    for _ in range(500):
        broken = bytearray(data[: int(rng.integers(0, len(data) + 1))])
        for at in rng.integers(0, max(len(broken), 1), 4):
            broken[int(at) : int(at) + 1] = bytes([int(rng.integers(0, 256))])
        beside_the_picture(bytes(broken))


def test_an_avif_with_a_gain_map_says_so_and_is_not_overwritten(tmp_path: Path) -> None:
    whole = pillow(gradient(24, 40), "avif", exif=b"Exif\0\0" + exif_block(1))
    assert read(whole).meta.left_out == ()
    with_map = whole.replace(b"\0\2\0\0Exif", b"\0\2\0\0tmap")  # the type of the second item
    source = tmp_path / "a.avif"
    source.write_bytes(with_map)
    assert "also holds an HDR gain map" in read(source).meta.notes[0]
    student = str(onnx_students.make_student(tmp_path / "student", "identity"))
    with pytest.raises(OutputError, match="gain map"):
        restore_file(source, source, model=student, device="cpu", threads=1, overwrite=True)
    assert source.read_bytes() == with_map


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1"])
def test_brands(brand: bytes) -> None:
    assert sniff(HEAD.replace(b"ftypheic", b"ftyp" + brand).ljust(32, b"\0")) == "heif"
    assert sniff(HEAD.replace(b"miaf", b"avif").ljust(32, b"\0")) == "avif"


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnavailableError, match="pip install pillow-heif"):
        read(HEAD + bytes(100))


def test_batch_takes_them() -> None:
    assert HEIF_EXTENSIONS <= PHOTOGRAPHS


class TestDecoded:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        self.heif = pytest.importorskip("pillow_heif")

    def heic(self, pixels: np.ndarray, mode: str = "RGB", **options: Any) -> bytes:
        height, width = pixels.shape[:2]
        file = io.BytesIO()
        image = self.heif.from_bytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
        image.save(file, quality=100, chroma=444, **options)
        return file.getvalue()

    def test_pixels_and_facts(self) -> None:
        pixels = gradient(48, 64)
        packet = XMP.replace(b' tiff:Orientation="6"', b"")  # which the writer would obey
        data = self.heic(pixels, exif=b"Exif\0\0" + exif_block(1), xmp=packet, icc_profile=DISPLAY_P3_LIKE)
        source = read(data)
        assert np.abs(source.pixels.astype(int) - pixels).max() <= 4
        meta = source.meta
        assert (meta.format, meta.bits, meta.is_lossless, meta.frames) == ("heif", 8, False, 1)
        assert meta.exif is not None and b"An artist" in meta.exif
        assert meta.xmp is not None and b"A title" in meta.xmp
        assert meta.icc == DISPLAY_P3_LIKE and meta.notes == ()

    def test_ten_bits_reach_full_scale(self) -> None:
        source = read(self.heic(np.full((64, 64, 3), 65535, np.uint16), "RGB;16"))
        assert source.pixels.dtype == np.uint16 and source.meta.sample_bits in (10, 12)
        assert source.pixels.min() == 65535

    def test_alpha(self) -> None:
        pixels = gradient(48, 64, 4)
        source = read(self.heic(pixels, "RGBA"))
        assert source.alpha is not None and np.abs(source.alpha.astype(int) - pixels[..., 3]).max() <= 4

    def test_orientation_is_applied_once(self) -> None:
        """A camera's file says it twice: as a property of the image, which counts, and in EXIF, which does not."""
        self.heif.register_heif_opener()
        image = Image.fromarray(gradient(48, 64))
        exif = image.getexif()
        exif[0x0112] = 6
        file = io.BytesIO()
        image.save(file, "HEIF", exif=exif.tobytes(), quality=100)
        source = read(file.getvalue())
        assert source.pixels.shape == (64, 48, 3)
        expected = np.rot90(gradient(48, 64), -1)
        assert np.abs(source.pixels.astype(int) - expected).mean() < 3

    def test_several_pictures_are_counted(self) -> None:
        file = io.BytesIO()
        first, second = (Image.fromarray(gradient(48, 64)), Image.fromarray(gradient(64, 48)))
        self.heif.from_pillow(first).save(file, save_all=True, append_images=[self.heif.from_pillow(second)[0]])
        source = read(file.getvalue())
        assert source.meta.frames == 2 and "holds 2 images" in source.meta.notes[0]
        assert source.pixels.shape == (48, 64, 3)

    def test_the_size_is_checked_and_damage_is_called_so(self) -> None:
        data = self.heic(gradient(48, 64))
        with pytest.raises(InputError, match="megapixels"):
            read(data, max_pixels=100)
        for part in (0.1, 0.5, 0.9):
            with pytest.raises(InputError, match="damaged"):
                read(data[: int(len(data) * part)])

    def test_hdr_is_refused_with_the_reason(self) -> None:
        data = self.heic(
            np.full((64, 64, 3), 30000, np.uint16), "RGB;16", transfer_characteristics=16, color_primaries=9
        )
        with pytest.raises(InputError, match="HDR .PQ"):
            read(data)

    def test_any_bytes_are_refused_in_one_line(self) -> None:
        data = self.heic(gradient(24, 40))
        rng = np.random.default_rng(8)
        for _ in range(60):
            broken = bytearray(data)
            for at in rng.integers(0, len(data), 4):
                broken[int(at)] = int(rng.integers(0, 256))
            try:
                read(bytes(broken), max_pixels=1_000_000)
            except InputError as error:
                assert "\n" not in str(error)
