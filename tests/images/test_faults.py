"""Errors that say the true reason: damaged, unsupported, not now, yours."""

from __future__ import annotations

import errno
import lzma
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import DISPLAY_P3_LIKE, gradient, pillow
from support import onnx_students
from support.jpegs import noisy
from support.tiffs import rgb_page, tiff

from restorect_cli.errors import InputError, UnavailableError
from restorect_cli.files import restore_file
from restorect_cli.images import faults, icc, reading
from restorect_cli.images.picture import ReadOptions
from restorect_cli.images.reading import read
from restorect_cli.images.vips import pyvips

CASES = Path(__file__).parents[3] / "shared" / "cases"
FULL = gradient(24, 32)

# --- unsupported ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compression", "word"),
    [
        (50000, "ZSTD"),
        (34926, "ZSTD"),
        (34925, "LZMA"),
        (34887, "LERC"),
        (34712, "JPEG 2000"),
        (33005, "JPEG 2000"),
        (52546, "JPEG XL"),
        (50002, "JPEG XL"),
        (34934, "JPEG XR"),
        (34661, "JBIG"),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_compressions_of_tiff_that_we_lack(compression: int, word: str, big: bool) -> None:
    page = rgb_page(FULL, t259=(3, [compression]))
    page.data = lzma.compress(page.data)
    with pytest.raises(InputError, match=f"TIFF with {word} compression is not supported") as caught:
        read(tiff(page, big=big))
    assert "damaged" not in str(caught.value) and not isinstance(caught.value, UnavailableError)
    assert "complete copy" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "sample_format", "words"),
    [
        ("<i8", 2, "64-bit signed"),
        ("<u8", 1, "64-bit whole"),
        ("<c8", 6, "64-bit complex"),
        ("<u4", 1, "32-bit whole|type uint"),
        ("<i2", 2, "16-bit signed|type short"),
    ],
)
def test_kinds_of_samples_that_we_do_not_take(dtype: str, sample_format: int, words: str) -> None:
    page = rgb_page(FULL.astype(dtype))
    page.tags[339] = (3, [sample_format] * 3)
    with pytest.raises(InputError, match=words) as caught:
        read(tiff(page))
    assert "damaged" not in str(caught.value)


def with_frame(marker: int, precision: int) -> bytes:
    """A JPEG whose frame header says another kind of coding or depth."""
    data = bytearray(pillow(FULL, "jpeg"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, precision
    return bytes(data)


@pytest.mark.parametrize(
    ("marker", "precision", "words"),
    [
        (0xC1, 12, "JPEG with 12 bits"),
        (0xC0, 16, "JPEG with 16 bits"),
        (0xC3, 8, "lossless JPEG"),
        (0xC5, 8, "hierarchical JPEG"),
        (0xF7, 8, "JPEG-LS"),
    ],
)
def test_kinds_of_jpeg_that_we_lack(marker: int, precision: int, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read(with_frame(marker, precision))
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\xff\x0a\xfa", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
        (b"v/1\x01", "OpenEXR"),
        (b"#?RADIANCE\n", "Radiance"),
        (b"%PDF-1.7", "PDF"),
        (b'<?xml version="1.0"?><svg ', "SVG"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video"),
    ],
)
def test_other_files_are_called_by_their_name(head: bytes, words: str) -> None:
    with pytest.raises(InputError, match=f"{words}.*not supported") as caught:
        read(head + bytes(100))
    assert "damaged" not in str(caught.value)


# --- damaged -------------------------------------------------------------------------------------------------------


def test_what_is_damaged_is_still_called_so() -> None:
    for data in (pillow(FULL, "png")[:-200], pillow(FULL, "jpeg")[:-50], tiff(rgb_page(FULL))[:400]):
        with pytest.raises(InputError, match="damaged or cut short") as caught:
            read(data)
        assert not isinstance(caught.value, UnavailableError)


# --- not now -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("tiff2vips: out of memory --- size == 48MB", "memory"),
        ("vips_tracked: Cannot allocate memory", "memory"),
        ("jpegload: unable to open: Too many open files", "too many files are open"),
        ("vips_thread: unable to create thread", "thread"),
        ("GThread: error creating thread: Resource temporarily unavailable", "thread"),
        ("temp: No space left on device", "disk"),
    ],
)
@pytest.mark.parametrize("data", [pillow(FULL, "png"), tiff(rgb_page(FULL, t259=(3, [50000])))])
def test_a_machine_at_its_limit_is_no_fault_of_the_file(
    said: str, words: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object) -> None:
        error = pyvips.Error("unable to call")
        error.detail = said
        raise error

    monkeypatch.setattr(reading._Source, "open", fail)
    with pytest.raises(UnavailableError, match=words) as caught:
        read(data)
    assert "damaged" not in str(caught.value)


