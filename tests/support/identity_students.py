"""Weights folders of students that change nothing, laid out and registered like real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.onnx_students import make_student, spec

from restorect_cli.models import store
from restorect_cli.models.specs import ManifestEntry

QUALITY = [
    {
        "dataset": "CBSD68-34",
        "protocol": "sigma 25, unclipped, seeded",
        "measure": "RGB PSNR [dB]",
        "value": 20.17,
        "command": "none: the identity",
    }
]


def spec_fields(name: str, **changes: Any) -> dict[str, Any]:
    """What a `StudentSpec` is made from; `name` is task and size, as in "denoise-s"."""
    return {**spec().model_dump(), **_named(name), **changes}


def write_student(root: Path, name: str = "denoise-s", *, kind: str = "identity", **changes: Any) -> Path:
    """Export a student to `root/name`, description in both graphs; returns the folder."""
    folder = make_student(root / name, kind, **_named(name), **changes)
    (folder / "card.md").write_text(f"# {name}\n\nReturns its input.\n", encoding="utf-8")
    return folder


def write_weights(root: Path, *names: str) -> list[ManifestEntry]:
    """A weights folder with a manifest of identity students."""
    return [store.register(write_student(root, name), QUALITY) for name in names]


def _named(name: str) -> dict[str, str]:
    task, _, size = name.rpartition("-")
    return {"name": name, "task": task, "size": size}
