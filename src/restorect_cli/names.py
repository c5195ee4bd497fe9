"""The words a user may type for tasks, sizes, devices and formats. `--help` uses them, so imports are light."""

from __future__ import annotations

import os
from typing import Literal, get_args

Task = Literal["low-light", "derain", "denoise", "raindrop"]
TASKS: tuple[Task, ...] = get_args(Task)
Size = Literal["s", "m"]
SIZES: tuple[Size, ...] = get_args(Size)
DeviceName = Literal["auto", "cpu", "cuda", "coreml", "directml", "openvino"]
DEVICES: tuple[DeviceName, ...] = get_args(DeviceName)
Precision = Literal["fp32", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Ensemble = Literal[1, 2, 4]
ENSEMBLES: tuple[Ensemble, ...] = get_args(Ensemble)
Format = Literal["jpeg", "png", "tiff", "webp", "avif"]  # that can be written
WRITABLE: tuple[Format, ...] = get_args(Format)
Depth = Literal[8, 16]
Strip = Literal["none", "gps", "all"]

# The formats that can be written, by the target's extension. Pictures of other formats are written as PNG.
FORMATS: dict[str, Format] = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".jpe": "jpeg",
    ".jfif": "jpeg",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
    ".avif": "avif",
}
READABLE: tuple[str, ...] = (*WRITABLE, "gif", "bmp", "ppm", "raw", "heif")

# Extensions of pictures in a folder, to be written or only read. Hidden files never count (`is_picture`).
EXTENSIONS = frozenset({*FORMATS, ".gif", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"})

# Photographs that only `enhance` and `batch` take, with the extra `raw` or with pillow-heif.
RAW_EXTENSIONS = frozenset(
    (".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef")
    + (".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f")
)
HEIF_EXTENSIONS = frozenset((".heic", ".heif", ".hif"))
PHOTOGRAPHS = EXTENSIONS | RAW_EXTENSIONS | HEIF_EXTENSIONS


def is_picture(name: str) -> bool:
    """Whether a file of this name in a folder counts as a picture; `._IMG.jpg`, which macOS leaves, does not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS


def called(net: str) -> str:
    """The full name of a recipe's net: `s` is student-s, teachers have their own names."""
    return net if net.startswith("teacher-") else f"student-{net}"