def test_a_profile_is_not_called_damaged_where_memory_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: object) -> None:
        error = pyvips.Error("unable to call")
        error.detail = "icc_transform: out of memory"
        raise error

    monkeypatch.setattr(icc, "from_vips", fail)
    with pytest.raises(UnavailableError, match="not enough memory"):
        read(pillow(FULL, "png", icc_profile=DISPLAY_P3_LIKE))


def test_a_bmp_of_an_unusual_kind_is_unsupported() -> None:
    data = bytearray(pillow(FULL, "bmp"))
    data[30] = 4  # BI_JPEG
    with pytest.raises(InputError, match="this kind of BMP is not supported") as caught:
        read(bytes(data))
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "words", "fix"),
    [
        (errno.EMFILE, "too many files", "ulimit"),
        (errno.ENFILE, "too many files", "ulimit"),
        (errno.ENOMEM, "not enough memory", "other programs"),
        (errno.ENAMETOOLONG, "name too long", "check the name"),
        (errno.EIO, "rror", "check the disk"),
        (errno.EACCES, "permission denied", "permissions"),
        (errno.ENOENT, "no such file", "name"),
    ],
)
def test_what_the_system_says(number: int, words: str, fix: str) -> None:
    error = faults.of_system(
        "a.jpg", OSError(number, "File name too long" if number == errno.ENAMETOOLONG else "Error")
    )
    assert isinstance(error, UnavailableError) and error.exit_code == 1
    assert words in error.problem.lower() and fix in error.fix


def test_memory_that_python_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    for name, data in (("decode_bitmap", pillow(FULL, "bmp")), ("_decode", pillow(FULL, "png"))):
        with monkeypatch.context() as patch:
            patch.setattr(reading, name, fail)
            with pytest.raises(UnavailableError, match="not enough memory"):
                read(data)


