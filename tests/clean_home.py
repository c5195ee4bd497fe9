"""A home of its own for a test: weights, cache, and no setting of the machine shining through."""

from __future__ import annotations

from pathlib import Path

import pytest
from identity_students import write_weights

_SETTINGS = ("RESTORECT_HUB", "RESTORECT_DEBUG", "HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE")


def clean_home(root: Path, monkeypatch: pytest.MonkeyPatch, *students: str) -> Path:
    """The weights folder under `root`, with identity students of these names."""
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(root / "weights"))
    monkeypatch.setenv("RESTORECT_HOME", str(root / "home"))
    write_weights(root / "weights", *students)
    return root / "weights"
