"""The words a user may type for tasks, sizes, devices and formats. Nothing heavy is imported: `--help` uses them."""

from __future__ import annotations

import os

TASKS = ("low-light", "derain", "denoise", "raindrop")
SIZES = ("s", "m")
DEVICES = ("auto", "cpu", "cuda", "coreml", "directml", "openvino")
DEFAULT_REPOSITORY = "restorect/students"  # Hugging Face "owner/name"; --repo or RESTORECT_HUB choose another

# The formats we write, by the target's extension. Everything else we read is written as PNG.
FORMATS: dict[str, str] = {
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
WRITABLE: tuple[str, ...] = ("jpeg", "png", "tiff", "webp", "avif")
READABLE: tuple[str, ...] = (*WRITABLE, "gif", "bmp", "ppm", "raw", "heif")

# What counts as a picture in a folder: what we write and what else is read. Hidden files never do (`is_picture`).
EXTENSIONS = frozenset({*FORMATS, ".gif", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm"})

# Photographs that only `enhance` and `batch` take, with the extra `raw` or with pillow-heif.
RAW_EXTENSIONS = frozenset(
    (".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef")
    + (".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f")
)
HEIF_EXTENSIONS = frozenset((".heic", ".heif", ".hif"))
PHOTOGRAPHS = EXTENSIONS | RAW_EXTENSIONS | HEIF_EXTENSIONS


def is_picture(name: str) -> bool:
    """Whether a file of this name in a folder is taken for a picture; `._IMG.jpg`, which macOS leaves, is not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in EXTENSIONS


def called(net: str) -> str:
    """What people call a net of the recipes: `s` is student-s, teachers have their own names."""
    return net if net.startswith("teacher-") else f"student-{net}"