def test_no_file_handles_for_real(tmp_path: Path) -> None:
    """In a process of its own that has used up its handles."""
    (tmp_path / "a.jpg").write_bytes(pillow(FULL, "jpeg"))
    script = textwrap.dedent("""
        import os, resource, sys
        from restorect_cli.errors import UnavailableError
        from restorect_cli.images.reading import read
        read(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        taken = []
        for left in (0, 1, 2):
            try:
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                pass
            for _ in range(left):
                os.close(taken.pop())
            try:
                read(sys.argv[1])
                result = "read"
            except UnavailableError as error:
                result = str(error)
            os.close(taken.pop())
            os.write(1, (result + "\\n").encode())
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.jpg"], capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and "too many files are open" in lines[0], done.stderr
    assert all(line == "read" or "too many files are open" in line for line in lines)


def test_no_memory_for_real(tmp_path: Path) -> None:
    """In a process of its own that may take little more memory than it has."""
    if not hasattr(resource, "RLIMIT_AS") or not Path("/proc/self/statm").exists():
        pytest.skip("needs a limit on memory")
    (tmp_path / "a.tif").write_bytes(tiff(rgb_page(np.zeros((5000, 8000, 3), np.uint8))))
    script = textwrap.dedent("""
        import resource, sys
        from restorect_cli.errors import UnavailableError
        from restorect_cli.images.reading import read
        read(sys.argv[2])
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000, resource.RLIM_INFINITY))
        try:
            read(sys.argv[1])
        except UnavailableError as error:
            sys.stdout.write(str(error))
    """)
    (tmp_path / "small.tif").write_bytes(tiff(rgb_page(FULL)))
    command = [sys.executable, "-c", script, tmp_path / "a.tif", tmp_path / "small.tif"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "not enough memory" in done.stdout, (done.returncode, done.stdout, done.stderr[-500:])


# --- a JPEG without its end ----------------------------------------------------------------------------------------

LENIENT = ReadOptions(accept_truncated=True)


def test_without_being_allowed_it_is_refused_with_the_way_out() -> None:
    with pytest.raises(InputError, match="damaged or cut short.*--accept-truncated"):
        read(noisy()[:-9000])


@pytest.mark.parametrize("subsampling", [0, 2])
def test_the_rows_that_are_there_are_kept_and_the_lost_ones_counted(subsampling: int) -> None:
    whole = noisy(subsampling=subsampling)
    expected = read(whole).pixels
    for part in (0.3, 0.6, 0.95):
        source = read(whole[: int(len(whole) * part)], options=LENIENT)
        words = source.meta.notes[0].split()
        lost = int(words[words.index("of") - 1])
        assert source.meta.notes[0].endswith("rows are lost, at the bottom") and 0 < lost < 200
        np.testing.assert_array_equal(source.pixels[: 200 - lost], expected[: 200 - lost])
        assert abs(lost - 200 * (1 - part)) < 34  # two rows of blocks, and the header's share


@pytest.mark.parametrize("missing", [1, 2])
def test_only_the_end_marker_is_missing(missing: int) -> None:
    source = read(noisy()[:-missing], options=LENIENT)
    np.testing.assert_array_equal(source.pixels, read(noisy()).pixels)
    assert "no row is lost" in source.meta.notes[0]


def test_a_progressive_file_lacks_detail_everywhere() -> None:
    whole = noisy(progressive=True)
    source = read(whole[: len(whole) * 2 // 3], options=LENIENT)
    assert "progressive" in source.meta.notes[0] and source.pixels.shape == (200, 300, 3)


@pytest.mark.parametrize(
    ("orientation", "words"), [(3, "rows are lost, at the top"), (6, "columns are lost, at the left")]
)
def test_the_side_is_that_of_the_upright_picture(orientation: int, words: str) -> None:
    from conftest import exif_block

    whole = noisy(exif=b"Exif\0\0" + exif_block(orientation, thumbnail=False))
    source = read(whole[: len(whole) // 2], options=LENIENT)
    assert words in source.meta.notes[0]
    kept = read(whole).pixels == source.pixels
    assert (kept[-60:] if orientation == 3 else kept[:, -60:]).all()


def test_damage_in_the_middle_is_not_passed_over() -> None:
    broken = bytearray(noisy())
    broken[len(broken) // 2 : len(broken) // 2 + 40] = b"\xff\xd9" * 20  # an end where none belongs
    with pytest.raises(InputError, match="damaged.*--accept-truncated"):
        read(bytes(broken))
    assert "are lost" in read(bytes(broken), options=LENIENT).meta.notes[0]
    data = noisy()
    for cut in (3, 200, 500):  # in the header
        with pytest.raises(InputError):
            read(data[:cut], options=LENIENT)
    with pytest.raises(InputError):  # another format is not meant
        read(pillow(FULL, "png")[:-100], options=LENIENT)


def test_stray_bytes_between_segments_are_overlooked() -> None:
    whole = noisy()
    at = whole.index(b"\xff\xc0")
    np.testing.assert_array_equal(read(whole[:at] + b"\0\0\0" + whole[at:]).pixels, read(whole).pixels)


def test_whole_files_are_read_as_ever() -> None:
    source = read(noisy(), options=LENIENT)
    assert source.meta.notes == ()


def test_restoring_a_file_without_its_end(tmp_path: Path) -> None:
    student = str(onnx_students.make_student(tmp_path / "student", "identity"))
    (tmp_path / "a.jpg").write_bytes(noisy()[:-9000])
    settings = {"model": student, "device": "cpu", "threads": 1}
    with pytest.raises(InputError, match="--accept-truncated"):
        restore_file(tmp_path / "a.jpg", tmp_path / "b.png", **settings)
    outcome = restore_file(tmp_path / "a.jpg", tmp_path / "b.png", accept_truncated=True, **settings)
    assert "are lost" in outcome.notes[0]


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the cases")
def test_the_cases() -> None:
    with pytest.raises(InputError, match="ZSTD compression is not supported"):
        read(CASES / "zstd.tif")
    assert read(CASES / "float64.tif").pixels.dtype == np.float32
