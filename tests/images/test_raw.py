"""RAW files: developed with colours that are known, never taken for their thumbnail, never written over."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from conftest import XMP
from support import onnx_students
from support.tiffs import Page, dng, mosaic, rgb_page, tiff

from restorect_cli.errors import InputError, OutputError, UnavailableError
from restorect_cli.files import restore_file
from restorect_cli.images import raw
from restorect_cli.images.picture import ReadOptions
from restorect_cli.images.reading import read, sniff
from restorect_cli.images.writing import encode
from restorect_cli.names import RAW_EXTENSIONS

CASES = Path(__file__).parents[3] / "shared" / "cases"


def scene(height: int = 64, width: int = 96) -> np.ndarray:
    """Four flat colours in linear sRGB, H×W×3."""
    out = np.empty((height, width, 3))
    out[: height // 2, : width // 2] = 0.2, 0.2, 0.2
    out[: height // 2, width // 2 :] = 0.5, 0.1, 0.1
    out[height // 2 :, : width // 2] = 0.1, 0.4, 0.15
    out[height // 2 :, width // 2 :] = 0.05, 0.1, 0.5
    return out


def encoded(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


class TestDeveloped:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("rawpy")

    def test_colours_white_balance_and_curve_are_right(self) -> None:
        linear = scene()
        source = read(dng(mosaic(linear)))
        assert source.pixels.shape == (64, 96, 3) and source.pixels.dtype == np.uint16
        middles = (slice(16, None, 32), slice(24, None, 48))
        np.testing.assert_allclose(source.pixels[middles] / 65535, encoded(linear)[middles], atol=0.01)

    def test_facts(self) -> None:
        packet = XMP.replace(b"<dc:title>", b'<crs:Exposure2012 xmlns:crs="x">1</crs:Exposure2012><dc:title>').replace(
            b'xmlns:dc="', b'xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:Contrast="9" xmlns:dc="'
        )
        meta = read(dng(mosaic(scene()), xmp=packet)).meta
        assert (meta.format, meta.bits, meta.is_lossless) == ("raw", 16, True)
        assert meta.exif is not None and b"Acme" in meta.exif and b"A. Person" in meta.exif
        assert meta.xmp is not None and b"A title" in meta.xmp
        assert b"crs:Contrast" not in meta.xmp and b"Exposure2012" not in meta.xmp  # would be applied a second time
        assert "the camera's white balance" in meta.notes[0]

    def test_half_size_and_turned(self) -> None:
        data = dng(mosaic(scene()), orientation=6)
        assert read(data).pixels.shape == (96, 64, 3)
        half = read(data, options=ReadOptions(half_size=True))
        assert half.pixels.shape == (48, 32, 3) and "half size" in " ".join(half.meta.notes)

    def test_results_in_every_format_open_again(self) -> None:
        source = read(dng(mosaic(scene())))
        assert read(encode(source)).meta.format == "png"
        np.testing.assert_array_equal(read(encode(source)).pixels, source.pixels)

    def test_a_file_that_states_no_white_balance_says_so(self) -> None:
        data = dng(mosaic(scene(), (1, 1, 1)), t50728=(5, [0, 1, 1, 1, 0, 1]))
        assert "states none" in read(data).meta.notes[0]

    def test_the_size_is_checked_before_it_is_developed(self) -> None:
        with pytest.raises(InputError, match="megapixels"):
            read(dng(mosaic(scene())), max_pixels=100)

    def test_what_libraw_does_not_know_is_unsupported_and_a_cut_file_damaged(self) -> None:
        data = dng(mosaic(scene()))
        plain, jpeg_xl = (struct.pack("<HHII", 259, 3, 1, n) for n in (1, 52546))
        with pytest.raises(InputError, match="JPEG XL compression is not supported"):
            read(jpeg_xl.join(data.rsplit(plain, 2)))
        cut = tiff(
            Page(
                {**rgb_page(np.zeros((40, 60, 1), np.uint16)).tags, 262: (3, [32803]), 273: (4, [8]), 279: (4, [9999])}
            )
        )
        with pytest.raises(InputError, match="damaged"):
            read(cut)
        end = data.replace(struct.pack("<HHII", 279, 4, 1, 64 * 96 * 2), struct.pack("<HHII", 279, 4, 1, 64 * 96 * 9))
        with pytest.raises(InputError, match="damaged"):  # LibRaw fills such a mosaic with black
            read(end)
        with pytest.raises(InputError, match="does not know this kind"):
            read(b"FOVb" + bytes(2000))

    def test_a_mosaic_without_a_word_about_its_camera_is_developed_not_taken_for_grey(self) -> None:
        page = rgb_page(np.full((40, 60, 1), 9000, np.uint16), t262=(3, [32803]))
        assert read(tiff(page)).pixels.shape == (40, 60, 3)

    def test_cut_files_and_noise_are_refused(self) -> None:
        data = dng(mosaic(scene()))
        rng = np.random.default_rng(2)
        with pytest.raises(InputError):
            read(b"FUJIFILMCCD-RAW " + rng.bytes(2000))
        with pytest.raises(InputError):
            read(b"IIU\0" + rng.bytes(2000))
        for _ in range(60):
            broken = bytearray(data)
            for at in rng.integers(0, 700, 3):
                broken[int(at)] = int(rng.integers(0, 256))
            try:
                read(bytes(broken), max_pixels=1_000_000)
            except InputError as error:
                assert "\n" not in str(error)

    def test_a_raw_file_is_never_overwritten_whatever_its_name(self, tmp_path: Path) -> None:
        student = str(onnx_students.make_student(tmp_path / "student", "identity"))
        source = tmp_path / "x.tif"
        source.write_bytes(dng(mosaic(scene())))
        before = source.read_bytes()
        with pytest.raises(OutputError, match="RAW"):
            restore_file(source, source, model=student, device="cpu", threads=1, overwrite=True)
        assert source.read_bytes() == before
        outcome = restore_file(source, tmp_path / "y.tif", model=student, device="cpu", threads=1)
        assert (outcome.width, outcome.height) == (96, 64)
        np.testing.assert_array_equal(read(tmp_path / "y.tif").pixels, read(source).pixels)

    @pytest.mark.skipif(which("exiftool") is None, reason="needs exiftool")
    def test_exiftool_finds_the_cameras_name_in_the_result(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(encode(read(dng(mosaic(scene()), orientation=6))))
        command = ["exiftool", "-s3", "-Make", "-Artist", "-Orientation", str(tmp_path / "a.png")]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        assert shown[:2] == ["Acme", "A. Person"] and shown[2] in ("", "Horizontal (normal)")

    @pytest.mark.skipif(not CASES.is_dir(), reason="needs the cases")
    def test_the_case(self) -> None:
        assert read(CASES / "raw-thumbnail-first.dng").pixels.shape == (128, 192, 3)


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(UnavailableError, match=r"rawpy.*\[raw\]"):  # not lasting: it may be installed
        read(dng(mosaic(scene())))


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201FF383501",
        b"II\x1a\0\0\0HEAPCCDR",
        b"\0MRM\0\0",
        b"FOVb\0\0",
        b"IIRO\x08\0\0\0",
        b"IIRS\x08\0\0\0",
        b"MMOR\0\0\0\x08",
        b"IIU\0\x18\0\0\0",
    ],
)
def test_heads_of_raw_files_that_are_no_tiff(head: bytes) -> None:
    assert sniff(head.ljust(32, b"\0")) == "raw"


@pytest.mark.parametrize(
    "page",
    [
        rgb_page(np.zeros((8, 12, 1), np.uint16), t262=(3, [32803])),  # CFA as the first image: Pentax
        rgb_page(np.zeros((8, 12, 3), np.uint16), t262=(3, [34892])),  # linear raw
        rgb_page(np.zeros((8, 12, 1), np.uint16), t259=(3, [34713])),  # Nikon
        rgb_page(np.zeros((8, 12, 1), np.uint16), t259=(3, [32767])),  # Sony
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_kinds_of_raw_with_a_tiff_head(page: Page, big: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    front = rgb_page(np.zeros((4, 6, 3), np.uint8), subfile=1)
    front.inside = [page]
    monkeypatch.setattr(raw, "develop", lambda *_, **__: "developed")
    assert read(tiff(page, big=big)) == read(tiff(front, big=big)) == "developed"


def test_a_developed_tiff_that_carries_a_dngs_tags_is_a_tiff() -> None:
    pixels = np.full((8, 12, 3), 70, np.uint8)
    source = read(tiff(rgb_page(pixels, t50706=(1, [1, 4, 0, 0]))))
    assert source.meta.format == "tiff" and np.array_equal(source.pixels, pixels)


def test_canons_and_phase_ones_marks_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "develop", lambda *_, **__: "developed")
    data = tiff(rgb_page(np.zeros((4, 6, 3), np.uint8)))
    assert read(data) != "developed"
    at = int.from_bytes(data[4:8], "little")
    for mark in (b"CR\x02\0", b"IIII"):
        moved = data[:4] + (at + 8).to_bytes(4, "little") + mark + bytes(4) + data[8:]
        assert read(moved) == "developed"


def test_batch_takes_raw_files() -> None:
    from restorect_cli.names import EXTENSIONS, PHOTOGRAPHS

    assert RAW_EXTENSIONS <= PHOTOGRAPHS and not RAW_EXTENSIONS & EXTENSIONS


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("LibRawUnsufficientMemoryError", UnavailableError, "not enough memory"),
        ("LibRawTooBigError", InputError, "more pixels"),
        ("LibRawFileUnsupportedError", InputError, "does not know this kind"),
        ("LibRawDataError", InputError, r"damaged or cut short .said so"),
    ],
)
def test_what_libraw_says_becomes_the_true_reason(
    name: str, kind: type[InputError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rawpy = pytest.importorskip("rawpy")

    def fail(*_: object) -> None:
        raise getattr(rawpy, name)(b"said so")

    monkeypatch.setattr(rawpy, "imread", fail)
    with pytest.raises(kind, match=words) as caught:
        read(dng(mosaic(scene())))
    assert type(caught.value) is kind
