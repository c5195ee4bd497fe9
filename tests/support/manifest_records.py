"""Manifest records for tests."""

from __future__ import annotations

from typing import Any

from restorect_cli.batch.manifest import Record

FACTS: dict[str, Any] = dict(
    input="a.jpg", output="a.jpg", status="done", folder="/in", settings="s1", input_bytes=5, input_mtime_ns=7
)
WRITTEN: dict[str, Any] = dict(output_bytes=50, output_mtime_ns=70)


def record(**changes: Any) -> Record:
    return Record(**FACTS | changes)
