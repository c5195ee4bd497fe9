from __future__ import annotations

from pathlib import Path

import pytest
from support.clean_home import clean_home


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder with denoise-s, and an empty home."""
    return clean_home(tmp_path, monkeypatch, "denoise-s")
