"""Image factories. Every file a test needs is made here, from arrays with known pixels; none is kept in the project."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from restorect_cli.images.picture import Meta, Picture
from restorect_cli.recipes.recipe import Recipe, SourceRecipe

Array = NDArray[Any]

SETTINGS = (
    "RESTORECT_WEIGHTS",
    "RESTORECT_DATA",
    "RESTORECT_HUB",
    "RESTORECT_DEBUG",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_HUB_OFFLINE",
)

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/" exif:GPSLatitude="47,22.5N" tiff:Orientation="6">'
    b"<exif:GPSLongitude>8,32.5E</exif:GPSLongitude><dc:title>A title</dc:title>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
)


def gradient(height: int, width: int, channels: int = 3, dtype: str = "uint8") -> Array:
    """Smooth and different in every channel, so that a swap, flip or shift shows."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [(x + (c + 1) * y) / max(width + (c + 1) * height - 2, 1) for c in range(channels)]
    return _full_scale(np.stack(planes, axis=2), dtype)


def noise(height: int, width: int, channels: int = 3, dtype: str = "uint8", seed: int = 0) -> Array:
    return _full_scale(np.random.default_rng(seed).random((height, width, channels)), dtype)


def _full_scale(unit: Array, dtype: str) -> Array:
    if dtype == "float32":
        return unit.astype(np.float32)
    return np.rint(unit * np.iinfo(dtype).max).astype(dtype)


def picture(pixels: Array, alpha: Array | None = None, format: str = "png", **meta: Any) -> Picture:
    """A Picture around these pixels, H×W×C."""
    height, width, bands = pixels.shape
    facts = {"is_grey": bands == 1, "has_alpha": alpha is not None, **meta}
    return Picture(pixels, alpha, Meta(format, width, height, pixels.dtype.itemsize * 8, **facts))


def pillow(array: Array, format: str, **options: Any) -> bytes:
    """The file that Pillow makes of an 8-bit array: a writer other than the one under test."""
    return save(Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array), format, **options)


def save(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def exif_block(orientation: int = 1, gps: bool = True, thumbnail: bool = True) -> bytes:
    """An EXIF block (big-endian, as Pillow writes it) with a maker note, and a thumbnail behind it."""
    exif = Image.Exif()
    exif[0x010F], exif[0x013B], exif[0x0112] = "A maker", "An artist", orientation
    inner = exif.get_ifd(0x8769)
    inner[0x9003], inner[0x927C], inner[0xA002], inner[0xA003] = "2024:05:06 07:08:09", b"note\0\1\2\3", 40, 24
    if gps:
        exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 30.0), 3: "E", 4: (8.0, 32.0, 30.0)})
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    return with_thumbnail(block) if thumbnail else block


def with_thumbnail(block: bytes) -> bytes:
    small = pillow(noise(8, 8), "jpeg")
    (first,) = struct.unpack_from(">I", block, 4)
    (count,) = struct.unpack_from(">H", block, first)
    link, second = first + 2 + 12 * count, len(block)
    table = struct.pack(">HHHII", 2, 0x0201, 4, 1, second + 30) + struct.pack(">HHII", 0x0202, 4, 1, len(small))
    return block[:link] + struct.pack(">I", second) + block[link + 4 :] + table + b"\0\0\0\0" + small


def rgb_profile(primaries: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """A version 2 matrix profile; `primaries` are the D50 XYZ columns of red, green and blue."""
    tags = {b"wtpt": _xyz((0.9642, 1.0, 0.8249))}
    tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", {b"wtpt": _xyz((0.9642, 1.0, 0.8249)), b"kTRC": _curve(gamma)})


def _xyz(value: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in value))


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"a test profile\0"
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(79), **tags}
    tags[b"cprt"] = b"text\0\0\0\0none\0"
    table, body, offset = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    header += struct.pack(">3i", 63190, 65536, 54061)  # the D50 white of the connection space
    return header.ljust(128, b"\0") + table + body


# Columns of the RGB → XYZ (D50) matrices.
ADOBE_LIKE = rgb_profile(((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 2.2)
DISPLAY_P3_LIKE = rgb_profile(
    ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)), 2.2
)
GREY_GAMMA_18 = grey_profile(1.8)


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for every test: students that the developer fetched and settings of the machine stay out."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("RESTORECT_HOME", str(folder / "restorect"))
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def image_file(tmp_path: Path) -> Callable[[bytes, str], Path]:
    """Writes bytes to a file of the given name in a fresh folder."""

    def make(data: bytes, name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return make


@pytest.fixture
def recipe() -> Recipe:
    """A recipe that trains on the photographs of `data` in seconds."""
    return Recipe(
        task="denoise",
        net="tiny",
        iterations=6,
        batch=2,
        crop_px=32,
        warmup=2,
        validate_every=6,
        log_every=2,
        source=(
            SourceRecipe(folder="photos", degrade="gaussian", weight=0.5),
            SourceRecipe(folder="pairs", degrade="pair", weight=0.5),
        ),
    )
