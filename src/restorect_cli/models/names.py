"""The words a user may type for tasks, sizes and devices; nothing heavy is imported, so `--help` can use them."""

from __future__ import annotations

TASKS = ("low-light", "derain", "denoise", "raindrop")
SIZES = ("s", "m")
DEVICES = ("auto", "cpu", "cuda", "coreml", "directml", "openvino")
DEFAULT_REPOSITORY = "restorect/students"  # Hugging Face "owner/name"; --repo or RESTORECT_HUB choose another


def called(net: str) -> str:
    """What people call a net of the recipes: `s` is student-s, teachers have their own names."""
    return net if net.startswith("teacher-") else f"student-{net}"
