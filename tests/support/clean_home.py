"""A home of its own for a test: weights and cache (conftest.py keeps every setting of the machine out)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.identity_students import write_weights


def clean_home(root: Path, monkeypatch: pytest.MonkeyPatch, *students: str) -> Path:
    """The weights folder under `root`, with identity students of these names."""
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(root / "weights"))
    monkeypatch.setenv("RESTORECT_HOME", str(root / "home"))
    write_weights(root / "weights", *students)
    return root / "weights"
