from __future__ import annotations

from pathlib import Path

import pytest
from identity_students import write_weights


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder with denoise-s, an empty home, and no setting of the machine shining through."""
    for name in ("RESTORECT_HUB", "HF_ENDPOINT", "HF_TOKEN", "RESTORECT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RESTORECT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("RESTORECT_HOME", str(tmp_path / "home"))
    write_weights(tmp_path / "weights", "denoise-s")
    return tmp_path / "weights"
